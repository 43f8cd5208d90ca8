import { useEffect, useRef, useState } from 'preact/hooks';
import { act, cameUp, get, Refused, type RequestReport, type Status, type View } from './api';
import { kindOf, language, named, t, words, type Word } from './words';

interface Check {
  id: string;
  node: string;
  name: string;
  result: string;
  detail: string;
}

// What came of one: in the reader's language, and where that is not English what pgrevive said.
interface Said {
  of: string; // the name of the act
  text: string;
  detail?: string;
  failed?: boolean;
}

// A failure in plain words: pgrevive tells it in English, and everybody else of what kind it is.
export function failure(message: string, exitCode: number, act: string): Omit<Said, 'of'> {
  const kind = kindOf(exitCode);
  return kind ? { text: t('actFailed', { act, message: kind }), detail: message } : { text: t('actFailed', { act, message }) };
}

// Something that may be done, and what is asked before. With `typed` the name of the cluster has to be
// typed, since data is destroyed.
export interface Wish {
  name: 'test' | 'start' | 'stop' | 'restart' | 'restart-node' | 'rebuild' | 'switchover' | 'restore';
  query?: Record<string, string>;
  question?: string;
  typed?: boolean;
}

// The acts of who holds the token. It stays in this tab and goes nowhere but into the header of these
// calls.
// Of these the answer is that it has begun: the page shows how it goes on.
const begun = ['start', 'restart', 'restore'];

export function useActs() {
  const [token, setToken] = useState(sessionStorage.getItem('token') ?? '');
  const [said, setSaid] = useState<Said>({ of: '', text: '' });
  const [checks, setChecks] = useState<Check[]>([]);
  const [busy, setBusy] = useState(false);
  const [wish, setWish] = useState<Wish | null>(null);

  const title = ({ name, query }: Wish) => (query?.node ? `${t(name as Word)} ${query.node}` : t(name as Word));
  const run = async (asked: Wish) => {
    setBusy(true);
    setChecks([]);
    const of = asked.name;
    const say = (word: Word) => setSaid({ of, text: t(word, { act: title(asked) }) });
    say('workingOn');
    const failed = (message: string, exitCode: number) => setSaid({ ...failure(message, exitCode, title(asked)), of, failed: true });
    const done = begun.includes(of) ? 'actBegun' : 'actDone';
    let since = 0;
    try {
      since = (await get<View>('/api/v1/status')).time_ms;
      const result = await act<{ checks?: Check[]; goes_on?: boolean }>(asked.name, asked.query ?? {}, token);
      setChecks(result.checks ?? []);
      say(result.goes_on ? 'actGoesOn' : done);
    } catch (error) {
      // A start replaces the console that was asked, and its answer may not come.
      const lost = !(error instanceof Refused) && since > 0 && begun.includes(of);
      const became = lost ? await cameUp(since) : null;
      if (error instanceof Refused) failed(`${error.message}. ${error.hint}`, error.exitCode);
      else if (became === 'up') say(done);
      else if (became !== null && became !== 'lost') failed(became.failed, became.exitCode);
      else if (lost) failed(t('noAnswer'), 0);
      else say(since === 0 ? 'actUnasked' : of === 'test' ? 'testUnanswered' : 'actUnanswered');
    }
    setBusy(false);
  };
  return {
    token,
    busy,
    said,
    checks,
    wish,
    setToken: (value: string) => {
      setToken(value);
      sessionStorage.setItem('token', value);
    },
    // Of a button that does something: one that is disabled while another act is under way would lose
    // the focus that it had.
    may: { disabled: token === '', 'aria-disabled': busy },
    ask: (asked: Wish) => {
      if (busy) return;
      if (asked.question) setWish(asked);
      else void run(asked);
    },
    answer: (yes: boolean) => {
      if (yes && wish) void run(wish);
      setWish(null);
    },
  };
}
// Also beside a button that is not among the others. It is read out where they are.
export function SaidOf({ said }: { said: Said }) {
  return (
    <>
      <p class={said.failed ? 'error' : ''}>{said.text}</p>
      {said.detail && (
        <p lang="en" class="detail">
          {said.detail}
        </p>
      )}
    </>
  );
}
export type Acts = ReturnType<typeof useActs>;

export function ActDialog({ acts, cluster }: { acts: Acts; cluster: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState('');
  const { wish } = acts;
  useEffect(() => {
    setTyped('');
    if (!wish) return;
    dialog.current!.returnValue = 'no'; // the one before may have been answered with yes
    dialog.current!.showModal();
  }, [wish]);
  // Enter in the field is the first button of the form, which does nothing before the name is there.
  // Where nothing has to be typed, Enter must not be enough to end what runs.
  const sure = wish !== null && (!wish.typed || typed === cluster);
  return (
    <dialog ref={dialog} aria-labelledby="sure" onClose={() => acts.answer(dialog.current!.returnValue === 'yes')} onCancel={() => (dialog.current!.returnValue = 'no')}>
      <form method="dialog" onSubmit={(event) => event.submitter?.getAttribute('value') === 'yes' && !sure && event.preventDefault()}>
        <p id="sure">{wish?.question}</p>
        {wish?.typed && (
          <label>
            {t('typeName', { cluster })}
            <input type="text" autofocus autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
          </label>
        )}
        <div class="buttons">
          <button value="yes" class={wish?.typed ? 'danger' : ''} disabled={!sure}>
            {wish ? t(wish.name as Word) : ''}
          </button>
          <button value="no" autofocus={!wish?.typed}>
            {t('cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}

// What was checked is ours to say; what came of it others have said.
function CheckName({ check }: { check: Check }) {
  const key = `c_${check.id}`;
  return language !== 'en' && key in words ? <>{t(key as Word, { node: check.node })}</> : <span lang="en">{check.name}</span>;
}

function LastRequest({ request }: { request: RequestReport }) {
  return (
    <p class={request.state === 'failed' ? 'error' : ''} data-request={request.state}>
      {t('asked', { act: t((request.act === 'restart' ? 'restart-node' : request.act) as Word), node: request.node, state: named(request.state) })}
      {request.error && <span lang="en">: {request.error}</span>}
    </p>
  );
}

export function ActsView({ acts, status }: { acts: Acts; status: Status }) {
  const cluster = status.cluster_name;
  const button = (wish: Wish, danger = false) => (
    <button type="button" class={danger ? 'danger' : ''} data-act={wish.name} {...acts.may} aria-label={wish.query?.node ? `${t(wish.name as Word)} ${wish.query.node}` : undefined} onClick={() => acts.ask(wish)}>
      {t(wish.name as Word)}
    </button>
  );
  const { request } = status.supervisor;
  // What takes containers down or up is for who may tell Docker to.
  const docker = status.runtime === 'docker';
  return (
    <section id="acts" aria-labelledby="acts-title">
      <h2 id="acts-title">{t('acts')}</h2>
      <div class="card">
        <label>
          {t('token')}
          <input type="password" autocomplete="off" aria-describedby="token-help" value={acts.token} onInput={(event) => acts.setToken(event.currentTarget.value)} />
        </label>
        <p id="token-help">
          <code>{docker ? './cluster-manager.sh' : `pgrevive --cluster ${cluster}`} console --token</code> {t('tokenHelp')}
        </p>
        <div class="act-row">
          <span>{t('wholeCluster')}</span>
          <div class="buttons">
            {button({ name: 'test' })}
            {!docker && button({ name: 'start' })}
            {!docker && button({ name: 'stop', question: t('sureStop', { cluster }) })}
            {!docker && button({ name: 'restart', question: t('sureRestart', { cluster }) })}
          </div>
        </div>
        {status.nodes.map(({ name: node }) => (
          <div class="act-row" key={node}>
            <span>{node}</span>
            <div class="buttons">
              {button({ name: 'restart-node', query: { node }, question: t('sureRestartNode', { node }) })}
              {!docker && node !== 'primary' && button({ name: 'switchover', query: { node }, question: t('sureSwitchover', { node }) })}
              {!docker && node !== 'primary' && button({ name: 'rebuild', query: { node, confirm: cluster }, question: t('sureRebuild', { node }), typed: true }, true)}
            </div>
          </div>
        ))}
        {request && <LastRequest request={request} />}
        <div aria-live="polite" id="said">
          <SaidOf said={acts.said} />
          {acts.checks.length > 0 && (
            <ul class="checks">
              {acts.checks.map((check) => (
                <li key={check.name} class={check.result === 'failed' ? 'error' : ''}>
                  {named(check.result)}: <CheckName check={check} />
                  <span lang="en">, {check.detail}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
    </section>
  );
}
