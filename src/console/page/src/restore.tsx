import { useEffect, useState } from 'preact/hooks';
import { get, type Logs, type PastRestore, type PhaseTime, type View, type Worker } from './api';
import { Facts } from './facts';
import { bytes, count, duration, exactly, moment } from './format';
import { kindOf, language, named, t, words, type Word } from './words';

const working = ['preparing', 'restoring', 'recovering', 'promoting', 'configuring', 'joining', 'reindexing'];
// Of a restore from the first to the last.
const way = working.slice(0, 6);

export function isUnderWay(view: View): boolean {
  return view.status.supervisor_running && working.includes(view.status.supervisor.phase);
}

// Those of the bring-up that is under way, be it of a replica that is made anew; else of the last one
// that restored something: what was done later (a switchover, say) is no part of it.
function phasesOfRestore(view: View): PhaseTime[] {
  const runs: PhaseTime[][] = [[]];
  for (const phase of view.status.supervisor.phases) {
    if (working.includes(phase.phase)) runs.at(-1)!.push(phase);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  if (runs.at(-1)!.length > 0) return runs.at(-1)!;
  return runs.filter((run) => run.some(({ phase }) => phase === 'restoring')).at(-1) ?? runs[0];
}

// Of a cluster it begins with what is prepared; else it is that of a replica beside a primary that runs.
const isWhole = (phases: PhaseTime[]) => phases[0]?.phase === 'preparing';

function logOfRestore(view: View): string {
  const { request } = view.status.supervisor;
  return request?.act === 'rebuild' && !isWhole(phasesOfRestore(view)) ? `restore-${request.node}` : 'restore';
}

function Bar({ done, total, label }: { done: number; total: number; label: string }) {
  const percent = total > 0 ? Math.min(100, Math.floor((done / total) * 100)) : 0;
  return (
    <div class="bar">
      <progress max={100} value={percent} aria-label={label} />
      <span>{percent} %</span>
    </div>
  );
}

// What is left of the phase that is under way, where its pace tells. Of the others nothing tells but how
// long they took the last time, which is said as that and is no promise; and where there was no last
// time it is said that nobody knows.
function Phases({ view }: { view: View }) {
  const over = phasesOfRestore(view);
  const live = isUnderWay(view);
  const last = view.status.restores.find(({ outcome }) => outcome === 'done');
  const current = over.at(-1)?.phase ?? '';
  const all = isWhole(over) ? way : ['restoring', 'joining'];
  const ahead = live && all.includes(current) ? all.slice(all.indexOf(current) + 1) : [];
  const left = current === 'restoring' ? view.pace.left_ms : current === 'recovering' ? view.pace.wal_left_ms : null;
  const lastTime = (phase: string, unknown: Word) => {
    const before = last?.phases.find((entry) => entry.phase === phase);
    return before ? t('lastTime', { time: duration(before.ended_ms - before.began_ms) }) : t(unknown);
  };
  return (
    <ol class="phases" aria-label={t('phases')}>
      {over.map((phase) => (
        <li key={phase.began_ms + phase.phase} class={phase.ended_ms === 0 ? 'current' : 'over'} aria-current={phase.ended_ms === 0 ? 'step' : undefined}>
          <span>{named(phase.phase)}</span>
          <span>{duration((phase.ended_ms || view.time_ms) - phase.began_ms)}</span>
          {phase.ended_ms === 0 && <span class="soft">{left !== null ? t('leftOf', { time: duration(left) }) : lastTime(phase.phase, 'leftUnknown')}</span>}
        </li>
      ))}
      {ahead.map((phase) => (
        <li key={phase} class="ahead">
          <span>{named(phase)}</span>
          <span class="soft">{lastTime(phase, 'timeUnknown')}</span>
        </li>
      ))}
    </ol>
  );
}

function Numbers({ view }: { view: View }) {
  const { supervisor } = view.status;
  const { restore } = supervisor;
  const facts: [string, string][] = [];
  // What a supervisor that was killed has left goes at no pace.
  const phase = isUnderWay(view) ? supervisor.phase : '';
  if (phase === 'restoring') {
    facts.push([t('rate'), `${bytes(view.pace.bytes_per_second)}/s`]);
    facts.push([t('left'), view.pace.left_ms === null ? t('unknown') : duration(view.pace.left_ms)]);
  }
  facts.push(
    [t('average'), `${bytes(view.pace.average_bytes_per_second)}/s`],
    [t('bytes'), t('of', { done: bytes(restore.bytes_done), total: bytes(restore.bytes_total) })],
    [t('files'), t('of', { done: count(restore.files_done), total: count(restore.files_total) })],
    [t('fetched'), bytes(restore.fetched)],
    [t('requests'), count(restore.requests)],
    [t('retries'), t('retriesAndThrottled', { retries: count(supervisor.restore_retries), throttled: count(supervisor.restore_throttled) })],
  );
  if (supervisor.wal_segments_total > 0) {
    facts.push([t('segments'), t('of', { done: count(supervisor.wal_segments_done), total: count(supervisor.wal_segments_total) })]);
    if (phase === 'recovering') facts.push([t('rate'), t('segmentsPerSecond', { count: view.pace.segments_per_second.toLocaleString(language, { maximumFractionDigits: 1 }) })]);
    if (phase === 'recovering' && view.pace.wal_left_ms !== null) facts.push([t('left'), duration(view.pace.wal_left_ms)]);
  }
  facts.push([t('backup'), supervisor.backup_label]);
  return <Facts facts={facts} />;
}

function Workers({ workers }: { workers: Worker[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t('workers')}>
      <table id="workers">
        <thead>
          <tr>
            <th scope="col">{t('worker')}</th>
            <th scope="col">{t('doing')}</th>
            <th scope="col" class="number">{t('bytes')}</th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker, i) => (
            <tr key={i}>
              <td>{i + 1}</td>
              <td>
                {worker.file || (worker.files > 0 ? t('files') : t('waiting'))}
                {worker.files > 1 && <span class="soft"> {t('more', { count: count(worker.files - 1) })}</span>}
              </td>
              <td class="number">{worker.file ? t('of', { done: bytes(worker.bytes_done), total: bytes(worker.bytes_total) }) : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const tail = 12; // lines

function LogTail({ live, of }: { live: boolean; of: string }) {
  const [lines, setLines] = useState<string[]>([]);
  useEffect(() => {
    let over = false;
    let next = -1;
    let reading = false; // what comes may take longer than the pause between two
    const read = () => {
      if (reading) return;
      reading = true;
      get<Logs>(`/api/v1/logs?of=${of}&lines=${tail}${next >= 0 ? `&from=${next}` : ''}`).then(
        (logs) => {
          if (over) return;
          const whole = next < 0 || logs.next < next; // begun anew
          next = logs.next;
          if (whole || logs.lines.length > 0) setLines((before) => (whole ? logs.lines : [...before, ...logs.lines].slice(-tail)));
        },
        () => undefined,
      ).finally(() => (reading = false));
    };
    read();
    const timer = live ? setInterval(read, 2000) : undefined;
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [live, of]);
  if (lines.length === 0) return null;
  return (
    <details class="card" open={live}>
      <summary>{t('log')}</summary>
      <pre tabIndex={0} role="group" aria-label={t('log')}>
        <span lang="en">{lines.join('\n')}</span>
      </pre>
    </details>
  );
}

// Of what kind the failure was, and what pgrevive said of it in English.
function Why({ restore }: { restore: PastRestore }) {
  const kind = kindOf(restore.exit_code);
  return (
    <>
      {kind && <span class="why">{kind}</span>}
      <span class={kind ? 'why detail' : 'why'} lang="en">
        {restore.error.split('\n')[0]}
      </span>
    </>
  );
}

function Past({ restores }: { restores: PastRestore[] }) {
  return (
    <div class="card">
      <h3>{t('lastRestores')}</h3>
      {restores.length === 0 ? (
        <p>{t('never')}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t('lastRestores')}>
          <table id="past">
            <thead>
              <tr>
                <th scope="col">{t('when')}</th>
                <th scope="col">{t('outcome')}</th>
                <th scope="col" class="number">{t('duration')}</th>
                <th scope="col" class="number">{t('size')}</th>
                <th scope="col" class="number">{t('retries')}</th>
                <th scope="col">{t('backup')}</th>
              </tr>
            </thead>
            <tbody>
              {restores.map((restore) => (
                <tr key={restore.began_ms}>
                  <td>{moment(restore.began_ms)}</td>
                  <td class={restore.outcome === 'done' ? 'good' : 'bad'}>
                    {named(restore.outcome)}
                    {restore.error && <Why restore={restore} />}
                  </td>
                  <td class="number">{duration(restore.ended_ms - restore.began_ms)}</td>
                  <td class="number">{bytes(restore.progress.bytes_total)}</td>
                  <td class="number">{count(restore.retries)}</td>
                  <td>{restore.backup_label}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

// What recovery was to lead to, which pgrevive calls "latest" or "time 2026-11-29 18:28:57+00".
function targetOf(text: string): string {
  const [type] = text.split(' ', 1);
  const key = `to_${type}`;
  return key in words ? t(key as Word, { value: text.slice(type.length + 1) }) : text;
}

export function RestoreView({ view }: { view: View }) {
  const { supervisor } = view.status;
  const live = isUnderWay(view);
  const end = supervisor.recovery_end;
  const { workers } = supervisor.restore;
  const restored = supervisor.restore.bytes_total > 0;
  return (
    <section id="restore" aria-labelledby="restore-title">
      <h2 id="restore-title">{t('restore')}</h2>
      <div class="card">
        {!live && <p class="soft">{restored ? t('restored') : t('noRestore')}</p>}
        {live && supervisor.phase === 'recovering' && supervisor.wal_segments_total > 0 && (
          <Bar done={supervisor.wal_segments_done} total={supervisor.wal_segments_total} label={named(supervisor.phase)} />
        )}
        {live && supervisor.phase === 'restoring' && <Bar done={supervisor.restore.bytes_done} total={supervisor.restore.bytes_total} label={named(supervisor.phase)} />}
        {(live || restored) && supervisor.phases.length > 0 && <Phases view={view} />}
        {(live || restored) && <Numbers view={view} />}
        {live && supervisor.phase === 'restoring' && workers.length > 0 && <Workers workers={workers} />}
        {end && (
          <p id="recovery-end">
            {t('recoveryEnd', { lsn: end.lsn, timeline: end.timeline, target: targetOf(end.target) })}.{' '}
            {end.last_commit_time && t('lastCommit', { time: exactly(end.last_commit_time) })}
          </p>
        )}
      </div>
      <LogTail live={live} of={logOfRestore(view)} />
      <Past restores={view.status.restores} />
    </section>
  );
}
