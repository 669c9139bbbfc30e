/** Lists backup sets, directories as of a set, and versions of files. */
import type { Settings } from '../../config/index.js';
import { ERROR_TABLE, type TardisError, usageError } from '../../errors/index.js';
import {
  type BackupSet,
  circleAt,
  entriesAround,
  type History,
  type HistoryEntry,
  named,
  noAccess,
  noSuchPath,
  restBelow,
  rootAt,
  type RootNode,
  rootsOf,
  Unsaved,
} from '../../history/index.js';
import {
  type DirectoryId,
  displayName,
  displayText,
  EntryType,
  joinPath,
  pathBelow,
  shownRoots,
} from '../../model/index.js';
import { isOfOneListing, ListingsAhead, PAGE_ENTRIES } from '../../restore/index.js';
import { absolutePath, nodeSystem } from '../../system/index.js';
import { arranged, type LsSettings, printEntries, type View } from './list-entries.js';
import { matchingPaths } from './list-globs.js';
import { printVersions, type Which } from './list-versions.js';
import { printFound } from './find-names.js';
import { provenVersions } from './proofs.js';
import { hasRange, setsWithin } from './set-range.js';
import { chooseSet, openHistory } from '../opening/history.js';
import { unlockClient, unlockForNames } from '../opening/keys.js';
import { painter } from '../output/colors.js';
import { PARTLY } from '../output/exit-status.js';
import { outputTaken, print } from '../output/output.js';
import { printSets } from '../shared/report-sets.js';
import { complain } from '../output/command-names.js';

const NO_OWNERS: Map<string, string> = new Map();

/** Prints the listing that the options select. Returns the exit status. */
export async function listStore(settings: Settings<'lstardis'>): Promise<number> {
  const paint = painter({
    spec: settings.colors,
    isChosen: settings.sources.get('colors')?.source !== 'built-in',
    lsColors: process.env['LS_COLORS'],
    isRequested: settings.color,
  });
  const options = { ...withPattern(settings), paint };
  // The list of sets needs no secret; names that are sealed stay so.
  const needsKeys = options.paths.length > 0 || options.findPattern !== undefined;
  const opening = { ...options, unlock: needsKeys ? unlockClient : unlockForNames };
  using history = await openHistory(nodeSystem(), opening, {
    warn(text) {
      if (!settings.json) complain('lstardis', text);
    },
  });
  if (settings.allowUnproven) history.acceptUnproven?.();
  const status = await list(history, options);
  const isDoubtful = settings.allowUnproven || history.hasUnproven === true;
  return isDoubtful ? printDoubts(history, status) : status;
}

/** Returns the settings in which the first path is the pattern of --find, if it is to be that. */
function withPattern<S extends Pick<Settings<'lstardis'>, 'findFirst' | 'findPattern' | 'paths'>>(
  settings: S,
): S {
  if (!settings.findFirst) return settings;
  const [findPattern, ...paths] = settings.paths;
  if (findPattern === undefined) {
    throw usageError('give a pattern of names: tardis find PATTERN [PATH…]');
  }
  return { ...settings, findPattern, paths };
}

/**
 * Prints the doubts of the history about its sets. Returns the exit status: 3 if there are doubts, otherwise `status`.
 */
function printDoubts({ doubts }: History, status: number): number {
  for (const doubt of doubts) complain('lstardis', displayText(doubt));
  return doubts.length > 0 ? PARTLY : status;
}

/** Runs the listing that the options select. Returns the exit status. */
async function list(history: History, options: LsSettings): Promise<number> {
  const isOneSet = options.backup !== undefined || options.date !== undefined;
  const nowMs = Date.now();
  if (isOneSet && hasRange(options)) {
    throw usageError('give one set (--backup, --date) or a range of them, not both');
  }
  const all = await history.sets();
  const sets = await setsWithin(history.client, all, options, nowMs);
  if (options.findPattern !== undefined) {
    const within = isOneSet ? [await chooseSet(history, options, nowMs)] : sets;
    const newest = within.at(-1);
    const owners =
      newest === undefined ? NO_OWNERS : await ownersOf(history, newest, options.numericIds);
    return printFound(history, within, options.findPattern, { ...options, owners });
  }
  if (options.paths.length === 0) {
    const wanted = isOneSet ? [await chooseSet(history, options, nowMs)] : sets;
    if (wanted.length === 0 && all.length > 0 && !options.json) {
      print('No backup sets in that range.');
      return 0;
    }
    await printSets(history, options.reverse ? wanted.toReversed() : wanted, options);
    return 0;
  }
  const set = await chooseSet(history, options, nowMs);
  const view = { ...options, owners: await ownersOf(history, set, options.numericIds) };
  const lister = new Lister(history, set, sets, view);
  await lister.readNotes();
  for (const path of await lister.requestedPaths()) await lister.list(path);
  return lister.status;
}

async function ownersOf(
  history: History,
  { set }: BackupSet,
  byNumber: boolean,
): Promise<Map<string, string>> {
  const owners = byNumber ? [] : await history.owners(set);
  return new Map(owners.map(({ isGroup, id, name }) => [`${isGroup}/${id}`, displayName(name)]));
}

/** A directory to list. Deep trees have paths of megabytes, so only names are held, and a path is made when it is used. */
interface Directory {
  /** Its name; the whole path of a directory that was requested itself. */
  readonly name: Buffer;
  readonly entry: HistoryEntry;
  readonly depth: number;
  readonly above: Directory | undefined;
}

/** A directory whose entries are listed. */
interface Listed {
  readonly id: DirectoryId | undefined;
  readonly path: Buffer;
  /** The directory among the roots; undefined if it is neither a root nor above one. */
  readonly node: RootNode | undefined;
}

function pathOf(directory: Directory): Buffer {
  const names: Buffer[] = [];
  let top = directory;
  for (; top.above !== undefined; top = top.above) names.push(top.name);
  return pathBelow(top.name, names.reverse());
}

class Lister {
  status = 0;
  private isFirst = true;
  private readonly guided = new Set<string>();
  private count = 1;
  private notes: Unsaved | undefined;
  private roots: RootNode | undefined;
  private readonly listings: ListingsAhead;

  /** Creates the listing of a set. `sets` are the sets whose versions are shown. */
  constructor(
    private readonly history: History,
    private readonly set: BackupSet,
    private readonly sets: readonly BackupSet[],
    private readonly view: View,
  ) {
    const isWholeTree = view.recurseListing && view.listingDepth === 0;
    const withDigests = view.json || view.showsDigest;
    this.listings = new ListingsAhead(history, set.set, isWholeTree, { withDigests });
  }

  /**
   * Returns the absolute paths to list. With --glob, these are the paths in the set that match. Throws NO_SUCH_PATH if
   * none matches.
   */
  async requestedPaths(): Promise<Buffer[]> {
    const paths = this.view.paths.map(absolutePath);
    const found: Buffer[] = [];
    for (const path of paths) {
      if (!this.view.globs) found.push(path);
      else found.push(...(await matchingPaths(this.history, this.set.set, path)));
    }
    this.count = found.length;
    return found;
  }

  /** Reads the roots of the set, and what the backup could not save. Notes that are damaged or not authentic are printed as an error. */
  async readNotes(): Promise<void> {
    try {
      this.roots = await rootsOf(this.history, this.set.set);
      this.notes = await Unsaved.of(this.history, this.set.set);
    } catch (error) {
      if (!isOfOneListing(error)) throw error;
      this.printDamage(Buffer.from(this.set.name), error);
    }
  }

  async list(path: Buffer): Promise<void> {
    const { history, view, set } = this;
    const entry = await history.find(path, set.set);
    const which = this.versionsOf(entry);
    const roots = entry === undefined ? await rootsBelow(history, set, path) : [];
    if (roots.length > 0 && (which === 'none' || view.versions === undefined)) {
      printEntries(arranged(roots, view), view);
      if (!view.recurseListing) return;
      for (const root of roots)
        await this.directories({ name: root.name, entry: root, depth: 0, above: undefined });
      return;
    }
    if (which !== 'none') {
      await this.listVersions(path, which);
      return;
    }
    if (entry === undefined) throw await noSuchPath(history, set.set, path);
    const unsaved = (await this.notes?.onWayTo(path)) ?? this.notes?.take(entry);
    if (unsaved !== undefined) this.printDamage(path, unsaved);
    if (entry.childId === undefined || view.directoryItself) {
      const isNamed = view.globs || view.directoryItself;
      if (this.count > 1 && !isNamed) this.header(path);
      printEntries([isNamed ? named(entry, path) : entry], view);
    } else if (!history.access.mayRead(entry)) {
      if (unsaved === undefined) throw noAccess(path);
    } else await this.directories({ name: path, entry, depth: 0, above: undefined });
  }

  /**
   * Prints the versions of a path that the sets prove, and an error for the other versions. Throws NO_SUCH_PATH if the
   * path has no versions.
   */
  private async listVersions(path: Buffer, which: Which): Promise<void> {
    const { history, set, sets, view } = this;
    const { versions, refused } = await provenVersions(history, path, await history.versions(path));
    for (const one of refused) this.printDamage(path, one);
    if (versions.length === 0) {
      if (refused.length > 0) return;
      throw await noSuchPath(history, set.set, path);
    }
    const wrongGaps = await printVersions(history, { path, versions, sets }, which, view);
    for (const one of wrongGaps) this.printDamage(path, one);
  }

  /**
   * Returns the kind of versions to show; `none` to list entries. The option --versions decides if it is given. A range
   * of sets shows `change`. Otherwise only a path that is not a directory shows `change`, and only without --backup,
   * --date, --glob and --dirinfo.
   */
  private versionsOf(entry: HistoryEntry | undefined): Which {
    const { versions, backup, date, globs, directoryItself } = this.view;
    if (versions !== undefined) return versions;
    if (hasRange(this.view)) return 'change';
    const isOneSet = backup !== undefined || date !== undefined;
    const isListed = isOneSet || globs || directoryItself;
    return isListed || entry?.type === EntryType.directory ? 'none' : 'change';
  }

  private async directories(top: Directory): Promise<void> {
    const { view, history } = this;
    const stack = [top];
    const isMany = this.count > 1 || view.recurseListing;
    while (stack.length > 0) {
      const directory = stack.pop()!;
      if (!history.access.mayRead(directory.entry)) {
        const { message, code } = noAccess(pathOf(directory));
        complain('lstardis', `${message} [${code}]`);
        this.status = PARTLY;
        continue;
      }
      const path = pathOf(directory);
      if (isMany) this.header(path);
      const below = await this.entries(directory, path, isMany);
      if (!view.recurseListing) continue;
      const depth = directory.depth + 1;
      if (view.listingDepth !== 0 && depth >= view.listingDepth) continue;
      for (const entry of below.toReversed()) {
        stack.push({ name: entry.name, entry, depth, above: directory });
      }
      this.listings.comeNext(stack);
    }
  }

  private header(path: Buffer): void {
    const { headers, json, paint, recurseListing } = this.view;
    if (!headers || json) return;
    if (recurseListing && !this.isFirst) print('');
    this.isFirst = false;
    print(paint.part('header', `${displayName(path)}:`));
  }

  /**
   * Prints the entries of a directory, page by page if they need no sorting. Returns its subdirectories for --recurse,
   * otherwise none.
   */
  private async entries(
    directory: Directory,
    path: Buffer,
    isMany: boolean,
  ): Promise<HistoryEntry[]> {
    const { view } = this;
    const { entry } = directory;
    const isStreamed = view.sortBy === 'name' && !view.reverse;
    const shownPath = isMany ? path : undefined;
    const collected: HistoryEntry[] = [];
    const directories: HistoryEntry[] = [];
    const node = this.roots && rootAt(this.roots, path);
    for (let after: Buffer = Buffer.alloc(0); ; ) {
      const page = await this.page({ id: entry.childId, path, node }, after);
      const sound = page.filter((one) => !this.isDamaged(one, directory));
      const closed = sound.filter((one) => this.isClosed(one, path));
      if (isStreamed) printEntries(arranged(sound, view), view, shownPath);
      else collected.push(...sound);
      if (view.recurseListing) {
        const open = arranged(sound, view).filter((one) => !closed.includes(one));
        const isOnWay = ({ name }: HistoryEntry): boolean =>
          node?.children.has(name.toString('latin1')) === true;
        directories.push(...open.filter((one) => one.childId !== undefined || isOnWay(one)));
      }
      if (page.length < PAGE_ENTRIES) break;
      after = page.at(-1)!.name;
    }
    for (const { name, error } of this.notes?.takeAbsent(entry.childId ?? -1) ?? []) {
      this.printDamage(joinPath(path, name), error);
    }
    if (!isStreamed) printEntries(arranged(collected, view), view, shownPath);
    return directories;
  }

  /** Prints the backup's error about an entry. True if there is one and the entry cannot be entered by this reader. */
  private isClosed(entry: HistoryEntry, path: Buffer): boolean {
    const unsaved = this.notes?.take(entry);
    if (unsaved === undefined) return false;
    this.printDamage(joinPath(path, entry.name), unsaved);
    return !this.history.access.mayRead(entry);
  }

  /** Returns a page of a directory; empty if the listing is damaged or not authentic. */
  private async page({ id, path, node }: Listed, after: Buffer): Promise<HistoryEntry[]> {
    await outputTaken();
    const { history, set, view } = this;
    const withDigests = view.json || view.showsDigest;
    try {
      if (id !== undefined && (node === undefined || node.children.size === 0)) {
        return await this.listings.page(id, after);
      }
      if (node === undefined || after.length > 0) return [];
      return await entriesAround(history, set, { id: id ?? -1, node, withDigests });
    } catch (error) {
      if (!isOfOneListing(error)) throw error;
      this.printDamage(path, error);
      return [];
    }
  }

  private isDamaged(entry: HistoryEntry, directory: Directory): boolean {
    const damage = entry.damage ?? circleAt(entry, directory);
    if (damage !== undefined) this.printDamage(joinPath(pathOf(directory), entry.name), damage);
    return damage !== undefined;
  }

  /**
   * Prints the error of an entry that cannot be listed, and the advice for its code at its first error. The exit status
   * is then 3.
   */
  private printDamage(path: Buffer, { message, code }: TardisError): void {
    this.status = PARTLY;
    complain('lstardis', `${displayName(path)}: ${displayText(message)} [${code}]`);
    if (this.guided.has(code)) return;
    this.guided.add(code);
    complain('lstardis', ERROR_TABLE[code].guidance);
  }
}

/**
 * Returns the roots of a set below a path, with their whole paths as names. If the path is above roots, the set has no
 * other entries there.
 */
async function rootsBelow(
  history: History,
  { set }: BackupSet,
  path: Buffer,
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  const roots = await history.roots(set);
  for (const shown of shownRoots(roots.map((root) => root.path))) {
    if (restBelow(path, shown) === undefined) continue;
    const entry = await history.find(shown, set);
    if (entry === undefined) continue;
    entries.push(named(entry, shown));
  }
  return entries;
}
