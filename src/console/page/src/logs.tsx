import { useEffect, useRef, useState } from 'preact/hooks';
import { get, Refused, type Logs } from './api';
import { bytes, count } from './format';
import { t } from './words';

const most = 500; // lines that are kept
const lost = '\0'; // where lines are missing; the server sends none such

// One log, with what is in it of a search, and what comes.
export function LogsView({ nodes, docker }: { nodes: string[]; docker: boolean }) {
  const [of, setOf] = useState(nodes[0] ?? 'supervisor');
  const [search, setSearch] = useState('');
  const [follow, setFollow] = useState(false);
  const [logs, setLogs] = useState<Logs | null>(null);
  const [failure, setFailure] = useState('');
  const place = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true); // who has gone back to read stays there

  useEffect(() => {
    let over = false;
    let next = -1;
    let again: ReturnType<typeof setTimeout> | undefined;
    let reading = false; // a search in a large log may take longer than the pause between two
    const read = async () => {
      if (reading) return;
      reading = true;
      const query = new URLSearchParams({ of, search, lines: next < 0 ? '200' : String(most), ...(next >= 0 ? { from: String(next) } : {}) });
      try {
        const found = await get<Logs>(`/api/v1/logs?${query}`);
        if (over) return;
        const whole = next < 0 || found.next < next;
        const misses = !whole && (found.searched_from > next || found.skipped > 0);
        next = found.next;
        if (whole) atEnd.current = true;
        setFailure('');
        if (whole || found.lines.length > 0) setLogs((before) => (whole || !before ? found : { ...before, lines: [...before.lines, ...(misses ? [lost] : []), ...found.lines].slice(-most) }));
      } catch (error) {
        // The connection is lost, which is said above, or too many search just now, which passes.
        if (over) return;
        setFailure(error instanceof Refused && !/^too many/.test(error.message) ? error.message : '');
        if (!follow) again = setTimeout(read, 1000);
      } finally {
        reading = false;
      }
    };
    // Not for every letter that is typed.
    const first = setTimeout(read, 200);
    const timer = follow ? setInterval(read, 1000) : undefined;
    return () => {
      over = true;
      clearTimeout(first);
      clearTimeout(again);
      clearInterval(timer);
    };
  }, [of, search, follow]);
  useEffect(() => {
    if (place.current && atEnd.current) place.current.scrollTop = place.current.scrollHeight;
  }, [logs]);

  return (
    <section id="logs" aria-labelledby="logs-title">
      <h2 id="logs-title">{t('logs')}</h2>
      <div class="card">
        <div class="controls">
          <label>
            {t('whichLog')}
            <select value={of} onChange={(event) => setOf(event.currentTarget.value)}>
              {(logs?.logs ?? [of]).map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            {t('search')}
            <input type="search" value={search} spellcheck={false} onInput={(event) => setSearch(event.currentTarget.value)} />
          </label>
          <label class="check">
            <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />
            {t('follow')}
          </label>
        </div>
        {docker && nodes.includes(of) && (
          <p>
            {t('dockerLog')} <code>./cluster-manager.sh logs {of}</code>
          </p>
        )}
        {logs && logs.searched_from > 0 && <p class="soft" id="log-part">{t('notSearched', { size: bytes(logs.next - logs.searched_from) })}</p>}
        {logs && logs.skipped > 0 && <p class="soft" id="log-skipped">{t('skippedLines', { count: count(logs.skipped) })}</p>}
        {failure && (
          <p class="error" role="alert" id="log-failure">
            {t('logUnread')}: <span lang="en">{failure}</span>
          </p>
        )}
        <pre ref={place} onScroll={({ currentTarget: at }) => (atEnd.current = at.scrollTop + at.clientHeight >= at.scrollHeight - 4)} tabIndex={0} role="group" aria-label={`${t('logs')}: ${of}`}>
          {logs && logs.lines.length > 0
            ? logs.lines
                .join('\n')
                .split(`${lost}\n`)
                .map((part, i) => (
                  <span key={i}>
                    {i > 0 && `${t('lostLines')}\n`}
                    <span lang="en">{part}</span>
                  </span>
                ))
            : failure === '' && t('noLines')}
        </pre>
      </div>
    </section>
  );
}
