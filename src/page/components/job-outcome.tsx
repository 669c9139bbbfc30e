/** Shows the progress and the result of a job, with all that failed. */
import type { JobState } from '../api.js';
import { LOCALE, t } from '../language.js';
import {
  isMounted,
  leftMs,
  rateOf,
  shareOf,
  shownBytes,
  shownDuration,
  shownName,
} from '../logic/formats.js';
import type { TextKey } from '../logic/texts.js';
import { DoubtTexts } from './doubts.js';
import { English } from './words.js';
import { ErrorWords } from './notice.js';

export function JobOutcome({ job }: { readonly job: JobState }) {
  const { kind, state, failures, error, losses, doubts, command, log } = job;
  return (
    <div
      class={`box outcome outcome-${state} ${hasLosses(job) ? 'outcome-losses' : ''}`}
      data-state={state}
      data-preview={kind === 'preview'}
    >
      <strong>{headingOf(job)}</strong>
      {state === 'running' && !isMounted(job) ? <JobProgress job={job} /> : null}
      <ul>
        {countsOf(job).map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
      {error === undefined ? null : (
        <p>
          <ErrorWords error={error} />
        </p>
      )}
      <DoubtTexts doubts={doubts} />
      {command === undefined ? null : (
        <>
          <p class="row flow command">
            <code>{command}</code>
          </p>
          <pre class="log" tabIndex={0} lang="en">
            {log.toSorted((one, next) => isLoss(next) - isLoss(one)).join('\n')}
          </pre>
        </>
      )}
      {losses.length === 0 ? null : (
        <p>
          {t('losses')} <English text={losses.join(', ')} />
        </p>
      )}
      {failures.length === 0 ? null : (
        <ul class="failures" tabIndex={0}>
          {failures.map(({ path, message, code }, index) => (
            <li key={index}>
              <bdi>{shownName(path)}</bdi> – <ErrorWords error={{ code, message }} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** True for a line of a check that names a lost file. */
const isLoss = (line: string): number => Number(line.startsWith('lost: '));

/** Shows a bar, and the bytes with their rate and the time that is left. */
export function JobProgress({ job }: { readonly job: JobState }) {
  const share = shareOf(job);
  return (
    <>
      <progress aria-label={headingOf(job)} {...(share === undefined ? {} : { value: share })} />
      <span class="faint">{progressText(job)}</span>
    </>
  );
}

function progressText(job: JobState): string {
  const { progress, totalBytes, command } = job;
  if (command !== undefined) return commandProgress(job);
  const bytes = shownBytes(progress.bytes, LOCALE);
  const words = [
    totalBytes === undefined
      ? bytes
      : t('bytesOf', { bytes, total: shownBytes(Math.max(totalBytes, progress.bytes), LOCALE) }),
  ];
  const rate = rateOf(job);
  const left = leftMs(job);
  if (rate !== undefined) words.push(t('rate', { bytes: shownBytes(rate, LOCALE) }));
  if (left !== undefined) words.push(t('timeLeft', { time: shownDuration(left, LOCALE) }));
  return words.join(' · ');
}

/** Returns the progress that a command prints: entries looked at, or the share that is done. */
function commandProgress(job: JobState): string {
  const scanned = /^scanned ([\d,]+)/.exec(job.latest ?? '')?.[1];
  if (scanned !== undefined) return t('scanned', { n: Number(scanned.replaceAll(',', '')) });
  const share = shareOf(job);
  if (share === undefined) return '';
  const percent = new Intl.NumberFormat(LOCALE, { style: 'percent' }).format(share);
  return t('percentDone', { percent });
}

/** Returns what an act has done, in words; empty if it failed or its command did not report it. */
export function resultText({ result, state }: JobState): string {
  if (state !== 'done' || result === undefined) return '';
  const { code, n = 0 } = result;
  if (code === 'check' && n > 0) return t('result-lost', { n });
  return t(`result-${code}`, { n, set: String(n) });
}

export function hasLosses({ state, progress, hasWarnings }: JobState): boolean {
  return state === 'done' && (progress.failures > 0 || hasWarnings);
}

type ReadingKind = 'restore' | 'preview' | 'archive' | 'download';

const DONE: Readonly<Record<ReadingKind, readonly [whole: TextKey, lossy: TextKey]>> = {
  restore: ['restoreDone', 'restoreDoneLosses'],
  preview: ['restoreWould', 'restoreWould'],
  archive: ['archiveDone', 'archiveLacks'],
  download: ['archiveDone', 'archiveLacks'],
};
const RUNNING: Readonly<Record<ReadingKind, TextKey>> = {
  restore: 'restoreRunning',
  preview: 'restorePreviewing',
  archive: 'archiveRunning',
  download: 'archiveRunning',
};

/** True if a job only reads the store; false for an act. */
function isReading(kind: JobState['kind']): kind is ReadingKind {
  return Object.hasOwn(DONE, kind);
}

/** Returns the state of a job in words. */
export function headingOf(job: JobState): string {
  const { kind, state } = job;
  if (!isReading(kind)) {
    if (state === 'running') return t(isMounted(job) ? 'mounted' : 'actRunning');
    if (state === 'stopped') return t('actStopped');
    if (state === 'failed') return t('actFailed');
    return t(hasLosses(job) ? 'actWarned' : 'actDone');
  }
  const isRestore = kind === 'restore' || kind === 'preview';
  if (state === 'running') return t(RUNNING[kind]);
  if (state === 'stopped') return t(isRestore ? 'restoreStopped' : 'archiveStopped');
  if (state === 'failed') return t(isRestore ? 'restoreFailed' : 'archiveFailed');
  const { files, directories, links } = job.progress;
  const isNothing = kind === 'restore' && files + directories + links === 0;
  if (isNothing && hasLosses(job)) return t('restoreNothing');
  return t(DONE[kind][hasLosses(job) ? 1 : 0]);
}

function countsOf({ kind, state, progress }: JobState): string[] {
  if (!isReading(kind)) return [];
  const { files, directories, links, bytes, unchanged, kept, failures } = progress;
  const counts: string[] = [];
  const add = (key: TextKey, n: number): void => {
    if (n > 0) counts.push(t(key, { n }));
  };
  add('countFiles', files);
  add('countDirectories', directories);
  add('countLinks', links);
  if (bytes > 0) {
    counts.push(
      t(kind === 'preview' ? 'countBytes' : 'countWritten', { bytes: shownBytes(bytes, LOCALE) }),
    );
  }
  add('countUnchanged', unchanged);
  add('countKept', kept);
  add('countFailures', failures);
  return counts.length > 0 || state !== 'done' ? counts : [t('countNothing')];
}
