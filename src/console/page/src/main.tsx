import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ActDialog, ActsView, useActs } from './acts';
import { get, type Sample, type View } from './api';
import { ClusterView } from './cluster';
import { moment } from './format';
import { LogsView } from './logs';
import { RepositoryView } from './repository';
import { isUnderWay, RestoreView } from './restore';
import { language, named, t, type Word } from './words';

const kept = 3600; // samples: a day of minutes and a quarter of an hour of seconds, as the server keeps, and some

function sampleOf(view: View): Sample {
  const nodes: Sample['nodes'] = {};
  for (const node of view.status.nodes) nodes[node.name] = { lag_bytes: node.lag_bytes, lag_seconds: node.lag_seconds };
  return { time_ms: view.time_ms, nodes };
}

function Page() {
  const [view, setView] = useState<View | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [lost, setLost] = useState(false);
  const acts = useActs();

  useEffect(() => {
    get<{ samples: Sample[] }>('/api/v1/history').then(
      (history) => setSamples((newer) => [...history.samples, ...newer.filter((sample) => sample.time_ms > (history.samples.at(-1)?.time_ms ?? 0))]),
      () => undefined,
    );
    const events = new EventSource('/api/v1/events');
    events.addEventListener('status', (event) => {
      const next = JSON.parse(event.data) as View;
      setLost(false);
      setView(next);
      setSamples((before) => (before.at(-1)?.time_ms === next.time_ms ? before : [...before, sampleOf(next)].slice(-kept)));
    });
    // The browser tries again by itself.
    events.onerror = () => setLost(true);
    return () => events.close();
  }, []);

  useEffect(() => {
    if (view) document.title = `${view.status.cluster_name}: ${named(view.status.supervisor.phase)} – pgrevive`;
  }, [view?.status.supervisor.phase]);

  if (!view) return <main aria-busy="true">{lost ? t('lost') : t('loading')}</main>;
  const { status } = view;
  const sections: Word[] = ['cluster', 'restore', 'repository', 'logs', 'acts'];
  const state = status.supervisor_running ? status.supervisor.phase : status.supervisor.phase === 'failed' ? 'failed' : 'stopped';
  const parts = [<ClusterView key="cluster" view={view} samples={samples} />, <RestoreView key="restore" view={view} />];
  return (
    <>
      <a class="skip" href="#content">
        {t('skip')}
      </a>
      <header>
        <h1>{status.cluster_name}</h1>
        <p class={`phase ${state === 'failed' || state === 'stopped' ? 'bad' : isUnderWay(view) ? 'busy' : ''}`} role="status">
          {named(state)}
        </p>
        <p class="time">{moment(view.time_ms)}</p>
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
      {lost && (
        <p class="banner" role="alert">
          {t('lost')}
        </p>
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
