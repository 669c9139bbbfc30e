/**
 * The commits that packs hold, one after the other, each with the records it covers, as recovery and rebuild need
 * them:
 *
 * - records count only once a commit record covers them; what a session left behind without one was never
 *   acknowledged and is dead for ever, and so is a commit whose number comes again;
 * - of the last one the ranges must be exactly what was found (its sync may have been cut short): whether they
 *   are is told, and the caller's to judge.
 */
import { TardisError } from '../errors/index.js';
import {
  addToRangeChecksum,
  type Backend,
  type CommitBody,
  listPacks,
  type Location,
  packName,
  type PackRange,
  readCommit,
  readRecord,
  recordBytes,
  type RecordHeader,
  RecordKind,
  type ScannedRecord,
  scanPack,
} from '../store/index.js';
import { breather } from '../system/index.js';
import type { CommitPoint } from './state.js';

export interface PendingRecord {
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly location: Location;
}

export interface PendingCommit {
  readonly body: CommitBody;
  readonly records: readonly PendingRecord[];
  readonly point: CommitPoint;
  /** Places within its ranges where no records stand: damage, or what a sync did not reach. */
  readonly gaps: number;
  /** The ranges are what the packs hold, headers included. */
  readonly matches: boolean;
  /** None follows. */
  readonly isLast: boolean;
}

export interface WalkStart {
  /** The last commit that is known; zeros: none. */
  readonly point: CommitPoint;
  /** The highest sequence number it knows. */
  readonly sequence: number;
  /** Look behind damage for what follows, and take what no commit covers where commits are missing. */
  readonly isThorough: boolean;
  /** The last commit that a catalog is known to have had: what came behind it was told to nobody. */
  readonly knownCommit?: number;
  readonly onPack?: (pack: number, lastPack: number) => void;
}

/** Where in a pack no records stand. If no commit covers it, a power cut left it of what nobody was told of. */
interface Gap {
  readonly pack: number;
  readonly from: number;
  readonly to: number;
}

type Held = Omit<PendingCommit, 'isLast'>;

export class CommitWalk {
  /** Records that cannot be read, and commits that are missing. */
  damagedRecords = 0;
  /** Some of it were no contents. */
  isMetadataLost = false;
  /** The highest number of a pack there is. */
  lastPack = 0;
  private point: CommitPoint;
  private sequence: number;
  private waiting: Held | undefined;
  private readonly ready: PendingCommit[] = [];
  private records: PendingRecord[] = [];
  private ranges = new Map<number, PackRange>();
  private gaps: Gap[] = [];
  /** Commit records that cannot be read since the last one that can. */
  private tornCommits = 0;
  private readonly breathe = breather();
  private readonly backend: Backend;
  private readonly start: WalkStart;

  constructor(backend: Backend, start: WalkStart) {
    this.backend = backend;
    this.start = start;
    this.point = start.point;
    this.sequence = start.sequence;
  }

  /** Throws STORE_NEWER; CATALOG_DAMAGED when commits are missing and the walk is not thorough. */
  async *commits(): AsyncGenerator<PendingCommit> {
    const { point, isThorough, onPack } = this.start;
    const packs = await listPacks(this.backend);
    this.lastPack = Math.max(packs.at(-1) ?? 0, point.pack);
    for (const pack of packs) {
      if (pack < point.pack) continue;
      onPack?.(pack, this.lastPack);
      const from = pack === point.pack ? point.position : 0;
      let hasGap = false;
      let lastEnd = from;
      for await (const scanned of scanPack(this.backend, pack, from, isThorough)) {
        await this.breathe();
        if (scanned.isAfterGap) {
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

  private collect(pack: number, { header, headerBytes, position, index }: ScannedRecord): void {
    this.records.push({ header, index, location: { pack, position } });
    const range = this.ranges.get(pack) ?? { pack, from: position, to: position, checksum: 0 };
    const checksum = addToRangeChecksum(range.checksum, headerBytes);
    this.ranges.set(pack, { ...range, to: position + recordBytes(header), checksum });
  }

  /** A commit record; returns whether what comes next still stands behind a gap. */
  private async meet(pack: number, scanned: ScannedRecord, hasGap: boolean): Promise<boolean> {
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
    if (hasGap && !endsHere(body, pack, position)) return true; // a stranger in a stored body
    this.hold(body, { commit: body.commit, pack, position: position + bytes });
    this.records = [];
    this.ranges = new Map();
    return false;
  }

  /** Keeps a commit back until it is known whether another one follows. */
  private hold(body: CommitBody, point: CommitPoint): void {
    const { waiting } = this;
    // A number that comes again: an earlier recovery has given the first one up.
    if (waiting !== undefined && body.commit > waiting.body.commit) {
      this.ready.push({ ...waiting, isLast: false });
      this.point = waiting.point;
      this.sequence = waiting.body.counters.sequence;
    }
    this.tornCommits = 0; // if they were told, a number is missing
    // Records no commit covers are dead, but where a commit record was lost to damage they are its.
    const isNext = body.commit === this.point.commit + 1;
    if (!isNext && this.start.isThorough) {
      this.isMetadataLost = true; // commits are missing
      this.damagedRecords = Math.max(1, this.damagedRecords);
    }
    // A listing or event has a number between those of the commits around it; one that stands by
    // chance in a stored body (of another store) has not.
    const covered = (
      isNext ? this.records.filter((record) => isWithin(record, body.ranges)) : this.records
    ).filter(({ header: { sequence } }) => {
      return sequence === 0 || (sequence > this.sequence && sequence < body.counters.sequence);
    });
    const packs = new Set(covered.map(({ location }) => location.pack));
    const seen = new Map([...this.ranges].filter(([pack]) => packs.has(pack)));
    const gaps = this.takeGaps(body.ranges);
    this.waiting = { body, records: covered, point, gaps, matches: sameRanges(body.ranges, seen) };
  }

  private takeGaps(ranges: readonly PackRange[]): number {
    const isCovered = (gap: Gap): boolean =>
      ranges.some(({ pack, from, to }) => pack === gap.pack && from < gap.to && gap.from < to);
    const before = this.gaps.length;
    this.gaps = this.gaps.filter((gap) => !isCovered(gap));
    return before - this.gaps.length;
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
