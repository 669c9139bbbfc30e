/** Shows a month with its backups. Days with backups can be chosen. */
import type { BackupSet } from '../api.js';
import { LOCALE, t } from '../language.js';
import {
  type Day,
  firstDayOf,
  type Month,
  monthNumber,
  monthOf,
  shiftMonth,
  weekdayNames,
  weeksOf,
} from '../logic/calendar.js';
import { shownDay } from '../logic/formats.js';
import { Icon } from './icons.js';
import { Button } from './button.js';

interface CalendarProps {
  readonly sets: readonly BackupSet[];
  readonly month: Month;
  /** Number of the chosen set. */
  readonly chosen: number;
  readonly onMonth: (month: Month) => void;
  readonly onChoose: (set: number) => void;
}

export function Calendar({ sets, month, chosen, onMonth, onChoose }: CalendarProps) {
  const firstDay = firstDayOf(LOCALE);
  const months = sets.map(({ openedAtMs }) => monthNumber(monthOf(openedAtMs)));
  const now = monthNumber(month);
  const title = new Intl.DateTimeFormat(LOCALE, { month: 'long', year: 'numeric' });
  return (
    <div class="calendar">
      <div class="calendar-head">
        <Button
          class="plain round"
          aria-label={t('previousMonth')}
          disabled={months.every((one) => one >= now)}
          onClick={() => onMonth(shiftMonth(month, -1))}
        >
          <Icon name="left" />
        </Button>
        <h2 aria-live="polite">{title.format(new Date(month.year, month.month, 1))}</h2>
        <Button
          class="plain round"
          aria-label={t('nextMonth')}
          disabled={months.every((one) => one <= now)}
          onClick={() => onMonth(shiftMonth(month, 1))}
        >
          <Icon name="right" />
        </Button>
      </div>
      <table>
        <thead>
          <tr>
            {weekdayNames(LOCALE, firstDay).map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeksOf(month, sets, firstDay).map((week, index) => (
            <tr key={index}>
              {week.map((day, column) => (
                <td key={column}>
                  <DayCell day={day} month={month} chosen={chosen} onChoose={onChoose} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface DayProps extends Pick<CalendarProps, 'month' | 'chosen' | 'onChoose'> {
  readonly day: Day | undefined;
}

function DayCell({ day, month, chosen, onChoose }: DayProps) {
  if (day === undefined) return null;
  const { sets, isTroubled } = day;
  const newest = Math.max(...sets);
  if (sets.length === 0) return <span class="day">{day.day}</span>;
  const date = shownDay(new Date(month.year, month.month, day.day).getTime(), LOCALE);
  const spoken = t('dayWith', { day: date, n: sets.length });
  return (
    <Button
      class={`day has-sets ${isTroubled ? 'troubled' : ''}`}
      aria-pressed={sets.includes(chosen)}
      aria-label={isTroubled ? t('dayTroubled', { day: spoken }) : spoken}
      onClick={() => onChoose(newest)}
    >
      {day.day}
      <span class="dots" aria-hidden="true" data-many={sets.length > 1} />
    </Button>
  );
}
