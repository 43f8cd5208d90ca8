import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ActDialog, ActsView, useActs } from './acts';
import { get, type Sample, type View } from './api';
import { ClusterView } from './cluster';
import { zoned } from './format';
import { LogsView } from './logs';
import { RepositoryView } from './repository';
import { isUnderWay, RestoreView } from './restore';
import { language, named, t, type Word } from './words';

const minute = 60_000;
const recent = 15 * minute; // of which each look is kept, and of the day before one a minute: as the server does
const day = 24 * 60 * minute;
const silence = 20_000; // after which whoever sends the looks is taken for gone

const greater = (a: number | null, b: number | null) => (a === null ? b : b === null ? a : Math.max(a, b));

// Of two samples of a minute, the greatest lags, as of the later one.
function merge(a: Sample, b: Sample): Sample {
  const nodes = { ...a.nodes };
  for (const [name, lag] of Object.entries(b.nodes)) {
    const other = a.nodes[name];
    nodes[name] = other ? { lag_bytes: greater(other.lag_bytes, lag.lag_bytes), lag_seconds: greater(other.lag_seconds, lag.lag_seconds) } : lag;
  }
  return { time_ms: b.time_ms, nodes };
}

// Whoever leaves the page open for a day sees that day.
function thinned(samples: Sample[]): Sample[] {
  const now = samples.at(-1)?.time_ms ?? 0;
  const result: Sample[] = [];
  for (const sample of samples) {
    if (sample.time_ms < now - day) continue;
    const last = result.at(-1);
    const same = last && sample.time_ms < now - recent && Math.floor(last.time_ms / minute) === Math.floor(sample.time_ms / minute);
    if (same) result[result.length - 1] = merge(last, sample);
    else result.push(sample);
  }
  return result;
}

// What the server has of a time, and of before and since what was seen here.
function withHistory(held: Sample[], told: Sample[]): Sample[] {
  if (told.length === 0) return held;
  const [first, last] = [told[0].time_ms, told.at(-1)!.time_ms];
  return thinned([...held.filter(({ time_ms }) => time_ms < first), ...told, ...held.filter(({ time_ms }) => time_ms > last)]);
}

function sampleOf(view: View): Sample {
  const nodes: Sample['nodes'] = {};
  for (const node of view.status.nodes) nodes[node.name] = { lag_bytes: node.lag_bytes, lag_seconds: node.lag_seconds };
  return { time_ms: view.time_ms, nodes };
}

// How it is in a word or two, for the head of the page and its tab; what is old is not called good.
function stateOf(view: View, old: boolean): { phase: string; text: string; look: '' | 'busy' | 'bad' } {
  const { status } = view;
  // Nobody says that it runs; servers of it may.
  const gone = status.supervisor.phase === 'failed' ? 'failed' : status.problems.some(({ id }) => id === 'unattended') ? 'unattended' : 'stopped';
  const phase = status.supervisor_running ? status.supervisor.phase : gone;
  const busy = isUnderWay(view);
  const ended = phase === 'failed' || phase === 'unattended' || phase === 'stopped';
  const count = status.problems.length;
  // What is not up yet is no problem; and what it is that ended it is the first of them.
  const text = ended || count === 0 ? named(phase) : t(count === 1 ? 'stateProblem' : 'stateProblems', { state: named(phase), count });
  return { phase, text, look: ended || old || (!busy && !status.healthy) ? 'bad' : busy ? 'busy' : '' };
}

function Page() {
  const [view, setView] = useState<View | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [trouble, setTrouble] = useState<'' | 'lost' | 'stale'>(''); // 'stale': there is an answer, but of no new look
  const acts = useActs();

  useEffect(() => {
    const recall = () =>
      get<{ samples: Sample[] }>('/api/v1/history').then(
        ({ samples: told }) => setSamples((held) => withHistory(held, told)),
        () => undefined,
      );
    void recall();
    let events: EventSource;
    let heard = Date.now();
    let seen = 0;
    let troubled = false;
    const judge = (next: '' | 'lost' | 'stale') => {
      // What was seen by the server alone belongs to the line, too.
      if (troubled && next === '') void recall();
      troubled = next !== '';
      setTrouble(next);
    };
    const listen = () => {
      heard = Date.now();
      events = new EventSource('/api/v1/events');
      events.addEventListener('status', (event) => {
        const next = JSON.parse(event.data) as View;
        // Whoever listens anew is told of the last look first, however old.
        const again = next.time_ms === seen;
        if (!again || next.failure) heard = Date.now();
        judge(next.failure || (again && Date.now() - next.time_ms > silence) ? 'stale' : '');
        seen = next.time_ms;
        setView(next);
        setSamples((before) => (before.at(-1)?.time_ms === next.time_ms ? before : thinned([...before, sampleOf(next)])));
      });
      // The browser tries again by itself, but for an answer that is none.
      events.onerror = () => judge('lost');
    };
    listen();
    // Nobody tells of a host that is gone.
    const watch = setInterval(() => {
      if (Date.now() - heard < silence && events.readyState !== EventSource.CLOSED) return;
      if (!troubled) judge('lost');
      events.close();
      listen();
    }, 5_000);
    return () => {
      clearInterval(watch);
      events.close();
    };
  }, []);

  const state = view ? stateOf(view, trouble !== '') : null;
  useEffect(() => {
    if (view && state) document.title = `${view.status.cluster_name}: ${state.text} – pgrevive`;
  }, [state?.text]);

  if (!view || !state) return <main aria-busy="true">{trouble ? t('lost') : t('loading')}</main>;
  const { status } = view;
  const sections: Word[] = ['cluster', 'restore', 'repository', 'logs', 'acts'];
  const parts = [<ClusterView key="cluster" view={view} samples={samples} />, <RestoreView key="restore" view={view} />];
  return (
    <>
      <a class="skip" href="#content">
        {t('skip')}
      </a>
      <header>
        <h1>{status.cluster_name}</h1>
        <p class={`phase ${state.look}`} role="status" data-phase={named(state.phase)}>
          {state.text}
        </p>
        <p class="time">{zoned(view.time_ms)}</p>
        <nav aria-label={t('sections')}>
          <ul>
            {sections.map((name) => (
              <li key={name}>
                <a href={`#${name}`}>{t(name)}</a>
              </li>
            ))}
          </ul>
        </nav>
      </header>
      {trouble && (
        <div class="banner" role="alert" data-trouble={trouble}>
          <p>{trouble === 'lost' ? t('lost') : t('stale', { time: zoned(view.time_ms) })}</p>
          {trouble === 'stale' && view.failure && <p lang="en">{view.failure}</p>}
        </div>
      )}
      <main id="content">
        {/* What is going on comes first. */}
        {isUnderWay(view) ? parts.reverse() : parts}
        <RepositoryView cluster={status.cluster_name} docker={status.runtime === 'docker'} acts={acts} />
        <LogsView nodes={status.nodes.map(({ name }) => name)} docker={status.runtime === 'docker'} />
        <ActsView acts={acts} status={status} />
      </main>
      <ActDialog acts={acts} cluster={status.cluster_name} />
    </>
  );
}

document.documentElement.lang = language;
render(<Page />, document.getElementById('page')!);
