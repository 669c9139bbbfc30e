/**
 * Images: all that a catalog says at one moment, as records. With one, the listings and events before it are
 * needed no more, so packs can go; a rebuild begins with the newest one. Format: docs/formats.md, "Images".
 *
 * An image is some records, one after the other and in one commit; each holds items of a few types. What is read
 * here may be damaged or hostile.
 */
import { TardisError } from '../errors/index.js';
import {
  checkRows,
  countRows,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  isClientConfig,
  type ForgetRequest,
  isForgetRequest,
  isKeptSetting,
  isSetMarks,
  type KeptSetting,
  type SetMarks,
} from '../model/index.js';
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
import { type ParsedRecord, RecordKind } from './record.js';
import { isDigest, isId, isListOf, isShape, type Shape } from './shapes.js';

/** A set as an image tells it. */
export interface ImageSet {
  readonly set: number;
  readonly name: string;
  readonly state: string;
  readonly openedAtMs: number;
  readonly clientTimeMs: number;
  /** 0: it is not closed. */
  readonly closedAtMs: number;
  readonly stats: Readonly<Record<string, number>>;
  /** Numbers of its roots. */
  readonly roots: readonly number[];
  /** Empty: it has none. */
  readonly seal: Buffer;
  /** Not given: none. */
  readonly marks?: SetMarks;
}

export interface ImageDirectory {
  readonly directory: number;
  readonly root: number;
  readonly parent: number;
  readonly name: Buffer;
  /** 8 bytes each, little endian. */
  readonly inode: Buffer;
  readonly birthTimeNs: Buffer;
  readonly isUnplaced: boolean;
}

export type ImageItem =
  | {
      readonly type: 'head';
      readonly counters: Counters;
      /** Packs that are there, and needed, but for the one that the image begins in. */
      readonly packs: readonly number[];
      /** Sets up to this one may lack entries; 0: none. */
      readonly doubtfulUpTo: number;
    }
  /** Contents that are objects of their own. */
  | { readonly type: 'objects'; readonly digests: readonly Buffer[] }
  /** Contents that are marked as damaged. */
  | { readonly type: 'damaged'; readonly digests: readonly Buffer[] }
  | { readonly type: 'roots'; readonly roots: readonly RootRecord[] }
  | { readonly type: 'sets'; readonly sets: readonly ImageSet[] }
  /** What the client of a set was set to. */
  | { readonly type: 'config'; readonly set: number; readonly config: string }
  | { readonly type: 'settings'; readonly settings: readonly KeptSetting[] }
  | { readonly type: 'forgets'; readonly requests: readonly ForgetRequest[] }
  | { readonly type: 'notes'; readonly set: number; readonly notes: readonly SetNote[] }
  | { readonly type: 'owners'; readonly set: number; readonly owners: readonly OwnerRecord[] }
  | { readonly type: 'directories'; readonly directories: readonly ImageDirectory[] }
  | {
      readonly type: 'entries';
      readonly directory: number;
      /** Packed rows with digests, by name and first set. */
      readonly rows: Buffer;
      /** For each row, the flags that count now: a byte each. */
      readonly flags: Buffer;
      /** For each row, the sets it is valid from and to; 0: it is open. */
      readonly firsts: readonly number[];
      readonly lasts: readonly number[];
      /** For each row of a directory, its id. */
      readonly children: readonly number[];
    }
  | {
      readonly type: 'seals';
      readonly directories: readonly number[];
      readonly firsts: readonly number[];
      readonly lasts: readonly number[];
      readonly seals: Buffer;
    };

/** One record of an image. */
export interface ImagePiece {
  /** The sequence number of the image's first record. */
  readonly image: number;
  /** From 0. */
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
  settings: (item) => isListOf(item['settings'], isKeptSetting),
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
    (value['marks'] === undefined || isSetMarks(value['marks']))
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

/** Each begins before it ends, or is open. */
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

/** Throws RECORD_DAMAGED on a wrong shape, STORE_NEWER on an item this release does not know. */
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
    throw new TardisError('RECORD_DAMAGED', 'an image has a wrong row', {}, error);
  }
}

function damaged(): TardisError {
  return new TardisError('RECORD_DAMAGED', 'an image has a wrong shape');
}
