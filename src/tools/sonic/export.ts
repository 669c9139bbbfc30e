/** Implements `sonic export`: writes sets as trees with shared files, as tar archives, or into a repository of restic. */
import type { Settings } from '../../config/index.js';
import { refuse, usageError } from '../../errors/index.js';
import { type BackupSet, begunMs, type History } from '../../history/index.js';
import { displayText } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
} from '../../restore/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { openRestoreJobs } from '../../workers/index.js';
import { openAdministered } from '../opening/history.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { noteRestore } from '../opening/run-note.js';
import { noteDamage } from '../opening/local-store.js';
import { complain, messageLine } from '../output/command-names.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { printAbove, ProgressLine } from '../output/progress-line.js';
import { counted, formatBytes, formatTable, formatTime } from '../output/units.js';
import { setText } from '../shared/report-sets.js';
import { jsonFailure, printFailures } from '../shared/restore-failures.js';
import { interruptSignal } from '../shared/signals.js';
import type { PlannedSet } from './export-directory.js';
import { directoryTarget, type ExportTarget, ResticTarget } from './export-targets.js';
import { chosenSets } from './set-choice.js';

type Options = Settings<'sonic export'>;

const PROGRAM = 'sonic export';

/** A set that was written. */
interface Written {
  readonly planned: PlannedSet;
  readonly progress: RestoreProgress;
  readonly failures: readonly RestoreFailure[];
}

/** The state that the sets of a run share. */
interface Run {
  readonly system: System;
  readonly options: Options;
  readonly history: History;
  readonly target: ExportTarget;
  readonly signal: AbortSignal;
  readonly warn: (text: string) => void;
}

export async function exportSets(options: Options): Promise<number> {
  requireFitting(options);
  const system = nodeSystem();
  const warn = (text: string): void => {
    if (!options.json) printAbove(messageLine(PROGRAM, displayText(text)));
  };
  const signal = interruptSignal(PROGRAM, 'the same command continues it');
  const history = await openAdministered(system, options, warn);
  const written: Written[] = [];
  let status = 0;
  try {
    const sets = await setsToWrite(history, options);
    using target = await openTarget(system, options, { history, signal });
    const planned = target.plan(sets);
    if (options.rehearse) {
      onlyShows();
      printPlan(planned, options);
      return 0;
    }
    const run = { system, options, history, target, signal, warn };
    await writeSets(run, planned, written);
    if (sets.some(({ isDoubtful }) => isDoubtful)) status = PARTLY;
    const files = written.reduce((sum, { progress }) => sum + progress.files, 0);
    const failures = written.flatMap((one) => one.failures);
    const from = { ...options, server: options.throughServer };
    const bytes = written.reduce((sum, { progress }) => sum + progress.bytes, 0);
    noteNumbers({ sets: written.length, files, bytes });
    await noteRestore(from, history, { progress: { files, bytes }, failures });
    printEnd(options, planned, written, history.doubts);
  } finally {
    history.close(); // An open reader would block the marking of damage.
    const failures = written.flatMap((one) => one.failures);
    if (failures.length > 0) status = PARTLY;
    const isRemote = options.throughServer !== undefined;
    const print = (line: string): void => complain(PROGRAM, line);
    await noteDamage(system, options, failures, { history, isRemote, warn: print });
  }
  return history.doubts.length > 0 ? PARTLY : status;
}

/** Throws USAGE unless one target is given. */
function requireFitting({ exportTo, exportTar, exportRestic }: Options): void {
  if (exportTo === undefined && exportRestic === undefined) {
    refuse('give the target: --to DIR, or --restic REPOSITORY');
  }
  if (exportTo !== undefined && exportRestic !== undefined)
    refuse('give --to or --restic, not both');
  if (exportTar && exportTo === undefined)
    refuse('--tar needs the directory of the archives: --to DIR');
}

/** Returns the sets to write, oldest first: those that are named, or all complete ones. Throws NO_SUCH_SET, USAGE. */
async function setsToWrite(history: History, options: Options): Promise<BackupSet[]> {
  const { client, setsToExport, recentSet } = options;
  const sets = await history.sets();
  const isComplete = ({ state }: BackupSet): boolean => state === 'complete';
  if (setsToExport.length === 0) return sets.filter(isComplete);
  const chosen = chosenSets(client, sets, setsToExport, recentSet);
  const unfinished = chosen.find((set) => !isComplete(set));
  if (unfinished === undefined) return chosen;
  const what = `set ${unfinished.set} is unfinished: \`regenerate -b ${unfinished.set}\` restores what it has`;
  throw usageError(what);
}

async function openTarget(
  system: System,
  { exportTo, exportTar, exportRestic, rehearse }: Options,
  { history, signal }: { readonly history: History; readonly signal: AbortSignal },
): Promise<ExportTarget> {
  if (exportTo === undefined) return ResticTarget.open(exportRestic!, history, signal);
  const how = { client: history.client, isTar: exportTar, isDry: rehearse };
  return directoryTarget(system, exportTo, how);
}

/** Writes the sets that are not there. Each is added to `written` once it is complete. */
async function writeSets(
  { system, options, history, target, signal, warn }: Run,
  planned: readonly PlannedSet[],
  written: Written[],
): Promise<void> {
  const missing = planned.filter(({ isThere }) => !isThere);
  if (missing.length === 0) return;
  await using jobs = await openRestoreJobs(system, options.workers);
  for (const [index, one] of missing.entries()) {
    const progress = newRestoreProgress();
    const place = `set ${one.set.set} (${index + 1} of ${missing.length})`;
    using line = new ProgressLine(options.progress, () => `${place}: ${doneText(progress)}`);
    if (one.set.isDoubtful) warn(`set ${one.set.set} may lack entries that were lost to damage`);
    line.start();
    const means = { system, history, jobs, workers: options.workers, progress, signal, warn };
    const failures = await target.write(one, means);
    line.stop();
    written.push({ planned: one, progress, failures });
    if (!options.json) printWritten(one, progress, failures);
  }
}

function doneText({ files, directories, links, bytes, unchanged }: RestoreProgress): string {
  const shared = unchanged === 0 ? '' : `, ${counted(unchanged, 'entry', 'entries')} as before`;
  const entries = `${counted(files + links, 'file')} in ${counted(directories, 'directory', 'directories')}`;
  return `${entries}, ${formatBytes(bytes)}${shared}`;
}

function printWritten(
  { set }: PlannedSet,
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
): void {
  printFailures(PROGRAM, failures);
  const lacks = failures.length === 0 ? '' : `; ${counted(failures.length, 'problem')}`;
  print(`set ${setText(set)}: ${doneText(progress)}${lacks}`);
}

function printEnd(
  { json, client }: Options,
  planned: readonly PlannedSet[],
  written: readonly Written[],
  doubts: readonly string[],
): void {
  if (json) {
    const sets = written.map(({ planned: { set, name }, progress, failures }) => ({
      set: set.set,
      name,
      ...progress,
      failed: failures.map(jsonFailure),
    }));
    const there = planned.filter(({ isThere }) => isThere).map(({ set }) => set.set);
    return printJson({ client, written: sets, there, doubts });
  }
  for (const doubt of doubts) complain(PROGRAM, displayText(doubt));
  const there = planned.length - written.length;
  const before = there === 0 ? '' : `; ${counted(there, 'was', 'were')} there before`;
  print(`Exported ${counted(written.length, 'set')} of "${displayText(client)}"${before}.`);
}

function printPlan(planned: readonly PlannedSet[], { json }: Options): void {
  if (json) {
    const sets = planned.map(({ set, name, isThere }) => ({ set: set.set, name, isThere }));
    return printJson({ sets });
  }
  const rows = planned.map(({ set, name, isThere }) => [
    String(set.set),
    formatTime(begunMs(set)),
    isThere ? 'there' : 'new',
    displayText(name),
  ]);
  print(formatTable([['SET', 'BEGUN', 'TARGET', 'NAME'], ...rows], [0]));
}
