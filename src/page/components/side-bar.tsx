/** Shows the backups: a calendar, and the list of a month. On a narrow page it is a drawer. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { BackupSet } from '../api.js';
import { t } from '../language.js';
import { lateSets, monthNumber, monthOf, standingOf } from '../logic/calendar.js';
import { Calendar } from './calendar.js';
import { SetList } from './set-list.js';

interface SideBarProps {
  readonly sets: readonly BackupSet[];
  readonly chosen: BackupSet | undefined;
  readonly isOpen: boolean;
  readonly onChoose: (set: number) => void;
  /** Called to list the changes of the chosen set. */
  readonly onChanges: () => void;
}

export function SideBar({ sets, chosen, isOpen, onChoose, onChanges }: SideBarProps) {
  const shownMs = chosen?.openedAtMs ?? sets[0]?.openedAtMs ?? Date.now();
  const [month, setMonth] = useState(() => monthOf(shownMs));
  useEffect(() => setMonth(monthOf(shownMs)), [shownMs]);
  const late = useMemo(() => lateSets(sets), [sets]);
  const standing = standingOf(sets, Date.now());
  const number = monthNumber(month);
  const inMonth = sets.filter(({ openedAtMs }) => monthNumber(monthOf(openedAtMs)) === number);
  return (
    <nav class={`side ${isOpen ? 'open' : ''}`} id="sets" aria-label={t('sets')}>
      {standing.kind === 'late' ? (
        <p class="side-late">
          <span class="mark mark-late">{t('late', { n: standing.days })}</span>
        </p>
      ) : null}
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
