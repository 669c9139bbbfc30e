/**
 * What the bodies of listing, event and commit records say. All are msgpack; listings are
 * compressed with zstd. Decoding checks shapes: a store may be hostile.
 */
import { Packr } from 'msgpackr';
import { TardisError } from '../errors/index.js';
import {
  checkRows,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  type ForgetRequest,
  isClientConfig,
  isForgetRequest,
  isSetMarks,
  isSettingKey,
  isSettingValue,
  type RowReader,
  SET_SEAL_BYTES,
  type SetMarks,
} from '../model/index.js';
import { Codec, decode, encode, encodedBound } from './codec.js';
import type { PackRange } from './pack-writer.js';
import { buildRecord, type ParsedRecord, RecordKind } from './record.js';
import { isDigest, isId, isListOf, isShape, type Shape } from './shapes.js';

/** Plain maps, no record extension: any msgpack reader can read a store. */
const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/** The change of one directory in one set. */
export interface ListingSection {
  readonly set: number;
  readonly root: number;
  readonly directory: number;
  /** Entries that are new or changed, as packed rows with digests. */
  readonly rows: Buffer;
  /** For each row of type directory, in order, the id of that directory. */
  readonly children: readonly number[];
  /** Names that are gone. */
  readonly removed: readonly Buffer[];
  /** Every entry still open is closed (the directory itself is gone). */
  readonly closed: boolean;
}

export interface RootRecord {
  readonly root: number;
  readonly path: Buffer;
  readonly directory: number;
  /** The device it is on, as the client names it; not given: as it was. */
  readonly device?: string;
}

export type StoreEvent =
  | {
      readonly type: 'set-opened';
      readonly set: number;
      readonly name: string;
      readonly openedAtMs: number;
      readonly clientTimeMs: number;
      readonly roots: readonly RootRecord[];
    }
  /** What the client of a set was set to; sealed where it encrypts. */
  | { readonly type: 'set-configured'; readonly set: number; readonly config: string }
  /** A setting kept with the client; without a value it is not set any more. */
  | { readonly type: 'setting'; readonly key: string; readonly value?: string }
  /** A path is to be forgotten; */
  | ({ readonly type: 'forget-asked' } & ForgetRequest)
  /** or not. */
  | { readonly type: 'forget-withdrawn'; readonly id: number }
  /** What users say of a set, all of it. */
  | { readonly type: 'set-marked'; readonly set: number; readonly marks: SetMarks }
  | {
      readonly type: 'set-closed';
      readonly set: number;
      readonly closedAtMs: number;
      readonly stats: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'notes';
      readonly set: number;
      readonly notes: readonly SetNote[];
    }
  | { readonly type: 'owners'; readonly set: number; readonly owners: readonly OwnerRecord[] }
  | {
      /** Seals of directories, DIRECTORY_SEAL_BYTES each; zeros: it has none any more. */
      readonly type: 'seals';
      readonly set: number;
      readonly directories: readonly number[];
      readonly seals: Buffer;
    }
  | { readonly type: 'set-sealed'; readonly set: number; readonly seal: Buffer }
  | { readonly type: 'damage'; readonly digests: readonly Buffer[] }
  /** Contents that counted as damaged, and were read whole since. */
  | { readonly type: 'sound'; readonly digests: readonly Buffer[] }
  /** Sets that are no longer kept. */
  | { readonly type: 'dropped'; readonly sets: readonly number[] }
  /** The contents in records of this commit take the place of those in these packs. */
  | { readonly type: 'moved'; readonly packs: readonly number[] }
  /** Packs and objects that nothing needs: they will go, or are gone. */
  | {
      readonly type: 'removed';
      readonly packs: readonly number[];
      readonly objects: readonly Buffer[];
      /** The server's clock. */
      readonly atMs: number;
    };

/** One thing that could not be saved, or not surely. */
export interface SetNote {
  readonly directory: number;
  readonly name: Buffer;
  /** `unreadable`, `vanished` or `changed`. */
  readonly what: string;
  /** The system's reason, such as EACCES. */
  readonly reason: string;
}

/** The name a user or group has from a set on. */
export interface OwnerRecord {
  readonly isGroup: boolean;
  readonly id: number;
  /** Empty: it has none. */
  readonly name: Buffer;
}

export interface CommitBody {
  readonly commit: number;
  readonly ranges: readonly PackRange[];
  /** Objects of their own that this commit covers. */
  readonly objects: readonly { readonly digest: Buffer; readonly bytes: number }[];
  readonly counters: Counters;
}

export interface Counters {
  readonly set: number;
  readonly root: number;
  readonly directory: number;
  readonly sequence: number;
}

/** zstd level for listings: small, and made in the storage thread. */
const LISTING_LEVEL = 1;
const EMPTY = Buffer.alloc(0);
/** A listing record's decoded body is cut by the writer far below this. */
const MAX_LISTING_RAW_BYTES = 64 << 20;

export function buildListing(sequence: number, sections: readonly ListingSection[]): Buffer {
  return buildCompressed(RecordKind.listing, sequence, sections);
}

/** A metadata record whose body is compressed. */
export function buildCompressed(
  kind: typeof RecordKind.listing | typeof RecordKind.image,
  sequence: number,
  value: unknown,
): Buffer {
  const raw = packr.pack(value);
  const body = Buffer.allocUnsafe(encodedBound(Codec.zstd, raw.length));
  const bodyBytes = encode(Codec.zstd, LISTING_LEVEL, raw, body, 0);
  return buildRecord(
    { kind, codec: Codec.zstd, rawBytes: raw.length, sequence },
    EMPTY,
    body.subarray(0, bodyBytes),
  );
}

export function buildEvent(sequence: number, event: StoreEvent): Buffer {
  const body = packr.pack(event);
  return buildRecord(
    { kind: RecordKind.event, codec: Codec.none, rawBytes: body.length, sequence },
    EMPTY,
    body,
  );
}

export function buildCommit(sequence: number, commit: CommitBody): Buffer {
  const body = packr.pack(commit);
  return buildRecord(
    { kind: RecordKind.commit, codec: Codec.none, rawBytes: body.length, sequence },
    EMPTY,
    body,
  );
}

/** The msgpack body of a metadata record. Throws RECORD_DAMAGED. */
export function decodeBody(record: ParsedRecord): unknown {
  const { header, body } = record;
  if (header.rawBytes > MAX_LISTING_RAW_BYTES) throw damaged('a metadata record is too large');
  let raw: Buffer = body;
  if (header.codec !== Codec.none) {
    raw = Buffer.allocUnsafeSlow(header.rawBytes);
    decode(header.codec, body, raw);
  }
  try {
    return packr.unpack(raw);
  } catch (error) {
    throw new TardisError('RECORD_DAMAGED', 'a metadata record cannot be decoded', {}, error);
  }
}

/** Throws RECORD_DAMAGED when the record is not what it should be. */
export function readListing(record: ParsedRecord): ListingSection[] {
  const sections = decodeBody(record);
  if (!Array.isArray(sections)) throw damaged('a listing is no list');
  for (const section of sections as (Partial<ListingSection> | null)[]) {
    const isWhole =
      isId(section?.set) &&
      isId(section.root) &&
      isId(section.directory) &&
      Buffer.isBuffer(section.rows) &&
      isListOf(section.children, isId) &&
      isListOf(section.removed, (name) => Buffer.isBuffer(name)) &&
      typeof section.closed === 'boolean';
    if (!isWhole) throw damaged('a listing has a wrong shape');
    if (countDirectories(section.rows) !== section.children.length) {
      throw damaged('a listing has not one id for each directory');
    }
  }
  return sections as ListingSection[];
}

/** Checks the rows, and counts those of directories. */
function countDirectories(bytes: Buffer): number {
  let count = 0;
  let rows: RowReader;
  try {
    rows = checkRows(bytes, false);
  } catch (error) {
    throw new TardisError('RECORD_DAMAGED', 'a listing has a wrong row', {}, error);
  }
  forEachRow(rows, (at) => {
    if (rows.type(at) === EntryType.directory) count += 1;
  });
  return count;
}

/** What an event of each type must have besides its type. */
const EVENT_SHAPES: Readonly<Record<StoreEvent['type'], (event: Shape) => boolean>> = {
  'set-opened': (event) =>
    isId(event['set']) &&
    typeof event['name'] === 'string' &&
    Number.isSafeInteger(event['openedAtMs']) &&
    Number.isSafeInteger(event['clientTimeMs']) &&
    isListOf(event['roots'], isRootRecord),
  'set-marked': (event) => isId(event['set']) && isSetMarks(event['marks']),
  'set-configured': (event) => isId(event['set']) && isClientConfig(event['config']),
  setting: (event) =>
    isSettingKey(event['key']) && (event['value'] === undefined || isSettingValue(event['value'])),
  'forget-asked': isForgetRequest,
  'forget-withdrawn': (event) => isId(event['id']),
  'set-closed': (event) =>
    isId(event['set']) &&
    Number.isSafeInteger(event['closedAtMs']) &&
    isShape(event['stats']) &&
    Object.values(event['stats']).every((count) => Number.isFinite(count)),
  notes: (event) => isId(event['set']) && isListOf(event['notes'], isNote),
  owners: (event) => isId(event['set']) && isListOf(event['owners'], isOwner),
  seals: (event) =>
    isId(event['set']) &&
    isListOf(event['directories'], isId) &&
    Buffer.isBuffer(event['seals']) &&
    event['seals'].length === event['directories'].length * DIRECTORY_SEAL_BYTES,
  'set-sealed': (event) =>
    isId(event['set']) && Buffer.isBuffer(event['seal']) && event['seal'].length === SET_SEAL_BYTES,
  damage: (event) => isListOf(event['digests'], isDigest),
  sound: (event) => isListOf(event['digests'], isDigest),
  dropped: (event) => isListOf(event['sets'], isId),
  moved: (event) => isListOf(event['packs'], isId),
  removed: (event) =>
    isListOf(event['packs'], isId) &&
    isListOf(event['objects'], isDigest) &&
    Number.isSafeInteger(event['atMs']),
};

/** Whether something of unknown origin is a root. */
export function isRootRecord(value: unknown): boolean {
  return (
    isShape(value) &&
    isId(value['root']) &&
    Buffer.isBuffer(value['path']) &&
    isId(value['directory']) &&
    (value['device'] === undefined || typeof value['device'] === 'string')
  );
}

/** Whether something of unknown origin is a note. */
export function isNote(value: unknown): boolean {
  return (
    isShape(value) &&
    isId(value['directory']) &&
    Buffer.isBuffer(value['name']) &&
    typeof value['what'] === 'string' &&
    typeof value['reason'] === 'string'
  );
}

const MAX_OWNER_NAME_BYTES = 256;

/** Whether something of unknown origin names an owner. */
export function isOwner(value: unknown): value is OwnerRecord {
  return (
    isShape(value) &&
    typeof value['isGroup'] === 'boolean' &&
    isId(value['id']) &&
    value['id'] <= 0xffff_ffff &&
    Buffer.isBuffer(value['name']) &&
    value['name'].length <= MAX_OWNER_NAME_BYTES &&
    !value['name'].includes(0)
  );
}

/** Throws RECORD_DAMAGED on a wrong shape, STORE_NEWER on an event this release does not know. */
export function readEvent(record: ParsedRecord): StoreEvent {
  const event = decodeBody(record);
  const type = isShape(event) ? event['type'] : undefined;
  if (!isShape(event) || typeof type !== 'string') throw damaged('an event has no type');
  if (!Object.hasOwn(EVENT_SHAPES, type)) {
    throw new TardisError('STORE_NEWER', `the store holds an event "${type.slice(0, 40)}"`);
  }
  const isWhole = EVENT_SHAPES[type as StoreEvent['type']];
  if (!isWhole(event)) throw damaged('an event has a wrong shape');
  return event as unknown as StoreEvent;
}

/** Throws RECORD_DAMAGED when the record is not what it should be. */
export function readCommit(record: ParsedRecord): CommitBody {
  const commit = decodeBody(record);
  const isWhole =
    isShape(commit) &&
    isId(commit['commit']) &&
    isListOf(commit['ranges'], isRange) &&
    isListOf(commit['objects'], isObject) &&
    isShape(commit['counters']) &&
    ['set', 'root', 'directory', 'sequence'].every((name) =>
      isId((commit['counters'] as Shape)[name]),
    );
  if (!isWhole) throw damaged('a commit record has a wrong shape');
  return commit as unknown as CommitBody;
}

function isRange(value: unknown): boolean {
  return isShape(value) && ['pack', 'from', 'to', 'checksum'].every((name) => isId(value[name]));
}

function isObject(value: unknown): boolean {
  return isShape(value) && isDigest(value['digest']) && isId(value['bytes']);
}

function damaged(what: string): TardisError {
  return new TardisError('RECORD_DAMAGED', what);
}
