/** Narrows a search: by kind, by size, by time, and to the directory that was open. */
import type { Go } from '../hooks.js';
import { LOCALE, t } from '../language.js';
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
      <Choice
        label={t('kind')}
        value={kind}
        any={t('anyKind')}
        options={KINDS.map((one) => [one, t(one)])}
        onChoose={(chosen) => go({ kind: KINDS.find((one) => one === chosen) }, 'replace')}
      />
      <Choice
        label={t('size')}
        value={leastBytes}
        any={t('anySize')}
        options={SIZES.map((bytes) => [bytes, t('sizeFrom', { bytes: shownBytes(bytes, LOCALE) })])}
        onChoose={(chosen) => go({ leastBytes: numberIn(chosen) }, 'replace')}
      />
      <Choice
        label={t('modified')}
        value={sinceDays}
        any={t('anyTime')}
        options={AGES_DAYS.map((days) => [days, t('lastDays', { n: days })])}
        onChoose={(chosen) => go({ sinceDays: numberIn(chosen) }, 'replace')}
      />
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

interface ChoiceProps {
  readonly label: string;
  /** The chosen value; undefined if all are wanted. */
  readonly value: string | number | undefined;
  /** Text of the option for all. */
  readonly any: string;
  readonly options: readonly (readonly [value: string | number, text: string])[];
  /** Called with the chosen value; empty for all. */
  readonly onChoose: (chosen: string) => void;
}

function Choice({ label, value, any, options, onChoose }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      value={value ?? ''}
      onChange={({ currentTarget }) => onChoose(currentTarget.value)}
    >
      <option value="">{any}</option>
      {options.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  );
}

function numberIn(chosen: string): number | undefined {
  return chosen === '' ? undefined : Number(chosen);
}
