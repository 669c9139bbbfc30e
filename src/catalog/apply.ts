/**
 * Turns records into catalog rows. A session applies its own changes and recovery applies those of
 * records through the same functions, so that a rebuilt catalog cannot differ in kind.
 */
import {
  decodeParts,
  digestKey,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  RowReader,
} from '../model/index.js';
import {
  type ContentIndex,
  type DeltaRecordIndex,
  type ListingSection,
  type Location,
  readContentIndex,
  readDeltaIndex,
  readFrameIndex,
  RecordKind,
  type RecordHeader,
  type StoreEvent,
} from '../store/index.js';
import type { Catalog } from './catalog.js';
import type { ContentRow } from './contents.js';
import { type DirectoryIdentity, ROOTS_DIRECTORY } from './directories.js';

/** Content ids by digest key, to spare a look-up where the caller just stored them. */
export type KnownContents = ReadonlyMap<string, number>;

/** The identity a directory has by its row in its parent. */
export function identityOf(
  root: number,
  parent: number,
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

/** Closes one open name; a directory behind it is looked after at the set's end. */
export function closeName(catalog: Catalog, directory: number, name: Buffer, set: number): void {
  const open = catalog.entries.findOpen(directory, name);
  if (open === undefined) return;
  catalog.entries.close(directory, name, open, set);
  if (open.childId !== undefined) catalog.directories.unplace(open.childId, directory, name);
}

/**
 * Writes one row as the open version of its name. `isNew`: the directory had no entries before this
 * session, so there is nothing to close.
 */
export function putRow(
  catalog: Catalog,
  section: { readonly set: number; readonly directory: number },
  rows: RowReader,
  at: number,
  ids: { contentId: number | undefined; childId: number | undefined; isNew: boolean },
): void {
  const { set, directory } = section;
  if (!ids.isNew) {
    const name = rows.name(at);
    const open = catalog.entries.findOpen(directory, name);
    if (open !== undefined) {
      if (open.firstSet < set) catalog.entries.close(directory, name, open, set);
      if (open.childId !== undefined && open.childId !== ids.childId) {
        catalog.directories.unplace(open.childId, directory, name);
      }
    }
  }
  catalog.entries.put(directory, rows, at, set, ids.contentId, ids.childId);
}

/** The id of the content a row names (made, as missing, if nobody has it), or undefined. */
export function contentOfRow(
  catalog: Catalog,
  rows: RowReader,
  at: number,
  known: KnownContents,
): number | undefined {
  if (!rows.hasDigest(at)) return undefined;
  const digest = rows.digest(at);
  const contentId = known.get(digestKey(digest)) ?? catalog.contents.find(digest)?.contentId;
  return contentId ?? catalog.contents.add(digest, rows.sizeBytes(at), undefined, 0);
}

const NOTHING_KNOWN: KnownContents = new Map();
const NO_PACKS: ReadonlySet<number> = new Set();
const CLOSE_BATCH = 1024;

/** Closes every open entry of a directory. */
export function closeDirectory(catalog: Catalog, directory: number, set: number): void {
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

/** Applies a listing record's section: what is gone first, then what is new. */
export function applySection(catalog: Catalog, section: ListingSection): void {
  const { set, directory } = section;
  if (section.closed) closeDirectory(catalog, directory, set);
  // Whatever changes a directory ends what was known of its listing.
  catalog.directories.setSkipHash(directory, undefined);
  for (const name of section.removed) closeName(catalog, directory, name, set);
  const rows = new RowReader(section.rows);
  let nextChild = 0;
  forEachRow(rows, (at) => {
    let childId: number | undefined;
    if (rows.type(at) === EntryType.directory) {
      childId = section.children[nextChild];
      nextChild += 1;
    }
    const contentId = contentOfRow(catalog, rows, at, NOTHING_KNOWN);
    putRow(catalog, section, rows, at, { contentId, childId, isNew: false });
    if (childId === undefined) return;
    // Roots that were told together share a section, and are called by their numbers.
    const isRoot = directory === ROOTS_DIRECTORY;
    const root = isRoot ? Number(rows.name(at).toString('latin1')) : section.root;
    const identity = identityOf(root, directory, rows, at);
    if (catalog.directories.exists(childId)) catalog.directories.place(childId, identity);
    else catalog.directories.add(childId, identity);
  });
}

/** `unsound`: contents (by digest key) that whoever applies it has found damaged himself, whatever was said before. */
export function applyEvent(
  catalog: Catalog,
  event: StoreEvent,
  unsound: ReadonlySet<string> = NONE_UNSOUND,
): void {
  switch (event.type) {
    case 'set-opened':
      catalog.sets.open(event.set, event.name, event.openedAtMs, event.clientTimeMs);
      for (const root of event.roots) catalog.sets.addRoot(event.set, root);
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
    case 'forget-asked':
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
      event.directories.forEach((directory, index) => {
        const at = index * DIRECTORY_SEAL_BYTES;
        const seal = event.seals.subarray(at, at + DIRECTORY_SEAL_BYTES);
        catalog.seals.put(directory, event.set, isNone(seal) ? undefined : Buffer.from(seal));
      });
      return;
    case 'set-sealed':
      catalog.seals.putSet(event.set, event.seal);
      return;
    case 'damage':
      for (const digest of event.digests) applyDamage(catalog, digest);
      return;
    case 'dropped':
      for (const set of event.sets) {
        catalog.sets.drop(set);
        catalog.seals.dropSet(set);
      }
      catalog.state.writeWaste({ versions: true, contents: true });
      return;
    case 'moved':
      return; // it says how the contents of its commit are applied
    case 'removed':
      catalog.upkeep.remove(event.packs, event.objects, event.atMs);
      return;
    case 'sound':
      for (const digest of event.digests) {
        if (!unsound.has(digestKey(digest))) applySound(catalog, digest);
      }
      return;
  }
}

const NONE_UNSOUND: ReadonlySet<string> = new Set();

/** A content counts as damaged no more. */
export function applySound(catalog: Catalog, digest: Buffer): void {
  const content = catalog.contents.find(digest);
  if (content !== undefined) catalog.contents.markSound(content.contentId);
}

function isNone(seal: Buffer): boolean {
  return seal.every((byte) => byte === 0);
}

/**
 * The bytes of a content are not what they should be, and so are those of what it is a part of and of
 * deltas on it: whoever holds one of them open is read again.
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

/** What rests on missing contents is missing, however far it is from them. */
export function breakDependants(catalog: Catalog): void {
  for (;;) {
    const hasBroken = catalog.contents.breakAssemblies();
    if (!catalog.bases.breakDependants() && !hasBroken) return;
  }
}

/**
 * Adds the contents of a frame, content, part, assembly or signature record at its place. Contents that are
 * stored already keep their place, but a whole one takes that of a delta. Returns the ids of what the record holds by digest key.
 */
export function applyContentRecord(
  catalog: Catalog,
  header: RecordHeader,
  index: Buffer,
  location: Location,
  /** For an assembly, its list of parts. */
  body: Buffer = Buffer.alloc(0),
  /** Packs that the record takes the place of what is in. */
  moved: ReadonlySet<number> = NO_PACKS,
): Map<string, number> {
  const ids = new Map<string, number>();
  let recordId: number | undefined;
  const add = (digest: Buffer, sizeBytes: number, offset: number): number => {
    const found = catalog.contents.find(digest);
    let contentId = found?.contentId;
    const isWhole = header.kind !== RecordKind.delta;
    if (found === undefined || !stays(catalog, found, moved) || (found.isDelta && isWhole)) {
      recordId ??= catalog.contents.addRecord(header, location);
      if (found === undefined) {
        contentId = catalog.contents.add(digest, sizeBytes, recordId, offset);
      } else {
        catalog.contents.fill(found.contentId, recordId, offset, sizeBytes);
      }
    }
    ids.set(digestKey(digest), contentId!);
    return contentId!;
  };
  if (header.kind === RecordKind.frame) {
    for (const entry of readFrameIndex(header, index)) {
      add(Buffer.from(entry.digest), entry.sizeBytes, entry.offset);
    }
    return ids;
  }
  if (header.kind === RecordKind.delta) {
    applyDelta(catalog, readDeltaIndex(index), moved, add);
    return ids;
  }
  const content = readContentIndex(index);
  if (header.kind === RecordKind.signature) {
    applySignature(catalog, header, content, location);
    return ids;
  }
  const contentId = add(content.digest, content.sizeBytes, 0);
  if (header.kind === RecordKind.part) {
    catalog.contents.addPartSource(contentId, content.fileSizeBytes);
  }
  if (header.kind === RecordKind.assembly) {
    decodeParts(body).forEach((part, partNumber) => {
      const partId =
        catalog.contents.find(part.digest)?.contentId ??
        catalog.contents.add(part.digest, part.sizeBytes, undefined, 0);
      catalog.contents.addPart(contentId, partNumber, partId);
    });
  }
  return ids;
}

/** Whether a content is stored, and elsewhere than in the packs that are moved. */
function stays(catalog: Catalog, content: ContentRow, moved: ReadonlySet<number>): boolean {
  if (!content.isStored || moved.size === 0) return content.isStored;
  const place = catalog.contents.stored(content.contentId);
  return place === undefined || !moved.has(place.pack);
}

/** A content that came as a delta; one that is there whole already, or otherwise, stays as it is. */
function applyDelta(
  catalog: Catalog,
  { digest, sizeBytes, fileSizeBytes, basis, isPart }: DeltaRecordIndex,
  moved: ReadonlySet<number>,
  add: (digest: Buffer, sizeBytes: number, offset: number) => number,
): void {
  const { contents, bases } = catalog;
  const before = contents.find(digest);
  const isElsewhere = before !== undefined && stays(catalog, before, moved);
  const contentId = add(digest, sizeBytes, 0);
  if (isPart) contents.addPartSource(contentId, fileSizeBytes);
  if (isElsewhere) return;
  const basisId = contents.find(basis)?.contentId ?? contents.add(basis, 0, undefined, 0);
  bases.set(contentId, basisId);
}

/** The digests of what a record of contents holds. Throws RECORD_DAMAGED when its index makes no sense. */
export function digestsOf(header: RecordHeader, index: Buffer): Buffer[] {
  if (header.kind !== RecordKind.frame) return [contentOf(header, index)];
  return readFrameIndex(header, index).map((entry) => Buffer.from(entry.digest));
}

function contentOf(header: RecordHeader, index: Buffer): Buffer {
  const read = header.kind === RecordKind.delta ? readDeltaIndex : readContentIndex;
  return read(index).digest;
}

/** A signature is of a content that need not be known yet. The newest one counts. */
function applySignature(
  catalog: Catalog,
  header: RecordHeader,
  { digest, sizeBytes }: ContentIndex,
  location: Location,
): void {
  const contentId =
    catalog.contents.find(digest)?.contentId ??
    catalog.contents.add(digest, sizeBytes, undefined, 0);
  catalog.signatures.put(contentId, catalog.contents.addRecord(header, location));
}

/**
 * Adds what a record holds whose bytes do not match its checksum: each content keeps the place, since it
 * may prove sound by its digest, but counts as missing, so that the next backup sends it again. Contents
 * that are stored elsewhere stay as they are. Returns those that now count as missing. Throws RECORD_DAMAGED when the
 * index makes no sense.
 */
export function applyUnsoundRecord(
  catalog: Catalog,
  header: RecordHeader,
  index: Buffer,
  location: Location,
): Buffer[] {
  if (header.kind === RecordKind.signature) return []; // a new one can be made
  const digests = digestsOf(header, index);
  const lacking = digests.filter((digest) => catalog.contents.find(digest)?.isStored !== true);
  applyContentRecord(catalog, header, index, location);
  for (const digest of lacking) applyDamage(catalog, digest);
  return lacking;
}
