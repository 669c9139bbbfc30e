/** Implements `regenerate`: restores files and trees, or writes them to a stream. */
import { parseDate } from '../config/index.js';
import { asTardisError, TardisError, usageError } from '../errors/index.js';
import { type BackupSet, contentsAsFiles, type History, provenHistory } from '../history/index.js';
import { displayName, EntryType, type SetNumber, shownRoot } from '../model/index.js';
import {
  DeviceTarget,
  FoldedNames,
  newRestoreProgress,
  type PathFilter,
  pathFilter,
  requireDistinctNames,
  type RestoreFailure,
  type RestoreProgress,
  runRestore,
} from '../restore/index.js';
import { absolutePath, byteText, nodeSystem, type System } from '../system/index.js';
import { type JobRunner, openRestoreJobs } from '../workers/index.js';
import { chooseSet, openHistory, usesServer } from './opening/history.js';
import { noteRestore } from './opening/run-note.js';
import { noteDamage } from './opening/local-store.js';
import { ProgressLine } from './output/progress-line.js';
import {
  archiveOf,
  checkUsage,
  inPlaceSettings,
  mayBeContent,
  policyOf,
  type RegenerateSettings,
  shownTarget,
  writesToStdout,
} from './regenerate/options.js';
import { printResult } from './regenerate/report.js';
import { RestoreLine } from './regenerate/restore-line.js';
import { besides, type ChosenPaths, newestVersions, wholeSets } from './regenerate/chosen-sets.js';
import { setText } from './shared/report-sets.js';
import { interruptSignal } from './shared/signals.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { PARTLY } from './output/exit-status.js';
import { stdoutIsData } from './output/output.js';
import { complain, messageLine } from './output/command-names.js';

/** Paths that are restored from one set. */
interface Batch {
  readonly history: History;
  readonly set: SetNumber;
  readonly paths: readonly Buffer[];
  readonly filter?: PathFilter | undefined;
}

/** The state that all batches share. */
interface Run {
  readonly system: System;
  readonly options: RegenerateSettings;
  readonly filter: PathFilter | undefined;
  readonly progress: RestoreProgress;
  readonly line: ProgressLine;
  readonly signal: AbortSignal;
  isResumed: boolean;
  readonly foldedNames: FoldedNames;
  /** Attributes that the target does not keep, as in `RestoreResult`. */
  losses: readonly string[];
}

/** The selection to restore, and its warnings. */
interface Chosen {
  readonly batches: Batch[];
  readonly isDoubtful: boolean;
  /** The sets; none for contents that are named by their digests. */
  readonly sets: readonly BackupSet[];
  /** The set, if it is restored as a whole. */
  readonly total?: BackupSet | undefined;
}

async function restore(given: RegenerateSettings): Promise<number> {
  checkUsage(given);
  let options = inPlaceSettings(given);
  const startMs = performance.now();
  if (mayBeContent(options) || writesToStdout(options)) stdoutIsData();
  const system = nodeSystem();
  const filter = pathFilter(options.include, options.leaveOut);
  const progress = newRestoreProgress();
  const shown = new RestoreLine(progress);
  const line = new ProgressLine(options.progress, () => shown.text());
  const warn = (text: string): void => {
    if (!options.json) line.interject(messageLine('regenerate', text));
  };
  const opening = openHistory(system, options, { warn, comparesAll: true });
  const history = await opening.catch((error: unknown) => throwNamingDate(error, options));
  let run: Run = {
    system,
    options,
    filter,
    progress,
    line,
    signal: interruptSignal('regenerate', afterInterrupt(options)),
    isResumed: false,
    foldedNames: new FoldedNames(options.last),
    losses: [],
  };
  let chosen: Chosen;
  let failures: RestoreFailure[];
  try {
    if (options.allowUnproven) history.acceptUnproven?.();
    const proven = options.authenticate ? provenHistory(history) : history;
    chosen = await chooseBatches(proven, run);
    options = await withContent(options, chosen.batches);
    run = { ...run, options };
    shown.expect(chosen.total);
    line.start();
    failures = await runBatches(chosen.batches, run);
    progress.fetchedBytes = history.fetchedBytes;
    const server = usesServer(options) ? options.server : undefined;
    if (!options.dryRun) await noteRestore({ ...options, server }, history, { progress, failures });
  } finally {
    line.stop();
    history.close(); // An open reader would block the marking of damage, so it is closed first.
  }
  const report = {
    batches: chosen.batches.map(({ set }) => set),
    sets: chosen.sets,
    target: shownTarget(options),
    from: chosen.sets.map(setText),
    dryRun: options.dryRun,
    resumed: run.isResumed,
    losses: run.losses,
    elapsedMs: performance.now() - startMs,
    doubts: history.doubts,
  };
  const isSilent = failures.length === 0 && report.doubts.length === 0;
  const isQuiet = options.toStdout && !options.json && isSilent && !process.stderr.isTTY;
  if (!isQuiet) printResult(report, progress, failures, options.json);
  if (!options.dryRun) {
    const isRemote = usesServer(options);
    const printLine = (text: string): void => {
      complain('regenerate', text);
    };
    await noteDamage(system, options, failures, { history, isRemote, warn: printLine });
  }
  const isUnproven =
    history.hasUnproven === true || (options.allowUnproven && history.doubts.length > 0);
  return statusOf(progress, failures, chosen.isDoubtful || isUnproven);
}

/**
 * Throws the error. If the value of -D is a date, adds a hint, since -D was the option for the date in older versions
 * of Tardis.
 */
async function throwNamingDate(
  error: unknown,
  { database, sources }: RegenerateSettings,
): Promise<never> {
  const given = byteText(database);
  const isGiven = sources.get('database')?.source === 'command line' && !given.startsWith('/');
  if (!isGiven || asTardisError(error).code !== 'NO_SUCH_STORE') throw error;
  const isDate = await parseDate(given, Date.now()).then(
    () => true,
    () => false,
  );
  if (!isDate) throw error;
  const hint = `-D is the store: to give a date, use -d "${displayName(database)}"`;
  throw new TardisError('NO_SUCH_STORE', `${asTardisError(error).message}; ${hint}`);
}

/** Returns the options, with standard output as the output if it takes the content of the one file that is requested. */
async function withContent(
  options: RegenerateSettings,
  [batch]: readonly Batch[],
): Promise<RegenerateSettings> {
  const [path, ...others] = options.paths.length === 1 ? (batch?.paths ?? []) : [];
  if (!mayBeContent(options) || path === undefined || others.length > 0) return options;
  const entry = await batch!.history.find(path, batch!.set);
  return entry?.type === EntryType.file ? { ...options, toStdout: true } : options;
}

/** Returns a phrase about what becomes of an interrupted restore. */
function afterInterrupt(options: RegenerateSettings): string {
  const isStream = options.toStdout || archiveOf(options) !== undefined;
  if (options.toDevice !== undefined) return 'the device will have only a part of the content';
  return isStream ? 'the output will be incomplete' : 'the same command continues it';
}

function statusOf(
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  isDoubtful: boolean,
): number {
  if (failures.length === 0) return isDoubtful ? PARTLY : 0;
  const allTaken = failures.every(({ error }) => error.code === 'TARGET_EXISTS');
  const { files, directories, links, unchanged, kept } = progress;
  if (allTaken && files + directories + links + unchanged + kept === 0) {
    throw new TardisError('TARGET_EXISTS', 'nothing was restored: different files exist already');
  }
  return PARTLY;
}

// --- selection -------------------------------------------------------------------------------------

async function chooseBatches(
  history: History,
  { options, line, system, filter }: Run,
): Promise<Chosen> {
  const nowMs = system.clock.nowMs();
  const { paths: given } = options;
  if (options.byChecksum) {
    const digests = given.map((digest) => digest.toString('latin1'));
    const { history: contents, names } = await contentsAsFiles(history, digests, nowMs);
    const paths = names.map((name) => Buffer.from(name));
    return { batches: [{ history: contents, set: 0, paths }], isDoubtful: false, sets: [] };
  }
  const chosen = await choosePaths(history, given.map(absolutePath), { options, line, nowMs });
  const sets = [...chosen.keys()];
  for (const set of sets) {
    if (options.authenticate) requireSound(set);
    warnAbout(set, line);
  }
  const filterFor = (set: BackupSet): PathFilter | undefined =>
    options.all && sets.length > 1
      ? besides(
          filter,
          sets.flatMap((one) => (one === set ? [] : chosen.get(one)!)),
        )
      : filter;
  return {
    batches: [...chosen].map(([set, paths]) => {
      return { history, set: set.set, paths, filter: filterFor(set) };
    }),
    isDoubtful: sets.some(({ isDoubtful }) => isDoubtful),
    sets,
    total: filter === undefined ? await wholeSet(history, chosen, line) : undefined,
  };
}

async function choosePaths(
  history: History,
  requested: readonly Buffer[],
  { options, line, nowMs }: Pick<Run, 'options' | 'line'> & { readonly nowMs: number },
): Promise<ChosenPaths> {
  if (options.last && !options.all) {
    if (!options.hierarchy) requireDistinctNames(requested);
    return newestVersions(history, requested);
  }
  const set = await chooseSet(history, options, nowMs);
  if (!options.all) return new Map([[set, [...requested]]]);
  return wholeSets(history, set, options, (text) =>
    line.interject(messageLine('regenerate', text)),
  );
}

/** Returns the set, if exactly one set is restored as a whole and progress is shown. */
async function wholeSet(
  history: History,
  chosen: ChosenPaths,
  line: ProgressLine,
): Promise<BackupSet | undefined> {
  const [only, ...others] = chosen;
  if (only === undefined || others.length > 0 || !line.isShown) return undefined;
  const [set, paths] = only;
  const roots = await history.roots(set.set);
  const isWhole = roots.every((root) => paths.some((one) => one.equals(shownRoot(root.path))));
  return isWhole ? set : undefined;
}

/** Throws NOT_PROVEN if the set may lack entries. */
function requireSound({ set, isDoubtful }: BackupSet): void {
  if (!isDoubtful) return;
  throw new TardisError('NOT_PROVEN', `set ${set} may lack entries that were lost to damage`);
}

function warnAbout(set: BackupSet, line: ProgressLine): void {
  const warn = (what: string): void =>
    line.interject(messageLine('regenerate', `set ${set.set} ${what}`));
  if (set.state !== 'complete') warn('is unfinished; restoring what it contains');
  if (set.isDoubtful) warn('may lack entries that were lost to damage');
}

// --- restoring -------------------------------------------------------------------------------------

async function runBatches(batches: readonly Batch[], run: Run): Promise<RestoreFailure[]> {
  const { options, system, progress, signal } = run;
  const [first] = batches;
  const { toDevice } = options;
  if (options.toStdout || toDevice !== undefined) {
    const { stdoutTarget, writeContent } = await import('./regenerate/streams.js');
    const { history, set, paths } = first!;
    const target = (sizeBytes: number) =>
      toDevice === undefined ? stdoutTarget() : DeviceTarget.open(system, toDevice, sizeBytes);
    return writeContent(system, { history, progress, signal }, { set, path: paths[0]! }, target);
  }
  const archive = archiveOf(options);
  if (archive !== undefined) {
    if (batches.length > 1) {
      throw usageError('the newest versions are in several sets: write one archive for each');
    }
    const { isZip } = archive;
    const output = {
      file: byteText(archive.file),
      isZip,
      mayReplace: options.overwrite === 'always',
    };
    const { hardLinks, numericIds } = options;
    const request = { ...selectionOf(first!, run), hardLinks, numericIds };
    const means = { history: first!.history, progress, signal };
    const { writeArchiveTo } = await import('./regenerate/streams.js');
    return writeArchiveTo(system, means, request, output);
  }
  await using jobs = await openRestoreJobs(run.system, options.workers);
  const failures: RestoreFailure[] = [];
  for (const batch of batches) failures.push(...(await restoreBatch(batch, jobs, run)));
  return failures;
}

function selectionOf({ set, paths, filter }: Batch, { options }: Run) {
  return {
    set,
    paths,
    hierarchy: options.hierarchy || options.all,
    recurse: options.recurse,
    filter,
    policy: policyOf(options),
  };
}

async function restoreBatch(batch: Batch, jobs: JobRunner, run: Run): Promise<RestoreFailure[]> {
  const { options, system, progress, line, signal, foldedNames } = run;
  const { output, hardLinks, dryRun, workers, numericIds } = options;
  const how = { output, workers, hardLinks, dryRun, numericIds, foldedNames };
  const request = { ...selectionOf(batch, run), ...how };
  const { failures, resume, losses } = await runRestore(
    system,
    { history: batch.history, jobs, progress, signal },
    request,
  );
  run.losses = losses;
  if (resume !== undefined) {
    run.isResumed = true;
    const isOther = !resume.isSameSet && resume.set !== undefined;
    const other = isOther ? `, with set ${resume.set} instead of set ${batch.set}` : '';
    const how = resume.isBrokenOff ? 'was interrupted' : 'ended with failures';
    line.interject(messageLine('regenerate', `continued a restore that ${how}${other}`));
  }
  return failures;
}

const command = toolCommand({ tool: 'regenerate', isWork: true, run: restore });
export default runTool(command);
