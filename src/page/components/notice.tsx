/** Shows an error of the API, with advice about it. */
import type { ApiError } from '../api.js';
import { t } from '../language.js';
import { shownName } from '../logic/formats.js';
import { wordsFor } from '../logic/texts.js';
import { English, Words } from './words.js';
import { Icon } from './icons.js';
import { Button } from './button.js';

interface NoticeProps {
  /** The error; nothing is shown without one. */
  readonly error: ApiError | undefined;
  readonly again?: () => void;
}

/** Codes of errors that another attempt does not end. */
const LASTING: ReadonlySet<string> = new Set([
  'NO_SUCH_PATH',
  'NO_SUCH_SET',
  'NOT_PERMITTED',
  'ACCOUNT_FILE_MISSING',
]);
/** Codes of errors whose own words say nothing that the text of the page does not. */
const PLAIN: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'NO_SUCH_PATH',
  'NO_SUCH_SET',
  'NOT_LOGGED_IN',
  'TOO_MANY_ATTEMPTS',
]);

/** Returns an error as one text. */
export function errorText({ code, message }: Pick<ApiError, 'code' | 'message'>): string {
  const own = wordsFor(`error${code}`, t);
  if (own === undefined) return `${shownName(message)} [${code}]`;
  return PLAIN.has(code) ? own : `${own} [${code}]`;
}

/** Shows an error within other text. */
export function ErrorWords({ error }: { readonly error: Pick<ApiError, 'code' | 'message'> }) {
  const { code, message } = error;
  const own = wordsFor(`error${code}`, t);
  return (
    <>
      <Words text={own ?? ''} />{' '}
      {PLAIN.has(code) ? null : <English text={`${message} [${code}]`} />}
    </>
  );
}

export function Notice({ error, again }: NoticeProps) {
  if (error === undefined) return null;
  const { code, message, guidance } = error;
  const own = wordsFor(`error${code}`, t);
  return (
    <div class="notice" role="alert">
      <Icon name="warning" />
      <div>
        <p>
          <Words text={own ?? t('errorOther')} />
        </p>
        {PLAIN.has(code) ? null : (
          <p class="faint">
            <English text={own === undefined ? `${message} ${guidance}` : message} /> [{code}]
          </p>
        )}
        {again === undefined || LASTING.has(code) ? null : (
          <Button onClick={again}>{t('retry')}</Button>
        )}
      </div>
    </div>
  );
}
