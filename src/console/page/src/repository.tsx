import { useEffect, useState } from 'preact/hooks';
import { get, Refused, type Backup, type Preview, type Repository } from './api';
import { Facts } from './facts';
import { bytes, count, duration, moment, toLocalInput, toPostgres } from './format';
import { named, t } from './words';

function reach(backup: Backup): number {
  return Math.max(backup.stopped, ...(backup.recovery?.lines.map((line) => line.reaches) ?? []));
}

// A line for each backup: where it was made, and how far WAL leads from it. The table below says the
// same in words.
function Timeline({ backups, from, to, chosen }: { backups: Backup[]; from: number; to: number; chosen: number }) {
  const at = (time: number) => `${Math.min(100, Math.max(0, ((time - from) / Math.max(1, to - from)) * 100))}%`;
  return (
    <div class="timeline" role="img" aria-label={t('timelineOf')}>
      {backups.map((backup) => (
        <div class="lane" key={backup.label}>
          {backup.recovery && !backup.recovery.missing && <span class="wal" style={{ left: at(backup.recovery.from), right: `calc(100% - ${at(reach(backup))})` }} />}
          <span class={`backup ${backup.type}`} style={{ left: at(backup.stopped) }} />
        </div>
      ))}
      <span class="chosen" style={{ left: at(chosen) }} />
    </div>
  );
}

function Backups({ backups }: { backups: Backup[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t('timelineOf')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('label')}</th>
            <th scope="col">{t('type')}</th>
            <th scope="col">{t('when')}</th>
            <th scope="col">{t('size')}</th>
            <th scope="col">{t('reaches')}</th>
            <th scope="col">{t('gaps')}</th>
          </tr>
        </thead>
        <tbody>
          {backups.map((backup) => (
            <tr key={backup.label}>
              <td>{backup.label}</td>
              <td>{named(backup.type)}</td>
              <td>{moment(backup.stopped * 1000)}</td>
              <td>{bytes(backup.size)}</td>
              <td>{backup.recovery?.missing ? t('missing', { segment: backup.recovery.missing }) : moment(reach(backup) * 1000)}</td>
              <td>
                {backup.recovery?.lines
                  .flatMap((line) => line.gaps)
                  .map((gap) => t('gap', { segments: count(gap.segments), first: gap.first, last: gap.last }))
                  .join('; ') || t('noGaps')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PreviewResult({ preview }: { preview: Preview }) {
  if (!preview.restores) return <p>{t('nothingToRestore')}</p>;
  const facts: [string, string][] = [
    [t('backup'), `${preview.backup!.label} (${named(preview.backup!.type)})`],
    [t('fetch'), bytes(preview.fetch_bytes!)],
    [t('write'), t('writeOf', { nodes: preview.nodes!, size: bytes(preview.node_bytes!), free: bytes(preview.free_bytes!) })],
  ];
  if (preview.wal?.first) facts.push([t('wal'), `${count(preview.wal.segments)}: ${preview.wal.first} – ${preview.wal.last}`]);
  const seconds = (preview.fetch_seconds ?? 0) + (preview.replay_seconds ?? 0);
  if (preview.fetch_seconds !== null && !preview.problem) facts.push([t('time'), t('about', { time: duration(seconds * 1000) })]);
  return (
    <>
      <p class={preview.reachable === false ? 'error' : ''}>
        {preview.reachable === true ? t('reachable') : preview.reachable === false ? t('unreachable') : t('unsure')}
      </p>
      {preview.problem && (
        <p lang="en" class="error">
          {preview.problem.message}. {preview.problem.hint}
        </p>
      )}
      <Facts facts={facts} />
    </>
  );
}

export function RepositoryView() {
  const [repository, setRepository] = useState<Repository | null>(null);
  const [failure, setFailure] = useState('');
  const [chosen, setChosen] = useState(0); // Unix seconds
  const [preview, setPreview] = useState<Preview | null>(null);
  const [asking, setAsking] = useState(false);

  const read = (fresh: boolean) =>
    get<Repository>(`/api/v1/repository${fresh ? '?fresh' : ''}`).then(
      (found) => {
        setRepository(found);
        setFailure(found.error);
        setChosen((before) => before || found.recoverable?.to || 0);
      },
      (error: Error) => setFailure(error.message),
    );
  // While the cluster is brought up nobody reads it.
  const known = repository !== null && repository.read_ms > 0;
  useEffect(() => {
    if (known) return;
    void read(false);
    const again = setInterval(() => void read(false), 2000);
    return () => clearInterval(again);
  }, [known]);

  const ask = async (event: Event) => {
    event.preventDefault();
    setAsking(true);
    setPreview(null);
    setFailure('');
    try {
      setPreview(await get<Preview>(`/api/v1/preview?type=time&target=${encodeURIComponent(toPostgres(chosen * 1000))}`));
    } catch (error) {
      setFailure(error instanceof Refused ? `${error.message}. ${error.hint}` : String(error));
    }
    setAsking(false);
  };

  const backups = repository?.stanza?.databases.find((database) => database.current)?.backups ?? [];
  const window = repository?.recoverable;
  const from = Math.min(...backups.map((backup) => backup.started));
  const to = Math.max(...backups.map(reach));
  return (
    <section id="repository" aria-labelledby="repository-title">
      <h2 id="repository-title">{t('repository')}</h2>
      {!known && !failure && <p>{t('notRead')}</p>}
      {known && (
        <div class="card">
          <p>
            {repository.place}. {t('readAt', { time: moment(repository.read_ms) })}{' '}
            <button type="button" onClick={() => void read(true)}>
              {t('readAgain')}
            </button>
          </p>
          <p>{window ? t('window', { from: moment(window.from * 1000), to: moment(window.to * 1000) }) : t('noWindow')}</p>
          {backups.length > 0 && (
            <>
              <Timeline backups={backups} from={from} to={to} chosen={chosen} />
              <Backups backups={backups} />
            </>
          )}
        </div>
      )}
      {window && (
        <form class="card" onSubmit={ask}>
          <h3>{t('choose')}</h3>
          <label>
            {t('slide')}
            <input type="range" min={window.from} max={Math.max(window.to, window.from + 1)} step={1} value={chosen} aria-valuetext={moment(chosen * 1000)} onInput={(event) => setChosen(Number(event.currentTarget.value))} />
          </label>
          <label>
            {t('moment')}
            <input
              type="datetime-local"
              step={1}
              value={toLocalInput(chosen * 1000)}
              onInput={(event) => {
                const time = new Date(event.currentTarget.value).getTime();
                if (!Number.isNaN(time)) setChosen(Math.floor(time / 1000));
              }}
            />
          </label>
          <button type="submit" disabled={asking}>
            {t('preview')}
          </button>
          <div aria-live="polite" id="preview">
            {asking && <p>{t('previewing')}</p>}
            {preview && <PreviewResult preview={preview} />}
          </div>
        </form>
      )}
      {failure && (
        <p class="card error" role="alert" lang="en">
          {failure}
        </p>
      )}
    </section>
  );
}
