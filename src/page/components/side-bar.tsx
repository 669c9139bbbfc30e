/** Shows the backups: a calendar, and the list of a month. On a narrow page it is a drawer. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { BackupSet, Client } from '../api.js';
import { t } from '../language.js';
import { lateSets, monthNumber, monthOf } from '../logic/calendar.js';
import { Calendar } from './calendar.js';
import { StateMark } from './clients.js';
import { SetList } from './set-list.js';
import { Button } from './button.js';

interface SideBarProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  /** The client with its state; undefined until that is known. */
  readonly own: Client | undefined;
  readonly chosen: BackupSet;
  readonly isOpen: boolean;
  readonly clockOf: (set: number) => string;
  readonly onChoose: (set: number | undefined) => void;
  /** Called to list the changes of the chosen set. */
  readonly onChanges: () => void;
}

export function SideBar(props: SideBarProps) {
  const { client, sets, own, chosen, isOpen, clockOf, onChoose, onChanges } = props;
  const shownMs = chosen.openedAtMs;
  const [month, setMonth] = useState(() => monthOf(shownMs));
  useEffect(() => setMonth(monthOf(shownMs)), [shownMs]);
  const lateAfterMs = own?.lateAfterMs ?? 0;
  const late = useMemo(() => lateSets(sets, lateAfterMs), [sets, lateAfterMs]);
  const number = monthNumber(month);
  const inMonth = sets.filter(({ openedAtMs }) => monthNumber(monthOf(openedAtMs)) === number);
  const running = runningSet(sets, own);
  // A set that is being written is no trouble.
  const judged = sets.map((one) =>
    one.set === running ? { ...one, state: 'complete' as const } : one,
  );
  const newest = sets.find(({ state }) => state === 'complete');
  return (
    <nav class={`side ${isOpen ? 'open' : ''}`} id="sets" aria-label={t('sets')}>
      {own === undefined || own.state === 'good' ? null : (
        <div class="side-state">
          <StateMark client={own} />
        </div>
      )}
      <Calendar
        sets={judged}
        month={month}
        chosen={chosen.set}
        onMonth={setMonth}
        onChoose={onChoose}
      />
      {newest === undefined || chosen.set >= newest.set ? null : (
        <Button class="newest" onClick={() => onChoose(undefined)}>
          {t('newestSet')}
        </Button>
      )}
      <SetList
        sets={inMonth}
        late={late}
        chosen={chosen.set}
        {...{ client, running, clockOf, onChoose, onChanges }}
      />
    </nav>
  );
}

/** Returns the number of the set that a backup is writing; undefined if none runs. */
function runningSet(sets: readonly BackupSet[], own: Client | undefined): number | undefined {
  const [newest] = sets;
  const isOpen = own?.state === 'running' && newest?.state !== 'complete';
  return isOpen ? newest?.set : undefined;
}
