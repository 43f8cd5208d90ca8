import { Fragment } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { failure as said, SaidOf, type Acts } from './acts';
import { get, Refused, type Backup, type Preview, type Repository } from './api';
import { Facts } from './facts';
import { bytes, count, duration, moment, toLocalInput, toPostgres, zoned } from './format';
import { Legend, reach, Timeline } from './timeline';
import { kindOf, language, named, t } from './words';

interface Window {
  from: number;
  to: number;
}
// Backups tell their ends to the second, and in that one they may not have ended yet.
const earliest = (window: Window) => window.from + 1;
const latest = (window: Window) => Math.max(window.to, earliest(window));

function Backups({ backups }: { backups: Backup[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t('timelineOf')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('label')}</th>
            <th scope="col">{t('type')}</th>
            <th scope="col">{t('builtOn')}</th>
            <th scope="col">{t('when')}</th>
            <th scope="col" class="number">{t('size')}</th>
            <th scope="col" class="number">{t('stored')}</th>
            <th scope="col">{t('reaches')}</th>
            <th scope="col">{t('gaps')}</th>
          </tr>
        </thead>
        <tbody>
          {backups.map((backup) => (
            <tr key={backup.label}>
              <td class="label">
                {backup.label.split('_').map((part, i) => (
                  <Fragment key={i}>
                    {i > 0 && '_'}
                    <wbr />
                    {part}
                  </Fragment>
                ))}
              </td>
              <td>{named(backup.type)}</td>
              <td title={backup.prior ?? undefined}>{backup.prior?.split('_').at(-1) ?? '–'}</td>
              <td>{moment(backup.stopped * 1000)}</td>
              <td class="number">{bytes(backup.size)}</td>
              <td class="number">{backup.repository_size === null ? '–' : bytes(backup.repository_size)}</td>
              <td>
                {backup.recovery === null ? '–' : backup.recovery.missing ? t('missing', { segment: backup.recovery.missing }) : moment(reach(backup) * 1000)}
                {backup.page_errors && <span class="bad"> {t('errorsInPages')}</span>}
              </td>
              <td class={backup.recovery?.lines.some((line) => line.gaps.length > 0) ? 'bad wraps' : ''}>
                {backup.recovery === null
                  ? '–'
                  : backup.recovery.lines
                      .flatMap((line) => line.gaps)
                      .map((gap) => t(gap.segments === 1 ? 'gapOfOne' : 'gap', { segments: count(gap.segments), first: gap.first, last: gap.last }))
                      .join('; ') || t('noGaps')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// The moments next to one that lies in no window.
function Nearest({ windows, at }: { windows: Window[]; at: number }) {
  if (windows.some((window) => earliest(window) <= at && at <= window.to)) return null;
  const before = windows.filter((window) => window.to < at).at(-1);
  const after = windows.find((window) => earliest(window) > at);
  const near = { to: before ? moment(before.to * 1000) : '', from: after ? moment(earliest(after) * 1000) : '' };
  return <p id="nearest">{t(before && after ? 'between' : before ? 'upTo' : 'fromOn', near)}</p>;
}

// `at`: the moment that was asked for; 0: the end of the archive.
function PreviewResult({ preview, windows, at }: { preview: Preview; windows: Window[]; at: number }) {
  if (!preview.restores) return <p>{t('nothingToRestore')}</p>;
  const facts: [string, string][] = [
    [t('fetch'), preview.wal?.fetch_bytes ? t('fetchOf', { size: bytes(preview.fetch_bytes!), wal: bytes(preview.wal.fetch_bytes) }) : bytes(preview.fetch_bytes!)],
    [t('write'), t('writeOf', { nodes: preview.nodes!, size: bytes(preview.node_bytes!), free: bytes(preview.free_bytes!) })],
  ];
  const seconds = (preview.fetch_seconds ?? 0) + (preview.replay_seconds ?? 0);
  if (preview.fetch_seconds !== null && !preview.problem) facts.push([t('time'), t('about', { time: duration(seconds * 1000) })]);
  if (preview.wal?.first) facts.push([t('wal'), `${count(preview.wal.segments)}: ${preview.wal.first} – ${preview.wal.last}`]);
  facts.push([t('backup'), `${preview.backup!.label} (${named(preview.backup!.type)})`]);
  return (
    <>
      <p class={preview.reachable === false ? 'error' : preview.reachable ? 'good' : ''}>
        {preview.reachable === true ? t(at === 0 ? 'reachableEnd' : 'reachable') : preview.reachable === false ? t(at === 0 ? 'unreachableEnd' : 'unreachable') : t('unsure')}
      </p>
      {preview.problem && kindOf(preview.problem.exit_code) && <p>{kindOf(preview.problem.exit_code)}</p>}
      {preview.problem && at > 0 && <Nearest windows={windows} at={at} />}
      {preview.problem && (
        <p lang="en" class={language === 'en' ? 'error' : 'detail'}>
          {preview.problem.message}. {preview.problem.hint}
        </p>
      )}
      <Facts facts={facts} />
    </>
  );
}

function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const code = useRef<HTMLElement>(null);
  const copy = async () => {
    // Whoever came over plain HTTP from another host has no clipboard, and copies what is selected.
    getSelection()?.selectAllChildren(code.current!);
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      setCopied(document.execCommand('copy'));
    }
  };
  useEffect(() => setCopied(false), [text]);
  return (
    <div class="command">
      <code ref={code} tabIndex={0} role="group" aria-label={t('command')}>
        {text}
      </code>
      <button type="button" onClick={copy}>
        {copied ? t('copied') : t('copy')}
      </button>
    </div>
  );
}

export function RepositoryView({ cluster, docker, acts }: { cluster: string; docker: boolean; acts: Acts }) {
  const [repository, setRepository] = useState<Repository | null>(null);
  const [failure, setFailure] = useState<{ text: string; detail?: string } | null>(null); // of what was asked
  const [unread, setUnread] = useState(''); // of reading the repository; gone with the next that succeeds
  const [toEnd, setToEnd] = useState(true); // of the archive, and to no moment
  const [picked, setPicked] = useState(0); // Unix seconds; 0: nobody has picked one yet, and it is the latest there is
  const [along, setAlong] = useState(''); // a timeline's number; empty: the newest, or what the cluster was told
  const [preview, setPreview] = useState<{ of: Record<string, string>; found: Preview } | null>(null);
  const [asking, setAsking] = useState(false);
  const [width, setWidth] = useState(300);
  const picture = useRef<HTMLDivElement>(null);

  const read = (fresh: boolean) =>
    get<Repository>(`/api/v1/repository${fresh ? '?fresh' : ''}`).then(
      (found) => {
        setRepository(found);
        setUnread(found.error);
      },
      // That the connection is lost is said above.
      (error: Error) => error instanceof Refused && setUnread(error.message),
    );
  // While the cluster is brought up nobody reads it.
  const known = repository !== null && repository.read_ms > 0;
  useEffect(() => {
    void read(false);
    // The console reads it now and then, and this asks what it has read last.
    const again = setInterval(() => void read(false), known ? 30_000 : 2_000);
    return () => clearInterval(again);
  }, [known]);
  useEffect(() => {
    if (!picture.current) return;
    const size = new ResizeObserver(() => setWidth(picture.current?.clientWidth ?? 300));
    size.observe(picture.current);
    return () => size.disconnect();
  }, [known]);

  const windows = repository?.recoverable ?? [];
  const window = windows.length > 0 ? { from: windows[0].from, to: windows.at(-1)!.to } : null;
  const chosen = picked || (window ? latest(window) : 0);
  const pick = (time: number) => {
    setPicked(time);
    setToEnd(false);
  };
  // A moment is a second, and behind the last whole one there are commits that only the end of the archive has.
  const goal: Record<string, string> = toEnd ? { type: 'default' } : { type: 'time', target: toPostgres(chosen * 1000) };
  const wish = { ...goal, ...(along ? { timeline: along } : {}) };
  const ask = async (event: Event) => {
    event.preventDefault();
    if (asking) return;
    setAsking(true);
    setPreview(null);
    setFailure(null);
    try {
      setPreview({ of: wish, found: await get<Preview>(`/api/v1/preview?${new URLSearchParams(wish)}`) });
    } catch (error) {
      setFailure(error instanceof Refused ? said(`${error.message}. ${error.hint}`, error.exitCode, t('preview')) : { text: t('lost') });
    }
    setAsking(false);
  };

  const database = repository?.stanza?.databases.find(({ current }) => current);
  const backups = database?.backups ?? [];
  const from = Math.min(...backups.map((backup) => backup.started));
  const to = Math.max(...backups.map(reach));
  const shown = preview !== null && JSON.stringify(preview.of) === JSON.stringify(wish) ? preview.found : null;
  const timelines = [...new Set(backups.flatMap((backup) => backup.recovery?.lines.map((line) => line.timeline) ?? []))].sort((a, b) => b - a);
  // The newest is what recovery follows by itself.
  const timeline = along || (shown?.timeline && shown.timeline !== timelines[0] ? String(shown.timeline) : '');
  return (
    <section id="repository" aria-labelledby="repository-title">
      <h2 id="repository-title">{t('repository')}</h2>
      {!known && !unread && <p class="soft">{t('notRead')}</p>}
      {known && repository.place === '' && repository.error === '' && (
        <p class="card soft" id="no-source">
          {t('noSource')}
        </p>
      )}
      {known && (repository.place !== '' || repository.error !== '') && (
        <div class="card">
          <div class="spread">
            <p>
              {repository.place}
              {repository.stanza?.encrypted ? `, ${t('encrypted')}` : ''}
            </p>
            <p class="soft" aria-live="polite">
              {t('readAt', { time: moment(repository.read_ms) })}{' '}
              <button type="button" onClick={() => void read(true)}>
                {t('readAgain')}
              </button>
            </p>
          </div>
          {window ? (
            windows.map(({ from, to }) => (
              <p key={from} data-window>
                {t(to === window.to ? 'window' : 'windowBefore', { from: moment(from * 1000), to: moment(to * 1000) })}
              </p>
            ))
          ) : (
            <p class="error" data-window>
              {t(repository.error === '' ? 'noWindow' : 'windowUnknown')}
            </p>
          )}
          {database?.wal && (
            <p class="soft">
              {t('walRange')}: {t('walFromTo', database.wal)}
            </p>
          )}
          <div ref={picture}>{backups.length > 0 && <Timeline backups={backups} from={from} to={to} chosen={chosen} width={width} />}</div>
          {backups.length > 0 && (
            <>
              <Legend />
              <Backups backups={backups} />
            </>
          )}
        </div>
      )}
      {window && (
        <form class="card" onSubmit={ask}>
          <h3>{t('choose')}</h3>
          <div class="controls" role="radiogroup" aria-label={t('choose')}>
            {([true, false] as const).map((end) => (
              <label class="check" key={String(end)}>
                <input type="radio" name="goal" value={end ? 'end' : 'moment'} checked={toEnd === end} onChange={() => setToEnd(end)} />
                {t(end ? 'toEnd' : 'toMoment')}
              </label>
            ))}
          </div>
          <div class="controls">
            <label class="wide">
              {t('slide')}
              <input type="range" min={earliest(window)} max={latest(window)} step={1} value={chosen} aria-valuetext={moment(chosen * 1000)} onInput={(event) => pick(Number(event.currentTarget.value))} />
            </label>
            <label>
              {t('moment')}
              <input
                type="datetime-local"
                step={1}
                value={toLocalInput(chosen * 1000)}
                onInput={(event) => {
                  const time = new Date(event.currentTarget.value).getTime();
                  if (!Number.isNaN(time)) pick(Math.floor(time / 1000));
                }}
              />
            </label>
            {timelines.length > 1 && (
              <label>
                {t('along')}
                <select value={along} onChange={(event) => setAlong(event.currentTarget.value)}>
                  <option value="">{t('newest')}</option>
                  {timelines.map((number) => (
                    <option key={number} value={number}>
                      {number}
                    </option>
                  ))}
                </select>
              </label>
            )}
            {/* One that is disabled loses the focus. */}
            <button type="submit" aria-disabled={asking}>
              {t('preview')}
            </button>
          </div>
          <div aria-live="polite" id="preview">
            {asking && <p>{t('previewing')}</p>}
            {shown && <PreviewResult preview={shown} windows={windows} at={toEnd ? 0 : chosen} />}
          </div>
          {shown && shown.reachable !== false && shown.restores && (
            <>
              <Command text={`${docker ? './cluster-manager.sh' : `pgrevive --cluster ${cluster}`} start --anew --type ${goal.type}${goal.target ? ` --target '${goal.target}'` : ''}${timeline ? ` --target-timeline ${timeline}` : ''}`} />
              {!docker && (
                <div class="buttons">
                  <button
                    type="button"
                    class="danger"
                    data-act="restore"
                    {...acts.may}
                    onClick={() => acts.ask({ name: 'restore', query: { ...goal, ...(timeline ? { timeline } : {}), confirm: cluster }, question: toEnd ? t('sureAnewEnd', { cluster }) : t('sureAnew', { cluster, target: zoned(chosen * 1000) }), typed: true })}
                  >
                    {t(toEnd ? 'anewEnd' : 'anew', { cluster })}
                  </button>
                  {acts.token === '' && <a href="#acts">{t('needToken')}</a>}
                </div>
              )}
            </>
          )}
          {acts.said.of === 'restore' && (
            <div id="restore-said">
              <SaidOf said={acts.said} />
            </div>
          )}
        </form>
      )}
      {(unread || failure) && (
        <div class="card" role="alert">
          {unread && (
            <p class="error">
              {t('repositoryUnread')}: <span lang="en">{unread}</span>
            </p>
          )}
          {failure && <p class="error">{failure.text}</p>}
          {failure?.detail && (
            <p lang="en" class="detail">
              {failure.detail}
            </p>
          )}
        </div>
      )}
    </section>
  );
}
