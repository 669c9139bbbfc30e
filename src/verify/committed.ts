/**
 * What of the packs counts, by their commit records: which ranges, and how many bytes of records there are in them. Headers
 * only are read, and commits.
 */
import { findRemovals, isRemoved } from '../catalog/index.js';
import { TardisError } from '../errors/index.js';
import {
  addToRangeChecksum,
  type Backend,
  listPacks,
  packName,
  type PackRange,
  readCommit,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
} from '../store/index.js';

/** A damaged commit record, or a range that is not what its commit says. */
export interface CommitFault {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
  readonly why: string;
}

/** A record without a place in an order: contents and what belongs to them. */
export interface PackedRecord {
  readonly pack: number;
  readonly position: number;
  readonly bytes: number;
}

/** Where a scan stands in a range whose checksum is being taken. */
interface SeenHeader {
  readonly pack: number;
  readonly position: number;
  readonly end: number;
  readonly headerBytes: Buffer;
}

export class CommittedRanges {
  readonly packs: number[] = [];
  readonly faults: CommitFault[] = [];
  /** Ranges that their commit, where it stands, has not all records of before it. */
  private readonly uncounted: PackRange[] = [];
  private readonly ranges = new Map<number, PackRange[]>();

  /** Reads all packs that are not removed. `onRecord`: each record of contents, whether it counts or not. */
  static async read(
    backend: Backend,
    onRecord: (record: PackedRecord) => void,
    breathe: () => Promise<void> | undefined,
  ): Promise<CommittedRanges> {
    const committed = new CommittedRanges();
    const removals = await findRemovals(backend);
    const counts = (pack: number): boolean => !isRemoved(removals, pack);
    committed.packs.push(...(await listPacks(backend)).filter(counts));
    // A commit covers what came since the one before it, in whichever packs.
    let since: SeenHeader[] = [];
    for (const pack of committed.packs) {
      for await (const { header, headerBytes, position } of scanPack(backend, pack, 0, true)) {
        await breathe();
        const bytes = recordBytes(header);
        if (header.sequence === 0) onRecord({ pack, position, bytes });
        if (header.kind === RecordKind.commit) {
          await committed.add(backend, { pack, position, bytes }, since, counts);
          since = [];
        } else since.push({ pack, position, end: position + bytes, headerBytes });
      }
    }
    for (const pack of committed.ranges.keys()) if (!counts(pack)) committed.ranges.delete(pack);
    return committed;
  }

  /** Packs that commits speak of. */
  get spokenOf(): number[] {
    return [...this.ranges.keys()];
  }

  /** Whether a commit covers a place. */
  covers(pack: number, position: number): boolean {
    const ranges = this.ranges.get(pack) ?? [];
    return ranges.some(({ from, to }) => position >= from && position < to);
  }

  /** Where the ranges of a pack end. */
  endsOf(pack: number): number[] {
    return (this.ranges.get(pack) ?? []).map(({ to }) => to);
  }

  /** How many committed bytes lie in a stretch of a pack. */
  bytesIn(pack: number, from: number, to: number): number {
    const ranges = this.ranges.get(pack) ?? [];
    return ranges.reduce(
      (sum, range) => sum + Math.max(0, Math.min(to, range.to) - Math.max(from, range.from)),
      0,
    );
  }

  private async add(
    backend: Backend,
    { pack, position, bytes }: PackedRecord,
    since: readonly SeenHeader[],
    counts: (pack: number) => boolean,
  ): Promise<void> {
    try {
      const commit = readCommit(await readRecord(backend, packName(pack), position, bytes));
      for (const range of commit.ranges) {
        const known = this.ranges.get(range.pack);
        if (known === undefined) this.ranges.set(range.pack, [range]);
        else known.push(range);
        if (counts(range.pack)) this.compare(range, since);
      }
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      const why = `a commit record is damaged: ${error.message}`;
      this.faults.push({ object: packName(pack), position, bytes, why });
    }
  }

  /** Records that stand in another order than when they were committed have valid headers all the same. */
  private compare(range: PackRange, since: readonly SeenHeader[]): void {
    const { pack, from, to, checksum } = range;
    const within = since.filter(
      (seen) => seen.pack === pack && seen.position >= from && seen.position < to,
    );
    const isTiled =
      within[0]?.position === from &&
      within.at(-1)?.end === to &&
      within.every(({ position }, at) => at === 0 || within[at - 1]!.end === position);
    if (!isTiled) {
      this.uncounted.push(range);
      return;
    }
    const found = within.reduce((sum, { headerBytes }) => addToRangeChecksum(sum, headerBytes), 0);
    if (found === checksum) return;
    this.faults.push(otherOrder(range));
  }

  /** Ranges of a pack whose records are all there, but not where the commit was made. */
  disordered(pack: number, gaps: readonly { from: number; to: number }[]): CommitFault[] {
    return this.uncounted
      .filter((range) => range.pack === pack)
      .filter(({ from, to }) => !gaps.some((gap) => gap.from < to && gap.to > from))
      .map(otherOrder);
  }
}

function otherOrder({ pack, from, to }: PackRange): CommitFault {
  const why = 'other records stand here than were committed';
  return { object: packName(pack), position: from, bytes: to - from, why };
}
