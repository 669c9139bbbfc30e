/**
 * Reads the commits in the packs in order, each with the records that it covers, for recovery and rebuild.
 *
 * - Records count only if a commit record covers them. Records that a session left without one were never acknowledged
 *   and are never used. If two commits have the same number, the first is not used.
 * - The ranges of the last commit must be exactly what was found, since its sync may have been cut short. The walk
 *   reports whether they are, and the caller decides.
 */
import type { PackNumber } from '../../../model/index.js';
import { TardisError } from '../../../errors/index.js';
import {
  addToRanges,
  areRanges,
  type Backend,
  type CommitBody,
  LABEL_BYTES,
  type Location,
  packName,
  type PackRange,
  type PackRanges,
  readCommit,
  readRecord,
  recordBytes,
  type RecordHeader,
  RecordKind,
  type ScannedRecord,
  scanPack,
  sortPackFiles,
} from '../../index.js';
import { yieldRegularly } from '../../../system/index.js';
import type { CommitPoint } from '../tables/state.js';

export interface PendingRecord {
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly location: Location;
}

export interface PendingCommit {
  readonly body: CommitBody;
  readonly records: readonly PendingRecord[];
  readonly point: CommitPoint;
  /** Number of places without records within the commit's ranges: damage, or data that a sync did not reach. */
  readonly gaps: number;
  /** True if the commit has the number after the previous commit, and names that commit's checksum. */
  readonly follows: boolean;
  /** True if the commit's ranges match the packs, record headers included. */
  readonly matches: boolean;
  /** True for the last commit of a walk through packs, whose sync may have been cut short. */
  readonly isLast: boolean;
  /** True if everything that the commit covers is known to be durable. */
  readonly isDurable?: boolean;
}

export interface WalkStart {
  /** The last known commit; zeros if there is none. */
  readonly point: CommitPoint;
  /** The highest sequence number of the last known commit. */
  readonly sequence: number;
  /** True to continue after damage, and to apply records that no commit covers if commits are missing. */
  readonly isThorough: boolean;
  /** The last commit that a catalog is known to have contained. Later commits were never acknowledged. */
  readonly knownCommit?: number;
  readonly onPack?: (pack: PackNumber, lastPack: PackNumber) => void;
}

/**
 * A place in a pack without records. If no commit covers it, it is left from a power cut, and its data was
 * never acknowledged.
 */
interface Gap {
  readonly pack: PackNumber;
  readonly from: number;
  readonly to: number;
}

type Held = Omit<PendingCommit, 'isLast'>;

export class CommitWalk {
  /**
   * Number of unreadable commit records at the end of the packs. At least 1 if a thorough walk found commits missing.
   */
  damagedRecords = 0;
  /** True if commits are missing or unreadable, so that listings and events may be lost. */
  isMetadataLost = false;
  /** The highest existing pack number. */
  lastPack = 0;
  /** Numbers of files, from the first pack of the walk on, that are not packs of this client. */
  strangePacks: readonly PackNumber[] = [];
  private point: CommitPoint;
  private sequence: number;
  private waiting: Held | undefined;
  private readonly ready: PendingCommit[] = [];
  private records: PendingRecord[] = [];
  private ranges: PackRanges = new Map();
  private gaps: Gap[] = [];
  /** Number of unreadable commit records since the last readable one. */
  private tornCommits = 0;
  private readonly breathe = yieldRegularly();

  constructor(
    private readonly backend: Backend,
    private readonly start: WalkStart,
  ) {
    this.point = start.point;
    this.sequence = start.sequence;
  }

  /** Yields the commits after the known one. Throws STORE_NEWER for a record of a newer format. */
  async *commits(): AsyncGenerator<PendingCommit> {
    const { point, isThorough, onPack } = this.start;
    const { packs, strange } = await sortPackFiles(this.backend, point.pack);
    this.strangePacks = strange;
    this.lastPack = Math.max(packs.at(-1) ?? 0, strange.at(-1) ?? 0, point.pack);
    for (const pack of packs) {
      onPack?.(pack, this.lastPack);
      const from = pack === point.pack ? point.position : 0;
      let hasGap = false;
      let lastEnd = from;
      for await (const scanned of scanPack(this.backend, pack, from, isThorough)) {
        await this.breathe();
        if (scanned.header.kind === RecordKind.label) {
          if (scanned.position === 0) lastEnd = LABEL_BYTES;
          continue;
        }
        // A damaged label is not a gap, since no commit covers labels.
        const isBehindLabel = lastEnd === 0 && scanned.position === LABEL_BYTES;
        if (scanned.isAfterGap && !isBehindLabel) {
          this.gaps.push({ pack, from: lastEnd, to: scanned.position });
          hasGap = true;
        }
        lastEnd = scanned.position + recordBytes(scanned.header);
        if (scanned.header.kind !== RecordKind.commit) {
          this.collect(pack, scanned);
          continue;
        }
        hasGap = await this.meet(pack, scanned, hasGap);
        yield* this.ready.splice(0);
      }
    }
    if (this.waiting !== undefined) yield { ...this.waiting, isLast: true };
    const last = this.waiting?.body.commit ?? this.point.commit;
    if (this.tornCommits === 0 || last === this.start.knownCommit) return;
    this.damagedRecords += this.tornCommits;
    this.isMetadataLost = true;
  }

  private collect(pack: PackNumber, record: ScannedRecord): void {
    const { header, position, index } = record;
    this.records.push({ header, index, location: { pack, position } });
    addToRanges(this.ranges, pack, record);
  }

  /** Reads a commit record. Returns true if the records after it are still behind a gap. */
  private async meet(pack: PackNumber, scanned: ScannedRecord, hasGap: boolean): Promise<boolean> {
    const { header, position } = scanned;
    const bytes = recordBytes(header);
    let body: CommitBody;
    try {
      body = readCommit(await readRecord(this.backend, packName(pack), position, bytes));
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      this.tornCommits += 1;
      return hasGap;
    }
    if (hasGap && !endsHere(body, pack, position)) return true; // part of a stored body (a backup of another store)
    const checksum = header.bodyChecksum;
    this.hold(body, { commit: body.commit, pack, position: position + bytes, checksum });
    this.records = [];
    this.ranges = new Map();
    return false;
  }

  /** Holds a commit back until it is known whether another one follows. */
  private hold(body: CommitBody, point: CommitPoint): void {
    const { waiting } = this;
    // If a number occurs again, an earlier recovery has discarded the first commit.
    if (waiting !== undefined && body.commit > waiting.body.commit) {
      this.ready.push({ ...waiting, isLast: false });
      this.point = waiting.point;
      this.sequence = waiting.body.counters.sequence;
    }
    this.tornCommits = 0; // if the torn commits were acknowledged, a gap in the commit numbers shows it
    // Records that no commit covers are not used. But if a commit record was lost to damage, these records may belong
    // to it. Then they are applied with this commit.
    const isNext = body.commit === this.point.commit + 1;
    const follows = isNext && body.previous === this.point.checksum;
    if (!follows && this.start.isThorough) {
      this.isMetadataLost = true; // commits are missing, or are of another state of the store
      this.damagedRecords = Math.max(1, this.damagedRecords);
    }
    // The sequence number of a listing or event lies between those of the commits around it. A record that is
    // by chance part of a stored body (of another store) has another number. A record within the commit's
    // ranges may have a lower number if the commit before it is of another state of the store.
    const covered = (
      isNext ? this.records.filter((record) => isWithin(record, body.ranges)) : this.records
    ).filter(({ header: { sequence } }) => {
      const isBehind = sequence > this.sequence || (isNext && !follows);
      return sequence === 0 || (isBehind && sequence < body.counters.sequence);
    });
    // Behind a gap there may be records of a lost commit; that commit's packs are other ones than this commit's.
    const packs = new Set(body.ranges.map(({ pack }) => pack));
    const seen = new Map([...this.ranges].filter(([pack]) => packs.has(pack)));
    const gaps = this.takeGaps(body.ranges);
    const matches = areRanges(body.ranges, seen);
    this.waiting = { body, records: covered, point, gaps, follows, matches };
  }

  private takeGaps(ranges: readonly PackRange[]): number {
    const isCovered = (gap: Gap): boolean =>
      ranges.some(({ pack, from, to }) => pack === gap.pack && from < gap.to && gap.from < to);
    const before = this.gaps.length;
    this.gaps = this.gaps.filter((gap) => !isCovered(gap));
    return before - this.gaps.length;
  }
}

/** True if a record lies within the ranges of a commit. */
export function isWithin({ location }: PendingRecord, ranges: readonly PackRange[]): boolean {
  return ranges.some(
    ({ pack, from, to }) =>
      location.pack === pack && location.position >= from && location.position < to,
  );
}

/** True if a commit record directly follows the range that it covers in its own pack. */
function endsHere(body: CommitBody, pack: PackNumber, position: number): boolean {
  return body.ranges.some((range) => range.pack === pack && range.to === position);
}
