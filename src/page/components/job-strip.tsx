/** Shows the jobs at the bottom of the page: those that run, and those whose results were not dismissed. */
import { useState } from 'preact/hooks';
import { api, type BackupSet, type Client, type JobState } from '../api.js';
import { type JobList, useAttempt } from '../hooks.js';
import { labelled, LOCALE, t } from '../language.js';
import { causeText } from './clients.js';
import { nameOf, pathOf } from '../logic/paths.js';
import { isMounted, shownBytes, shownClient, shownEntryName, shownName } from '../logic/formats.js';
import { ActButton } from './acts.js';
import { Dialog } from './dialog.js';
import { hasLosses, headingOf, JobOutcome, JobProgress, resultText } from './job-outcome.js';
import { errorText, Notice } from './notice.js';
import { Words } from './words.js';
import { Button } from './button.js';

interface StripProps {
  /** The client that is shown. */
  readonly client: string;
  readonly jobs: JobList;
  readonly sets: readonly BackupSet[];
  /** The client that is open; undefined until its state is known. */
  readonly own: Client | undefined;
  readonly timeOf: (set: number) => string;
}

export function JobStrip({ client, jobs, sets, own, timeOf }: StripProps) {
  const [shownId, setShownId] = useState<string>();
  const [error, attempt] = useAttempt();
  // A preview belongs to the dialog that began it.
  const listed = (jobs.value ?? []).filter(({ kind }) => kind !== 'preview');
  const shown = listed.find(({ id }) => id === shownId);
  const isOwn = listed.some(
    ({ kind, state, client: one }) => kind === 'backup' && state === 'running' && one === client,
  );
  const timeIn = ({ client: one, set }: JobState): string | undefined => {
    if (set === undefined) return undefined;
    return one === client ? timeOf(set) : t('setNumber', { set: String(set) });
  };
  const isBackup = own?.state === 'running' && !isOwn;
  if (listed.length === 0 && !isBackup) return null;
  return (
    <section class="jobs" aria-label={t('jobs')}>
      <Notice error={error} />
      <ul>
        {isBackup ? <RunningBackup reason={causeText(own)} set={sets[0]} /> : null}
        {listed.map((job) => (
          <JobItem
            key={job.id}
            job={job}
            of={job.client === client ? undefined : shownClient(job.client)}
            time={timeIn(job)}
            onShow={() => setShownId(job.id)}
            onEnd={() => void attempt(api.endJob(job.id), jobs.again)}
            onUndo={() => void attempt(api.undoJob(job.id), jobs.again)}
          />
        ))}
      </ul>
      {shown === undefined ? null : (
        <Dialog title={titleOf(shown)} onClose={() => setShownId(undefined)}>
          {shown.set === undefined ? null : (
            <p class="faint">{t('restoreFrom', { time: timeIn(shown) ?? '' })}</p>
          )}
          <JobOutcome job={shown} />
        </Dialog>
      )}
    </section>
  );
}

/** Shows a backup that another program makes. */
function RunningBackup({
  reason,
  set,
}: {
  readonly reason: string;
  readonly set?: BackupSet | undefined;
}) {
  const sentBytes = set?.state === 'complete' ? undefined : set?.changed.sentBytes;
  return (
    <li data-kind="backup">
      <strong>{reason}</strong>
      <progress aria-label={reason} />
      {sentBytes === undefined ? null : (
        <span class="faint">{t('sentBytes', { bytes: shownBytes(sentBytes, LOCALE) })}</span>
      )}
    </li>
  );
}

/** Body of the request for a check that repairs what it can, and reads all data. */
const REPAIR = { readsAll: true, repairs: true };

interface ItemProps {
  readonly job: JobState;
  /** The client, if it is not the one that is shown. */
  readonly of: string | undefined;
  /** Time of the set that is read; undefined for an act. */
  readonly time: string | undefined;
  readonly onShow: () => void;
  readonly onEnd: () => void;
  readonly onUndo: () => void;
}

function JobItem({ job, of, time, onShow, onEnd, onUndo }: ItemProps) {
  const { state } = job;
  const isRunning = state === 'running';
  const isLasting = isMounted(job);
  const title = titleOf(job);
  const isGood = state === 'done' || isLasting;
  const kind = hasLosses(job) || state === 'failed' ? 'mark-bad' : isGood ? 'mark-good' : '';
  const end = t(
    job.kind === 'mount' && isRunning ? 'unmount' : isRunning ? 'restoreStop' : 'jobDismiss',
  );
  return (
    <li class="row flow" data-state={state} data-kind={job.kind}>
      <strong>{title}</strong>
      {of === undefined ? null : <bdi class="mark">{of}</bdi>}
      {time === undefined ? null : <span class="faint">{t('restoreFrom', { time })}</span>}
      {isRunning && !isLasting ? (
        <JobProgress job={job} />
      ) : (
        <span class={`mark ${kind}`} role="status">
          {headingOf(job)}
        </span>
      )}
      {isRunning || job.command === undefined ? null : (
        <span class="faint cut">
          <Words text={job.error === undefined ? resultText(job) : errorText(job.error)} />
        </span>
      )}
      <span class="space" />
      {job.kind === 'check' && of === undefined && hasLosses(job) ? (
        <ActButton kind="checks" label={t('actRepair')} title={t('actRepair')} body={REPAIR}>
          <p>{t('actRepairText')}</p>
        </ActButton>
      ) : null}
      {job.canUndo ? (
        <Button aria-label={labelled(t('jobUndo'), title)} onClick={onUndo}>
          {t('jobUndo')}
        </Button>
      ) : null}
      <Button aria-label={labelled(t('jobDetails'), title)} onClick={onShow}>
        {t('jobDetails')}
      </Button>
      <Button aria-label={labelled(end, title)} onClick={onEnd}>
        {end}
      </Button>
    </li>
  );
}

const TITLES = {
  restore: 'jobRestore',
  preview: 'jobRestore',
  archive: 'jobArchive',
  download: 'jobDownload',
  backup: 'jobBackup',
  check: 'jobCheck',
  lock: 'jobLock',
  tag: 'jobTag',
  delete: 'jobDelete',
  forget: 'jobForget',
  withdraw: 'jobWithdraw',
  purge: 'jobPurge',
  mount: 'jobMount',
  setup: 'jobSetup',
  'test-report': 'jobTestReport',
} as const;

/** Returns the subject of a job, such as `Restore: letter.txt, plan.txt and 3 more → /tmp/out`. */
function titleOf({ kind, paths, pathCount, output }: JobState): string {
  const names = paths.map(({ path, pathBytes }) => shownEntryName(nameOf(pathOf(path, pathBytes))));
  const more = pathCount > names.length ? [t('moreFailures', { n: pathCount - names.length })] : [];
  const of = [...names, ...more].join(', ');
  const what = of === '' ? t(TITLES[kind]) : labelled(t(TITLES[kind]), of);
  return output === undefined ? what : `${what} → ${shownName(output)}`;
}
