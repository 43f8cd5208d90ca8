// What the console's API answers, as far as the page uses it; /api/v1/openapi.json describes it.

export interface Node {
  name: string;
  role: string;
  port: number;
  state: string;
  timeline: number;
  lsn: string;
  version: string;
  replication: string;
  lag_bytes: number | null;
  lag_seconds: number | null;
  data_bytes: number;
  disk_free_bytes: number;
  disk_total_bytes: number;
  connections: number | null;
  max_connections: number | null;
  started_ms: number;
  error: string;
}

export interface PhaseTime {
  phase: string;
  began_ms: number;
  ended_ms: number;
}

export interface Progress {
  files_total: number;
  files_done: number;
  bytes_total: number;
  bytes_done: number;
  fetched: number;
  requests: number;
  workers: Worker[];
}

export interface Worker {
  file: string;
  bytes_done: number;
  bytes_total: number;
  files: number;
}

// What a person asked the supervisor for last.
export interface RequestReport {
  act: string;
  node: string;
  state: string;
  error: string;
}

export interface Problem {
  id: string;
  subject: string;
  grave: boolean;
  text: string;
  remedy: string;
  values: Record<string, string>;
}

// A warning: of its kind `values` are what its text has beside the words.
export interface Notice {
  id: string;
  text: string;
  values: Record<string, string>;
}

export interface PastRestore {
  outcome: string;
  error: string;
  exit_code: number; // of a kind of failure; 0: there was none, or an older version noted it
  backup_label: string;
  began_ms: number;
  ended_ms: number;
  phases: PhaseTime[];
  progress: Progress;
  retries: number;
  throttled: number;
}

export interface Status {
  cluster_name: string;
  runtime: 'local' | 'docker';
  supervisor_running: boolean;
  healthy: boolean;
  problems: Problem[];
  nodes: Node[];
  archiving: string;
  archiving_ok: boolean;
  archiver: { archived: number; failed: number; last_archived_seconds_ago: number | null } | null;
  archive: string;
  archive_backup: string | null; // the newest in it, '' none; null: the archive is not its own
  adminer_url: string;
  restores: PastRestore[];
  supervisor: {
    phase: string;
    phases: PhaseTime[];
    restore: Progress;
    restore_retries: number;
    restore_throttled: number;
    request: RequestReport | null;
    error: string;
    exit_code: number;
    backup_label: string;
    wal_segments_total: number;
    wal_segments_done: number;
    replay_lsn: string;
    notices: Notice[];
    recovery_end: { target: string; lsn: string; timeline: number; last_commit_time: string } | null;
  };
}

export interface View {
  time_ms: number;
  failure: string; // of the looks since then
  status: Status;
  pace: {
    bytes_per_second: number;
    average_bytes_per_second: number;
    left_ms: number | null;
    segments_per_second: number;
    wal_left_ms: number | null;
  };
}

export interface Sample {
  time_ms: number;
  nodes: Record<string, { lag_bytes: number | null; lag_seconds: number | null }>;
}

export interface Gap {
  first: string;
  last: string;
  segments: number;
}

export interface Backup {
  label: string;
  type: string;
  started: number;
  stopped: number;
  size: number;
  repository_size: number | null;
  prior: string | null;
  wal_first: string;
  wal_last: string;
  page_errors: boolean;
  recovery: {
    from: number;
    missing: string;
    lines: { timeline: number; last_segment: string; end_lsn: string; reaches: number; gaps: Gap[] }[];
  } | null;
}

export interface Repository {
  read_ms: number;
  place: string;
  error: string;
  stanza: {
    name: string;
    status: string;
    encrypted: boolean;
    databases: { current: boolean; recovery_problem: string; wal: { first: string; last: string } | null; backups: Backup[] }[];
  } | null;
  recoverable: { from: number; to: number }[];
}

export interface Preview {
  restores: boolean;
  backup?: { label: string; type: string };
  target?: string;
  nodes?: number;
  node_bytes?: number;
  fetch_bytes?: number;
  free_bytes?: number;
  reachable?: boolean | null;
  problem?: { message: string; hint: string; exit_code: number };
  timeline?: number | null;
  wal?: { first: string; last: string; segments: number; fetch_bytes: number | null; gaps: Gap[] } | null;
  fetch_seconds?: number | null;
  replay_seconds?: number | null;
}

export interface Logs {
  of: string;
  logs: string[];
  lines: string[];
  skipped: number;
  searched_from: number;
  next: number;
}

export class Refused extends Error {
  constructor(
    message: string,
    readonly hint: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

async function answer<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  // Who stands between us and the console may answer with a page of its own.
  const body = await response.json().catch(() => ({}));
  throw new Refused(body.error?.message ?? `${response.status} ${response.statusText}`.trim(), body.error?.hint ?? '', body.error?.exit_code ?? 0);
}

export async function get<T>(path: string): Promise<T> {
  // No page of another site can send a header of its own.
  return answer<T>(await fetch(path, { headers: { 'X-Pgrevive': '1' } }));
}

// What came of a start of which no answer came, since it replaces the console that was asked. `since` is
// the server's time of before. Waits as long as the old servers may take to stop.
export async function cameUp(since: number): Promise<'up' | 'lost' | { failed: string; exitCode: number }> {
  for (const patience = Date.now() + 600_000; Date.now() < patience; ) {
    await new Promise((done) => setTimeout(done, 1000));
    try {
      const { status } = await get<View>('/api/v1/status');
      const { supervisor } = status;
      const began = supervisor.phases.at(-1)?.began_ms ?? 0;
      if (supervisor.phase === 'failed' && began >= since) return { failed: supervisor.error, exitCode: supervisor.exit_code };
      if (status.supervisor_running && (supervisor.phases[0]?.began_ms ?? 0) >= since) return 'up';
    } catch {
      // The other console is not there yet.
    }
  }
  return 'lost';
}

export async function act<T>(name: string, query: Record<string, string>, token: string): Promise<T> {
  return answer<T>(
    await fetch(`/api/v1/actions/${name}?${new URLSearchParams(query)}`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } }),
  );
}
