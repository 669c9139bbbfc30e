/** Shows the backups: a calendar, and the list of a month. On a narrow page it is a drawer. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { BackupSet, Client } from '../api.js';
import { t } from '../language.js';
import { lateSets, monthNumber, monthOf } from '../logic/calendar.js';
import { Calendar } from './calendar.js';
import { StateMark } from './overview.js';
import { SetList } from './set-list.js';

interface SideBarProps {
  readonly sets: readonly BackupSet[];
  /** The client with its state; undefined until that is known. */
  readonly own: Client | undefined;
  readonly chosen: BackupSet | undefined;
  readonly isOpen: boolean;
  readonly onChoose: (set: number) => void;
  /** Called to list the changes of the chosen set. */
  readonly onChanges: () => void;
}

export function SideBar({ sets, own, chosen, isOpen, onChoose, onChanges }: SideBarProps) {
  const shownMs = chosen?.openedAtMs ?? sets[0]?.openedAtMs ?? Date.now();
  const [month, setMonth] = useState(() => monthOf(shownMs));
  useEffect(() => setMonth(monthOf(shownMs)), [shownMs]);
  const lateAfterMs = own?.lateAfterMs ?? 0;
  const late = useMemo(() => lateSets(sets, lateAfterMs), [sets, lateAfterMs]);
  const number = monthNumber(month);
  const inMonth = sets.filter(({ openedAtMs }) => monthNumber(monthOf(openedAtMs)) === number);
  return (
    <nav class={`side ${isOpen ? 'open' : ''}`} id="sets" aria-label={t('sets')}>
      {own === undefined || own.state === 'good' ? null : (
        <div class="side-state">
          <StateMark client={own} />
        </div>
      )}
      <Calendar
        sets={sets}
        month={month}
        chosen={chosen?.set}
        onMonth={setMonth}
        onChoose={onChoose}
      />
      <SetList sets={inMonth} late={late} chosen={chosen?.set} {...{ onChoose, onChanges }} />
    </nav>
  );
}
