/**
 * A client's packs in memory and its catalog in a file, written as a session writes them. Every change is written
 * to both, and a checkpoint commits it. Tests can damage the packs.
 */
import {
  applyContentRecord,
  applyEvent,
  applySection,
  Catalog,
  recoverCatalog,
  type RecoveryReport,
} from '../../src/store/catalog/index.js';
import { type Entry, EntryType, encodeParts, partsDigest } from '../../src/model/index.js';
import {
  bodyChecksumOf,
  buildCommit,
  buildEvent,
  buildListing,
  buildRecord,
  Codec,
  type Counters,
  type ListingSection,
  type Location,
  NO_PACK,
  PackWriter,
  markOfAccount,
  readHeader,
  RECORD_HEADER_BYTES,
  RecordKind,
  type StoreEvent,
  writeContentIndex,
} from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { nodeSystem } from '../../src/system/index.js';
import { contentRecord, frameRecord, sliced } from './records.js';
import { rowsOf, sha256 } from './rows.js';

const system = nodeSystem();
const COMPRESSION = { codec: Codec.zstd, level: 1 };

type Row = Record<string, unknown>;

/** Returns for each content in a catalog file that is stored the number of deltas to apply, one after the other. */
export function chainsIn(catalogPath: string): number[] {
  const database = system.openDatabase(catalogPath, { readonly: true });
  const sql = `WITH RECURSIVE chain(id, length) AS (
      SELECT content_id, 0 FROM contents WHERE basis_id IS NULL
      UNION ALL SELECT content_id, length + 1 FROM contents JOIN chain ON basis_id = id)
    SELECT length FROM chain`;
  try {
    return database.prepare(sql).pluck().all() as number[];
  } finally {
    database.close();
  }
}

/**
 * Returns all facts in a catalog file, table by table, to compare two catalogs. Contents are shown by digest and
 * records by their fields, not by number. Skip hashes are left out, because a rebuild does not restore them.
 */
export function dumpCatalog(catalogPath: string): Record<string, string[]> {
  const database = system.openDatabase(catalogPath, { readonly: true });
  const all = (sql: string): Row[] => database.prepare(sql).safeIntegers().all() as Row[];
  try {
    const digests = new Map(all('SELECT * FROM contents').map((row) => [row['content_id'], row]));
    const records = new Map(all('SELECT * FROM records').map((row) => [row['record_id'], row]));
    const shownColumn = (column: string, value: unknown): unknown => {
      if (['content_id', 'part_id', 'basis_id'].includes(column) && value !== null) {
        return digests.get(value)?.['digest'] ?? 'no such content';
      }
      if (column !== 'record_id' || value === null) return value;
      return { ...records.get(value), record_id: 0 };
    };
    const shown = (row: Row): string => {
      const columns = Object.entries(row).filter(([column]) => column !== 'skip_hash');
      return toText(columns.map(([column, value]) => [column, shownColumn(column, value)]));
    };
    const tables = database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .pluck()
      .all() as string[];
    return Object.fromEntries(
      tables.map((name) => [
        name,
        all(`SELECT * FROM ${name} WHERE ${keptRowsOf(name)}`)
          .map(shown)
          .sort(),
      ]),
    );
  } finally {
    database.close();
  }
}

/** Returns a condition that excludes the state of garbage collection: a rebuilt catalog requests one. */
function keptRowsOf(table: string): string {
  return table === 'state' ? "key NOT LIKE 'gc.%'" : 'true';
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return `${part}`;
    const isBytes = typeof part === 'object' && part !== null && 'data' in part;
    return isBytes ? Buffer.from(part.data as number[]).toString('latin1') : part;
  });
}

export class PackedStore {
  readonly backend: MemoryBackend;
  readonly counters: { -readonly [K in keyof Counters]: number };
  readonly report: RecoveryReport;
  readonly packs: PackWriter;
  readonly catalog: Catalog;
  private readonly catalogPath: string;
  private readonly packBytes: number;
  private commit: number;
  /** The checksum of the last commit. */
  private checksum: number;
  private objects: { digest: Buffer; bytes: number }[] = [];
  private isAccount = false;

  private constructor(
    backend: MemoryBackend,
    catalogPath: string,
    packBytes: number,
    catalog: Catalog,
    report: RecoveryReport,
  ) {
    this.backend = backend;
    this.catalogPath = catalogPath;
    this.packBytes = packBytes;
    this.catalog = catalog;
    this.report = report;
    this.counters = { ...report.counters };
    this.commit = report.point.commit;
    this.checksum = report.point.checksum;
    this.packs = new PackWriter(backend, report.lastPack, packBytes);
    catalog.begin();
  }

  /** Opens the store for writing, and applies records that the catalog lacks. */
  static async open(
    catalogPath: string,
    backend = new MemoryBackend(),
    packBytes = 4096,
  ): Promise<PackedStore> {
    const catalog = Catalog.openForWriting(system, catalogPath);
    try {
      const report = await recoverCatalog(catalog, backend, { checkBodies: false });
      return new PackedStore(backend, catalogPath, packBytes, catalog, report);
    } catch (error) {
      catalog.abandon();
      throw error;
    }
  }

  nextSequence(): number {
    this.counters.sequence += 1;
    return this.counters.sequence;
  }

  event(event: StoreEvent): void {
    this.packs.append(buildEvent(this.nextSequence(), event));
    applyEvent(this.catalog, event);
  }

  listing(...sections: ListingSection[]): void {
    this.packs.append(buildListing(this.nextSequence(), sections));
    for (const section of sections) applySection(this.catalog, section);
  }

  /** Opens a set with one root, whose directory has the root's number. */
  openSet(name = ''): number {
    this.counters.set += 1;
    const { set } = this.counters;
    const roots = [{ root: 1, path: Buffer.from('/root'), directory: 1 }];
    this.counters.root = 1;
    this.counters.directory = Math.max(this.counters.directory, 1);
    this.event({ type: 'set-opened', set, name, openedAtMs: 1000 * set, clientTimeMs: 5, roots });
    return set;
  }

  closeSet(set: number): void {
    this.event({ type: 'set-closed', set, closedAtMs: 1000 * set + 500, stats: { set } });
  }

  /** Records new or changed entries of a directory, and removed names. */
  change(
    set: number,
    directory: number,
    entries: readonly Entry[],
    removed: readonly string[] = [],
    children: readonly number[] = [],
  ): void {
    this.listing(sectionOf(set, directory, entries, removed, children));
  }

  /** Stores small contents in one frame. */
  frame(...contents: readonly Buffer[]): void {
    const { source, slices } = sliced(contents);
    this.stored(frameRecord(source, slices, COMPRESSION));
  }

  content(content: Buffer): void {
    const { source, slices } = sliced([content]);
    this.stored(contentRecord(source, slices[0]!, COMPRESSION));
  }

  /** Stores a content as a separate object. */
  object(content: Buffer): void {
    const { source, slices } = sliced([content]);
    const record = contentRecord(source, slices[0]!, COMPRESSION);
    const digest = sha256(content);
    const writer = this.backend.stage();
    writer.append(record);
    this.packs.adopt(writer, digest);
    this.objects.push({ digest, bytes: record.length });
    this.apply(record, { pack: NO_PACK, position: 0 });
  }

  /** Stores a content in parts, one record each; returns its digest. */
  inParts(...contents: readonly Buffer[]): Buffer {
    const fileSizeBytes = contents.reduce((sum, content) => sum + content.length, 0);
    const parts = contents.map((content) => {
      const part = { digest: sha256(content), sizeBytes: content.length };
      const index = writeContentIndex({ ...part, fileSizeBytes, chunkBytes: 0 });
      const header = { kind: RecordKind.part, codec: Codec.none, rawBytes: content.length };
      this.stored(buildRecord(header, index, content));
      return part;
    });
    const digest = partsDigest(parts);
    const size = { sizeBytes: fileSizeBytes, fileSizeBytes };
    const index = writeContentIndex({ digest, ...size, chunkBytes: 0 });
    const list = encodeParts(parts);
    const header = { kind: RecordKind.assembly, codec: Codec.none, rawBytes: list.length };
    this.stored(buildRecord(header, index, list));
    return digest;
  }

  /** Stores a signature (any bytes) of a content. */
  signature(content: Buffer, signature: Buffer): void {
    const size = { sizeBytes: content.length, fileSizeBytes: 0, chunkBytes: 0 };
    const index = writeContentIndex({ digest: sha256(content), ...size });
    const header = { kind: RecordKind.signature, codec: Codec.none, rawBytes: signature.length };
    this.stored(buildRecord(header, index, signature));
  }

  /** Stores a content and a signature of it as an account sends them. */
  byAccount(content: Buffer, signature: Buffer): void {
    this.isAccount = true;
    this.content(content);
    this.signature(content, signature);
    this.isAccount = false;
  }

  private stored(record: Buffer): void {
    if (this.isAccount) markOfAccount(record);
    this.apply(record, this.packs.append(record));
  }

  private apply(record: Buffer, location: Location): void {
    const header = readHeader(record, 0)!;
    const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
    const index = record.subarray(RECORD_HEADER_BYTES, bodyAt);
    applyContentRecord(this.catalog, header, index, { location, body: record.subarray(bodyAt) });
  }

  /** Writes only the commit record; a process may crash at this point. */
  async commitPacks(): Promise<Location & { bytes: number }> {
    const ranges = this.packs.takeRanges();
    await this.packs.sync();
    this.commit += 1;
    const sequence = this.nextSequence();
    const { commit, objects, counters, checksum: previous } = this;
    const record = buildCommit(sequence, { commit, previous, ranges, objects, counters });
    this.checksum = bodyChecksumOf(record);
    const location = this.packs.appendCommit(record);
    await this.packs.sync();
    this.objects = [];
    return { ...location, bytes: record.length };
  }

  async checkpoint(): Promise<void> {
    const { pack, position, bytes } = await this.commitPacks();
    const { commit, checksum } = this;
    const point = { commit, pack, position: position + bytes, checksum };
    this.catalog.state.write(this.counters, point);
    this.catalog.commit();
    this.catalog.begin();
  }

  /** Closes the store. Changes after the last checkpoint are lost. */
  close(): void {
    this.packs.close();
    this.catalog.close();
  }

  /** Simulates a crash: the packs keep what was written, the catalog what was committed. */
  async crash(): Promise<PackedStore> {
    this.packs.close();
    this.catalog.abandon();
    return PackedStore.open(this.catalogPath, this.backend, this.packBytes);
  }
}

export function sectionOf(
  set: number,
  directory: number,
  entries: readonly Entry[],
  removed: readonly string[] = [],
  children: readonly number[] = [],
): ListingSection {
  if (entries.filter(({ type }) => type === EntryType.directory).length !== children.length) {
    throw new Error('one id for each directory');
  }
  return {
    set,
    root: 1,
    directory,
    rows: rowsOf(...entries),
    children,
    removed: removed.map((name) => Buffer.from(name)),
    closed: false,
  };
}

/** Rebuilds a catalog from packs alone, as `sonic rebuild` does. */
export async function rebuild(
  catalogPath: string,
  backend: MemoryBackend,
  checkBodies = true,
  knownCommit?: number,
): Promise<RecoveryReport> {
  const catalog = Catalog.openForWriting(system, catalogPath);
  try {
    const known = knownCommit === undefined ? {} : { knownCommit };
    return await recoverCatalog(catalog, backend, { checkBodies, ...known });
  } finally {
    catalog.close();
  }
}
