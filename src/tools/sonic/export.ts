/** Implements `sonic export`: writes sets as trees with shared files, as tar archives, or into a repository of restic. */
import fs from 'node:fs';
import path from 'node:path';
import type { Settings } from '../../config/index.js';
import { refuse, TardisError, usageError } from '../../errors/index.js';
import { type BackupSet, begunMs, type History } from '../../history/index.js';
import { Programs, StatePlace } from '../../import/index.js';
import {
  displayText,
  joinPath,
  type SetNumber,
  shownRoot,
  SLASH_BYTES,
} from '../../model/index.js';
import { openAdministered } from '../opening/history.js';
import { noteDamage } from '../opening/local-store.js';
import { noteRestore } from '../opening/run-note.js';
import { complain, messageLine } from '../output/command-names.js';
import { donePartly, PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { printAbove, ProgressLine } from '../output/progress-line.js';
import { counted, formatBytes, formatTable, formatTime } from '../output/units.js';
import { equalPaths } from '../../restore/diff/index.js';
import {
  type EarlierTree,
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
  runRestore,
  writeTar,
} from '../../restore/index.js';
import { setText } from '../shared/report-sets.js';
import { jsonFailure, printFailures } from '../shared/restore-failures.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { interruptSignal } from '../shared/signals.js';
import { writeWholeFile } from '../shared/whole-file.js';
import { nodeSystem, type System, textBytes } from '../../system/index.js';
import { type JobRunner, openRestoreJobs } from '../../workers/index.js';
import { ExportDirectory, type PlannedSet } from './export-directory.js';
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

/** A place that sets are exported to: trees or archives in a directory, or a repository of restic. */
interface ExportTarget extends Disposable {
  /** Returns where each set goes, and which are there. */
  plan(sets: readonly BackupSet[]): PlannedSet[];
  /** Writes a set that is not there, and returns the entries that it lacks. */
  write(planned: PlannedSet, means: ExportMeans): Promise<RestoreFailure[]>;
}

/** A directory with a tree for each set. Files that two sets have alike are hard links. */
class TreesTarget implements ExportTarget {
  private trees: SetTree[] = [];
  private mayLink = false;

  constructor(private readonly directory: ExportDirectory) {}

  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }

  plan(sets: readonly BackupSet[]): PlannedSet[] {
    const planned = this.directory.plan(sets);
    this.trees = planned.filter(({ isThere }) => isThere).map((one) => this.treeOf(one));
    return planned;
  }

  async write(planned: PlannedSet, means: ExportMeans): Promise<RestoreFailure[]> {
    const { directory } = this;
    if (!this.mayLink) directory.requireLinks();
    this.mayLink = true;
    const { set } = planned.set;
    const unfinished = directory.unfinishedName(planned);
    directory.requireFree(planned.name);
    directory.requireOwn(unfinished);
    const tree = { set, directory: textBytes(directory.placeOf(unfinished)) };
    const failures = await restoreTree(means, tree, { near: nearest(this.trees, set) });
    await directory.finish(unfinished, planned);
    this.trees.push(this.treeOf(planned));
    return failures;
  }

  private treeOf({ set: { set }, name }: PlannedSet): SetTree {
    return { set, directory: textBytes(this.directory.placeOf(name)) };
  }
}

/** Returns the tree whose set is nearest to a set, the older one of two. */
function nearest(trees: readonly SetTree[], set: number): SetTree | undefined {
  const distance = (tree: SetTree): number => Math.abs(tree.set - set);
  return trees.toSorted((one, other) => distance(one) - distance(other) || one.set - other.set)[0];
}

/** A directory with an archive of each set. */
class ArchivesTarget implements ExportTarget {
  constructor(private readonly directory: ExportDirectory) {}

  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }

  plan(sets: readonly BackupSet[]): PlannedSet[] {
    return this.directory.plan(sets);
  }

  async write(planned: PlannedSet, means: ExportMeans): Promise<RestoreFailure[]> {
    const { directory } = this;
    const { system, history } = means;
    const { set } = planned.set;
    const paths = await wholeOf(history, set);
    const request = { set, paths, hierarchy: true, numericIds: true };
    directory.requireFree(planned.name);
    await directory.note(planned);
    const output = {
      file: directory.placeOf(planned.name),
      mayReplace: false,
      temporary: directory.unfinishedName(planned),
    };
    return writeWholeFile(system, output, (sink) => writeTar(system, means, request, sink));
  }
}

/** Exit status of restic if it could not read all that it was to save. */
const RESTIC_PARTLY = 3;

interface ResticSnapshot {
  readonly time: string;
  readonly tags?: readonly string[];
}

/** A repository of restic, with a snapshot for each set. One set at a time is restored below TMPDIR for it. */
class ResticTarget implements ExportTarget {
  private readonly place = new StatePlace('export');
  private readonly beside = joinPath(
    textBytes(path.dirname(this.place.directory.toString())),
    Buffer.from('next'),
  );
  /** The set that the place shows. */
  private shown: SetTree | undefined;

  private constructor(
    private readonly repository: string,
    private readonly history: History,
    private readonly there: ReadonlySet<string>,
  ) {}

  /** Lists the snapshots of a repository. Throws IMPORT_PROGRAM_MISSING, EXPORT_FAILED. */
  static async open(given: string, history: History, signal: AbortSignal): Promise<ResticTarget> {
    // The program runs in another directory.
    const full = path.resolve(given);
    const repository = fs.existsSync(full) ? full : given;
    const words = ['restic', '-r', repository, 'snapshots', '--json', `--host=${history.client}`];
    const what = `list ${repository}`;
    const printed = await new Programs(signal).run({ words, what, failure: 'EXPORT_FAILED' });
    let snapshots: readonly ResticSnapshot[];
    try {
      snapshots = JSON.parse(printed) as readonly ResticSnapshot[];
    } catch (error) {
      const problem = `the list that restic printed of "${displayText(repository)}" cannot be read`;
      throw new TardisError('EXPORT_FAILED', problem, {}, error);
    }
    const keys = snapshots.flatMap(({ time, tags = [] }) =>
      tags.map((tag) => keyOf(tag, Date.parse(time))),
    );
    return new ResticTarget(repository, history, new Set(keys));
  }

  [Symbol.dispose](): void {
    this.place[Symbol.dispose]();
  }

  plan(sets: readonly BackupSet[]): PlannedSet[] {
    return sets.map((set) => {
      const key = keyOf(tagOf(set), begunMs(set));
      return { set, name: set.name, isThere: this.there.has(key) };
    });
  }

  async write({ set }: PlannedSet, means: ExportMeans): Promise<RestoreFailure[]> {
    const { place, beside } = this;
    const next = { set: set.set, directory: beside };
    // A file that may not be changed could not be removed either, and restic knows no flags.
    const how = { near: this.shown, setFlags: false };
    const failures = await restoreTree(means, next, how);
    place.replaceBy(beside);
    this.shown = { set: set.set, directory: place.directory };
    const program = { ...this.backupOf(set), ...this.partly(means) };
    await new Programs(means.signal).run(program, place.directory);
    return failures;
  }

  private backupOf(set: BackupSet) {
    const tags = [tagOf(set), `name=${set.name}`, ...set.marks.tags];
    const options = [
      `--host=${this.history.client}`,
      `--time=${new Date(begunMs(set)).toISOString().slice(0, 19).replace('T', ' ')}`,
      // restic separates tags by commas.
      ...tags.map((tag) => `--tag=${tag.replaceAll(',', ';')}`),
      '--ignore-ctime', // a further name changes the time of a file
      '--quiet',
    ];
    return {
      words: ['restic', '-r', this.repository, 'backup', ...options, '.'],
      what: `store set ${set.set} in ${this.repository}`,
      failure: 'EXPORT_FAILED' as const,
      env: { TZ: 'UTC' },
    };
  }

  private partly({ warn }: ExportMeans) {
    const report = (messages: string): void => {
      donePartly();
      warn(displayText(messages));
    };
    return { partly: { status: RESTIC_PARTLY, report } };
  }
}

function tagOf({ set }: BackupSet): string {
  return `set=${set}`;
}

/** Returns a key of a set, by its tag and the second in which it began. */
function keyOf(tag: string, momentMs: number): string {
  return `${tag} ${Math.floor(momentMs / 1000)}`;
}

/** Opens the target that the options name. */
function directoryTarget(
  system: System,
  given: Buffer,
  how: { readonly client: string; readonly isTar: boolean; readonly isDry: boolean },
): ExportTarget {
  const { client, isTar, isDry } = how;
  const kind = isTar ? 'tar' : 'trees';
  const directory = ExportDirectory.open(system, given, { client, kind, isDry });
  return isTar ? new ArchivesTarget(directory) : new TreesTarget(directory);
}

/** The objects that writing a set uses. */
interface ExportMeans {
  readonly system: System;
  readonly history: History;
  readonly jobs: JobRunner;
  readonly workers: number;
  readonly progress: RestoreProgress;
  readonly signal: AbortSignal;
  /** Prints a warning. */
  readonly warn: (text: string) => void;
}

/** A set that a directory shows. */
interface SetTree {
  readonly set: SetNumber;
  readonly directory: Buffer;
}

/** Returns the paths of a set, by which a restore or an archive has all of it. */
async function wholeOf(history: History, set: SetNumber): Promise<Buffer[]> {
  return (await history.roots(set)).map(({ path }) => shownRoot(path));
}

/**
 * Makes a directory show a set, in a tree whose files are shared with that of another set as far as they are equal, and
 * returns the entries that it lacks. All of it is on the disk on return.
 */
async function restoreTree(
  { system, history, jobs, workers, progress, signal, warn }: ExportMeans,
  { set, directory }: SetTree,
  { near, setFlags = true }: { readonly near: SetTree | undefined; readonly setFlags?: boolean },
): Promise<RestoreFailure[]> {
  const earlier = near && (await earlierTree(near));
  const request = {
    set,
    paths: await wholeOf(history, set),
    hierarchy: true,
    output: directory,
    workers,
    policy: { overwrite: 'always', setFlags } as const,
    numericIds: true,
    earlier,
    isFinal: true,
  };
  const means = { history, jobs, progress, signal };
  const { failures, losses } = await runRestore(system, means, request);
  if (losses.length > 0) warn(`the file system does not support ${losses.join(', ')}`);
  return failures;

  async function earlierTree(tree: SetTree): Promise<EarlierTree> {
    const isEqual = await equalPaths(system, history, { before: tree.set, after: set, signal });
    return {
      directory: tree.directory,
      isEqual: (path) => isEqual(Buffer.concat([SLASH_BYTES, path])),
    };
  }
}
