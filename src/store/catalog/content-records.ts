/** Converts records of contents to catalog rows: the place of each content, and which of several records is used. */
import { TardisError } from '../../errors/index.js';
import {
  type ContentId,
  decodeParts,
  digestKey,
  NO_BYTES,
  NO_CONTENT,
  type PackNumber,
  type RecordId,
} from '../../model/index.js';
import {
  checkFrameIndex,
  type ContentIndex,
  type DeltaRecordIndex,
  FRAME_ENTRY_BYTES,
  isOfAccount,
  type Location,
  readContentIndex,
  readDeltaIndex,
  readFrameIndex,
  RecordKind,
  type RecordHeader,
} from '../index.js';
import { applyDamage } from './recovery/apply.js';
import type { Catalog } from './catalog.js';
import type { ContentRow } from './tables/contents.js';

const NO_PACKS: ReadonlySet<PackNumber> = new Set();

interface AppliedParts {
  readonly location: Location;
  /** Body of the record, only for an assembly (a content in parts): the list of its parts. */
  readonly body?: Buffer | undefined;
  /** Packs whose contents the applied record replaces. */
  readonly moved?: ReadonlySet<PackNumber> | undefined;
  /** Map to which the ids of the contents are added; a new map by default. */
  readonly ids?: Map<string, ContentId>;
}

/**
 * Adds the contents of a frame, content, part, assembly, delta or signature record. A stored content keeps its place,
 * with three exceptions. Its place is in a pack that is moved; or a whole content replaces a delta; or a record of the
 * client replaces one of an account. A record of an account never replaces one of the client. So the result does not
 * depend on the order of records. Returns the ids of the contents by digest key.
 */
export function applyContentRecord(
  catalog: Catalog,
  header: RecordHeader,
  index: Buffer,
  { location, body = NO_BYTES, moved = NO_PACKS, ids = new Map<string, ContentId>() }: AppliedParts,
): Map<string, ContentId> {
  const { contents, accounts } = catalog;
  const isUnproven = isOfAccount(header);
  let recordId: RecordId | undefined;
  const add = (digest: Buffer, sizeBytes: number, offset: number): Added => {
    const found = contents.find(digest);
    const isPlaced = found === undefined || yields(catalog, found, header, moved);
    let contentId = found?.contentId ?? NO_CONTENT;
    if (isPlaced) {
      recordId ??= contents.addRecord(header, location);
      if (found === undefined) contentId = contents.add(digest, sizeBytes, recordId, offset);
      else contents.fill(found.contentId, recordId, offset, sizeBytes);
      accounts.markContent(contentId, isUnproven);
    }
    ids.set(digestKey(digest), contentId);
    return { contentId, isPlaced };
  };
  if (header.kind === RecordKind.frame) {
    for (const entry of readFrameIndex(header, index)) {
      add(entry.digest, entry.sizeBytes, entry.offset);
    }
    return ids;
  }
  if (header.kind === RecordKind.delta) {
    applyDelta(catalog, readDeltaIndex(index), add);
    return ids;
  }
  const content = readContentIndex(index);
  if (header.kind === RecordKind.signature) {
    applySignature(catalog, header, content, location);
    return ids;
  }
  const { contentId, isPlaced } = add(content.digest, content.sizeBytes, 0);
  if (header.kind === RecordKind.part) {
    catalog.contents.addPartSource(contentId, content.fileSizeBytes);
  }
  if (header.kind === RecordKind.assembly && isPlaced) {
    decodeParts(body).forEach((part, partNumber) => {
      const partId =
        catalog.contents.find(part.digest)?.contentId ??
        catalog.contents.add(part.digest, part.sizeBytes, undefined, 0);
      catalog.contents.addPart(contentId, partNumber, partId);
    });
  }
  return ids;
}

/**
 * Adds the contents of a frame by one statement, and returns the first of their consecutive ids. Returns undefined, and
 * adds nothing, unless all of them are certainly new, as in a first backup. Throws RECORD_DAMAGED.
 */
export function applyNewFrame(
  { contents, accounts, bulk }: Catalog,
  header: RecordHeader,
  index: Buffer,
  location: Location,
): ContentId | undefined {
  checkFrameIndex(header, index);
  if (isOfAccount(header) || accounts.mayHaveUnproven) return undefined;
  if (!contents.areNew(index, FRAME_ENTRY_BYTES)) return undefined;
  return bulk.addContents(index, contents.addRecord(header, location));
}

interface Added {
  readonly contentId: ContentId;
  /** True if the record has become the place of the content. */
  readonly isPlaced: boolean;
}

/** Returns true if a new record replaces the present place of the content. */
function yields(
  catalog: Catalog,
  found: ContentRow,
  header: RecordHeader,
  moved: ReadonlySet<PackNumber>,
): boolean {
  if (!stays(catalog, found, moved)) return true;
  const wasUnproven = catalog.accounts.isUnproven(found.contentId);
  if (isOfAccount(header) && !wasUnproven) return false;
  // A commit that moves packs may also write contents that nothing needs in those packs. Such contents keep their
  // place.
  if (!isOfAccount(header) && wasUnproven && moved.size === 0) return true;
  return found.isDelta && header.kind !== RecordKind.delta;
}

/** True if a content is stored outside of the packs that are moved. */
function stays(catalog: Catalog, content: ContentRow, moved: ReadonlySet<PackNumber>): boolean {
  if (!content.isStored || moved.size === 0) return content.isStored;
  const place = catalog.contents.stored(content.contentId);
  return place === undefined || !moved.has(place.pack);
}

/** Adds a content stored as a delta. A content that already has a place keeps it. */
function applyDelta(
  catalog: Catalog,
  { digest, sizeBytes, fileSizeBytes, basis, isPart }: DeltaRecordIndex,
  add: (digest: Buffer, sizeBytes: number, offset: number) => Added,
): void {
  const { contents, bases } = catalog;
  const { contentId, isPlaced } = add(digest, sizeBytes, 0);
  if (isPart) contents.addPartSource(contentId, fileSizeBytes);
  if (!isPlaced) return;
  const basisId = contents.find(basis)?.contentId ?? contents.add(basis, 0, undefined, 0);
  bases.set(contentId, basisId);
}

/** Returns the digests of the contents in a record. Throws RECORD_DAMAGED if its index is malformed. */
export function digestsOf(header: RecordHeader, index: Buffer): Buffer[] {
  if (header.kind !== RecordKind.frame) return [contentOf(header, index)];
  return readFrameIndex(header, index).map((entry) => Buffer.from(entry.digest));
}

/** Returns the digests of the contents in a record; none if its index is malformed. */
export function digestsIn(header: RecordHeader, index: Buffer): Buffer[] {
  try {
    return digestsOf(header, index);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    return [];
  }
}

function contentOf(header: RecordHeader, index: Buffer): Buffer {
  const read = header.kind === RecordKind.delta ? readDeltaIndex : readContentIndex;
  return read(index).digest;
}

/**
 * Adds a signature; its content need not be known yet. The newest signature counts, but one of an account never
 * replaces one of the client.
 */
function applySignature(
  catalog: Catalog,
  header: RecordHeader,
  { digest, sizeBytes }: ContentIndex,
  location: Location,
): void {
  const contentId =
    catalog.contents.find(digest)?.contentId ??
    catalog.contents.add(digest, sizeBytes, undefined, 0);
  const { signatures, accounts } = catalog;
  const isUnproven = isOfAccount(header);
  const isKept = isUnproven && signatures.find(contentId) !== undefined;
  if (isKept && !accounts.isSignatureUnproven(contentId)) return;
  signatures.put(contentId, catalog.contents.addRecord(header, location));
  accounts.markSignature(contentId, isUnproven);
}

/**
 * Adds the contents of a record whose bytes do not match its checksum. Each content keeps this place, since its
 * digest may still match, but counts as missing, so that the next backup sends it again. Contents stored
 * elsewhere are not changed. Returns the digests that now count as missing. Throws RECORD_DAMAGED if the index
 * is malformed.
 */
export function applyUnsoundRecord(
  catalog: Catalog,
  header: RecordHeader,
  index: Buffer,
  location: Location,
): Buffer[] {
  if (header.kind === RecordKind.signature) return []; // a new signature can be made
  const digests = digestsOf(header, index);
  const lacking = digests.filter((digest) => {
    const found = catalog.contents.find(digest);
    return found?.isStored !== true || yields(catalog, found, header, NO_PACKS);
  });
  applyContentRecord(catalog, header, index, { location });
  for (const digest of lacking) applyDamage(catalog, digest);
  return lacking;
}
