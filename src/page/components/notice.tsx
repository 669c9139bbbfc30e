/** Shows an error of the API, with advice about it. */
import type { ApiError } from '../api.js';
import { t } from '../language.js';
import { shownName } from '../logic/shown.js';
import { Icon } from './icons.js';

interface NoticeProps {
  readonly error: ApiError;
  readonly again?: () => void;
}

export function Notice({ error, again }: NoticeProps) {
  const isGone = error.code === 'UNREACHABLE';
  const isStranger = error.code === 'NOT_LOGGED_IN';
  return (
    <div class="notice" role="alert">
      <Icon name="warning" />
      <div>
        <p>{isGone ? t('gone') : isStranger ? t('notLoggedIn') : shownName(error.message)}</p>
        {isGone || isStranger ? null : (
          <p class="faint">
            {error.guidance} [{error.code}]
          </p>
        )}
        {again === undefined ? null : (
          <button type="button" onClick={again}>
            {t('retry')}
          </button>
        )}
      </div>
    </div>
  );
}
