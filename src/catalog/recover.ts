/**
 * Brings a catalog up to what the packs hold: after a crash by the commits it lacks, and from an
 * empty catalog by all of them (rebuild). One walk over the packs, in order:
 *
 * - records count only once a commit record covers them; what a session left behind without one was
 *   never acknowledged and is dead for ever, and so is a commit whose number comes again;
 * - the last commit must match its ranges exactly (its sync may have been cut short); a mismatch in
 *   an earlier one is damage, and what can be read of it is used;
 * - within a commit, contents come first, then listings and events in the order of their numbers.
 */
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import {
  type Backend,
  type CommitBody,
  type Counters,
  isRecordSound,
  listPacks,
  type Location,
  NO_PACK,
  objectName,
  packName,
  type PackRange,
  type ParsedRecord,
  readCommit,
  readEvent,
  readHeader,
  readListing,
  readRecord,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
  scanPack,
} from '../store/index.js';
import { breather } from '../system/index.js';
import {
  applyContentRecord,
  applyEvent,
  applySection,
  applyUnsoundRecord,
  breakDependants,
} from './apply.js';
import type { Catalog } from './catalog.js';
import type { CommitPoint } from './state.js';

export interface RecoveryReport {
  /** Commits applied. */
  readonly commits: number;
  /** Records that are damaged, and packs and commits that are missing; their contents are too. */
  readonly damagedRecords: number;
  /** Some of it were no contents: entries or whole sets may be missing. */
  readonly isMetadataLost: boolean;
  readonly counters: Counters;
  readonly point: CommitPoint;
  /** The highest pack number in use, committed or not. */
  readonly lastPack: number;
}

export interface RecoveryOptions {
  /** Read every body and check it (rebuild); else only those of the last commit. */
  readonly checkBodies: boolean;
  readonly onProgress?: (pack: number, lastPack: number) => void;
}

interface PendingRecord {
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly location: Location;
}

interface PendingCommit {
  readonly body: CommitBody;
  readonly records: readonly PendingRecord[];
  readonly point: CommitPoint;
  readonly matches: boolean;
}

interface CheckedRecords {
  readonly sound: readonly PendingRecord[];
  /** Contents whose bytes do not match their checksum. */
  readonly unsound: readonly PendingRecord[];
  /** How many records are not sound. */
  readonly damaged: number;
}

/** Applies what is missing. Must hold the client's lock; call outside a transaction. */
export async function recoverCatalog(
  catalog: Catalog,
  backend: Backend,
  options: RecoveryOptions,
): Promise<RecoveryReport> {
  return new Recovery(catalog, backend, options).run();
}

class Recovery {
  private commits = 0;
  private damagedRecords = 0;
  private isMetadataLost = false;
  private counters: Counters;
  private point: CommitPoint;
  private waiting: PendingCommit | undefined;
  private readonly catalog: Catalog;
  private readonly backend: Backend;
  private readonly options: RecoveryOptions;
  private readonly breathe = breather();

  constructor(catalog: Catalog, backend: Backend, options: RecoveryOptions) {
    this.catalog = catalog;
    this.backend = backend;
    this.options = options;
    this.counters = catalog.state.readCounters();
    this.point = catalog.state.readCommitPoint();
  }

  async run(): Promise<RecoveryReport> {
    const packs = await listPacks(this.backend);
    const lastPack = Math.max(packs.at(-1) ?? 0, this.point.pack);
    const start = this.point;
    await this.requirePoint();
    const { checkBodies } = this.options;
    let records: PendingRecord[] = [];
    let ranges = new Map<number, PackRange>();
    for (const pack of packs) {
      if (pack < start.pack) continue;
      this.options.onProgress?.(pack, lastPack);
      const from = pack === start.pack ? start.position : 0;
      let hasGap = false;
      for await (const scanned of scanPack(this.backend, pack, from, checkBodies)) {
        await this.breathe();
        const { header, position } = scanned;
        if (scanned.isAfterGap) {
          this.damagedRecords += 1;
          this.isMetadataLost = true;
          hasGap = true;
        }
        const end = position + recordBytes(header);
        if (header.kind !== RecordKind.commit) {
          records.push({ header, index: scanned.index, location: { pack, position } });
          const range = ranges.get(pack) ?? { pack, from: position, to: position, checksum: 0 };
          const checksum = crc32(scanned.headerBytes, range.checksum);
          ranges.set(pack, { ...range, to: end, checksum });
          continue;
        }
        const body = await this.tolerate(async () =>
          readCommit(await readRecord(this.backend, packName(pack), position, recordBytes(header))),
        );
        if (body === undefined) {
          this.isMetadataLost = true;
          continue;
        }
        if (hasGap && !endsHere(body, pack, position)) continue; // a stranger in a stored body
        hasGap = false;
        await this.hold(body, { commit: body.commit, pack, position: end }, records, ranges);
        records = [];
        ranges = new Map();
      }
    }
    await this.release(true);
    const { commits, damagedRecords, isMetadataLost, counters, point } = this;
    return { commits, damagedRecords, isMetadataLost, counters, point, lastPack };
  }

  /** A catalog that knows more than its packs hold would promise what is not there. */
  private async requirePoint(): Promise<void> {
    const { commit, pack, position } = this.point;
    if (commit === 0) return;
    const sizeBytes = (await this.backend.size(packName(pack))) ?? 0;
    if (sizeBytes >= position) return;
    throw new TardisError('CATALOG_DAMAGED', `${packName(pack)} is shorter than its catalog says`);
  }

  /** Keeps a commit back until it is known whether another one follows. */
  private async hold(
    body: CommitBody,
    point: CommitPoint,
    records: readonly PendingRecord[],
    ranges: ReadonlyMap<number, PackRange>,
  ): Promise<void> {
    const waiting = this.waiting?.body.commit;
    // A number that comes again: an earlier recovery has given the first one up.
    if (waiting !== undefined && body.commit <= waiting) this.waiting = undefined;
    else await this.release(false);
    // Records no commit covers are dead, but where a commit record was lost to damage they are its.
    const isNext = body.commit === this.point.commit + 1;
    if (!isNext && this.options.checkBodies) {
      this.isMetadataLost = true; // commits are missing
      this.damagedRecords = Math.max(1, this.damagedRecords);
    }
    // A listing or event has a number between those of the commits around it; one that stands by
    // chance in a stored body (of another store) has not.
    const after = this.waiting?.body.counters.sequence ?? this.counters.sequence;
    const covered = (
      isNext ? records.filter((record) => isWithin(record, body.ranges)) : records
    ).filter(({ header: { sequence } }) => {
      return sequence === 0 || (sequence > after && sequence < body.counters.sequence);
    });
    const packs = new Set(covered.map(({ location }) => location.pack));
    const seen = new Map([...ranges].filter(([pack]) => packs.has(pack)));
    this.waiting = { body, records: covered, point, matches: sameRanges(body.ranges, seen) };
  }

  /** Applies the commit that was held back until it was known whether another one follows. */
  private async release(isLast: boolean): Promise<void> {
    const commit = this.waiting;
    this.waiting = undefined;
    if (commit === undefined) return;
    const checked = await this.checkBodies(commit, isLast);
    if (isLast && (!commit.matches || checked.damaged > 0) && !this.options.checkBodies) {
      // The last sync was cut short: this checkpoint was never acknowledged.
      return;
    }
    this.damagedRecords += checked.damaged;
    await this.apply(commit, checked);
  }

  /** Reads bodies where that is asked for, and tells the records that are sound from the others. */
  private async checkBodies(commit: PendingCommit, isLast: boolean): Promise<CheckedRecords> {
    if (!isLast && !this.options.checkBodies) {
      return { sound: commit.records, unsound: [], damaged: 0 };
    }
    const sound: PendingRecord[] = [];
    const unsound: PendingRecord[] = [];
    for (const record of commit.records) {
      await this.breathe();
      const { pack, position } = record.location;
      if (await isRecordSound(this.backend, packName(pack), position, record.header)) {
        sound.push(record);
      } else if (record.header.sequence > 0) this.isMetadataLost = true;
      else unsound.push(record);
    }
    return { sound, unsound, damaged: commit.records.length - sound.length };
  }

  private async apply(commit: PendingCommit, checked: CheckedRecords): Promise<void> {
    const { catalog } = this;
    const { sound: records, unsound } = checked;
    const ordered = records
      .filter(({ header }) => header.sequence > 0)
      .sort((a, b) => a.header.sequence - b.header.sequence);
    await this.syncCovered(commit);
    catalog.begin();
    try {
      for (const record of records) {
        if (record.header.sequence === 0) await this.tolerate(() => this.applyContent(record));
      }
      for (const record of unsound) await this.applyUnsound(record);
      for (const { digest } of commit.body.objects) {
        await this.tolerate(() => this.applyObject(digest));
      }
      breakDependants(catalog);
      for (const record of ordered) {
        await this.breathe();
        const applied = await this.tolerate(async () => {
          await this.applyOrdered(record);
          return true;
        });
        this.isMetadataLost ||= applied !== true;
      }
      this.counters = commit.body.counters;
      this.point = commit.point;
      catalog.state.write(this.counters, this.point);
      catalog.commit();
    } catch (error) {
      catalog.rollback();
      throw error;
    }
    catalog.foldLog();
    this.commits += 1;
  }

  /**
   * After a kill the records may stand in the page cache only: they become durable before the
   * catalog does.
   */
  private async syncCovered({ body, point }: PendingCommit): Promise<void> {
    const packs = new Set([...body.ranges.map((range) => range.pack), point.pack]);
    const names = [...packs].map(packName);
    for (const { digest } of body.objects) {
      const name = objectName(digest);
      if ((await this.backend.size(name)) !== undefined) names.push(name);
    }
    await Promise.all(names.map((name) => this.backend.sync(name)));
  }

  private async applyContent({ header, index, location }: PendingRecord): Promise<void> {
    const body =
      header.kind === RecordKind.assembly ? (await this.read(header, location)).body : undefined;
    applyContentRecord(this.catalog, header, index, location, body);
  }

  private async applyObject(digest: Buffer): Promise<void> {
    const name = objectName(digest);
    const head = Buffer.alloc(RECORD_HEADER_BYTES);
    const sizeBytes = await this.backend.size(name);
    if (sizeBytes !== undefined) await this.backend.read(name, 0, head, head.length);
    const header = readHeader(head, 0);
    if (header === undefined || recordBytes(header) !== sizeBytes) {
      this.damagedRecords += 1;
      return;
    }
    const index = Buffer.alloc(header.indexBytes);
    await this.backend.read(name, RECORD_HEADER_BYTES, index, index.length);
    const location = { pack: NO_PACK, position: 0 };
    if (!this.options.checkBodies || (await isRecordSound(this.backend, name, 0, header))) {
      applyContentRecord(this.catalog, header, index, location);
      return;
    }
    this.damagedRecords += 1;
    await this.applyUnsound({ header, index, location });
  }

  /** An assembly's list must be whole to be of use; of all others the contents have digests. */
  private async applyUnsound({ header, index, location }: PendingRecord): Promise<void> {
    if (header.kind === RecordKind.assembly) return;
    try {
      applyUnsoundRecord(this.catalog, header, index, location);
    } catch (error) {
      // The index is damaged too; the record was counted already.
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    }
  }

  private async applyOrdered({ header, location }: PendingRecord): Promise<void> {
    const record = await this.read(header, location);
    if (header.kind === RecordKind.event) {
      applyEvent(this.catalog, readEvent(record));
      return;
    }
    for (const section of readListing(record)) applySection(this.catalog, section);
  }

  private read(header: RecordHeader, { pack, position }: Location): Promise<ParsedRecord> {
    return readRecord(this.backend, packName(pack), position, recordBytes(header));
  }

  /** Damage in one record does not keep the others from being used: it is counted. */
  private async tolerate<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      this.damagedRecords += 1;
      return undefined;
    }
  }
}

function isWithin({ location }: PendingRecord, ranges: readonly PackRange[]): boolean {
  return ranges.some(
    ({ pack, from, to }) =>
      location.pack === pack && location.position >= from && location.position < to,
  );
}

function sameRanges(said: readonly PackRange[], seen: ReadonlyMap<number, PackRange>): boolean {
  if (said.length !== seen.size) return false;
  return said.every((range) => {
    const found = seen.get(range.pack);
    return (
      found !== undefined &&
      found.from === range.from &&
      found.to === range.to &&
      found.checksum === range.checksum
    );
  });
}

/** Whether a commit record stands right behind the range it covers in its own pack. */
function endsHere(body: CommitBody, pack: number, position: number): boolean {
  return body.ranges.some((range) => range.pack === pack && range.to === position);
}
