/** The form by which a browser signs in. */
import { useState } from 'preact/hooks';
import { api, type ApiError } from '../api.js';
import { asApiError, useAnswer } from '../hooks.js';
import { t } from '../language.js';
import { errorText, Notice } from './notice.js';
import { LanguageChoice } from './top-bar.js';
import { Words } from './words.js';

interface SignInProps {
  /** Called once the browser has signed in. */
  readonly onDone: () => void;
}

export function SignIn({ onDone }: SignInProps) {
  const answer = useAnswer('sign-in', (signal) => api.signInTo(signal));
  const [secret, setSecret] = useState('');
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [isWaiting, setWaiting] = useState(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setWaiting(true);
    try {
      await api.signIn(secret);
      onDone();
    } catch (failed) {
      setError(asApiError(failed));
      setSecret('');
    }
    setWaiting(false);
  };
  const isRemote = answer.value?.program === 'tardisremote';
  return (
    <main class="alone" id="main">
      <div class="bar">
        <h1>{t('product')}</h1>
        <LanguageChoice />
      </div>
      {answer.error === undefined ? null : <Notice error={answer.error} again={answer.again} />}
      <p>
        <Words text={t(isRemote ? 'signInRemote' : 'signInLocal')} />
      </p>
      <form class="sign-in" onSubmit={(event) => void send(event)}>
        <label>
          {t(isRemote ? 'signInToken' : 'signInSecret')}
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
          {t('signIn')}
        </button>
      </form>
      <div role="status">
        {error === undefined ? null : <p class="notice">{signInText(error)}</p>}
      </div>
    </main>
  );
}

/** Returns what a failed attempt means to a user. */
function signInText(error: ApiError): string {
  return error.code === 'NOT_LOGGED_IN' ? t('signInWrong') : errorText(error);
}
