/** Lets the user choose target and options, previews, restores on this machine, and shows progress and result. */
import { useEffect, useState } from 'preact/hooks';
import { api, type ApiError, type RestoreState, type RestoreBody } from '../api.js';
import { asApiError } from '../hooks.js';
import { t } from '../language.js';
import { pathFromText, textOf } from '../logic/paths.js';
import { shownBytes, shownName } from '../logic/shown.js';
import { Dialog } from './dialog.js';
import { DoubtTexts } from './doubts.js';
import { PathName } from './name.js';
import { Notice } from './notice.js';

interface RestoreProps {
  readonly client: string;
  readonly set: number;
  readonly time: string;
  readonly paths: readonly string[];
  readonly onClose: () => void;
}

const POLICIES = ['refuse', 'never', 'newer', 'older', 'always'] as const;
type Policy = (typeof POLICIES)[number];
const POLICY_TEXTS = {
  refuse: 'policyRefuse',
  never: 'policyNever',
  newer: 'policyNewer',
  older: 'policyOlder',
  always: 'policyAlways',
} as const;

const POLL_MS = 250;
const SHOWN_PATHS = 5;

export function RestoreDialog({ client, set, time, paths, onClose }: RestoreProps) {
  const [isInPlace, setInPlace] = useState(true);
  const [output, setOutput] = useState('');
  const [overwrite, setOverwrite] = useState<Policy>('refuse');
  const [comparesContents, setComparesContents] = useState(false);
  const { state, error, start, stop } = useRestore();
  const isRunning = state?.state === 'running';
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
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (mayStart) start(bodyFor(false));
        }}
      >
        <Where {...{ isInPlace, setInPlace, output, setOutput, isRunning }} />
        <Policies {...{ overwrite, setOverwrite, isRunning }} />
        <label class="check">
          <input
            type="checkbox"
            checked={comparesContents}
            disabled={isRunning}
            onChange={({ currentTarget }) => setComparesContents(currentTarget.checked)}
          />
          {t('compareContents')}
        </label>
        {error === undefined ? null : <Notice error={error} />}
        <div aria-live="polite">{state === undefined ? null : <Outcome state={state} />}</div>
        <div class="actions end">
          {isRunning ? (
            <button type="button" onClick={stop}>
              {t('restoreStop')}
            </button>
          ) : (
            <button type="button" disabled={!mayStart} onClick={() => start(bodyFor(true))}>
              {t('restorePreview')}
            </button>
          )}
          <button type="submit" class="primary" disabled={!mayStart}>
            {t('restoreStart')}
          </button>
        </div>
      </form>
    </Dialog>
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
      <label class="check">
        <input type="radio" name="where" checked={isInPlace} onChange={() => setInPlace(true)} />
        {t('restoreInPlace')}
      </label>
      <label class="check">
        <input type="radio" name="where" checked={!isInPlace} onChange={() => setInPlace(false)} />
        {t('restoreInto')}
      </label>
      {isInPlace ? null : (
        <label class="field">
          {t('restoreOutput')}
          <input
            type="text"
            value={output}
            placeholder={t('restoreOutputHint')}
            spellcheck={false}
            autocomplete="off"
            onInput={({ currentTarget }) => setOutput(currentTarget.value)}
          />
        </label>
      )}
    </fieldset>
  );
}

interface PoliciesProps {
  readonly overwrite: Policy;
  readonly setOverwrite: (policy: Policy) => void;
  readonly isRunning: boolean;
}

function Policies({ overwrite, setOverwrite, isRunning }: PoliciesProps) {
  return (
    <label class="field">
      {t('restorePolicy')}
      <select
        value={overwrite}
        disabled={isRunning}
        onChange={({ currentTarget }) =>
          setOverwrite(POLICIES.find((one) => one === currentTarget.value) ?? 'refuse')
        }
      >
        {POLICIES.map((policy) => (
          <option key={policy} value={policy}>
            {t(POLICY_TEXTS[policy])}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Returns the state of a restore, and functions that start and stop it. Requests the state regularly while it runs. */
function useRestore() {
  const [state, setState] = useState<RestoreState>();
  const [error, setError] = useState<ApiError>();
  const id = state?.state === 'running' ? state.id : undefined;
  useEffect(() => {
    if (id === undefined) return undefined;
    const controller = new AbortController();
    const timer = setInterval(() => {
      api.restoreState(id, controller.signal).then(setState, (problem: unknown) => {
        if (!controller.signal.aborted) setError(asApiError(problem));
      });
    }, POLL_MS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [id]);
  const fail = (problem: unknown): void => setError(asApiError(problem));
  const start = (body: RestoreBody): void => {
    setError(undefined);
    setState(undefined);
    api.restore(body).then(setState, fail);
  };
  const stop = (): void => {
    if (id !== undefined) api.stopRestore(id).then(setState, fail);
  };
  return { state, error, start, stop };
}

function Outcome({ state }: { readonly state: RestoreState }) {
  const { progress, failures, isPreview, error, losses, doubts } = state;
  const counts = [
    t('countFiles', { n: progress.files }),
    t('countDirectories', { n: progress.directories }),
    t('countLinks', { n: progress.links }),
    t('countBytes', { bytes: shownBytes(progress.bytes) }),
  ];
  if (progress.unchanged > 0) counts.push(t('countUnchanged', { n: progress.unchanged }));
  if (progress.kept > 0) counts.push(t('countKept', { n: progress.kept }));
  if (progress.failures > 0) counts.push(t('countFailures', { n: progress.failures }));
  return (
    <div class={`outcome outcome-${state.state}`} data-state={state.state} data-preview={isPreview}>
      <strong>{headingOf(state)}</strong>
      {state.state === 'running' ? <progress aria-label={headingOf(state)} /> : null}
      <ul>
        {counts.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
      {error === undefined ? null : (
        <p>
          {shownName(error.message)} [{error.code}]
        </p>
      )}
      <DoubtTexts doubts={doubts} />
      {losses.length === 0 ? null : <p>{losses.join(', ')}</p>}
      {failures.length === 0 ? null : (
        <ul class="failures" tabIndex={0}>
          {failures.map(({ path, message, code }, index) => (
            <li key={index}>
              <bdi>{shownName(path)}</bdi>: {shownName(message)} [{code}]
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function headingOf({ state, isPreview, progress }: RestoreState): string {
  if (state === 'running') return t(isPreview ? 'restorePreviewing' : 'restoreRunning');
  if (state === 'stopped') return t('restoreStopped');
  if (state === 'failed') return t('restoreFailed');
  if (isPreview) return t('restoreWould');
  return t(progress.failures > 0 ? 'restoreDoneLosses' : 'restoreDone');
}
