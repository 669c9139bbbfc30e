/**
 * Converts records to catalog rows. A running session and recovery use the same functions, so a rebuilt catalog gets
 * the same rows.
 */
import type { NewVersion } from '../tables/entries.js';
import {
  type ContentId,
  digestKey,
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  EntryType,
  forEachRow,
  isZeros,
  type RootNumber,
  RowReader,
  type SetNumber,
} from '../../../model/index.js';
import type { ListingSection, StoreEvent } from '../../index.js';
import type { Catalog } from '../catalog.js';
import { type DirectoryIdentity, ROOTS_DIRECTORY } from '../tables/directories.js';

/** Maps digest keys to content ids. Saves a lookup if the caller has just stored the contents. */
export type KnownContents = ReadonlyMap<string, ContentId>;

/** Returns the identity of a directory from its row in the parent directory. */
export function identityOf(
  root: RootNumber,
  parent: DirectoryId,
  rows: RowReader,
  at: number,
): DirectoryIdentity {
  return {
    root,
    parent,
    name: rows.name(at),
    inode: rows.inode(at),
    birthTimeNs: rows.birthTimeNs(at),
  };
}

/**
 * Closes the open version of a name. If the version is a directory, that directory becomes unplaced until the end of
 * the set.
 */
export function closeName(
  catalog: Catalog,
  directory: DirectoryId,
  name: Buffer,
  set: SetNumber,
): void {
  const open = catalog.entries.findOpen(directory, name);
  if (open === undefined) return;
  catalog.entries.close(directory, name, open, set);
  if (open.childId !== undefined) catalog.directories.unplace(open.childId, directory, name);
}

/**
 * Stores a row as the open version of its name, and closes the version before it. A directory that only the closed
 * version led to becomes unplaced. With `isNew`, the directory had no entries before this session, so there is no
 * version before it.
 */
export function putRow(
  catalog: Catalog,
  version: NewVersion & { readonly isNew: boolean },
  rows: RowReader,
  at: number,
): void {
  const { set, directory } = version;
  if (!version.isNew) {
    const name = rows.name(at);
    const open = catalog.entries.findOpen(directory, name);
    if (open !== undefined) {
      if (open.firstSet < set) catalog.entries.close(directory, name, open, set);
      if (open.childId !== undefined && open.childId !== version.childId) {
        catalog.directories.unplace(open.childId, directory, name);
      }
    }
  }
  catalog.entries.put(version, rows, at);
}

/**
 * Returns the id of the content that a row names, or undefined if the row has no digest. An unknown content is
 * added as missing.
 */
export function contentOfRow(
  catalog: Catalog,
  rows: RowReader,
  at: number,
  known: KnownContents,
): ContentId | undefined {
  if (!rows.hasDigest(at)) return undefined;
  const digest = rows.digest(at);
  const contentId = known.get(digestKey(digest)) ?? catalog.contents.find(digest)?.contentId;
  return contentId ?? catalog.contents.add(digest, rows.sizeBytes(at), undefined, 0);
}

const NOTHING_KNOWN: KnownContents = new Map();
const CLOSE_BATCH = 1024;

/** Closes all open entries of a directory. */
export function closeDirectory(catalog: Catalog, directory: DirectoryId, set: SetNumber): void {
  for (;;) {
    const names = catalog.entries.headNames(directory, CLOSE_BATCH);
    for (const open of names) {
      catalog.entries.close(directory, open.name, open, set);
      if (open.childId !== undefined) {
        catalog.directories.unplace(open.childId, directory, open.name);
      }
    }
    if (names.length < CLOSE_BATCH) break;
  }
  catalog.directories.setSkipHash(directory, undefined);
  catalog.directories.forgetUnplaced(directory);
}

/** Applies a section of a listing record: first the removals, then the new rows. */
export function applySection(catalog: Catalog, section: ListingSection): void {
  const { set, directory } = section;
  if (section.closed) closeDirectory(catalog, directory, set);
  // Any change of a directory invalidates its skip hash.
  catalog.directories.setSkipHash(directory, undefined);
  for (const name of section.removed) closeName(catalog, directory, name, set);
  const rows = new RowReader(section.rows);
  let nextChild = 0;
  forEachRow(rows, (at) => {
    let childId: DirectoryId | undefined;
    if (rows.type(at) === EntryType.directory) {
      childId = section.children[nextChild];
      nextChild += 1;
    }
    const contentId = contentOfRow(catalog, rows, at, NOTHING_KNOWN);
    putRow(catalog, { set, directory, contentId, childId, isNew: false }, rows, at);
    if (childId === undefined) return;
    // Roots that were sent together share a section; their names are the root numbers.
    const isRoot = directory === ROOTS_DIRECTORY;
    const root = isRoot ? Number(rows.name(at).toString('latin1')) : section.root;
    const identity = identityOf(root, directory, rows, at);
    if (catalog.directories.exists(childId)) catalog.directories.place(childId, identity);
    else catalog.directories.add(childId, identity);
  });
}

/**
 * Applies an event. `unsound` has the digest keys of contents that the caller has found damaged; an event `sound` does
 * not unmark those.
 */
export function applyEvent(
  catalog: Catalog,
  event: StoreEvent,
  unsound: ReadonlySet<string> = NONE_UNSOUND,
): void {
  switch (event.type) {
    case 'set-opened':
      openSet(catalog, event);
      return;
    case 'by-account':
      addAccountSets(catalog, event);
      return;
    case 'set-marked':
      catalog.sets.mark(event.set, event.marks);
      return;
    case 'set-configured':
      catalog.settings.putConfig(event.set, event.config);
      return;
    case 'setting':
      catalog.settings.put(event.key, event.value);
      return;
    case 'forget-requested':
      catalog.forgets.put(event);
      return;
    case 'forget-withdrawn':
      catalog.forgets.remove(event.id);
      return;
    case 'set-closed':
      catalog.sets.complete(event.set, event.closedAtMs, event.stats);
      return;
    case 'notes':
      for (const note of event.notes) catalog.sets.addNote(event.set, note);
      return;
    case 'owners':
      for (const owner of event.owners) catalog.owners.put(event.set, owner);
      return;
    case 'seals':
      applySeals(catalog, event);
      return;
    case 'set-sealed':
      catalog.seals.putSet(event.set, event.seal);
      return;
    case 'damage':
      for (const digest of event.digests) applyDamage(catalog, digest);
      return;
    case 'sets-deleted':
      deleteSets(catalog, event.sets);
      return;
    case 'moved':
      return; // the event determines how the contents of its commit are applied
    case 'cut':
      catalog.gc.cut(event.pack, event.to);
      return;
    case 'removed':
      catalog.gc.remove(event.packs, event.objects, event.atMs);
      return;
    case 'deleted':
      for (const pack of event.packs) catalog.gc.forgetPack(pack);
      return;
    case 'doubtful':
      catalog.state.raiseDoubtfulUpTo(event.upToSet);
      return;
    case 'snapshot':
      catalog.state.writeSnapshot(event);
      return;
    case 'sound':
      applySounds(catalog, event.digests, unsound);
      return;
  }
}

function openSet({ sets }: Catalog, opened: Extract<StoreEvent, { type: 'set-opened' }>): void {
  sets.open(opened.set, opened.name, opened.openedAtMs, opened.clientTimeMs);
  for (const root of opened.roots) sets.addRoot(opened.set, root);
}

/** Unmarks damaged contents, except those in `unsound`. */
function applySounds(
  catalog: Catalog,
  digests: readonly Buffer[],
  unsound: ReadonlySet<string>,
): void {
  for (const digest of digests) {
    if (!unsound.has(digestKey(digest))) applySound(catalog, digest);
  }
}

function addAccountSets(
  { accounts }: Catalog,
  { set, roots, account }: Extract<StoreEvent, { type: 'by-account' }>,
): void {
  for (const root of roots) accounts.addSet({ set, root, account });
}

function deleteSets({ sets, seals, state }: Catalog, deleted: readonly SetNumber[]): void {
  for (const set of deleted) {
    sets.drop(set);
    seals.deleteSet(set);
  }
  state.writeWaste({ versions: true, contents: true });
}

function applySeals(
  catalog: Catalog,
  { set, directories, seals }: Extract<StoreEvent, { type: 'seals' }>,
): void {
  directories.forEach((directory, index) => {
    const at = index * DIRECTORY_SEAL_BYTES;
    const seal = seals.subarray(at, at + DIRECTORY_SEAL_BYTES);
    catalog.seals.put(directory, set, isZeros(seal) ? undefined : Buffer.from(seal));
  });
}

const NONE_UNSOUND: ReadonlySet<string> = new Set();

/** Unmarks a content that was marked as damaged. */
export function applySound(catalog: Catalog, digest: Buffer): void {
  const content = catalog.contents.find(digest);
  if (content !== undefined) catalog.contents.markSound(content.contentId);
}

/**
 * Unmarks a content that was found again, and all contents that depend on it. `breakDependants` then marks
 * those that still lack another content.
 */
export function applyFound({ contents, bases }: Catalog, digest: Buffer): void {
  const content = contents.find(digest);
  if (content === undefined) return;
  const found = new Set([content.contentId]);
  for (const contentId of found) {
    contents.markSound(contentId);
    for (const dependant of bases.dependants(contentId)) found.add(dependant);
  }
}

/**
 * Marks a content as damaged, with the assemblies and deltas that depend on it. Directories with an open entry
 * of one of them lose their skip hash, so that the next backup compares them.
 */
export function applyDamage(catalog: Catalog, digest: Buffer): void {
  const content = catalog.contents.find(digest);
  if (content === undefined) return;
  const missing = new Set([content.contentId]);
  for (const contentId of missing) {
    catalog.contents.markMissing(contentId);
    for (const dependant of catalog.bases.dependants(contentId)) missing.add(dependant);
    for (const directory of catalog.contents.directoriesHolding(contentId)) {
      catalog.directories.setSkipHash(directory, undefined);
    }
  }
}

/** Marks all contents that depend on missing contents, directly or indirectly, as missing. */
export function breakDependants(catalog: Catalog): void {
  for (;;) {
    const hasBroken = catalog.contents.breakAssemblies();
    if (!catalog.bases.breakDependants() && !hasBroken) return;
  }
}
