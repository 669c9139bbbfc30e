/**
 * What the bodies of listing, event and commit records say. All are msgpack; listings are
 * compressed with zstd. Decoding checks shapes: a store may be hostile.
 */
import { Packr } from 'msgpackr';
import { TardisError } from '../errors/index.js';
import { checkRows } from '../model/index.js';
import { Codec, decode, encode, encodedBound } from './codec.js';
import type { PackRange } from './pack-writer.js';
import { buildRecord, type ParsedRecord, RecordKind } from './record.js';

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
  | { readonly type: 'damage'; readonly digests: readonly Buffer[] };

/** One thing that could not be saved, or not surely. */
export interface SetNote {
  readonly directory: number;
  readonly name: Buffer;
  /** `unreadable`, `vanished` or `changed`. */
  readonly what: string;
  /** The system's reason, such as EACCES. */
  readonly reason: string;
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
  const raw = packr.pack(sections);
  const body = Buffer.allocUnsafe(encodedBound(Codec.zstd, raw.length));
  const bodyBytes = encode(Codec.zstd, LISTING_LEVEL, raw, body, 0);
  return buildRecord(
    { kind: RecordKind.listing, codec: Codec.zstd, rawBytes: raw.length, sequence },
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

function decodeBody(record: ParsedRecord): unknown {
  const { header, body } = record;
  if (header.rawBytes > MAX_LISTING_RAW_BYTES) throw damaged('a metadata record is too large');
  if (header.codec === Codec.none) return packr.unpack(body);
  const raw = Buffer.allocUnsafeSlow(header.rawBytes);
  decode(header.codec, body, raw);
  return packr.unpack(raw);
}

/** Throws RECORD_DAMAGED when the record is not what it should be. */
export function readListing(record: ParsedRecord): ListingSection[] {
  const sections = decodeBody(record);
  if (!Array.isArray(sections)) throw damaged('a listing is no list');
  for (const section of sections as Partial<ListingSection>[]) {
    const isWhole =
      isId(section.set) &&
      isId(section.root) &&
      isId(section.directory) &&
      Buffer.isBuffer(section.rows) &&
      Array.isArray(section.children) &&
      section.children.every(isId) &&
      Array.isArray(section.removed) &&
      section.removed.every((name) => Buffer.isBuffer(name)) &&
      typeof section.closed === 'boolean';
    if (!isWhole) throw damaged('a listing has a wrong shape');
    checkRows(section.rows, false);
  }
  return sections as ListingSection[];
}

/** Throws RECORD_DAMAGED on a wrong shape, STORE_NEWER on an event this release does not know. */
export function readEvent(record: ParsedRecord): StoreEvent {
  const event = decodeBody(record) as Partial<Record<string, unknown>> | null;
  const type = event?.['type'];
  const isWhole =
    (type === 'set-opened' &&
      isId(event!['set']) &&
      typeof event!['name'] === 'string' &&
      Array.isArray(event!['roots'])) ||
    (type === 'set-closed' && isId(event!['set']) && typeof event!['stats'] === 'object') ||
    (type === 'notes' && isId(event!['set']) && Array.isArray(event!['notes'])) ||
    (type === 'damage' && Array.isArray(event!['digests']));
  if (isWhole) return event as unknown as StoreEvent;
  if (typeof type === 'string' && !['set-opened', 'set-closed', 'notes', 'damage'].includes(type)) {
    throw new TardisError('STORE_NEWER', `the store holds an event "${type.slice(0, 40)}"`);
  }
  throw damaged('an event has a wrong shape');
}

export function readCommit(record: ParsedRecord): CommitBody {
  const commit = decodeBody(record) as Partial<CommitBody> | null;
  const counters = commit?.counters as Partial<Counters> | undefined;
  const isWhole =
    isId(commit?.commit) &&
    Array.isArray(commit.ranges) &&
    Array.isArray(commit.objects) &&
    isId(counters?.set) &&
    isId(counters.root) &&
    isId(counters.directory) &&
    isId(counters.sequence);
  if (!isWhole) throw damaged('a commit record has a wrong shape');
  return commit as CommitBody;
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function damaged(what: string): TardisError {
  return new TardisError('RECORD_DAMAGED', what);
}
