/** Shows an error of the API, with advice about it. */
import type { ApiError } from '../api.js';
import { t } from '../language.js';
import { shownName } from '../logic/shown.js';
import type { TextKey } from '../strings.js';
import { Icon } from './icons.js';

interface NoticeProps {
  readonly error: ApiError;
  readonly again?: () => void;
}

/** Texts for errors whose usual texts are for users of the commands. */
const OWN_TEXTS: Readonly<Partial<Record<string, TextKey>>> = {
  UNREACHABLE: 'gone',
  NO_SUCH_PATH: 'noSuchPath',
  NO_SUCH_SET: 'noSuchSet',
};
/** Codes of errors that another attempt does not end. */
const LASTING: ReadonlySet<string> = new Set(['NO_SUCH_PATH', 'NO_SUCH_SET', 'NOT_PERMITTED']);

/** Returns an error as one text. */
export function errorText({ code, message }: Pick<ApiError, 'code' | 'message'>): string {
  const own = OWN_TEXTS[code];
  return own === undefined ? `${shownName(message)} [${code}]` : t(own);
}

export function Notice({ error, again }: NoticeProps) {
  const own = OWN_TEXTS[error.code];
  return (
    <div class="notice" role="alert">
      <Icon name="warning" />
      <div>
        <p>{own === undefined ? shownName(error.message) : t(own)}</p>
        {own !== undefined ? null : (
          <p class="faint">
            {error.guidance} [{error.code}]
          </p>
        )}
        {again === undefined || LASTING.has(error.code) ? null : (
          <button type="button" onClick={again}>
            {t('retry')}
          </button>
        )}
      </div>
    </div>
  );
}
