/** Narrows a search: by kind, by size, by time, and to the directory that was open. */
import type { Go } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { textOf } from '../logic/paths.js';
import { KINDS, type Place } from '../logic/place.js';
import { shownBytes, shownName } from '../logic/formats.js';
import { Check, Select } from './fields.js';

const SIZES = [1e6, 100e6, 1e9];
const AGES_DAYS = [1, 7, 31, 366];

interface FiltersProps {
  readonly place: Place;
  readonly go: Go;
}

export function SearchFilters({ place, go }: FiltersProps) {
  const { kind, leastBytes, sinceDays, isBelow, path } = place;
  return (
    <div class="row flow filters" role="group" aria-label={t('filters')}>
      <Select
        label={t('kind')}
        value={kind}
        options={[[undefined, t('anyKind')], ...KINDS.map((one) => [one, t(one)] as const)]}
        onChoose={(chosen) => go({ kind: chosen }, 'replace')}
      />
      <Select
        label={t('size')}
        value={leastBytes}
        options={[
          [undefined, t('anySize')],
          ...SIZES.map((bytes) => [bytes, sizeText(bytes)] as const),
        ]}
        onChoose={(chosen) => go({ leastBytes: chosen }, 'replace')}
      />
      <Select
        label={t('modified')}
        value={sinceDays}
        options={[
          [undefined, t('anyTime')],
          ...AGES_DAYS.map((days) => [days, t('lastDays', { n: days })] as const),
        ]}
        onChoose={(chosen) => go({ sinceDays: chosen }, 'replace')}
      />
      {path === '/' ? null : (
        <Check
          label={t('onlyBelow', { path: shownName(textOf(path)) })}
          isOn={isBelow}
          onChange={(isOn) => go({ isBelow: isOn }, 'replace')}
        />
      )}
    </div>
  );
}

function sizeText(bytes: number): string {
  return t('sizeFrom', { bytes: shownBytes(bytes, LOCALE) });
}
