/** Shows the backup sets of a month, with the changes of each set. Sets that are late or had problems are marked. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { api, type BackupSet } from '../api.js';
import { type Go, useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { wordsFor } from '../logic/texts.js';
import { pathOf } from '../logic/paths.js';
import { shownBytes, shownCount, shownDay, shownName } from '../logic/formats.js';
import { SetActs } from './acts.js';
import { Select } from './fields.js';
import { English } from './words.js';
import { PathName } from './name.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

interface SetListProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  /** Number of days without a backup before a set, by the set's number. */
  readonly late: ReadonlyMap<number, number>;
  readonly chosen: number;
  /** Number of the set that a backup is writing; undefined if none runs. */
  readonly running: number | undefined;
  readonly clockOf: (set: number) => string;
  readonly onChoose: (set: number) => void;
  readonly onChanges: () => void;
}

export function SetList(props: SetListProps) {
  const { client, sets, late, chosen, running, clockOf, onChoose, onChanges } = props;
  return (
    <ol class="sets" aria-label={t('allSets')}>
      {sets.map((set) => (
        <li key={set.set}>
          <Button
            class="set"
            aria-current={set.set === chosen ? 'true' : undefined}
            onClick={() => onChoose(set.set)}
          >
            <span class="set-when">
              <strong>{clockOf(set.set)}</strong> <span>{shownDay(set.openedAtMs, LOCALE)}</span>{' '}
              <span class="faint">{t('setNumber', { set: String(set.set) })}</span>
            </span>
            <span class="faint small">{changesOf(set)}</span>
            <SetMarks set={set} lateDays={late.get(set.set)} isRunning={set.set === running} />
          </Button>
          {set.set === chosen ? (
            <>
              <Button class="plain link changes" onClick={onChanges}>
                {t('changes')}
              </Button>
              <SetActs set={set} when={setWords(set, clockOf(set.set))} />
              {set.unread === 0 ? null : <Unread client={client} set={set.set} />}
            </>
          ) : null}
        </li>
      ))}
    </ol>
  );
}

/** Lists what the backup of a set could not read, once it is opened. */
function Unread({ client, set }: { readonly client: string; readonly set: number }) {
  const [isOpen, setOpen] = useState(false);
  const { value, error, again } = useAnswer(
    isOpen ? `notes/${client}/${set}` : undefined,
    (signal) => api.notes(client, set, signal),
  );
  const { notes = [], total = 0 } = value ?? {};
  return (
    <details class="changes" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{t('unreadList')}</summary>
      <Notice {...{ error, again }} />
      {value !== undefined && total === 0 ? <p>{t('unreadNotNamed')}</p> : null}
      <ul>
        {notes.map(({ path, pathBytes, reason }, index) => (
          <li key={index}>
            <PathName path={pathOf(path, pathBytes)} />{' '}
            <span class="faint">{noteReason(reason)}</span>
          </li>
        ))}
        {total > notes.length ? <li>{t('moreFailures', { n: total - notes.length })}</li> : null}
      </ul>
    </details>
  );
}

/** Returns why something was not read: an error of the system in words, or the words of the program. */
function noteReason(reason: string): ComponentChildren {
  const words = wordsFor(`system${reason}`, t);
  return words === undefined ? <English text={reason} /> : `${words} (${reason})`;
}

/** Returns the changes of a set in words. */
function changesOf({ changed }: BackupSet): string {
  const { filesRead, sentBytes } = changed;
  const words: string[] = [];
  if (filesRead !== undefined) words.push(t('filesRead', { n: filesRead }));
  if (sentBytes !== undefined) words.push(t('sentBytes', { bytes: shownBytes(sentBytes, LOCALE) }));
  return words.join(' · ');
}

interface MarksProps {
  readonly set: BackupSet;
  readonly lateDays: number | undefined;
  readonly isRunning: boolean;
}

function SetMarks({ set, lateDays, isRunning }: MarksProps) {
  const marks: ComponentChildren[] = [];
  const add = (text: string, kind = ''): void => {
    marks.push(
      <span key={text} class={`mark ${kind}`}>
        {text}
      </span>,
    );
  };
  if (isRunning) add(t('stateRunning'));
  else if (set.state !== 'complete') add(t('unfinished'), 'mark-bad');
  if (set.unread > 0) add(t('unread', { n: set.unread }), 'mark-late');
  if (set.isDoubtful) add(t('doubtful'), 'mark-bad');
  if (lateDays !== undefined) add(t('late', { n: lateDays }), 'mark-late');
  if (set.requestedBy !== undefined) {
    add(t('requestedBy', { by: shownName(set.requestedBy) }));
  }
  if (set.isLocked) add(t('locked'));
  for (const tag of set.tags) add(shownName(tag));
  if (marks.length === 0) return null;
  return <span class="flow marks">{marks}</span>;
}

/** Returns a set in words: its time, and its number. */
export function setWords({ openedAtMs, set }: BackupSet, clock: string): string {
  const when = `${shownDay(openedAtMs, LOCALE)}, ${clock}`;
  return `${when} (${t('setNumber', { set: shownCount(set, LOCALE) })})`;
}

interface SinceProps {
  readonly sets: readonly BackupSet[];
  /** Number of the backup that is compared. */
  readonly set: number;
  readonly since: number | undefined;
  /** Text of the choice of no backup. */
  readonly none: string;
  readonly clockOf: (set: number) => string;
  readonly go: Go;
}

/** Chooses the earlier backup that the shown one is compared with. */
export function SinceChoice({ sets, set, since, none, clockOf, go }: SinceProps) {
  const earlier = sets.filter((one) => one.set < set);
  return (
    <label class="field since">
      {t('since')}
      <Select
        value={since}
        options={[
          [undefined, none],
          ...earlier.map((one) => [one.set, setWords(one, clockOf(one.set))] as const),
        ]}
        onChoose={(chosen) => go({ since: chosen }, 'replace')}
      />
    </label>
  );
}
