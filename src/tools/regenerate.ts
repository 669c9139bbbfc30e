/** `regenerate`: restores files and trees, or writes them to a stream. */
import { type Archive, type BackupSet, contentsAsFiles, provenArchive } from '../archive/index.js';
import {
  newRestoreProgress,
  type PathFilter,
  pathFilter,
  type RestoreFailure,
  type RestoreProgress,
  runRestore,
} from '../restore/index.js';
import type { Found } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { absolutePath, byteText, nodeSystem, type System } from '../system/index.js';
import { type JobRunner, openJobs } from '../workers/index.js';
import { chooseSet } from './choose-set.js';
import { ProgressLine } from './progress-line.js';
import { checkUsage, isStdout, policyOf, type RegenerateSettings } from './regenerate-options.js';
import { noteDamage, tellResult } from './regenerate-report.js';
import { asksServer, openArchive } from './open-archive.js';
import { interruptSignal, runTool, stdoutIsData, toolCommand } from './run-tool.js';
import { ShownRestore } from './shown-restore.js';

const RECENT_DIGESTS = 8; // restoring sends nothing

/** Paths that are restored from one set. */
interface Batch {
  readonly archive: Archive;
  readonly set: number;
  readonly paths: readonly Buffer[];
}

/** What is the same for all batches. */
interface Run {
  readonly system: System;
  readonly options: RegenerateSettings;
  readonly filter: PathFilter | undefined;
  readonly progress: RestoreProgress;
  readonly line: ProgressLine;
  readonly signal: AbortSignal;
  isResumed: boolean;
}

/** What is to be restored, and what is to be known of it. */
interface Chosen {
  readonly batches: Batch[];
  readonly isDoubtful: boolean;
  /** Sets whose backup was broken off. */
  readonly unfinished: readonly number[];
  /** The set that is restored as a whole. */
  readonly total?: BackupSet | undefined;
}

async function restore(
  options: RegenerateSettings,
  found: ReadonlyMap<string, Found>,
): Promise<number> {
  checkUsage(options, found);
  const startMs = performance.now();
  if (options.toStdout || isStdout(options.tar)) stdoutIsData();
  const system = nodeSystem();
  const filter = pathFilter(options.include, options.leaveOut);
  const progress = newRestoreProgress();
  const shown = new ShownRestore(progress);
  const line = new ProgressLine(options.progress, () => shown.text());
  const archive = await openArchive(system, options, found, (text) => {
    if (!options.json) line.interject(`regenerate: ${text}`);
  });
  const run: Run = {
    system,
    options,
    filter,
    progress,
    line,
    signal: interruptSignal('regenerate', afterInterrupt(options)),
    isResumed: false,
  };
  let chosen: Chosen;
  let failures: RestoreFailure[];
  try {
    const proven = options.authenticate ? provenArchive(archive) : archive;
    chosen = await chooseBatches(proven, run);
    shown.expect(chosen.total);
    line.start();
    failures = await runBatches(chosen.batches, run);
    progress.fetchedBytes = archive.fetchedBytes;
  } finally {
    line.stop();
    archive.close(); // before anything is noted in the store: a reader would be in the way
  }
  const report = {
    sets: chosen.batches.map(({ set }) => set),
    unfinished: chosen.unfinished,
    dryRun: options.dryRun,
    resumed: run.isResumed,
    elapsedMs: performance.now() - startMs,
    doubts: archive.doubts,
  };
  const isSilent = failures.length === 0 && report.doubts.length === 0;
  const isQuiet = options.toStdout && !options.json && isSilent;
  if (!isQuiet) tellResult(report, progress, failures, options.json);
  if (!options.dryRun) await noteDamage(system, options, failures, asksServer(found));
  return statusOf(progress, failures, chosen.isDoubtful);
}

/** What becomes of a restore that is broken off. */
function afterInterrupt({ toStdout, tar }: RegenerateSettings): string {
  const isStream = toStdout || tar !== undefined;
  return isStream ? 'the output will not be whole' : 'the same command goes on with it';
}

function statusOf(
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  isDoubtful: boolean,
): number {
  if (failures.length === 0) return isDoubtful ? 3 : 0;
  const allTaken = failures.every(({ error }) => error.code === 'TARGET_EXISTS');
  const { files, directories, links, unchanged, kept } = progress;
  if (allTaken && files + directories + links + unchanged + kept === 0) {
    throw new TardisError('TARGET_EXISTS', 'nothing was restored: something else is there already');
  }
  return 3;
}

// --- what is restored ------------------------------------------------------------------------------

async function chooseBatches(
  archive: Archive,
  { options, line, system, filter }: Run,
): Promise<Chosen> {
  const nowMs = system.clock.nowMs();
  const { paths: given } = options;
  if (options.byChecksum) {
    const digests = given.map((digest) => digest.toString('latin1'));
    const { archive: contents, names } = await contentsAsFiles(archive, digests, nowMs);
    const paths = names.map((name) => Buffer.from(name));
    return { batches: [{ archive: contents, set: 0, paths }], isDoubtful: false, unfinished: [] };
  }
  const wanted = given.map(absolutePath);
  const chosen: { set: BackupSet; paths: Buffer[] }[] = [];
  if (options.last) chosen.push(...(await newestVersions(archive, wanted)));
  else {
    const set = await chooseSet(archive, options, nowMs);
    const roots = options.all ? await archive.roots(set.set) : [];
    chosen.push({ set, paths: options.all ? roots.map((root) => root.path) : wanted });
  }
  for (const { set } of chosen) {
    if (options.authenticate) requireSound(set);
    warnAbout(set, line);
  }
  return {
    batches: chosen.map(({ set, paths }) => ({ archive, set: set.set, paths })),
    isDoubtful: chosen.some(({ set }) => set.isDoubtful),
    unfinished: chosen.filter(({ set }) => set.state !== 'complete').map(({ set }) => set.set),
    total: options.all && filter === undefined ? chosen[0]?.set : undefined,
  };
}

/** Throws NOT_PROVEN. */
function requireSound({ set, isDoubtful }: BackupSet): void {
  if (!isDoubtful) return;
  throw new TardisError('NOT_PROVEN', `set ${set} may lack entries that were lost to damage`);
}

function warnAbout(set: BackupSet, line: ProgressLine): void {
  if (set.state !== 'complete') {
    line.interject(`regenerate: set ${set.set} is unfinished; restoring what it holds`);
  }
  if (set.isDoubtful) {
    line.interject(`regenerate: set ${set.set} may lack entries that were lost to damage`);
  }
}

/** For each path the newest complete set that has it. */
async function newestVersions(
  archive: Archive,
  wanted: readonly Buffer[],
): Promise<{ set: BackupSet; paths: Buffer[] }[]> {
  const complete = (await archive.sets()).filter((set) => set.state === 'complete').toReversed();
  const found = new Map<number, { set: BackupSet; paths: Buffer[] }>();
  for (const wantedPath of wanted) {
    let set: BackupSet | undefined;
    for (const candidate of complete) {
      if ((await archive.find(wantedPath, candidate.set)) === undefined) continue;
      set = candidate;
      break;
    }
    if (set === undefined) {
      throw new TardisError('NO_SUCH_PATH', `no complete set has "${displayName(wantedPath)}"`);
    }
    const batch = found.get(set.set) ?? { set, paths: [] };
    batch.paths.push(wantedPath);
    found.set(set.set, batch);
  }
  return [...found.values()];
}

// --- restoring -------------------------------------------------------------------------------------

async function runBatches(batches: readonly Batch[], run: Run): Promise<RestoreFailure[]> {
  const { options, system, progress, signal } = run;
  const [first] = batches;
  if (options.toStdout) {
    const { writeContent } = await import('./regenerate-streams.js');
    await writeContent(system, first!.archive, first!.set, first!.paths[0]!, progress, signal);
    return [];
  }
  if (options.tar !== undefined) {
    if (batches.length > 1) {
      throw new TardisError(
        'USAGE',
        'the newest versions are in several sets: one archive for each',
      );
    }
    const output = { file: byteText(options.tar), mayReplace: options.overwrite === 'always' };
    const { hardLinks, numericIds } = options;
    const request = { ...selectionOf(first!, run), hardLinks, numericIds };
    const { writeTarTo } = await import('./regenerate-streams.js');
    return writeTarTo(system, first!.archive, request, output, progress, signal);
  }
  const jobs = await openJobs(run.system, {
    threads: options.workers,
    recentDigests: RECENT_DIGESTS,
  });
  try {
    const failures: RestoreFailure[] = [];
    for (const batch of batches) failures.push(...(await restoreBatch(batch, jobs, run)));
    return failures;
  } finally {
    await jobs.close();
  }
}

function selectionOf({ set, paths }: Batch, { options, filter }: Run) {
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
  const { options, system, progress, line, signal } = run;
  const { output, hardLinks, dryRun, workers, numericIds } = options;
  const request = { ...selectionOf(batch, run), output, workers, hardLinks, dryRun, numericIds };
  const { failures, resume } = await runRestore(
    system,
    batch.archive,
    jobs,
    request,
    progress,
    signal,
  );
  if (resume !== undefined) {
    run.isResumed = true;
    const isOther = !resume.isSameSet && resume.set !== undefined;
    const other = isOther ? `, of set ${resume.set}: this one was of set ${batch.set}` : '';
    line.interject(`regenerate: went on with a restore that had been broken off${other}`);
  }
  return failures;
}

const command = toolCommand({
  tool: 'regenerate',
  isWork: true,
  run: restore,
});
await runTool(command);
