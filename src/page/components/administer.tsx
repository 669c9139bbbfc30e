/** Shows requests for backups, and the form for codes of new machines, to an administrator of a server. */
import { createContext } from 'preact';
import { useContext, useState } from 'preact/hooks';
import { api, type ApiError, type Client } from '../api.js';
import { asApiError } from '../hooks.js';
import { labelled, LOCALE, t } from '../language.js';
import { shownAgo, shownName, shownTime } from '../logic/shown.js';
import { Notice } from './notice.js';
import { Command } from './purge-preview.js';
import { Words } from './words.js';

/** Looks at the clients again after a change; undefined if the login administers none. */
export const Administering = createContext<(() => void) | undefined>(undefined);

/** Shows the request for a backup of a client with a button that withdraws it, or a button for one. */
export function BackupRequest({ client }: { readonly client: Client }) {
  const again = useContext(Administering);
  const [isSent, setSent] = useState(false);
  const [error, setError] = useState<ApiError>();
  const { name, state, requestedAtMs, requestedBy = '\u2013' } = client;
  const isOpen = requestedAtMs !== undefined;
  const ago = isOpen ? shownAgo(requestedAtMs, Date.now(), LOCALE) : '';
  const label = t(isOpen ? 'requestWithdraw' : 'actBackup');
  const send = (): void => {
    setSent(true);
    setError(undefined);
    api
      .requestBackup(name, isOpen)
      .then(again, (problem: unknown) => setError(asApiError(problem)))
      .finally(() => setSent(false));
  };
  return (
    <>
      {isOpen ? (
        <span class="faint block">
          <Words text={t('requested', { ago, by: shownName(requestedBy) })} />
        </span>
      ) : null}
      {again === undefined || state === 'running' ? null : (
        <button type="button" disabled={isSent} aria-label={labelled(label, name)} onClick={send}>
          {label}
        </button>
      )}
      {error === undefined ? null : <Notice error={error} />}
    </>
  );
}

/** Shows a form that makes a code for a new machine, and the code. */
export function JoinMachine() {
  const again = useContext(Administering);
  const [name, setName] = useState('');
  const [server, setServer] = useState(location.hostname);
  const [made, setMade] = useState<{ code: string; untilMs: number }>();
  const [error, setError] = useState<ApiError>();
  if (again === undefined) return null;
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setError(undefined);
    setMade(undefined);
    try {
      setMade(await api.joinCode(name.trim(), server.trim()));
    } catch (problem) {
      setError(asApiError(problem));
    }
  };
  return (
    <section class="card">
      <h2>{t('join')}</h2>
      <form class="sign-in" onSubmit={(event) => void send(event)}>
        <label>
          {t('joinName')}
          <input
            required
            maxLength={128}
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        </label>
        <label>
          {t('joinServer')}
          <input
            required
            maxLength={255}
            value={server}
            onInput={({ currentTarget }) => setServer(currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary">
          {t('joinMake')}
        </button>
      </form>
      {error === undefined ? null : <Notice error={error} />}
      {made === undefined ? null : (
        <div role="status">
          <p>
            <Words text={t('joinText', { time: shownTime(made.untilMs, LOCALE) })} />
          </p>
          <Command text={made.code} />
        </div>
      )}
    </section>
  );
}
