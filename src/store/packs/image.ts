/**
 * Images: the whole content of a catalog at one moment, as records. Once an image exists, earlier listings and events
 * are not needed, so their packs can be removed. A rebuild begins with the newest image. Format: docs/inside/formats.md,
 * "Images".
 *
 * An image is a sequence of records in one commit; each has items of a few types. The records read here may be damaged
 * or hostile.
 */
import { recordDamaged, TardisError } from '../../errors/index.js';
import {
  bytesOf,
  type Checked,
  checkRows,
  countRows,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  isBytes,
  isClientConfig,
  isClientSetting,
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
  isShape,
  isText,
  listOf,
  mapOf,
  type SetNumber,
  type TypedValues,
  where,
} from '../../model/index.js';
import {
  areCounters,
  buildCompressed,
  decodeBody,
  isAccount,
  isNote,
  isOwner,
  isRootRecord,
} from './events.js';
import { type ParsedRecord, RecordKind } from './record.js';

const SET_STATES = new Set(['unfinished', 'complete', 'superseded']);
const INODE_BYTES = 8;

const isSet = mapOf({
  set: isSetNumber,
  name: isText,
  state: where(isText, (state) => SET_STATES.has(state)),
  openedAtMs: isInteger,
  clientTimeMs: isInteger,
  /** 0 if the set is not closed. */
  closedAtMs: isInteger,
  stats: isFigures,
  /** Numbers of the set's roots. */
  roots: listOf(isRootNumber),
  /** Seal of the set; empty if it has none. */
  seal: isBytes,
  marks: isSetMarks,
});
/** A set as an image records it. */
export type ImageSet = Checked<typeof isSet>;

const isDirectory = mapOf({
  directory: isDirectoryId,
  root: isRootNumber,
  parent: isDirectoryId,
  name: isBytes,
  /** Inode number: 8 bytes, little endian, like `birthTimeNs`. */
  inode: bytesOf(INODE_BYTES),
  birthTimeNs: bytesOf(INODE_BYTES),
  isUnplaced: isFlag,
});
export type ImageDirectory = Checked<typeof isDirectory>;

const areEntries = mapOf({
  directory: isDirectoryId,
  /** Packed rows with digests, ordered by name and first set. */
  rows: isBytes,
  /** One byte for each row: the flags that are valid now. */
  flags: isBytes,
  /** For each row, the first set for which it is valid. */
  firsts: listOf(isSetNumber),
  /** For each row, the last set for which it is valid; 0 if the row is open. */
  lasts: listOf(isSetNumber),
  /** For each row of a directory, the directory's id. */
  children: listOf(isDirectoryId),
});

/** The items of an image, each with the check of its fields. */
const ITEMS = {
  head: mapOf({
    counters: areCounters,
    /** Existing packs that are needed, except the pack in which the image begins. */
    packs: listOf(isPackNumber),
    /** Sets up to this one may lack entries; 0 if none do. */
    doubtfulUpTo: isSetNumber,
  }),
  /** Contents that have objects of their own, outside of packs. */
  objects: mapOf({ digests: listOf(isDigest) }),
  /** Contents that are marked as damaged. */
  damaged: mapOf({ digests: listOf(isDigest) }),
  roots: mapOf({ roots: listOf(isRootRecord) }),
  sets: mapOf({ sets: listOf(isSet) }),
  /** The client's configuration in a set. */
  config: mapOf({ set: isSetNumber, config: isClientConfig }),
  settings: mapOf({ settings: listOf(isClientSetting) }),
  forgets: mapOf({ requests: listOf(isForgetRequest) }),
  /** Sets that accounts made: one item for each root of such a set. Deleted sets are included. */
  accounts: mapOf({
    sets: listOf(mapOf({ set: isSetNumber, root: isRootNumber, account: isAccount })),
  }),
  notes: mapOf({ set: isSetNumber, notes: listOf(isNote) }),
  owners: mapOf({ set: isSetNumber, owners: listOf(isOwner) }),
  directories: mapOf({ directories: listOf(isDirectory) }),
  entries: where(areEntries, isConsistent),
  seals: where(
    mapOf({
      directories: listOf(isDirectoryId),
      firsts: listOf(isSetNumber),
      lasts: listOf(isSetNumber),
      seals: isBytes,
    }),
    ({ directories: { length }, firsts, lasts, seals }) =>
      isIntervals(firsts, lasts, length) && seals.length === length * DIRECTORY_SEAL_BYTES,
  ),
};
export type ImageItem = TypedValues<typeof ITEMS>;

/** The first item of an image. */
export type ImageHead = Extract<ImageItem, { type: 'head' }>;

/** One of the records that make up an image. */
export interface ImagePiece {
  /** The sequence number of the image's first record, which identifies the image. */
  readonly image: number;
  /** Number of the piece in the image, from 0. */
  readonly piece: number;
  readonly isLast: boolean;
  readonly items: readonly ImageItem[];
}

const isPiece = mapOf({ image: isId, piece: isId, isLast: isFlag, items: listOf(isShape) });

export function buildImagePiece(sequence: number, piece: ImagePiece): Buffer {
  return buildCompressed(RecordKind.image, sequence, piece);
}

/** True if the lists form `count` intervals, each of which is open or does not end before it begins. */
function isIntervals(
  firsts: readonly SetNumber[],
  lasts: readonly SetNumber[],
  count: number,
): boolean {
  return (
    firsts.length === count &&
    lasts.length === count &&
    lasts.every((last, index) => last === 0 || last >= firsts[index]!)
  );
}

/** True if the lists have one value for each row, or for each row of a directory. */
function isConsistent(entries: Checked<typeof areEntries>): boolean {
  let directories = 0;
  const rows = checkRows(entries.rows, false);
  forEachRow(rows, (at) => {
    if (rows.type(at) === EntryType.directory) directories += 1;
  });
  const count = countRows(rows);
  const { children, flags, firsts, lasts } = entries;
  const areFlags = directories === children.length && flags.length === count;
  return areFlags && isIntervals(firsts, lasts, count);
}

/**
 * Decodes and checks a record of an image. Throws RECORD_DAMAGED for a wrong shape, STORE_NEWER for an unknown type of
 * item.
 */
export function readImagePiece(record: ParsedRecord): ImagePiece {
  const piece = decodeBody(record);
  if (!isPiece(piece)) throw damaged();
  for (const item of piece.items) {
    const type = String(item['type']).slice(0, 40);
    if (!Object.hasOwn(ITEMS, type)) {
      throw new TardisError('STORE_NEWER', `the store holds an image with "${type}"`);
    }
    if (!isItem(ITEMS[type as ImageItem['type']], item)) throw damaged();
  }
  return piece as unknown as ImagePiece;
}

function isItem(isWhole: (item: unknown) => boolean, item: unknown): boolean {
  try {
    return isWhole(item);
  } catch (error) {
    throw recordDamaged('an image has a wrong row', {}, error);
  }
}

function damaged(): TardisError {
  return recordDamaged('an image has a wrong shape');
}
