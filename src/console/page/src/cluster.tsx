import type { Node, Notice, Problem, Sample, Status, View } from './api';
import { LagChart } from './chart';
import { Facts } from './facts';
import { bytes, count, duration } from './format';
import { language, named, t, words, type Word } from './words';

export function lag(node: Node): string {
  const parts = [];
  if (node.lag_bytes !== null) parts.push(bytes(node.lag_bytes));
  if (node.lag_seconds !== null) parts.push(duration(node.lag_seconds * 1000));
  return parts.join(', ') || '–';
}

function NodeCard({ node, now }: { node: Node; now: number }) {
  const good = node.state === 'accepting';
  const facts: [string, string][] = [[t('port'), String(node.port)]];
  if (good) {
    facts.push([t('timeline'), String(node.timeline)], [t('lsn'), node.lsn]);
    if (node.name !== 'primary') facts.push([t('lag'), lag(node)]);
    if (node.connections !== null) facts.push([t('connections'), t('of', { done: count(node.connections), total: count(node.max_connections ?? 0) })]);
    if (node.started_ms > 0) facts.push([t('uptime'), duration(now - node.started_ms)]);
    facts.push([t('version'), node.version.split(' ')[0]]);
  }
  if (node.data_bytes > 0) facts.push([t('data'), bytes(node.data_bytes)]);
  facts.push([t('disk'), t('diskOf', { free: bytes(node.disk_free_bytes), total: bytes(node.disk_total_bytes) })]);
  return (
    <article class={`card node ${good ? 'good' : 'waiting'}`} data-node={node.name}>
      <div class="spread">
        <h3>{node.name}</h3>
        <p class={`state ${good ? 'good' : 'waiting'}`}>
          <span class={`dot ${good ? 'good' : 'bad'}`} aria-hidden="true" />
          {node.role && node.role !== node.name.split('-')[0] ? `${named(node.role)}, ` : ''}
          {named(node.state)}
        </p>
      </div>
      <Facts facts={facts} />
      {node.error && (
        <p class="error" lang="en">
          {node.error}
        </p>
      )}
    </article>
  );
}

// What stands between `these` is a command.
function Coded({ text }: { text: string }) {
  return <>{text.split('`').map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

// What the text of a problem or a warning has beside its words, as it is read here.
function readable(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      name.endsWith('_bytes') ? bytes(Number(value)) : name.endsWith('_seconds') ? duration(Number(value) * 1000) : name === 'state' ? named(value || 'unknown') : name === 'program' ? named(value) : name === 'exit_code' ? t((`k_${value}` in words ? `k_${value}` : 'k_20') as Word) : value,
    ]),
  );
}

// pgrevive tells it in English; in another language it is said by what kind of problem it is, and only
// what somebody else has said stays as it was.
function ProblemItem({ problem }: { problem: Problem }) {
  const key = `p_${problem.id}`;
  const known = language !== 'en' && key in words;
  const values = { ...readable(problem.values), subject: problem.subject };
  const remedy = known ? t(`r_${problem.id}` as Word, values) : problem.remedy;
  return (
    <li class={problem.grave ? 'grave' : 'minor'} data-problem={problem.id}>
      <p lang={known ? undefined : 'en'}>{known ? t(key as Word, values) : problem.text}</p>
      {remedy && (
        <p>
          {t('remedy')}:{' '}
          <span lang={known ? undefined : 'en'}>
            <Coded text={remedy} />
          </span>
        </p>
      )}
      {known && problem.values.error && (
        <p lang="en" class="detail">
          {problem.values.error}
        </p>
      )}
    </li>
  );
}

function NoticeItem({ notice }: { notice: Notice }) {
  const key = `w_${notice.id}`;
  const known = language !== 'en' && key in words;
  return (
    <li data-notice={notice.id}>
      <p lang={known ? undefined : 'en'}>{known ? t(key as Word, readable(notice.values)) : notice.text}</p>
      {known && notice.values.error && (
        <p lang="en" class="detail">
          {notice.values.error}
        </p>
      )}
    </li>
  );
}

// Between the primary and a replica. Before that runs there is nothing to be connected.
function Link({ node }: { node: Node }) {
  if (node.state !== 'accepting') return <p class="link soft">{t('waiting')}</p>;
  return (
    <p class={`link ${node.replication === 'streaming' ? 'good' : 'bad'}`}>
      <span aria-hidden="true">→ </span>
      {named(node.replication || 'disconnected')}
    </p>
  );
}

function archive(status: Status): [string, string][] {
  const facts: [string, string][] = [];
  const { archiver } = status;
  if (archiver && archiver.last_archived_seconds_ago !== null) {
    const told = t('lastArchived', { count: count(archiver.archived), time: duration(archiver.last_archived_seconds_ago * 1000) });
    facts.push([t('archiving'), archiver.failed > 0 ? `${told}, ${t('failures', { count: count(archiver.failed) })}` : told]);
  } else if (archiver) {
    facts.push([t('archiving'), archiver.failed > 0 ? `${t('noneArchived')}, ${t('failures', { count: count(archiver.failed) })}` : t('noneArchived')]);
  } else if (status.archiving !== 'off') {
    // One that answers may be in recovery still.
    facts.push([t('archiving'), t(status.nodes[0].state === 'accepting' ? 'archivingNotYet' : 'archivingUnknown')]);
  } else {
    facts.push([t('archiving'), named(status.archiving)]);
  }
  if (status.archive) facts.push([t('archive'), status.archive]);
  if (status.archive_backup !== null) facts.push([t('backupInIt'), status.archive_backup || t('noBackupInIt')]);
  if (status.adminer_url) facts.push([t('adminer'), status.adminer_url.replace(/\/$/, '')]);
  return facts;
}

export function ClusterView({ view, samples }: { view: View; samples: Sample[] }) {
  const { status } = view;
  const [primary, ...replicas] = status.nodes;
  return (
    <section id="cluster" aria-labelledby="cluster-title">
      <h2 id="cluster-title">{t('cluster')}</h2>
      {status.problems.length > 0 ? (
        <div class="card problems">
          <h3>{t('problems')}</h3>
          <ul>{status.problems.map((problem) => <ProblemItem key={problem.id + problem.subject} problem={problem} />)}</ul>
        </div>
      ) : (
        status.healthy && <p class="card well">{t('well')}</p>
      )}
      <div class={`topology ${replicas.length === 0 ? "single" : ""}`}>
        <NodeCard node={primary} now={view.time_ms} />
        {replicas.length > 0 && (
          <ul class="replicas">
            {replicas.map((node) => (
              <li key={node.name}>
                <Link node={node} />
                <NodeCard node={node} now={view.time_ms} />
              </li>
            ))}
          </ul>
        )}
      </div>
      <div class="card">
        <Facts facts={archive(status)} wide />
      </div>
      {status.supervisor.notices.length > 0 && (
        <details class="card" id="warnings">
          <summary>
            {t('warnings')}: {count(status.supervisor.notices.length)}
          </summary>
          <ul>{status.supervisor.notices.map((notice) => <NoticeItem key={notice.text} notice={notice} />)}</ul>
        </details>
      )}
      <div class="card">
        {replicas.length > 0 ? <LagChart samples={samples} names={replicas.map((node) => node.name)} /> : <p class="soft">{t('noReplicas')}</p>}
      </div>
    </section>
  );
}
