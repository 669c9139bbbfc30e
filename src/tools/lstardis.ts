/** `lstardis`: lists backup sets, directories as of a set, and versions of files. */
import {
  type Archive,
  type ArchiveEntry,
  type BackupSet,
  noAccess,
  noSuchPath,
  type PathVersion,
  restBelow,
} from '../archive/index.js';
import type { Settings } from '../config/index.js';
import { displayName, EntryType, jsonName, readAttributes } from '../model/index.js';
import { absolutePath, nodeSystem } from '../system/index.js';
import { chooseSet } from './choose-set.js';
import { openArchive } from './open-archive.js';
import { printSets } from './report-sets.js';
import { type ColorPart, type Paint, painter } from './colors.js';
import { JSON_VERSION, print, runTool, toolCommand } from './run-tool.js';
import { formatTable, formatTime } from './units.js';

type LsSettings = Settings<'lstardis'> & { readonly paint: Paint };

const PAGE_ENTRIES = 1024;
const TYPE_LETTERS = '?-dlpscb';

const command = toolCommand({
  tool: 'lstardis',
  summary: 'Lists backup sets; or a directory as of a set; or all versions of a file.',
  help: `
Without a path the backup sets are listed, with -l their roots too. Above its roots a set shows those.

Examples:
  lstardis -D /srv/tardis -l                     the backup sets and their roots
  lstardis -D /srv/tardis -l /home/me            a directory as of the newest set
  lstardis -D /srv/tardis -b 3 /home/me          the same as of set 3
  lstardis -D /srv/tardis -d yesterday /home/me  the same as of yesterday evening
  lstardis -D /srv/tardis /home/me/letter.txt    all versions of a file

Who is not root sees what the owners and permissions in the set would have let him see.`,
  run: async (settings, found) => {
    const paint = painter(settings.colors, settings.color);
    const archive = await openArchive(nodeSystem(), settings, found);
    try {
      await list(archive, { ...settings, paint });
    } finally {
      archive.close();
    }
  },
});

async function list(archive: Archive, options: LsSettings): Promise<void> {
  const { paths } = options;
  const isOneSet = options.backup !== undefined || options.date !== undefined;
  const nowMs = Date.now();
  if (paths.length === 0) {
    const sets = isOneSet ? [await chooseSet(archive, options, nowMs)] : await archive.sets();
    await printSets(archive, sets, options);
    return;
  }
  const set = await chooseSet(archive, options, nowMs);
  const view = { ...options, owners: await ownersOf(archive, set, options.numericIds) };
  for (const given of paths) {
    const absolute = absolutePath(given);
    const entry = await archive.find(absolute, set.set);
    const roots = entry === undefined ? await rootsBelow(archive, set, absolute) : [];
    if (roots.length > 0 && !options.versions) {
      printEntries(roots, view);
      continue;
    }
    const wantsVersions = options.versions || (!isOneSet && entry?.type !== EntryType.directory);
    if (wantsVersions) {
      const versions = await archive.versions(absolute);
      if (versions.length === 0) throw await noSuchPath(archive, set.set, absolute);
      printVersions(versions, absolute, await setNames(archive), view);
      continue;
    }
    if (entry === undefined) throw await noSuchPath(archive, set.set, absolute);
    if (paths.length > 1 && !options.json)
      print(options.paint('header', `${displayName(absolute)}:`));
    if (entry.childId === undefined) printEntries([entry], view);
    else if (!archive.access.mayRead(entry)) throw noAccess(absolute);
    else await printDirectory(archive, entry.childId, set.set, view);
  }
}

/** What is shown of entries: names of owners too, unless numbers are asked for. */
type View = LsSettings & { readonly owners: ReadonlyMap<string, string> };

async function ownersOf(
  archive: Archive,
  { set }: BackupSet,
  byNumber: boolean,
): Promise<Map<string, string>> {
  const owners = byNumber ? [] : await archive.owners(set);
  return new Map(owners.map(({ isGroup, id, name }) => [`${isGroup}/${id}`, displayName(name)]));
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
    entries.push(Object.create(entry, { name: { value: root.path } }) as ArchiveEntry);
  }
  return entries;
}

async function setNames(archive: Archive): Promise<Map<number, BackupSet>> {
  return new Map((await archive.sets()).map((set) => [set.set, set]));
}

async function printDirectory(
  archive: Archive,
  directory: number,
  set: number,
  options: View,
): Promise<void> {
  let after: Buffer = Buffer.alloc(0);
  for (;;) {
    const page = await archive.list({
      directory,
      set,
      after,
      limit: PAGE_ENTRIES,
      withDigests: options.json,
    });
    printEntries(page, options);
    if (page.length < PAGE_ENTRIES) return;
    after = page.at(-1)!.name;
  }
}

function modeText(entry: ArchiveEntry): string {
  const letters = 'rwxrwxrwx';
  let text = TYPE_LETTERS[entry.type] ?? '?';
  for (let bit = 0; bit < 9; bit += 1) {
    text += (entry.permissions & (1 << (8 - bit))) === 0 ? '-' : letters[bit]!;
  }
  return withSpecialBits(text, entry.permissions);
}

/** As `ls` shows them: s and t in the places of x, capital where there is no x. */
function withSpecialBits(text: string, permissions: number): string {
  const letters = text.split('');
  const mark = (bit: number, at: number, letter: string): void => {
    if ((permissions & bit) === 0) return;
    letters[at] = letters[at] === 'x' ? letter : letter.toUpperCase();
  };
  mark(0o4000, 3, 's');
  mark(0o2000, 6, 's');
  mark(0o1000, 9, 't');
  return letters.join('');
}

function timeOf(entry: ArchiveEntry): string {
  return formatTime(Number(entry.mtimeNs / 1_000_000n));
}

function shownName(entry: ArchiveEntry, paint: Paint): string {
  const link = entry.linkTarget === undefined ? '' : ` -> ${displayName(entry.linkTarget)}`;
  return paint(partOf(entry), displayName(entry.name)) + link;
}

function partOf({ type }: ArchiveEntry): ColorPart {
  if (type === EntryType.directory) return 'directory';
  if (type === EntryType.symlink) return 'link';
  return type === EntryType.file ? 'file' : 'other';
}

function jsonEntry(entry: ArchiveEntry, { owners }: View): Record<string, unknown> {
  const attributes = readAttributes(entry.attributes);
  return {
    version: JSON_VERSION,
    ...jsonName(entry.name),
    type: Object.entries(EntryType).find(([, number]) => number === entry.type)?.[0],
    permissions: entry.permissions.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    owner: owners.get(`false/${entry.uid}`),
    group: owners.get(`true/${entry.gid}`),
    sizeBytes: entry.sizeBytes,
    mtimeNs: String(entry.mtimeNs),
    ctimeNs: String(entry.ctimeNs),
    birthTimeNs: entry.birthTimeNs === 0n ? undefined : String(entry.birthTimeNs),
    device: entry.device === 0n ? undefined : String(entry.device),
    inode: String(entry.inode),
    linkCount: entry.linkCount,
    digest: entry.digest?.toString('hex'),
    linkTarget: entry.linkTarget === undefined ? undefined : jsonName(entry.linkTarget),
    attributes:
      attributes.length === 0
        ? undefined
        : attributes.map(({ name, value }) => ({
            ...jsonName(name),
            value: value.toString('base64'),
          })),
    firstSet: entry.firstSet,
    lastSet: entry.lastSet,
  };
}

function printEntries(entries: readonly ArchiveEntry[], options: View): void {
  if (options.json) {
    for (const entry of entries) print(JSON.stringify(jsonEntry(entry, options)));
    return;
  }
  if (!options.long) {
    for (const entry of entries) print(options.paint(partOf(entry), displayName(entry.name)));
    return;
  }
  const rows = entries.map((entry) => [
    modeText(entry),
    String(entry.linkCount),
    options.owners.get(`false/${entry.uid}`) ?? String(entry.uid),
    options.owners.get(`true/${entry.gid}`) ?? String(entry.gid),
    String(entry.sizeBytes),
    timeOf(entry),
    shownName(entry, options.paint),
  ]);
  if (rows.length > 0) print(formatTable(rows, [1, 2, 3, 4]));
}

function printVersions(
  versions: readonly PathVersion[],
  absolute: Buffer,
  sets: ReadonlyMap<number, BackupSet>,
  options: View,
): void {
  if (options.json) {
    for (const { entry, firstSet, lastSet } of versions) {
      print(JSON.stringify({ ...jsonEntry(entry, options), firstSet, lastSet }));
    }
    return;
  }
  print(options.paint('header', `${displayName(absolute)}:`));
  const rows = [['sets', 'backed up', 'mode', 'size', 'modified', 'digest']];
  for (const { entry, firstSet, lastSet } of versions) {
    const opened = sets.get(firstSet)?.openedAtMs;
    rows.push([
      lastSet === firstSet ? String(firstSet) : `${firstSet}–${lastSet ?? ''}`,
      opened === undefined ? '' : formatTime(opened),
      modeText(entry),
      String(entry.sizeBytes),
      timeOf(entry),
      entry.digest?.toString('hex').slice(0, 16) ?? '',
    ]);
  }
  print(formatTable(rows, [3]));
}

await runTool(command);
