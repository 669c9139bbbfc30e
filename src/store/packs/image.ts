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
  checkRows,
  type ClientSetting,
  countRows,
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  EntryType,
  forEachRow,
  type ForgetRequest,
  type ClientConfig,
  isClientConfig,
  isClientSetting,
  isForgetRequest,
  isSetMarks,
  type PackNumber,
  type RootNumber,
  type SetMarks,
  type SetNumber,
} from '../../model/index.js';
import {
  buildCompressed,
  type Counters,
  decodeBody,
  isNote,
  isOwner,
  isRootRecord,
  type OwnerRecord,
  type RootRecord,
  type SetNote,
} from './events.js';
import { isClientName } from '../layout/client-name.js';
import { type ParsedRecord, RecordKind } from './record.js';
import { isDigest, isId, isListOf, isShape, type Shape } from './shapes.js';

/** A set as an image records it. */
export interface ImageSet {
  readonly set: SetNumber;
  readonly name: string;
  readonly state: string;
  readonly openedAtMs: number;
  readonly clientTimeMs: number;
  /** 0 if the set is not closed. */
  readonly closedAtMs: number;
  readonly stats: Readonly<Record<string, number>>;
  /** Numbers of the set's roots. */
  readonly roots: readonly RootNumber[];
  /** Seal of the set; empty if it has none. */
  readonly seal: Buffer;
  readonly marks: SetMarks;
}

export interface ImageDirectory {
  readonly directory: DirectoryId;
  readonly root: RootNumber;
  readonly parent: DirectoryId;
  readonly name: Buffer;
  /** Inode number: 8 bytes, little endian, like `birthTimeNs`. */
  readonly inode: Buffer;
  readonly birthTimeNs: Buffer;
  readonly isUnplaced: boolean;
}

export type ImageItem =
  | {
      readonly type: 'head';
      readonly counters: Counters;
      /** Existing packs that are needed, except the pack in which the image begins. */
      readonly packs: readonly PackNumber[];
      /** Sets up to this one may lack entries; 0 if none do. */
      readonly doubtfulUpTo: SetNumber;
    }
  /** Contents that have objects of their own, outside of packs. */
  | { readonly type: 'objects'; readonly digests: readonly Buffer[] }
  /** Contents that are marked as damaged. */
  | { readonly type: 'damaged'; readonly digests: readonly Buffer[] }
  | { readonly type: 'roots'; readonly roots: readonly RootRecord[] }
  | { readonly type: 'sets'; readonly sets: readonly ImageSet[] }
  /** The client's configuration in a set. */
  | { readonly type: 'config'; readonly set: SetNumber; readonly config: ClientConfig }
  | { readonly type: 'settings'; readonly settings: readonly ClientSetting[] }
  | { readonly type: 'forgets'; readonly requests: readonly ForgetRequest[] }
  /** Sets that accounts made: one item for each root of such a set. Deleted sets are included. */
  | {
      readonly type: 'accounts';
      readonly sets: readonly {
        readonly set: SetNumber;
        readonly root: RootNumber;
        readonly account: string;
      }[];
    }
  | { readonly type: 'notes'; readonly set: SetNumber; readonly notes: readonly SetNote[] }
  | { readonly type: 'owners'; readonly set: SetNumber; readonly owners: readonly OwnerRecord[] }
  | { readonly type: 'directories'; readonly directories: readonly ImageDirectory[] }
  | {
      readonly type: 'entries';
      readonly directory: DirectoryId;
      /** Packed rows with digests, ordered by name and first set. */
      readonly rows: Buffer;
      /** One byte for each row: the flags that are valid now. */
      readonly flags: Buffer;
      /** For each row, the first set for which it is valid. */
      readonly firsts: readonly SetNumber[];
      /** For each row, the last set for which it is valid; 0 if the row is open. */
      readonly lasts: readonly SetNumber[];
      /** For each row of a directory, the directory's id. */
      readonly children: readonly DirectoryId[];
    }
  | {
      readonly type: 'seals';
      readonly directories: readonly DirectoryId[];
      readonly firsts: readonly SetNumber[];
      readonly lasts: readonly SetNumber[];
      readonly seals: Buffer;
    };

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

export function buildImagePiece(sequence: number, piece: ImagePiece): Buffer {
  return buildCompressed(RecordKind.image, sequence, piece);
}

const INODE_BYTES = 8;

const ITEM_SHAPES: Readonly<Record<ImageItem['type'], (item: Shape) => boolean>> = {
  head: (item) =>
    isShape(item['counters']) &&
    ['set', 'root', 'directory', 'sequence'].every((name) =>
      isId((item['counters'] as Shape)[name]),
    ) &&
    isListOf(item['packs'], isId) &&
    isId(item['doubtfulUpTo']),
  objects: (item) => isListOf(item['digests'], isDigest),
  damaged: (item) => isListOf(item['digests'], isDigest),
  roots: (item) => isListOf(item['roots'], isRootRecord),
  sets: (item) => isListOf(item['sets'], isSet),
  config: (item) => isId(item['set']) && isClientConfig(item['config']),
  settings: (item) => isListOf(item['settings'], isClientSetting),
  accounts: (item) =>
    isListOf(
      item['sets'],
      (one) =>
        isShape(one) &&
        isId(one['set']) &&
        isId(one['root']) &&
        typeof one['account'] === 'string' &&
        isClientName(one['account']),
    ),
  forgets: (item) => isListOf(item['requests'], isForgetRequest),
  notes: (item) => isId(item['set']) && isListOf(item['notes'], isNote),
  owners: (item) => isId(item['set']) && isListOf(item['owners'], isOwner),
  directories: (item) => isListOf(item['directories'], isDirectory),
  entries: isEntries,
  seals: (item) => {
    const { directories, firsts, lasts, seals } = item;
    return (
      isListOf(directories, isId) &&
      isIntervals(firsts, lasts, directories.length) &&
      Buffer.isBuffer(seals) &&
      seals.length === directories.length * DIRECTORY_SEAL_BYTES
    );
  },
};

const SET_STATES = new Set(['unfinished', 'complete', 'superseded']);

function isSet(value: unknown): boolean {
  return (
    isShape(value) &&
    isId(value['set']) &&
    typeof value['name'] === 'string' &&
    SET_STATES.has(String(value['state'])) &&
    Number.isSafeInteger(value['openedAtMs']) &&
    Number.isSafeInteger(value['clientTimeMs']) &&
    Number.isSafeInteger(value['closedAtMs']) &&
    isShape(value['stats']) &&
    Object.values(value['stats']).every((count) => Number.isFinite(count)) &&
    isListOf(value['roots'], isId) &&
    Buffer.isBuffer(value['seal']) &&
    isSetMarks(value['marks'])
  );
}

function isDirectory(value: unknown): boolean {
  return (
    isShape(value) &&
    ['directory', 'root', 'parent'].every((name) => isId(value[name])) &&
    Buffer.isBuffer(value['name']) &&
    isBytes(value['inode'], INODE_BYTES) &&
    isBytes(value['birthTimeNs'], INODE_BYTES) &&
    typeof value['isUnplaced'] === 'boolean'
  );
}

function isBytes(value: unknown, bytes: number): boolean {
  return Buffer.isBuffer(value) && value.length === bytes;
}

/** True if the lists form `count` intervals, each of which is open or does not end before it begins. */
function isIntervals(firsts: unknown, lasts: unknown, count: number): boolean {
  return (
    isListOf(firsts, isId) &&
    isListOf(lasts, isId) &&
    firsts.length === count &&
    lasts.length === count &&
    lasts.every((last, index) => last === 0 || (last as number) >= (firsts[index] as number))
  );
}

function isEntries(item: Shape): boolean {
  const { directory, rows: bytes, flags, firsts, lasts, children } = item;
  if (!isId(directory) || !Buffer.isBuffer(bytes) || !isListOf(children, isId)) return false;
  let directories = 0;
  const rows = checkRows(bytes, false);
  forEachRow(rows, (at) => {
    if (rows.type(at) === EntryType.directory) directories += 1;
  });
  const count = countRows(rows);
  return (
    directories === children.length && isBytes(flags, count) && isIntervals(firsts, lasts, count)
  );
}

/**
 * Decodes and checks a record of an image. Throws RECORD_DAMAGED for a wrong shape, STORE_NEWER for an unknown type of
 * item.
 */
export function readImagePiece(record: ParsedRecord): ImagePiece {
  const piece = decodeBody(record);
  const isWhole =
    isShape(piece) &&
    isId(piece['image']) &&
    isId(piece['piece']) &&
    typeof piece['isLast'] === 'boolean' &&
    isListOf(piece['items'], isShape);
  if (!isWhole) throw damaged();
  for (const item of piece['items'] as Shape[]) {
    const type = String(item['type']).slice(0, 40);
    if (!Object.hasOwn(ITEM_SHAPES, type)) {
      throw new TardisError('STORE_NEWER', `the store holds an image with "${type}"`);
    }
    if (!isItem(ITEM_SHAPES[type as ImageItem['type']], item)) throw damaged();
  }
  return piece as unknown as ImagePiece;
}

function isItem(isWhole: (item: Shape) => boolean, item: Shape): boolean {
  try {
    return isWhole(item);
  } catch (error) {
    throw recordDamaged('an image has a wrong row', {}, error);
  }
}

function damaged(): TardisError {
  return recordDamaged('an image has a wrong shape');
}
