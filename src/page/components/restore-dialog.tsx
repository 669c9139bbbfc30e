/**
 * Lets the user choose target and options, previews, restores on this machine, and shows progress and result. A restore
 * goes on without the dialog, in the strip of jobs.
 */
import { useState } from 'preact/hooks';
import { api, type JobState, type RestoreBody } from '../api.js';
import { type JobList, useAttempt } from '../hooks.js';
import { t } from '../language.js';
import { parentOf, pathFromText, textOf } from '../logic/paths.js';
import type { TextKey } from '../logic/texts.js';
import { Dialog } from './dialog.js';
import { Check, Select } from './fields.js';
import { JobOutcome } from './job-outcome.js';
import { PathName } from './name.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

interface RestoreProps {
  readonly client: string;
  readonly set: number;
  readonly time: string;
  readonly paths: readonly string[];
  readonly jobs: JobList;
  readonly onClose: () => void;
}

const POLICIES: readonly (readonly [policy: RestoreBody['overwrite'], text: TextKey])[] = [
  ['refuse', 'policyRefuse'],
  ['never', 'policyNever'],
  ['newer', 'policyNewer'],
  ['older', 'policyOlder'],
  ['always', 'policyAlways'],
];

const SHOWN_PATHS = 5;

export function RestoreDialog({ client, set, time, paths, jobs, onClose }: RestoreProps) {
  const [isInPlace, setInPlace] = useState(true);
  const [output, setOutput] = useState('');
  const [overwrite, setOverwrite] = useState<RestoreBody['overwrite']>('refuse');
  const [comparesContents, setComparesContents] = useState(false);
  const { job, error, start, stop } = useRestore(jobs);
  const isRunning = job?.state === 'running';
  const isDone = job?.state === 'done' && job.kind === 'restore';
  const beside = isInPlace ? besideOf(paths, time) : undefined;
  const bodyFor = (isPreview: boolean): RestoreBody => ({
    client,
    set,
    paths: [...paths],
    ...(isInPlace ? {} : { output: textOf(pathFromText(output)) }),
    overwrite,
    comparesContents,
    isPreview,
  });
  const mayStart = !isRunning && (isInPlace || output.startsWith('/'));
  return (
    <Dialog title={t('restoreTitle')} onClose={onClose}>
      <p class="faint">{t('restoreFrom', { time })}</p>
      <Paths paths={paths} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (mayStart) start(bodyFor(false));
        }}
      >
        <Where {...{ isInPlace, setInPlace, output, setOutput, isRunning }} />
        <label class="field">
          {t('restorePolicy')}
          <Select
            value={overwrite}
            options={POLICIES.map(([policy, text]) => [policy, t(text)])}
            isDisabled={isRunning}
            onChoose={setOverwrite}
          />
        </label>
        <Check
          label={t('compareContents')}
          isOn={comparesContents}
          isDisabled={isRunning}
          onChange={setComparesContents}
        />
        <Notice error={error} />
        <Refused {...{ job, beside }} onChoose={(how) => start({ ...bodyFor(false), ...how })} />
        <div aria-live="polite">{job === undefined ? null : <JobOutcome job={job} />}</div>
        <div class="flow actions end">
          <Button
            disabled={!isRunning && !mayStart}
            onClick={() => (isRunning ? stop() : start(bodyFor(true)))}
          >
            {t(isRunning ? 'restoreStop' : 'restorePreview')}
          </Button>
          <button type="submit" class={isDone ? '' : 'primary'} disabled={!mayStart}>
            {t('restoreStart')}
          </button>
          {isDone ? (
            <Button class="primary" onClick={onClose}>
              {t('done')}
            </Button>
          ) : null}
        </div>
      </form>
    </Dialog>
  );
}

interface RefusedProps {
  readonly job: JobState | undefined;
  readonly beside: string | undefined;
  readonly onChoose: (how: Partial<RestoreBody>) => void;
}

/** Offers what can be done if other versions of the files exist. */
function Refused({ job, beside, onChoose }: RefusedProps) {
  const isRefused = job?.failures.some(({ code }) => code === 'TARGET_EXISTS') === true;
  if (!isRefused || job.kind === 'preview') return null;
  return (
    <div class="flow actions">
      <Button onClick={() => onChoose({ overwrite: 'always' })}>{t('restoreReplace')}</Button>
      {beside === undefined ? null : (
        <Button onClick={() => onChoose({ output: beside })}>{t('restoreKeepBoth')}</Button>
      )}
    </div>
  );
}

/**
 * Returns a directory beside the paths, for their versions of a time. Undefined if they are in several directories, or in
 * one whose name is no text.
 */
function besideOf(paths: readonly string[], time: string): string | undefined {
  const [parent = '/', ...others] = new Set(paths.map(parentOf));
  const text = textOf(parent);
  if (others.length > 0 || pathFromText(text) !== parent) return undefined;
  return `${text}/${t('restoreBeside', { time: time.replaceAll(/[/:]/g, '.') })}`;
}

function Paths({ paths }: Pick<RestoreProps, 'paths'>) {
  return (
    <ul class="restore-paths" aria-label={t('restorePaths', { n: paths.length })}>
      {paths.slice(0, SHOWN_PATHS).map((path) => (
        <li key={path}>
          <PathName path={path} />
        </li>
      ))}
      {paths.length > SHOWN_PATHS ? (
        <li class="faint">{t('moreFailures', { n: paths.length - SHOWN_PATHS })}</li>
      ) : null}
    </ul>
  );
}

interface WhereProps {
  readonly isInPlace: boolean;
  readonly setInPlace: (is: boolean) => void;
  readonly output: string;
  readonly setOutput: (output: string) => void;
  readonly isRunning: boolean;
}

function Where({ isInPlace, setInPlace, output, setOutput, isRunning }: WhereProps) {
  return (
    <fieldset disabled={isRunning}>
      <legend>{t('restoreWhere')}</legend>
      <label class="row check">
        <input type="radio" name="where" checked={isInPlace} onChange={() => setInPlace(true)} />
        {t('restoreInPlace')}
      </label>
      <label class="row check">
        <input type="radio" name="where" checked={!isInPlace} onChange={() => setInPlace(false)} />
        {t('restoreInto')}
      </label>
      {isInPlace ? null : (
        <label class="field">
          {t('restoreOutput')}
          <input
            type="text"
            value={output}
            aria-describedby="output-hint"
            spellcheck={false}
            autocomplete="off"
            onInput={({ currentTarget }) => setOutput(currentTarget.value)}
          />
          <span id="output-hint" class={/^[^/]/.test(output) ? 'wrong' : 'faint'}>
            {t('restoreOutputHint')}
          </span>
        </label>
      )}
    </fieldset>
  );
}

/** Follows the job that the dialog began, and begins and stops it. */
function useRestore(jobs: JobList) {
  const [begun, setBegun] = useState<JobState>();
  const [error, attempt] = useAttempt();
  const job = jobs.value?.find(({ id }) => id === begun?.id) ?? begun;
  const start = (body: RestoreBody): void => {
    setBegun(undefined);
    void attempt(api.restore(body), (state) => {
      setBegun(state);
      jobs.again();
    });
  };
  const stop = (): void => {
    if (job !== undefined) void attempt(api.endJob(job.id), jobs.again);
  };
  return { job, error, start, stop };
}
