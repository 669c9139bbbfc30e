/** The forms that take a secret: by one a browser signs in, by the other a client is opened. */
import { useState } from 'preact/hooks';
import { api } from '../api.js';
import { useAnswer, useAttempt } from '../hooks.js';
import { t } from '../language.js';
import { shownClient } from '../logic/formats.js';
import { errorText, Notice } from './notice.js';
import { LanguageChoice } from './top-bar.js';
import { Words } from './words.js';

interface SignInProps {
  /** Called once the browser has signed in. */
  readonly onDone: () => void;
}

export function SignIn({ onDone }: SignInProps) {
  const answer = useAnswer('sign-in', (signal) => api.signInTo(signal));
  const isRemote = answer.value?.program === 'tardisremote';
  return (
    <main class="alone" id="main">
      <div class="row bar">
        <h1>{t('product')}</h1>
        <LanguageChoice />
      </div>
      <Notice error={answer.error} again={answer.again} />
      <p>
        <Words text={t(isRemote ? 'signInRemote' : 'signInLocal')} />
      </p>
      <SecretForm
        label={t(isRemote ? 'signInToken' : 'signInSecret')}
        button={t('signIn')}
        wrong="NOT_LOGGED_IN"
        send={(secret) => api.signIn(secret)}
        onDone={onDone}
      />
    </main>
  );
}

interface UnlockProps extends SignInProps {
  readonly client: string;
}

/** Opens a client by its password. */
export function Unlock({ client, onDone }: UnlockProps) {
  return (
    <>
      <p>{t('unlockText')}</p>
      <SecretForm
        label={t('unlockPassword', { client: shownClient(client) })}
        button={t('unlock')}
        wrong="LOGIN_FAILED"
        send={(password) => api.unlock(client, password)}
        onDone={onDone}
      />
    </>
  );
}

interface SecretProps extends SignInProps {
  readonly label: string;
  readonly button: string;
  /** Code of the error for a wrong secret. */
  readonly wrong: string;
  readonly send: (secret: string) => Promise<unknown>;
}

function SecretForm({ label, button, wrong, send, onDone }: SecretProps) {
  const [secret, setSecret] = useState('');
  const [error, attempt] = useAttempt();
  const [isWaiting, setWaiting] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setWaiting(true);
    await attempt(send(secret), onDone);
    setSecret('');
    setWaiting(false);
  };
  return (
    <>
      <form class="sign-in" onSubmit={(event) => void submit(event)}>
        <label>
          {label}
          <input
            type="password"
            name="secret"
            autocomplete="current-password"
            required
            value={secret}
            onInput={({ currentTarget }) => setSecret(currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary" disabled={isWaiting || secret === ''}>
          {button}
        </button>
      </form>
      <div role="status">
        {error === undefined ? null : (
          <p class="notice">{error.code === wrong ? t('signInWrong') : errorText(error)}</p>
        )}
      </div>
    </>
  );
}
