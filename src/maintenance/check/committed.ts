/**
 * Ranges of the packs that commit records cover, and the number of committed bytes in them. Only headers and commit
 * records are read.
 */
import { listAt, type PackNumber } from '../../model/index.js';
import {
  findRemovals,
  FIRST_COMMIT,
  hasLog,
  isRemoved,
  walkCommits,
} from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
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
} from '../../store/index.js';

/** Kinds of records that no commit needs to cover. */
const IGNORED: ReadonlySet<number> = new Set([RecordKind.label, RecordKind.parity]);

/** A damaged commit record, or a range that does not match its commit. */
interface CommitFault {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
  readonly why: string;
}

/** A record of contents, or of data about contents. It has no sequence number. */
interface PackedRecord {
  readonly pack: PackNumber;
  readonly position: number;
  readonly bytes: number;
}

/** Header of a record since the last commit; the checksum of a range is computed from such headers. */
interface SeenHeader {
  readonly pack: PackNumber;
  readonly position: number;
  readonly end: number;
  readonly headerBytes: Buffer;
}

export class CommittedRanges {
  readonly packs: PackNumber[] = [];
  readonly faults: CommitFault[] = [];
  /** Ranges that the records between the previous commit and the range's own commit do not fill without gaps. */
  private uncounted: PackRange[] = [];
  private readonly ranges = new Map<PackNumber, PackRange[]>();

  /** Reads all packs that are not removed. `onRecord` gets each record of contents, committed or not. */
  static async read(
    backend: Backend,
    onRecord: (record: PackedRecord) => void,
    breathe: () => Promise<void> | undefined,
  ): Promise<CommittedRanges> {
    const committed = new CommittedRanges();
    const removals = await findRemovals(backend);
    const counts = (pack: PackNumber): boolean => !isRemoved(removals, pack);
    if (hasLog(backend)) {
      await committed.readLog(backend, { counts, onRecord, breathe });
      return committed;
    }
    committed.packs.push(...(await listPacks(backend)).filter(counts));
    // A commit covers the records since the previous commit in all packs.
    let since: SeenHeader[] = [];
    for (const pack of committed.packs) {
      for await (const { header, headerBytes, position } of scanPack(backend, pack, 0, true)) {
        await breathe();
        if (IGNORED.has(header.kind)) continue;
        const bytes = recordBytes(header);
        if (header.sequence === 0) onRecord({ pack, position, bytes });
        if (header.kind === RecordKind.commit) {
          await committed.add(backend, { pack, position, bytes }, since, counts);
          since = [];
        } else since.push({ pack, position, end: position + bytes, headerBytes });
      }
    }
    for (const pack of committed.ranges.keys()) if (!counts(pack)) committed.ranges.delete(pack);
    await committed.clip(backend, removals.image?.point.pack ?? 0);
    return committed;
  }

  /** Reads the commits of a log, and the packs that they cover. Each pack has one range. */
  private async readLog(
    backend: Backend,
    {
      counts,
      onRecord,
      breathe,
    }: {
      readonly counts: (pack: PackNumber) => boolean;
      readonly onRecord: (record: PackedRecord) => void;
      readonly breathe: () => Promise<void> | undefined;
    },
  ): Promise<void> {
    for await (const { body } of walkCommits(backend, FIRST_COMMIT).commits()) {
      for (const range of body.ranges.filter(({ pack }) => counts(pack))) {
        const { pack } = range;
        this.ranges.set(pack, [range]);
        this.packs.push(pack);
        const seen: SeenHeader[] = [];
        for await (const { header, headerBytes, position } of scanPack(backend, pack, 0, true)) {
          await breathe();
          const bytes = recordBytes(header);
          if (IGNORED.has(header.kind)) continue;
          if (header.sequence === 0) onRecord({ pack, position, bytes });
          seen.push({ pack, position, end: position + bytes, headerBytes });
        }
        this.compare(range, seen);
      }
    }
  }

  /**
   * Cuts the ranges of packs before the newest image at the ends of their files, since such packs may have been
   * truncated while they were emptied.
   */
  private async clip(backend: Backend, imagePack: PackNumber): Promise<void> {
    for (const [pack, ranges] of this.ranges) {
      if (pack >= imagePack) continue;
      const end = await backend.size(packName(pack));
      if (end === undefined) continue;
      const there = ranges.filter(({ from }) => from < end);
      this.ranges.set(
        pack,
        there.map((range) => ({ ...range, to: Math.min(range.to, end) })),
      );
      const isWhole = (range: PackRange): boolean => range.pack !== pack || range.to <= end;
      this.uncounted = this.uncounted.filter(isWhole);
    }
  }

  /** The numbers of all packs that commits name. */
  get spokenOf(): PackNumber[] {
    return [...this.ranges.keys()];
  }

  /** True if a commit covers this position of a pack. */
  covers(pack: PackNumber, position: number): boolean {
    const ranges = this.ranges.get(pack) ?? [];
    return ranges.some(({ from, to }) => position >= from && position < to);
  }

  /** Returns the ends of the ranges of a pack. */
  endsOf(pack: PackNumber): number[] {
    return (this.ranges.get(pack) ?? []).map(({ to }) => to);
  }

  /** Returns the number of committed bytes between two positions of a pack. */
  bytesIn(pack: PackNumber, from: number, to: number): number {
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
    counts: (pack: PackNumber) => boolean,
  ): Promise<void> {
    try {
      const commit = readCommit(await readRecord(backend, packName(pack), position, bytes));
      for (const range of commit.ranges) {
        listAt(this.ranges, range.pack).push(range);
        if (counts(range.pack)) this.compare(range, since);
      }
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      const why = `a commit record is damaged: ${error.message}`;
      this.faults.push({ object: packName(pack), position, bytes, why });
    }
  }

  /**
   * Compares a range with the records before its commit. If they fill it, but the checksum of their headers differs,
   * records a fault. This detects records in another order, since each of their headers is valid.
   */
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

  /**
   * Returns a fault for each range of a pack that has no gaps, but contains other records than those directly before
   * its commit.
   */
  disordered(pack: PackNumber, gaps: readonly { from: number; to: number }[]): CommitFault[] {
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
