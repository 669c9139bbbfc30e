/**
 * Bodies of listing, event and commit records. All are msgpack; listings are compressed with zstd. Decoding checks
 * shapes, since a store may be hostile.
 */
import { recordDamaged, TardisError } from '../../errors/index.js';
import {
  bytesOf,
  type Check,
  type Checked,
  checkRows,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  isBytes,
  isClientConfig,
  isDigest,
  isDirectoryId,
  isFigures,
  isFlag,
  isForgetRequest,
  isId,
  isInteger,
  isPackNumber,
  isRootNumber,
  isSetMarks,
  isSetNumber,
  isSettingKey,
  isSettingValue,
  isShape,
  isText,
  listOf,
  mapOf,
  MAX_OWNER_NAME_BYTES,
  maybe,
  NO_BYTES,
  releaseMemory,
  type RowReader,
  SET_SEAL_BYTES,
  type TypedValues,
  where,
} from '../../model/index.js';
import { plainPackr, TEMPORARY } from '../../system/msgpack/index.js';
import { isClientName } from '../layout/client-name.js';
import { Codec, decode, encode, encodedBound } from './codec.js';
import { isRange } from './pack-ranges.js';
import { buildRecord, type ParsedRecord, RecordKind } from './record.js';

const packr = plainPackr();

const isSection = mapOf({
  set: isSetNumber,
  root: isRootNumber,
  directory: isDirectoryId,
  /** New or changed entries, as packed rows with digests. */
  rows: isBytes,
  /** The id of each directory among the rows, in their order. */
  children: listOf(isDirectoryId),
  /** Names that were removed. */
  removed: listOf(isBytes),
  /** True if the directory itself was removed, which closes all its open entries. */
  closed: isFlag,
});
/** The changes of one directory in one set. */
export type ListingSection = Checked<typeof isSection>;

export const isRootRecord = mapOf({
  root: isRootNumber,
  path: isBytes,
  directory: isDirectoryId,
  /** The device of the root, as the client names it; absent if it has not changed. */
  device: maybe(isText),
});
export type RootRecord = Checked<typeof isRootRecord>;

export const isNote = mapOf({
  directory: isDirectoryId,
  name: isBytes,
  /** The kind of the note (`NoteKind`), such as `unreadable` or `changed`. */
  what: isText,
  /** The system's error code, such as EACCES, or another short reason. */
  reason: isText,
});
/** A note about one entry that could not be saved, or perhaps not correctly. */
export type SetNote = Checked<typeof isNote>;

export const isOwner = mapOf({
  isGroup: isFlag,
  id: where(isId, (id) => id <= 0xffff_ffff),
  /** Empty if the id has no name. */
  name: where(isBytes, (name) => name.length <= MAX_OWNER_NAME_BYTES && !name.includes(0)),
});
/** The name that a user or group has from a set on. */
export type OwnerRecord = Checked<typeof isOwner>;

export const isAccount: Check<string> = where(isText, isClientName);
const areDigests = mapOf({ digests: listOf(isDigest) });
const arePacks = mapOf({ packs: listOf(isPackNumber) });

/** Number of bytes of the catalog in each piece of a copy except the last one. */
export const SNAPSHOT_PIECE_BYTES: number = 16 << 20;
/** Maximum number of pieces of a copy; a larger catalog has no copy. */
const MAX_PIECES = 4096;

/**
 * True if an untrusted event has the facts about a copy of the catalog in a bucket. The log contains them, so the copy
 * can be checked against the log.
 */
export const isSnapshotFacts = where(
  mapOf({
    /** The last commit in the copy. */
    commit: isId,
    /** Sixteen random digits in hexadecimal, which identify the copy. */
    id: where(isText, (id) => /^[0-9a-f]{16}$/.test(id)),
    /** Size of the catalog's file. */
    sizeBytes: isId,
    /** Number of bytes of the catalog that are in use. */
    usedBytes: isId,
    /** SHA-256 of each object with a piece of the copy, in the order of the pieces. */
    pieces: listOf(isDigest),
  }),
  ({ pieces, sizeBytes }) => pieces.length === snapshotPieces(sizeBytes),
);
export type SnapshotFacts = Checked<typeof isSnapshotFacts>;

/** Returns the number of pieces of a catalog of a size; undefined for one that is too large for a copy. */
export function snapshotPieces(sizeBytes: number): number | undefined {
  const pieces = Math.ceil(sizeBytes / SNAPSHOT_PIECE_BYTES);
  return pieces <= MAX_PIECES ? pieces : undefined;
}

/** The events, each with the check of its fields. */
const EVENTS = {
  'set-opened': mapOf({
    set: isSetNumber,
    name: isText,
    openedAtMs: isInteger,
    clientTimeMs: isInteger,
    roots: listOf(isRootRecord),
  }),
  /** An account of the client made a set, with these roots. */
  'by-account': mapOf({ set: isSetNumber, account: isAccount, roots: listOf(isRootNumber) }),
  /** The client's configuration in a set; sealed if the client encrypts. */
  'set-configured': mapOf({ set: isSetNumber, config: isClientConfig }),
  /** A change of a setting stored with the client; without a value the setting is removed. */
  setting: mapOf({ key: isSettingKey, value: maybe(isSettingValue) }),
  /** A request to forget a path. */
  'forget-requested': isForgetRequest,
  /** The withdrawal of such a request. */
  'forget-withdrawn': mapOf({ id: isId }),
  /** All marks that users gave a set (title, priority, locks, tags). */
  'set-marked': mapOf({ set: isSetNumber, marks: isSetMarks }),
  'set-closed': mapOf({ set: isSetNumber, closedAtMs: isInteger, stats: isFigures }),
  notes: mapOf({ set: isSetNumber, notes: listOf(isNote) }),
  owners: mapOf({ set: isSetNumber, owners: listOf(isOwner) }),
  /** Seals of the directories, DIRECTORY_SEAL_BYTES each; zeros remove a directory's seal. */
  seals: where(
    mapOf({ set: isSetNumber, directories: listOf(isDirectoryId), seals: isBytes }),
    ({ directories, seals }) => seals.length === directories.length * DIRECTORY_SEAL_BYTES,
  ),
  'set-sealed': mapOf({ set: isSetNumber, seal: bytesOf(SET_SEAL_BYTES) }),
  damage: areDigests,
  /** Contents that were marked as damaged, and were read whole since. */
  sound: areDigests,
  /** Sets that were deleted. */
  'sets-deleted': mapOf({ sets: listOf(isSetNumber) }),
  /** The contents in the records of this event's commit replace those in `packs`. */
  moved: arePacks,
  /** Nothing needs the bytes of a pack from `to` on; the pack is about to be truncated there, or has been. */
  cut: mapOf({ pack: isPackNumber, to: isId }),
  /** Packs and objects that nothing needs; they are about to be removed, or have been. */
  removed: mapOf({
    packs: listOf(isPackNumber),
    objects: listOf(isDigest),
    /** Time by the server's clock. */
    atMs: isInteger,
  }),
  /** Removed packs that have since been deleted. The event is for the other machines of a bucket. */
  deleted: arePacks,
  /** Sets up to this one may lack entries: a rebuild has found a part of the log lost. */
  doubtful: mapOf({ upToSet: isSetNumber }),
  /** A copy of the catalog, as of the previous commit, is in the bucket. */
  snapshot: isSnapshotFacts,
};
export type StoreEvent = TypedValues<typeof EVENTS>;

export const areCounters = mapOf({
  set: isSetNumber,
  root: isRootNumber,
  directory: isDirectoryId,
  sequence: isId,
});
export type Counters = Checked<typeof areCounters>;

const isCommit = mapOf({
  commit: isId,
  /** The body checksum in the header of the previous commit; 0 if there is none. */
  previous: isId,
  ranges: listOf(isRange),
  /** Objects outside of packs that this commit covers. */
  objects: listOf(mapOf({ digest: isDigest, bytes: isId })),
  counters: areCounters,
});
export type CommitBody = Checked<typeof isCommit>;

/** Returns the higher of both values for each counter. */
export function higherCounters(one: Counters, other: Counters): Counters {
  return {
    set: Math.max(one.set, other.set),
    root: Math.max(one.root, other.root),
    directory: Math.max(one.directory, other.directory),
    sequence: Math.max(one.sequence, other.sequence),
  };
}

/** zstd level for listings. It is low, since listings are small, and are compressed in the storage thread. */
const LISTING_LEVEL = 1;
/** Maximum length of a listing record's decoded body; the writer splits listings far below it. */
const MAX_LISTING_RAW_BYTES = 64 << 20;

export function buildListing(sequence: number, sections: readonly ListingSection[]): Buffer {
  return buildCompressed(RecordKind.listing, sequence, sections);
}

/** Builds a metadata record with a compressed body. */
export function buildCompressed(
  kind: typeof RecordKind.listing | typeof RecordKind.image | typeof RecordKind.heads,
  sequence: number,
  value: unknown,
): Buffer {
  const raw = packr.pack(value, TEMPORARY);
  const body = Buffer.allocUnsafe(encodedBound(Codec.zstd, raw.length));
  const bodyBytes = encode(Codec.zstd, LISTING_LEVEL, raw, body, 0);
  const header = { kind, codec: Codec.zstd, rawBytes: raw.length, sequence } as const;
  const record = buildRecord(header, NO_BYTES, body.subarray(0, bodyBytes));
  releaseMemory(body);
  return record;
}

export function buildEvent(sequence: number, event: StoreEvent): Buffer {
  const body = packr.pack(event, TEMPORARY);
  return buildRecord(
    { kind: RecordKind.event, codec: Codec.none, rawBytes: body.length, sequence },
    NO_BYTES,
    body,
  );
}

export function buildCommit(sequence: number, commit: CommitBody): Buffer {
  const body = packr.pack(commit, TEMPORARY);
  return buildRecord(
    { kind: RecordKind.commit, codec: Codec.none, rawBytes: body.length, sequence },
    NO_BYTES,
    body,
  );
}

/** Decodes the msgpack body of a metadata record. Throws RECORD_DAMAGED if it is too large or cannot be decoded. */
export function decodeBody(record: ParsedRecord): unknown {
  const { header, body } = record;
  if (header.rawBytes > MAX_LISTING_RAW_BYTES)
    throw recordDamaged('a metadata record is too large');
  let raw: Buffer = body;
  if (header.codec !== Codec.none) {
    raw = Buffer.allocUnsafeSlow(header.rawBytes);
    decode(header.codec, body, raw);
  }
  try {
    return packr.unpack(raw);
  } catch (error) {
    throw recordDamaged('a metadata record cannot be decoded', {}, error);
  }
}

/** Decodes and checks a listing. Throws RECORD_DAMAGED if it cannot be decoded, or has a wrong shape or row. */
export function readListing(record: ParsedRecord): readonly ListingSection[] {
  const sections = decodeBody(record);
  if (!Array.isArray(sections)) throw recordDamaged('a listing is no list');
  for (const section of sections as unknown[]) {
    if (!isSection(section)) throw recordDamaged('a listing has a wrong shape');
    if (countDirectories(section.rows) !== section.children.length) {
      throw recordDamaged('a listing has not one id for each directory');
    }
  }
  return sections as readonly ListingSection[];
}

/** Returns the number of directories among the rows. Throws RECORD_DAMAGED if a row is malformed. */
function countDirectories(bytes: Buffer): number {
  let count = 0;
  let rows: RowReader;
  try {
    rows = checkRows(bytes, false);
  } catch (error) {
    throw recordDamaged('a listing has a wrong row', {}, error);
  }
  forEachRow(rows, (at) => {
    if (rows.type(at) === EntryType.directory) count += 1;
  });
  return count;
}

/** Decodes and checks an event. Throws RECORD_DAMAGED for a wrong shape, STORE_NEWER for an unknown type of event. */
export function readEvent(record: ParsedRecord): StoreEvent {
  const event = decodeBody(record);
  const type = isShape(event) ? event['type'] : undefined;
  if (!isShape(event) || typeof type !== 'string') throw recordDamaged('an event has no type');
  if (!Object.hasOwn(EVENTS, type)) {
    throw new TardisError('STORE_NEWER', `the store holds an event "${type.slice(0, 40)}"`);
  }
  if (!EVENTS[type as StoreEvent['type']](event)) throw recordDamaged('an event has a wrong shape');
  return event as unknown as StoreEvent;
}

/** Decodes and checks a commit record. Throws RECORD_DAMAGED if it cannot be decoded or has a wrong shape. */
export function readCommit(record: ParsedRecord): CommitBody {
  const commit = decodeBody(record);
  if (!isCommit(commit)) throw recordDamaged('a commit record has a wrong shape');
  return commit;
}
