/** Shows the backup sets of a month, with the changes of each set. Sets that are late or had problems are marked. */
import type { ComponentChildren } from 'preact';
import type { BackupSet } from '../api.js';
import { LOCALE, t } from '../language.js';
import { shownBytes, shownClock, shownCount, shownDay, shownName } from '../logic/shown.js';

interface SetListProps {
  readonly sets: readonly BackupSet[];
  /** Number of days without a backup before a set, by the set's number. */
  readonly late: ReadonlyMap<number, number>;
  readonly chosen: number | undefined;
  readonly onChoose: (set: number) => void;
  readonly onChanges: () => void;
}

export function SetList({ sets, late, chosen, onChoose, onChanges }: SetListProps) {
  return (
    <ol class="sets" aria-label={t('allSets')}>
      {sets.map((set) => (
        <li key={set.set}>
          <button
            type="button"
            class="set"
            aria-current={set.set === chosen ? 'true' : undefined}
            onClick={() => onChoose(set.set)}
          >
            <span class="set-when">
              <strong>{shownClock(set.openedAtMs, LOCALE)}</strong>{' '}
              <span>{shownDay(set.openedAtMs, LOCALE)}</span>
            </span>
            <span class="set-what">{changesOf(set)}</span>
            <SetMarks set={set} lateDays={late.get(set.set)} />
          </button>
          {set.set === chosen ? (
            <button type="button" class="plain link changes" onClick={onChanges}>
              {t('changes')}
            </button>
          ) : null}
        </li>
      ))}
    </ol>
  );
}

/** Returns the changes of a set in words. */
function changesOf({ changed }: BackupSet): string {
  const { new: fresh, changed: altered, deleted, filesRead, sentBytes } = changed;
  const words: string[] = [];
  if (fresh !== undefined) words.push(t('changedNew', { n: fresh }));
  if (altered !== undefined) words.push(t('changedChanged', { n: altered }));
  if (deleted !== undefined) words.push(t('changedDeleted', { n: deleted }));
  if (words.length === 0 && filesRead !== undefined) words.push(t('filesRead', { n: filesRead }));
  if (sentBytes !== undefined) words.push(t('sentBytes', { bytes: shownBytes(sentBytes) }));
  return words.join(' · ');
}

interface MarksProps {
  readonly set: BackupSet;
  readonly lateDays: number | undefined;
}

function SetMarks({ set, lateDays }: MarksProps) {
  const marks: ComponentChildren[] = [];
  const add = (text: string, kind = ''): void => {
    marks.push(
      <span key={text} class={`mark ${kind}`}>
        {text}
      </span>,
    );
  };
  if (set.state !== 'complete') add(t('unfinished'), 'mark-bad');
  if (set.unread > 0) add(t('unread', { n: set.unread }), 'mark-late');
  if (set.isDoubtful) add(t('doubtful'), 'mark-bad');
  if (lateDays !== undefined) add(t('late', { n: lateDays }), 'mark-late');
  if (set.isLocked) add(t('locked'));
  for (const tag of set.tags) add(shownName(tag));
  if (marks.length === 0) return null;
  return <span class="marks">{marks}</span>;
}

/** Returns a set in words: its time, and its number. */
export function setWords({ openedAtMs, set }: BackupSet): string {
  const when = `${shownDay(openedAtMs, LOCALE)}, ${shownClock(openedAtMs, LOCALE)}`;
  return `${when} (${t('setNumber', { set: shownCount(set, LOCALE) })})`;
}
