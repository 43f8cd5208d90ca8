import { useRef, useState } from 'preact/hooks';
import { act, cameUp, Refused } from './api';
import { named, t, type Word } from './words';

interface Check {
  name: string;
  result: string;
  detail: string;
}

const acts: Word[] = ['test', 'start', 'stop', 'restart'];

// For who holds the token. It stays in this tab and goes nowhere but into the header of these calls.
export function ActsView({ cluster }: { cluster: string }) {
  const [token, setToken] = useState(sessionStorage.getItem('token') ?? '');
  const [said, setSaid] = useState('');
  const [checks, setChecks] = useState<Check[]>([]);
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<Word>('stop');
  const dialog = useRef<HTMLDialogElement>(null);

  const run = async (name: Word) => {
    setBusy(true);
    setChecks([]);
    setSaid(t('working', { act: t(name) }));
    try {
      const result = await act<{ checks?: Check[] }>(name, token);
      setChecks(result.checks ?? []);
      setSaid(t('actDone', { act: t(name) }));
    } catch (error) {
      // A start replaces the console that was asked, and its answer may not come.
      const lost = !(error instanceof Refused) && (name === 'start' || name === 'restart');
      const done = lost && (await cameUp());
      const message = error instanceof Refused ? `${error.message}. ${error.hint}` : lost ? t('noAnswer') : String(error);
      setSaid(done ? t('actDone', { act: t(name) }) : t('actFailed', { act: t(name), message }));
    }
    setBusy(false);
  };
  const choose = (name: Word) => {
    if (name !== 'stop' && name !== 'restart') return void run(name);
    setAsked(name);
    dialog.current!.showModal();
  };
  return (
    <section id="acts" aria-labelledby="acts-title">
      <h2 id="acts-title">{t('acts')}</h2>
      <div class="card">
        <label>
          {t('token')}
          <input
            type="password"
            autocomplete="off"
            aria-describedby="token-help"
            value={token}
            onInput={(event) => {
              setToken(event.currentTarget.value);
              sessionStorage.setItem('token', event.currentTarget.value);
            }}
          />
        </label>
        <p id="token-help">{t('tokenHelp')}</p>
        <div class="buttons">
          {acts.map((name) => (
            <button type="button" key={name} disabled={busy || token === ''} onClick={() => choose(name)}>
              {t(name)}
            </button>
          ))}
        </div>
        <div aria-live="polite" id="said">
          <p>{said}</p>
          {checks.length > 0 && (
            <ul>
              {checks.map((check) => (
                <li key={check.name} class={check.result === 'failed' ? 'error' : ''}>
                  {named(check.result)}: <span lang="en">{check.name}, {check.detail}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
      <dialog ref={dialog} aria-labelledby="sure" onClose={() => dialog.current!.returnValue === 'yes' && void run(asked)}>
        <form method="dialog">
          <p id="sure">{t(asked === 'stop' ? 'sureStop' : 'sureRestart', { cluster })}</p>
          <div class="buttons">
            <button value="no" autofocus>
              {t('no')}
            </button>
            <button value="yes">{t('yes')}</button>
          </div>
        </form>
      </dialog>
    </section>
  );
}
