/** Shows requests for backups, and the form for codes of new machines, to an administrator of a server. */
import { createContext } from 'preact';
import { useContext, useState } from 'preact/hooks';
import { api, type Client } from '../api.js';
import { useAttempt } from '../hooks.js';
import { labelled, LOCALE, t } from '../language.js';
import { shownAgo, shownName, shownTime } from '../logic/formats.js';
import { TextField } from './fields.js';
import { Notice } from './notice.js';
import { Command } from './purge-preview.js';
import { Words } from './words.js';
import { Button } from './button.js';

/** Looks at the clients again after a change; undefined if the login administers none. */
export const Administering = createContext<(() => void) | undefined>(undefined);

/** Shows the request for a backup of a client with a button that withdraws it, or a button for one. */
export function BackupRequest({ client }: { readonly client: Client }) {
  const again = useContext(Administering);
  const [isSent, setSent] = useState(false);
  const [error, attempt] = useAttempt();
  const { name, state, requestedAtMs, requestedBy = '\u2013' } = client;
  const isOpen = requestedAtMs !== undefined;
  const ago = isOpen ? shownAgo(requestedAtMs, Date.now(), LOCALE) : '';
  const label = t(isOpen ? 'requestWithdraw' : 'actBackup');
  const send = (): void => {
    setSent(true);
    void attempt(api.requestBackup(name, isOpen), again).then(() => setSent(false));
  };
  return (
    <>
      {isOpen ? (
        <span class="faint block">
          <Words text={t('requested', { ago, by: shownName(requestedBy) })} />
        </span>
      ) : null}
      {again === undefined || state === 'running' ? null : (
        <Button disabled={isSent} aria-label={labelled(label, name)} onClick={send}>
          {label}
        </Button>
      )}
      <Notice error={error} />
    </>
  );
}

/** Shows a form that makes a code for a new machine, and the code. */
export function JoinMachine() {
  const again = useContext(Administering);
  const [name, setName] = useState('');
  const [server, setServer] = useState(location.hostname);
  const [made, setMade] = useState<{ code: string; untilMs: number }>();
  const [error, attempt] = useAttempt();
  if (again === undefined) return null;
  const send = (event: Event): void => {
    event.preventDefault();
    setMade(undefined);
    void attempt(api.joinCode(name.trim(), server.trim()), setMade);
  };
  return (
    <section class="card">
      <h2>{t('join')}</h2>
      <form class="sign-in" onSubmit={send}>
        <TextField label={t('joinName')} required maxLength={128} value={name} onText={setName} />
        <TextField
          label={t('joinServer')}
          required
          maxLength={255}
          value={server}
          onText={setServer}
        />
        <button type="submit" class="primary">
          {t('joinMake')}
        </button>
      </form>
      <Notice error={error} />
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
