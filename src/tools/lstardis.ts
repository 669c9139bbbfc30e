/** `lstardis`: lists backup sets, directories as of a set, and versions of files. */
import {
  type Archive,
  type ArchiveEntry,
  type BackupSet,
  noAccess,
  noSuchPath,
  restBelow,
} from '../archive/index.js';
import type { Found } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName, EntryType, joinPath } from '../model/index.js';
import { ListingsAhead, PAGE_ENTRIES } from '../restore/index.js';
import { absolutePath, nodeSystem } from '../system/index.js';
import { chooseSet } from './choose-set.js';
import { painter } from './colors.js';
import { arranged, type LsSettings, printEntries, type View } from './list-entries.js';
import { matchingPaths } from './list-globs.js';
import { printVersions, type Which } from './list-versions.js';
import { openArchive } from './open-archive.js';
import { printSets } from './report-sets.js';
import { print, runTool, toolCommand } from './run-tool.js';
import { hasRange, setsWithin } from './set-range.js';

const PARTLY = 3;

const command = toolCommand({
  tool: 'lstardis',
  run: async (settings, found) => {
    const paint = painter({
      spec: settings.colors,
      isChosen: isChosen(found),
      lsColors: process.env['LS_COLORS'],
      isWanted: settings.color,
    });
    const archive = await openArchive(nodeSystem(), settings, found, (text) => {
      if (!settings.json) process.stderr.write(`lstardis: ${text}\n`);
    });
    try {
      return await list(archive, { ...settings, paint });
    } finally {
      archive.close();
    }
  },
});

function isChosen(found: ReadonlyMap<string, Found>): boolean {
  return found.get('colors')?.source !== 'built-in';
}

/** Returns the exit status. */
async function list(archive: Archive, options: LsSettings): Promise<number> {
  const isOneSet = options.backup !== undefined || options.date !== undefined;
  const nowMs = Date.now();
  if (isOneSet && hasRange(options)) {
    throw new TardisError('USAGE', 'give one set (--backup, --date) or a range of them, not both');
  }
  const all = await archive.sets();
  const sets = await setsWithin(archive.client, all, options, nowMs);
  if (options.paths.length === 0) {
    const wanted = isOneSet ? [await chooseSet(archive, options, nowMs)] : sets;
    if (wanted.length === 0 && all.length > 0 && !options.json) {
      print('No backup sets in that range.');
      return 0;
    }
    await printSets(archive, options.reverse ? wanted.toReversed() : wanted, options);
    return 0;
  }
  const set = await chooseSet(archive, options, nowMs);
  const view = { ...options, owners: await ownersOf(archive, set, options.numericIds) };
  const lister = new Lister(archive, set, sets, view);
  for (const path of await lister.wanted()) await lister.list(path);
  return lister.status;
}

async function ownersOf(
  archive: Archive,
  { set }: BackupSet,
  byNumber: boolean,
): Promise<Map<string, string>> {
  const owners = byNumber ? [] : await archive.owners(set);
  return new Map(owners.map(({ isGroup, id, name }) => [`${isGroup}/${id}`, displayName(name)]));
}

/** A directory to be listed. */
interface Directory {
  readonly path: Buffer;
  readonly entry: ArchiveEntry;
  readonly depth: number;
}

class Lister {
  status = 0;
  private isFirst = true;
  private count = 1;
  private readonly listings: ListingsAhead;
  private readonly archive: Archive;
  private readonly set: BackupSet;
  private readonly sets: readonly BackupSet[];
  private readonly view: View;

  /** `sets`: of which versions are shown. */
  constructor(archive: Archive, set: BackupSet, sets: readonly BackupSet[], view: View) {
    this.archive = archive;
    this.set = set;
    this.sets = sets;
    this.view = view;
    const isWholeTree = view.recurseListing && view.listingDepth === 0;
    const withDigests = view.json || view.showsDigest;
    this.listings = new ListingsAhead(archive, set.set, isWholeTree, { withDigests });
  }

  /** Absolute. */
  async wanted(): Promise<Buffer[]> {
    const paths = this.view.paths.map(absolutePath);
    const found: Buffer[] = [];
    for (const path of paths) {
      if (!this.view.globs) found.push(path);
      else found.push(...(await matchingPaths(this.archive, this.set.set, path)));
    }
    this.count = found.length;
    return found;
  }

  async list(path: Buffer): Promise<void> {
    const { archive, view, set } = this;
    const entry = await archive.find(path, set.set);
    const which = this.versionsOf(entry);
    const roots = entry === undefined ? await rootsBelow(archive, set, path) : [];
    if (roots.length > 0 && (which === 'none' || view.versions === undefined)) {
      printEntries(arranged(roots, view), view);
      if (!view.recurseListing) return;
      for (const root of roots) await this.directories({ path: root.name, entry: root, depth: 0 });
      return;
    }
    if (which !== 'none') {
      const versions = await archive.versions(path);
      if (versions.length === 0) throw await noSuchPath(archive, set.set, path);
      await printVersions(archive, path, versions, this.sets, which, view);
      return;
    }
    if (entry === undefined) throw await noSuchPath(archive, set.set, path);
    if (entry.childId === undefined || view.directoryItself) {
      const isNamed = view.globs || view.directoryItself;
      if (this.count > 1 && !isNamed) this.header(path);
      printEntries([isNamed ? named(entry, path) : entry], view);
    } else if (!archive.access.mayRead(entry)) throw noAccess(path);
    else await this.directories({ path, entry, depth: 0 });
  }

  /** Of a file its versions are shown, unless one set is asked for. */
  private versionsOf(entry: ArchiveEntry | undefined): Which {
    const { versions, backup, date, globs, directoryItself } = this.view;
    if (versions !== undefined) return versions;
    if (hasRange(this.view)) return 'change';
    const isOneSet = backup !== undefined || date !== undefined;
    const isListed = isOneSet || globs || directoryItself;
    return isListed || entry?.type === EntryType.directory ? 'none' : 'change';
  }

  private async directories(top: Directory): Promise<void> {
    const { view, archive } = this;
    const stack = [top];
    const isMany = this.count > 1 || view.recurseListing;
    while (stack.length > 0) {
      const directory = stack.pop()!;
      if (!archive.access.mayRead(directory.entry)) {
        const { message, code } = noAccess(directory.path);
        process.stderr.write(`lstardis: ${message} [${code}]\n`);
        this.status = PARTLY;
        continue;
      }
      if (isMany) this.header(directory.path);
      const below = await this.entries(directory, isMany);
      if (!view.recurseListing) continue;
      const depth = directory.depth + 1;
      if (view.listingDepth !== 0 && depth >= view.listingDepth) continue;
      for (const entry of below.toReversed()) {
        stack.push({ path: joinPath(directory.path, entry.name), entry, depth });
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

  /** Prints what is in a directory, page by page if its own order will do; returns the directories. */
  private async entries({ path, entry }: Directory, isMany: boolean): Promise<ArchiveEntry[]> {
    const { view } = this;
    const isStreamed = view.sortBy === 'name' && !view.reverse;
    const told = isMany ? path : undefined;
    const collected: ArchiveEntry[] = [];
    const directories: ArchiveEntry[] = [];
    for (let after: Buffer = Buffer.alloc(0); ; ) {
      const page = await this.listings.page(entry.childId!, after);
      if (isStreamed) printEntries(arranged(page, view), view, told);
      else collected.push(...page);
      if (view.recurseListing) {
        directories.push(...arranged(page, view).filter(({ childId }) => childId !== undefined));
      }
      if (page.length < PAGE_ENTRIES) break;
      after = page.at(-1)!.name;
    }
    if (!isStreamed) printEntries(arranged(collected, view), view, told);
    return directories;
  }
}

/** An entry by its whole path. */
function named(entry: ArchiveEntry, path: Buffer): ArchiveEntry {
  return Object.create(entry, { name: { value: path } }) as ArchiveEntry;
}

/** Above its roots a set has no entries: there it shows those roots, by their whole paths. */
async function rootsBelow(
  archive: Archive,
  { set }: BackupSet,
  path: Buffer,
): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  for (const root of await archive.roots(set)) {
    if (restBelow(path, root.path) === undefined) continue;
    const entry = await archive.find(root.path, set);
    if (entry === undefined) continue;
    entries.push(named(entry, root.path));
  }
  return entries;
}

await runTool(command);
