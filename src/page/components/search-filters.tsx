/** Narrows a search: by kind, by size, by time, and to the directory that was open. */
import type { Go } from '../hooks.js';
import { t } from '../language.js';
import { textOf } from '../logic/paths.js';
import { KINDS, type Place } from '../logic/place.js';
import { shownBytes, shownName } from '../logic/shown.js';

const SIZES = [1e6, 100e6, 1e9];
const AGES_DAYS = [1, 7, 31, 366];

interface FiltersProps {
  readonly place: Place;
  readonly go: Go;
}

export function SearchFilters({ place, go }: FiltersProps) {
  const { kind, leastBytes, sinceDays, isBelow, path } = place;
  return (
    <div class="filters" role="group" aria-label={t('filters')}>
      <select
        aria-label={t('kind')}
        value={kind ?? ''}
        onChange={({ currentTarget: { value } }) =>
          go({ kind: KINDS.find((one) => one === value) }, 'replace')
        }
      >
        <option value="">{t('anyKind')}</option>
        {KINDS.map((one) => (
          <option key={one} value={one}>
            {t(one)}
          </option>
        ))}
      </select>
      <select
        aria-label={t('size')}
        value={leastBytes ?? ''}
        onChange={({ currentTarget: { value } }) =>
          go({ leastBytes: value === '' ? undefined : Number(value) }, 'replace')
        }
      >
        <option value="">{t('anySize')}</option>
        {SIZES.map((bytes) => (
          <option key={bytes} value={bytes}>
            {t('sizeFrom', { bytes: shownBytes(bytes) })}
          </option>
        ))}
      </select>
      <select
        aria-label={t('modified')}
        value={sinceDays ?? ''}
        onChange={({ currentTarget: { value } }) =>
          go({ sinceDays: value === '' ? undefined : Number(value) }, 'replace')
        }
      >
        <option value="">{t('anyTime')}</option>
        {AGES_DAYS.map((days) => (
          <option key={days} value={days}>
            {t('lastDays', { n: days })}
          </option>
        ))}
      </select>
      {path === '/' ? null : (
        <label class="check">
          <input
            type="checkbox"
            checked={isBelow}
            onChange={({ currentTarget }) => go({ isBelow: currentTarget.checked }, 'replace')}
          />
          {t('onlyBelow', { path: shownName(textOf(path)) })}
        </label>
      )}
    </div>
  );
}
