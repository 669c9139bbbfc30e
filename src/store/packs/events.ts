/**
 * Bodies of listing, event and commit records. All are msgpack; listings are compressed with zstd. Decoding checks
 * shapes, since a store may be hostile.
 */
import { recordDamaged, TardisError } from '../../errors/index.js';
import {
  checkRows,
  type ClientConfig,
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  EntryType,
  forEachRow,
  type ForgetRequest,
  isClientConfig,
  isForgetRequest,
  isSetMarks,
  isSettingKey,
  isSettingValue,
  MAX_OWNER_NAME_BYTES,
  NO_BYTES,
  type PackNumber,
  releaseMemory,
  type RootNumber,
  type RowReader,
  SET_SEAL_BYTES,
  type SetMarks,
  type SetNumber,
} from '../../model/index.js';
import { plainPackr, TEMPORARY } from '../../system/msgpack/index.js';
import { isClientName } from '../layout/client-name.js';
import { Codec, decode, encode, encodedBound } from './codec.js';
import type { PackRange } from './pack-ranges.js';
import { buildRecord, type ParsedRecord, RecordKind } from './record.js';
import { isDigest, isId, isListOf, isShape, type Shape } from './shapes.js';
import { isSnapshotFacts, type SnapshotFacts } from './snapshot-facts.js';

const packr = plainPackr();

/** The changes of one directory in one set. */
export interface ListingSection {
  readonly set: SetNumber;
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** New or changed entries, as packed rows with digests. */
  readonly rows: Buffer;
  /** The id of each directory among the rows, in their order. */
  readonly children: readonly DirectoryId[];
  /** Names that were removed. */
  readonly removed: readonly Buffer[];
  /** True if the directory itself was removed, which closes all its open entries. */
  readonly closed: boolean;
}

export interface RootRecord {
  readonly root: RootNumber;
  readonly path: Buffer;
  readonly directory: DirectoryId;
  /** The device of the root, as the client names it; absent if it has not changed. */
  readonly device?: string;
}

export type StoreEvent =
  | {
      readonly type: 'set-opened';
      readonly set: SetNumber;
      readonly name: string;
      readonly openedAtMs: number;
      readonly clientTimeMs: number;
      readonly roots: readonly RootRecord[];
    }
  /** An account of the client made a set, with these roots. */
  | {
      readonly type: 'by-account';
      readonly set: SetNumber;
      readonly account: string;
      readonly roots: readonly RootNumber[];
    }
  /** The client's configuration in a set; sealed if the client encrypts. */
  | { readonly type: 'set-configured'; readonly set: SetNumber; readonly config: ClientConfig }
  /** A change of a setting stored with the client; without a value the setting is removed. */
  | { readonly type: 'setting'; readonly key: string; readonly value?: string }
  /** A request to forget a path. */
  | ({ readonly type: 'forget-requested' } & ForgetRequest)
  /** The withdrawal of such a request. */
  | { readonly type: 'forget-withdrawn'; readonly id: number }
  /** All marks that users gave a set (title, priority, locks, tags). */
  | { readonly type: 'set-marked'; readonly set: SetNumber; readonly marks: SetMarks }
  | {
      readonly type: 'set-closed';
      readonly set: SetNumber;
      readonly closedAtMs: number;
      readonly stats: Readonly<Record<string, number>>;
    }
  | { readonly type: 'notes'; readonly set: SetNumber; readonly notes: readonly SetNote[] }
  | { readonly type: 'owners'; readonly set: SetNumber; readonly owners: readonly OwnerRecord[] }
  | {
      /** Seals of the directories, DIRECTORY_SEAL_BYTES each; zeros remove a directory's seal. */
      readonly type: 'seals';
      readonly set: SetNumber;
      readonly directories: readonly DirectoryId[];
      readonly seals: Buffer;
    }
  | { readonly type: 'set-sealed'; readonly set: SetNumber; readonly seal: Buffer }
  | { readonly type: 'damage'; readonly digests: readonly Buffer[] }
  /** Contents that were marked as damaged, and were read whole since. */
  | { readonly type: 'sound'; readonly digests: readonly Buffer[] }
  /** Sets that were deleted. */
  | { readonly type: 'sets-deleted'; readonly sets: readonly SetNumber[] }
  /** The contents in the records of this event's commit replace those in `packs`. */
  | { readonly type: 'moved'; readonly packs: readonly PackNumber[] }
  /** Nothing needs the bytes of a pack from `to` on; the pack is about to be truncated there, or has been. */
  | { readonly type: 'cut'; readonly pack: PackNumber; readonly to: number }
  /** Packs and objects that nothing needs; they are about to be removed, or have been. */
  | {
      readonly type: 'removed';
      readonly packs: readonly PackNumber[];
      readonly objects: readonly Buffer[];
      /** Time by the server's clock. */
      readonly atMs: number;
    }
  /** Removed packs that have since been deleted. The event is for the other machines of a bucket. */
  | { readonly type: 'deleted'; readonly packs: readonly PackNumber[] }
  /** Sets up to this one may lack entries: a rebuild has found a part of the log lost. */
  | { readonly type: 'doubtful'; readonly upToSet: SetNumber }
  /** A copy of the catalog, as of the previous commit, is in the bucket. */
  | ({ readonly type: 'snapshot' } & SnapshotFacts);

/** A note about one entry that could not be saved, or perhaps not correctly. */
export interface SetNote {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  /** The kind of the note (`NoteKind`), such as `unreadable` or `changed`. */
  readonly what: string;
  /** The system's error code, such as EACCES, or another short reason. */
  readonly reason: string;
}

/** The name that a user or group has from a set on. */
export interface OwnerRecord {
  readonly isGroup: boolean;
  readonly id: number;
  /** Empty if the id has no name. */
  readonly name: Buffer;
}

export interface CommitBody {
  readonly commit: number;
  /** The body checksum in the header of the previous commit; 0 if there is none. */
  readonly previous: number;
  readonly ranges: readonly PackRange[];
  /** Objects outside of packs that this commit covers. */
  readonly objects: readonly { readonly digest: Buffer; readonly bytes: number }[];
  readonly counters: Counters;
}

export interface Counters {
  readonly set: SetNumber;
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  readonly sequence: number;
}

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
export function readListing(record: ParsedRecord): ListingSection[] {
  const sections = decodeBody(record);
  if (!Array.isArray(sections)) throw recordDamaged('a listing is no list');
  for (const section of sections as (Partial<ListingSection> | null)[]) {
    const isWhole =
      isId(section?.set) &&
      isId(section.root) &&
      isId(section.directory) &&
      Buffer.isBuffer(section.rows) &&
      isListOf(section.children, isId) &&
      isListOf(section.removed, (name) => Buffer.isBuffer(name)) &&
      typeof section.closed === 'boolean';
    if (!isWhole) throw recordDamaged('a listing has a wrong shape');
    if (countDirectories(section.rows) !== section.children.length) {
      throw recordDamaged('a listing has not one id for each directory');
    }
  }
  return sections as ListingSection[];
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

/** Checks of the fields of each type of event. */
const EVENT_SHAPES: Readonly<Record<StoreEvent['type'], (event: Shape) => boolean>> = {
  'set-opened': (event) =>
    isId(event['set']) &&
    typeof event['name'] === 'string' &&
    Number.isSafeInteger(event['openedAtMs']) &&
    Number.isSafeInteger(event['clientTimeMs']) &&
    isListOf(event['roots'], isRootRecord),
  'by-account': (event) =>
    isId(event['set']) &&
    typeof event['account'] === 'string' &&
    isClientName(event['account']) &&
    isListOf(event['roots'], isId),
  'set-marked': (event) => isId(event['set']) && isSetMarks(event['marks']),
  'set-configured': (event) => isId(event['set']) && isClientConfig(event['config']),
  setting: (event) =>
    isSettingKey(event['key']) && (event['value'] === undefined || isSettingValue(event['value'])),
  'forget-requested': isForgetRequest,
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
  'sets-deleted': (event) => isListOf(event['sets'], isId),
  moved: (event) => isListOf(event['packs'], isId),
  cut: (event) => isId(event['pack']) && isId(event['to']),
  removed: (event) =>
    isListOf(event['packs'], isId) &&
    isListOf(event['objects'], isDigest) &&
    Number.isSafeInteger(event['atMs']),
  deleted: (event) => isListOf(event['packs'], isId),
  doubtful: (event) => isId(event['upToSet']),
  snapshot: isSnapshotFacts,
};

/** True if an untrusted value is a root. */
export function isRootRecord(value: unknown): boolean {
  return (
    isShape(value) &&
    isId(value['root']) &&
    Buffer.isBuffer(value['path']) &&
    isId(value['directory']) &&
    (value['device'] === undefined || typeof value['device'] === 'string')
  );
}

/** True if an untrusted value is a note. */
export function isNote(value: unknown): boolean {
  return (
    isShape(value) &&
    isId(value['directory']) &&
    Buffer.isBuffer(value['name']) &&
    typeof value['what'] === 'string' &&
    typeof value['reason'] === 'string'
  );
}

/** True if an untrusted value is the name of an owner. */
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

/** Decodes and checks an event. Throws RECORD_DAMAGED for a wrong shape, STORE_NEWER for an unknown type of event. */
export function readEvent(record: ParsedRecord): StoreEvent {
  const event = decodeBody(record);
  const type = isShape(event) ? event['type'] : undefined;
  if (!isShape(event) || typeof type !== 'string') throw recordDamaged('an event has no type');
  if (!Object.hasOwn(EVENT_SHAPES, type)) {
    throw new TardisError('STORE_NEWER', `the store holds an event "${type.slice(0, 40)}"`);
  }
  const isWhole = EVENT_SHAPES[type as StoreEvent['type']];
  if (!isWhole(event)) throw recordDamaged('an event has a wrong shape');
  return event as unknown as StoreEvent;
}

/** Decodes and checks a commit record. Throws RECORD_DAMAGED if it cannot be decoded or has a wrong shape. */
export function readCommit(record: ParsedRecord): CommitBody {
  const commit = decodeBody(record);
  const isWhole =
    isShape(commit) &&
    isId(commit['commit']) &&
    isId(commit['previous']) &&
    isListOf(commit['ranges'], isRange) &&
    isListOf(commit['objects'], isObject) &&
    isShape(commit['counters']) &&
    ['set', 'root', 'directory', 'sequence'].every((name) =>
      isId((commit['counters'] as Shape)[name]),
    );
  if (!isWhole) throw recordDamaged('a commit record has a wrong shape');
  return commit as unknown as CommitBody;
}

function isRange(value: unknown): boolean {
  return isShape(value) && ['pack', 'from', 'to', 'checksum'].every((name) => isId(value[name]));
}

function isObject(value: unknown): boolean {
  return isShape(value) && isDigest(value['digest']) && isId(value['bytes']);
}
