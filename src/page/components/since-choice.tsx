/** Chooses the earlier backup that the shown one is compared with. */
import { useMemo } from 'preact/hooks';
import type { BackupSet } from '../api.js';
import type { Go } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { setTimes } from '../logic/shown.js';
import { setWords } from './set-list.js';

interface SinceProps {
  readonly sets: readonly BackupSet[];
  /** Number of the backup that is compared. */
  readonly set: number;
  readonly since: number | undefined;
  /** Text of the choice of no backup. */
  readonly none: string;
  readonly go: Go;
}

export function SinceChoice({ sets, set, since, none, go }: SinceProps) {
  const times = useMemo(() => setTimes(sets, LOCALE), [sets]);
  const earlier = sets.filter((one) => one.set < set);
  return (
    <label class="field since">
      {t('since')}
      <select
        value={since ?? ''}
        onChange={({ currentTarget: { value } }) =>
          go({ since: value === '' ? undefined : Number(value) }, 'replace')
        }
      >
        <option value="">{none}</option>
        {earlier.map((one) => (
          <option key={one.set} value={one.set}>
            {setWords(one, times.get(one.set)?.clock ?? '')}
          </option>
        ))}
      </select>
    </label>
  );
}
