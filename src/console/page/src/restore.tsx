import { useEffect, useState } from 'preact/hooks';
import { get, type PastRestore, type View } from './api';
import { Facts } from './facts';
import { bytes, count, duration, moment } from './format';
import { named, t } from './words';

const working = ['preparing', 'restoring', 'recovering', 'promoting', 'configuring', 'joining', 'reindexing'];

export function isUnderWay(view: View): boolean {
  return view.status.supervisor_running && working.includes(view.status.supervisor.phase);
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

function Numbers({ view }: { view: View }) {
  const { supervisor } = view.status;
  const { restore } = supervisor;
  const facts: [string, string][] = [
    [t('backup'), supervisor.backup_label],
    [t('bytes'), t('of', { done: bytes(restore.bytes_done), total: bytes(restore.bytes_total) })],
    [t('files'), t('of', { done: count(restore.files_done), total: count(restore.files_total) })],
    [t('fetched'), bytes(restore.fetched)],
    [t('requests'), count(restore.requests)],
    [t('retries'), count(supervisor.restore_retries)],
    [t('average'), `${bytes(view.pace.average_bytes_per_second)}/s`],
  ];
  if (supervisor.phase === 'restoring') {
    facts.push([t('rate'), `${bytes(view.pace.bytes_per_second)}/s`]);
    facts.push([t('left'), view.pace.left_ms === null ? '–' : duration(view.pace.left_ms)]);
  }
  if (supervisor.wal_segments_total > 0) {
    facts.push([t('segments'), t('of', { done: count(supervisor.wal_segments_done), total: count(supervisor.wal_segments_total) })]);
    if (supervisor.phase === 'recovering' && view.pace.wal_left_ms !== null) facts.push([t('left'), duration(view.pace.wal_left_ms)]);
  }
  return <Facts facts={facts} />;
}

function Log({ live }: { live: boolean }) {
  const [lines, setLines] = useState<string[]>([]);
  useEffect(() => {
    let over = false;
    const read = () =>
      get<{ restore: string[] }>('/api/v1/logs?lines=40').then(
        (logs) => !over && setLines(logs.restore),
        () => undefined,
      );
    read();
    const timer = live ? setInterval(read, 2000) : undefined;
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [live]);
  if (lines.length === 0) return null;
  return (
    <details class="card">
      <summary>{t('log')}</summary>
      <pre tabIndex={0} aria-label={t('log')}>
        {lines.join('\n')}
      </pre>
    </details>
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
          <table>
            <thead>
              <tr>
                <th scope="col">{t('when')}</th>
                <th scope="col">{t('outcome')}</th>
                <th scope="col">{t('duration')}</th>
                <th scope="col">{t('size')}</th>
                <th scope="col">{t('retries')}</th>
                <th scope="col">{t('backup')}</th>
              </tr>
            </thead>
            <tbody>
              {restores.map((restore) => (
                <tr key={restore.began_ms}>
                  <td>{moment(restore.began_ms)}</td>
                  <td title={restore.error}>{named(restore.outcome)}</td>
                  <td>{duration(restore.ended_ms - restore.began_ms)}</td>
                  <td>{bytes(restore.progress.bytes_total)}</td>
                  <td>{count(restore.retries)}</td>
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

export function RestoreView({ view }: { view: View }) {
  const { supervisor } = view.status;
  const live = isUnderWay(view);
  const end = supervisor.recovery_end;
  return (
    <section id="restore" aria-labelledby="restore-title">
      <h2 id="restore-title">{t('restore')}</h2>
      <div class="card">
        {!live && <p>{t('noRestore')}</p>}
        {live && supervisor.phase === 'recovering' && supervisor.wal_segments_total > 0 && (
          <Bar done={supervisor.wal_segments_done} total={supervisor.wal_segments_total} label={named(supervisor.phase)} />
        )}
        {live && supervisor.phase === 'restoring' && <Bar done={supervisor.restore.bytes_done} total={supervisor.restore.bytes_total} label={named(supervisor.phase)} />}
        {supervisor.phases.length > 0 && (
          <ol class="phases" aria-label={t('phases')}>
            {supervisor.phases.map((phase) => (
              <li key={phase.began_ms + phase.phase} class={phase.ended_ms === 0 ? 'current' : 'over'} aria-current={phase.ended_ms === 0 ? 'step' : undefined}>
                <span>{named(phase.phase)}</span> <span>{duration((phase.ended_ms || view.time_ms) - phase.began_ms)}</span>
              </li>
            ))}
          </ol>
        )}
        {(live || supervisor.restore.bytes_total > 0) && <Numbers view={view} />}
        {end && <p>{t('recoveryEnd', { lsn: end.lsn, timeline: end.timeline, target: end.target })}</p>}
      </div>
      <Log live={live} />
      <Past restores={view.status.restores} />
    </section>
  );
}
