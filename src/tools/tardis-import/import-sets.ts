/**
 * Backs up each state that another program has kept, as a set of its date. A later run goes on where one was broken off, since
 * the sets of the store are read first.
 */
import { createHash } from 'node:crypto';
import { resolveSettings, type Settings } from '../../config/index.js';
import { asTardisError, refuse, TardisError, usageError } from '../../errors/index.js';
import type { BackupSet, History } from '../../history/index.js';
import {
  deviceOf,
  displayName,
  displayText,
  joinPath,
  liesBelow,
  setNameFault,
} from '../../model/index.js';
import { openAdministered, withReports } from '../opening/history.js';
import { openAdmin } from '../opening/admin.js';
import { keysOf, promptFor, unlockIfGiven } from '../opening/keys.js';
import { clientPlace } from '../opening/local-store.js';
import { givenPassword, requirePassword, withTyped } from '../opening/password.js';
import { complain } from '../output/command-names.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { ProgressLine } from '../output/progress-line.js';
import { counted, formatBytes, formatCount, formatTable, formatTime } from '../output/units.js';
import {
  type Compared,
  compareTrees,
  Contents,
  DiskSide,
  isDifference,
  type Seen,
  SetSide,
} from '../../restore/diff/index.js';
import {
  aspectsText,
  jsonDifference,
  jsonNotCompared,
  kindOf,
} from '../shared/report-differences.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { byteText, nodeSystem } from '../../system/index.js';
import {
  bucketAt,
  isStore,
  lockByFile,
  makeStore,
  markStore,
  storeFolder,
} from '../../store/index.js';
import { localOnDemand } from '../tardis/local-server.js';
import { backUp, type KeptJobs } from '../tardis/run.js';
import {
  type ImportSource,
  openSource,
  type ShownState,
  type State,
  type StateRoot,
} from './import-sources.js';
import type { KeptStretch } from '../../transport/login/index.js';

type Options = Settings<'tardis-import'>;

/** A state, and whether the store has its set. A set that is `late` could no longer get its place. */
interface PlannedSet {
  readonly state: State;
  readonly place: 'there' | 'new' | 'late';
}

/**
 * Backs up the states that the store lacks, the oldest first, and compares all with their sets if that is requested. Returns
 * the highest exit status. Throws USAGE for options that do not fit, and for a state that is older than the newest set.
 */
export async function importSets(options: Options, signal: AbortSignal): Promise<number> {
  requireFitting(options);
  const settings = { ...(await withPassword(withUsual(options))), strict: options.strict };
  using source = await openSource(options, signal);
  const states = source.states.map((state) => ({ ...state, name: setNameFor(state) }));
  const plan = async (): Promise<readonly [boolean, PlannedSet[]]> => {
    const sets = await setsThere(settings);
    return [sets.length > 0, planOf(states, sets, options.verifySets)];
  };
  let [hasSets, planned] = await plan();
  if (settings.dryRun) {
    onlyShows();
    printPlan(planned, source.leftOut ?? [], settings.json);
    return 0;
  }
  const isReader = planned.every(({ place }) => place !== 'new'); // the store may be read-only
  using alone = isReader ? undefined : await onlyImport(settings);
  if (alone !== undefined) [hasSets, planned] = await plan();
  using verification = options.verifySets ? new Verification(settings, signal) : undefined;
  const given = { settings, source, verification, signal };
  return await new Import(given, settings.create && !hasSets).run(planned);
}

/** Most bytes of the part of a name that is kept, if the name of a state cannot be that of a set. */
const KEPT_NAME_BYTES = 100;

/** Returns the name of the set of a state: its own, or one that shows it, with a digest in place of what does not fit. */
function setNameFor({ name, shown }: State): string {
  if (setNameFault(name) === undefined) return name;
  const digest = createHash('sha256').update(`${shown} ${name}`).digest('hex').slice(0, 8);
  return `${displayText(name).slice(0, KEPT_NAME_BYTES)} (${digest})`;
}

/** The objects that an import uses. */
interface ImportMeans {
  readonly settings: Settings<'tardis'> & Pick<Options, 'strict'>;
  readonly source: ImportSource;
  readonly verification: Verification | undefined;
  readonly signal: AbortSignal;
}

/** The states that come over, one after the other. */
class Import {
  private readonly keptJobs: KeptJobs = {};
  private readonly keptStretch: KeptStretch = {};
  private readonly leftOut: string[];
  private cameCount = 0;
  private status = 0;

  constructor(
    private readonly means: ImportMeans,
    /** True until the client exists. */
    private creates: boolean,
  ) {
    this.leftOut = [...(means.source.leftOut ?? [])];
  }

  /** Brings them over, and prints how many came, and which were left out. Returns the exit status. */
  async run(planned: readonly PlannedSet[]): Promise<number> {
    const { source, verification } = this.means;
    const total = planned.length + (source.leftOut ?? []).length;
    try {
      for (const [index, one] of planned.entries()) {
        if (one.place === 'late') this.leaveLate(one.state);
        else if (one.place === 'new' || verification !== undefined) {
          await this.take(one, `state ${index + 1} of ${planned.length}`);
        }
      }
    } finally {
      await this.keptJobs.runner?.close();
    }
    this.printSummary(total);
    const isPartly = this.leftOut.length > 0 || verification?.hasFound === true;
    return isPartly ? Math.max(this.status, PARTLY) : this.status;
  }

  private leaveLate(state: State): void {
    this.means.verification?.missing(state);
    this.leftOut.push(`${state.shown}: it is older than sets that are there`);
  }

  /** Backs up one state, unless its set is there, and compares it if that is requested. */
  private async take({ state, place }: PlannedSet, at: string): Promise<void> {
    const { settings, verification, signal } = this.means;
    const found = await this.shown(state, at);
    if (found === undefined) return;
    const { roots, lacks } = found;
    for (const lack of lacks) complain('tardis-import', displayText(`${state.shown}: ${lack}`));
    if (lacks.length > 0) {
      if (settings.strict)
        throw new TardisError('IMPORT_SOURCE_DAMAGED', `${state.shown} lacks something`);
      this.status = Math.max(this.status, PARTLY);
    }
    if (roots.length === 0) {
      this.leftOut.push(`${state.shown}: it is empty`);
      return;
    }
    if (place === 'new') {
      const { keptJobs, keptStretch, creates: create } = this;
      const run = { signal, keptStretch, keptJobs, program: 'tardis-import' } as const;
      const importing = () => importState({ ...settings, create }, state, roots, run);
      const status = await (verification?.whileWriting(importing) ?? importing());
      this.status = Math.max(this.status, status);
      if (state.isLocked === true) await lockSet(settings, state);
      this.cameCount += 1;
      this.creates = false;
      noteNumbers({ sets: 1 });
    }
    await verification?.compare(state, roots);
  }

  /** Makes a state appear, with a progress line. Returns undefined for a damaged one, which is left out; with --strict throws. */
  private async shown(state: State, at: string): Promise<ShownState | undefined> {
    const { settings, source } = this.means;
    const written = (): string => formatBytes(source.writtenBytes?.() ?? 0);
    using line = new ProgressLine(settings.progress, () => `reading ${at}: ${written()} written`);
    line.start();
    try {
      return await state.show();
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (settings.strict || code !== 'IMPORT_SOURCE_DAMAGED') throw error;
      complain('tardis-import', displayText(`${state.shown}: ${message} [${code}]`));
      this.leftOut.push(`${state.shown} [${code}]`);
      return undefined;
    }
  }

  private printSummary(total: number): void {
    const { leftOut, cameCount } = this;
    const { json } = this.means.settings;
    if (json && leftOut.length > 0) printJson({ imported: { states: total, cameCount, leftOut } });
    if (!json && cameCount > 0)
      print(`${formatCount(cameCount)} of ${counted(total, 'state')} came.`);
    nameLeftOut(leftOut, total);
  }
}

function nameLeftOut(leftOut: readonly string[], total: number): void {
  if (leftOut.length === 0) return;
  const all = counted(total, 'state');
  complain('tardis-import', `${formatCount(leftOut.length)} of ${all} left out:`);
  for (const one of leftOut) complain('tardis-import', `  ${displayText(one)}`);
}

/**
 * Excludes other imports into a client, since both would see that a state is not there yet. Makes a new store for that. Throws
 * CLIENT_BUSY.
 */
async function onlyImport(settings: Settings<'tardis'>): Promise<Disposable> {
  const { store, client } = clientPlace(settings);
  const system = nodeSystem();
  const { files } = system;
  if (bucketAt(store) === undefined && !isStore(files, store)) {
    await makeStore(files, store);
    await markStore(files, store);
  }
  const file = `${storeFolder(store, `.import-${client}`)}.lock`;
  return lockByFile(system, file, `another import into the client "${client}" is running`);
}

/** Backs up one state. Returns the exit status. */
async function importState(
  settings: Settings<'tardis'>,
  { name, dateMs, priority = 0, tags = [] }: State,
  roots: readonly StateRoot[],
  run: Parameters<typeof backUp>[2],
): Promise<number> {
  const given = {
    ...settings,
    directories: roots.map(({ directory }) => directory),
    keptAs: roots.map(({ keptAs }) => keptAs),
    setName: name,
    priority,
    tags,
    // Nothing may be kept from the set before, since what a past state lacks was not there.
    trustRoots: true,
    // Dates in the past would let rules for the present delete what was just imported.
    purge: false,
  };
  return backUp(given, localOnDemand(given, { dateMs }), { ...run, datedMs: dateMs });
}

/** Locks the set of a state. */
async function lockSet(settings: Settings<'tardis'>, { name }: State): Promise<void> {
  const place = { ...settings, throughServer: undefined };
  using admin = await openAdmin(nodeSystem(), place, unlockIfGiven);
  const set = (await admin.sets()).findLast(({ firstName }) => firstName === name)!;
  await admin.mark([set.set], { isLocked: true });
}

/** Throws USAGE unless one source is given, with the path of dated directories. */
function requireFitting(options: Options): void {
  const { importedSource, importedSets, keptAs, verifySets, dryRun } = options;
  if (importedSource === undefined && importedSets === undefined) {
    refuse('give a source: a directory, restic:REPOSITORY, borg:REPOSITORY, or --sets');
  }
  if (dryRun && verifySets) refuse('a dry run compares nothing: omit --verify or --dry-run');
  if (importedSource !== undefined && importedSets !== undefined) refuse('give one source');
  if (importedSets === undefined) {
    if (keptAs.length > 0) refuse('the source has the paths: omit --kept-as');
  } else if (keptAs.length > 1) refuse('give the path that the directory had, by one --kept-as');
}

/**
 * Returns the settings of a backup to a store on this machine: those of the import, and the defaults of all others. No file
 * is read for these, since a server, hooks or an account there are not those of an import.
 */
function withUsual(settings: Options): Settings<'tardis'> {
  const commandLine = new Map([
    ['local', ['true']],
    ['database', [byteText(settings.database)]],
    ['defaultsFile', ['']],
  ]);
  const usual = resolveSettings('tardis', { commandLine, environment: {} });
  return { ...usual, ...settings, sources: new Map([...usual.sources, ...settings.sources]) };
}

/**
 * Returns the settings with the password itself, so that it is read or typed once. Throws PASSWORD_NEEDED, and the errors of
 * reading the keys of the client.
 */
async function withPassword(settings: Settings<'tardis'>): Promise<Settings<'tardis'>> {
  const { client } = settings;
  const has = hasPasswordThere(settings);
  const password = has
    ? await requirePassword(settings, promptFor(client, undefined))
    : await givenPassword(settings, { prompt: `New password of ${client}`, isNew: true });
  return password === undefined ? settings : withTyped(settings, byteText(password));
}

/** True if the client is there and has a password. */
function hasPasswordThere(settings: Settings<'tardis'>): boolean {
  try {
    return keysOf(nodeSystem(), clientPlace(settings)) !== undefined;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return false;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = asTardisError(error);
  return code === 'NO_SUCH_STORE' || code === 'NO_SUCH_CLIENT';
}

/** Returns the sets of the client; none if the client or the store does not exist. */
async function setsThere(settings: Settings<'tardis'>): Promise<readonly BackupSet[]> {
  try {
    return await withReports({ ...settings, throughServer: undefined }, (history) =>
      history.sets(),
    );
  } catch (error) {
    if (isMissing(error) && (settings.create || settings.dryRun)) return [];
    throw error;
  }
}

/**
 * Returns the states with the places of their sets. Sets are ordered by their numbers, so a state that is not there and is
 * older than a complete set has no right place: throws USAGE, unless sets may be late, or others of these states are there.
 */
function planOf(
  states: readonly State[],
  sets: readonly BackupSet[],
  mayBeLate: boolean,
): PlannedSet[] {
  const complete = sets.filter(({ state }) => state === 'complete');
  const names = new Set(complete.map(({ firstName }) => firstName));
  const isBegun = states.some(({ name }) => names.has(name));
  const newestMs = complete.reduce((most, { openedAtMs }) => Math.max(most, openedAtMs), 0);
  return states.map((state) => {
    const { name, dateMs, shown } = state;
    if (names.has(name)) return { state, place: 'there' };
    if (complete.length === 0 || dateMs > newestMs) return { state, place: 'new' };
    if (!mayBeLate && !isBegun) {
      const why = `is not newer than the newest set (${formatTime(newestMs)}): import into a client of its own (-C NAME --create)`;
      throw usageError(`${shown} (${formatTime(dateMs)}) ${why}`);
    }
    return { state, place: 'late' };
  });
}

function printPlan(
  planned: readonly PlannedSet[],
  leftOut: readonly string[],
  json: boolean,
): void {
  if (json) {
    const states = planned.map(({ state: { dateMs, name, shown }, place }) => ({
      source: shown,
      dateMs,
      setName: name,
      isThere: place === 'there',
    }));
    return printJson({ states, leftOut });
  }
  const rows = planned.map(({ state: { dateMs, name, shown }, place }) => [
    formatTime(dateMs),
    place,
    shown,
    displayText(name),
  ]);
  print(formatTable([['DATE', 'STORE', 'SOURCE', 'SET'], ...rows], []));
  nameLeftOut(leftOut, planned.length + leftOut.length);
}

/** Lines about one set that are printed; --json prints all. */
const MAX_SHOWN = 100;
/** Files that are remembered as compared, so that a file of many states is read once. They take about 100 MB. */
const MAX_COMPARED = 1_000_000;

/** Counts of one set. */
interface Counts {
  /** Files that were read in the source; those of an earlier set that are still the same are counted beside. */
  files: number;
  bytes: number;
  known: number;
  differing: number;
}

/** The sets that `--verify` has compared with the states that they came from, and what the store has of each file. */
class Verification implements Disposable {
  private readonly system = nodeSystem();
  private history: History | undefined;
  /** Contents that files of the source were found to have, by file and change time. */
  private compared = new Map<string, number>();
  private differing = 0;

  constructor(
    private readonly settings: Settings<'tardis'>,
    private readonly signal: AbortSignal,
  ) {}

  /** True if something was not equal. */
  get hasFound(): boolean {
    return this.differing > 0;
  }

  /** Reports a state that the store has no set of. */
  missing({ shown, name }: State): void {
    this.differing += 1;
    if (this.settings.json) {
      printJson({ verified: { source: shown, setName: name } });
    } else print(`${shown}: the store has no set "${displayText(name)}"`);
  }

  /**
   * Compares each entry and content of a set with its state, and prints the differences. Throws the errors of opening the
   * client.
   */
  async compare({ shown: source, name }: State, roots: readonly StateRoot[]): Promise<void> {
    const history = await this.opened();
    const set = (await history.sets()).find(
      (one) => one.firstName === name && one.state === 'complete',
    )!;
    const counts: Counts = { files: 0, bytes: 0, known: 0, differing: 0 };
    const report = (one: Compared): void => {
      counts.differing += 1;
      if (this.settings.json) print(isDifference(one) ? jsonDifference(one) : jsonNotCompared(one));
      else if (counts.differing <= MAX_SHOWN) print(`${source}: ${textOf(one)}`);
    };
    for await (const one of this.differences(history, set, roots, counts)) {
      report({ ...one, path: pathInSet(one.path, roots) });
    }
    this.differing += counts.differing;
    if (this.settings.json) {
      const verified = { set: set.set, setName: name, source, ...counts };
      printJson({ verified });
    } else printCounts(source, set, counts);
  }

  private async *differences(
    history: History,
    { set }: BackupSet,
    roots: readonly StateRoot[],
    counts: Counts,
  ): AsyncGenerator<Compared, void> {
    const { system, signal } = this;
    using contents = new Contents(system, history, true, signal);
    const before = new SetSide({ history, set, other: undefined });
    yield* compareTrees({
      system,
      before,
      after: new DiskSide(system),
      contents: { areSame: (one, other) => this.areSame(contents, one, other, counts) },
      paths: roots.map(({ keptAs, directory }) => ({ before: keptAs, after: directory })),
      recurse: true,
      entersOnly: false,
      metadata: true,
      signal,
    });
    for (const path of await before.roots()) {
      if (roots.some(({ keptAs }) => keptAs.equals(path))) continue;
      yield { path, before: await before.find(path), after: undefined, aspects: [] };
    }
  }

  /** True if two files have the same content. A file that was compared with this content before is not read again. */
  private async areSame(
    contents: Contents,
    stored: Seen,
    disk: Seen,
    counts: Counts,
  ): Promise<boolean> {
    const { inode, ctimeNs, sizeBytes } = disk.entry;
    const file = `${deviceOf(disk.listed!.directory)} ${inode} ${ctimeNs} ${sizeBytes}`;
    const { contentId } = stored.stored!;
    if (contentId !== undefined && this.compared.get(file) === contentId) {
      counts.known += 1;
      return true;
    }
    counts.files += 1;
    counts.bytes += sizeBytes;
    const isSame = await contents.areSame(stored, disk);
    if (isSame && contentId !== undefined) {
      if (this.compared.size === MAX_COMPARED) this.compared.clear();
      this.compared.set(file, contentId);
    }
    return isSame;
  }

  /** Runs work that writes to the store, while no comparison holds its catalog. */
  async whileWriting<T>(work: () => Promise<T>): Promise<T> {
    return this.history?.whileWriting?.(work) ?? work();
  }

  private async opened(): Promise<History> {
    const warn = (line: string): void => complain('tardis-import', line);
    const settings = { ...this.settings, throughServer: undefined };
    return (this.history ??= await openAdministered(this.system, settings, warn));
  }

  [Symbol.dispose](): void {
    this.history?.close();
  }
}

/** Returns the path in the set of an entry that only the source has, or that could not be read there. */
function pathInSet(path: Buffer, roots: readonly StateRoot[]): Buffer {
  for (const { directory, keptAs } of roots) {
    if (path.equals(directory)) return keptAs;
    if (liesBelow(path, directory)) return joinPath(keptAs, path.subarray(directory.length + 1));
  }
  return path;
}

function textOf(one: Compared): string {
  const name = displayName(one.path);
  if (!isDifference(one)) return displayText(`not compared: ${name}: ${one.error.message}`);
  const kind = kindOf(one);
  if (kind === 'added') return `not in the set: ${name}`;
  return kind === 'removed'
    ? `only in the set: ${name}`
    : `differs: ${name} (${aspectsText(one, () => true)})`;
}

function printCounts(source: string, { set }: BackupSet, counts: Counts): void {
  const { files, bytes, known, differing } = counts;
  if (differing > MAX_SHOWN)
    print(`… and ${formatCount(differing - MAX_SHOWN)} more; --json lists all.`);
  const read = `${counted(files, 'file')} read (${formatBytes(bytes)}), ${formatCount(known)} known`;
  const result = differing === 0 ? 'equal' : counted(differing, 'difference');
  print(`Compared set ${set} with ${source}: ${result}; ${read}.`);
}
