/**
 * Decides how a restore treats existing entries: whether they equal those of the set, and which entry stays if they
 * differ.
 */
import type { HistoryEntry } from '../history/index.js';
import {
  appendRow,
  BytesBuilder,
  decodeRow,
  type Entry,
  EntryType,
  RowFlag,
  RowReader,
  SECOND_NS,
} from '../model/index.js';
import { MetadataOption } from '../system/index.js';
import { RestoreHow } from '../workers/index.js';
import type { OwnerMap } from './owner-map.js';
import type { Resume } from './journal.js';
import { type MetadataChoice, RestoredMetadata, SET_ID_BITS } from './restored-metadata.js';
import type { RequestedLimits } from './target-limits.js';

/** The condition for replacing an existing entry: always, if the set's entry is newer (or older), or never. */
type OverwriteMode = 'always' | 'newer' | 'older' | 'never';

export interface PolicyOptions extends MetadataChoice {
  /**
   * Condition for replacing an existing entry that differs. If undefined, the entry stays and is reported as an error.
   */
  readonly overwrite?: OverwriteMode | undefined;
  /** True if a file of equal size counts as unchanged only if its content is equal. */
  readonly compareContents?: boolean;
}

/** The decision on an entry. */
export type Verdict =
  /** An equal entry exists already; nothing is written. */
  | { readonly do: 'nothing' }
  /** A different entry exists and stays, as requested. */
  | { readonly do: 'keep' }
  /** A different entry exists and stays, which is an error. */
  | { readonly do: 'refuse' }
  /** The entry is written, with bits of RestoreHow. */
  | { readonly do: 'write'; readonly how: number };

const NOTHING: Verdict = Object.freeze({ do: 'nothing' });
const KEEP: Verdict = Object.freeze({ do: 'keep' });
const REFUSE: Verdict = Object.freeze({ do: 'refuse' });
const WRITE: Verdict = Object.freeze({ do: 'write', how: 0 });
const REPLACE: Verdict = Object.freeze({ do: 'write', how: RestoreHow.replace });
/** Verdict on an unchanged entry whose metadata an earlier run could not set completely. */
const DRESS: Verdict = Object.freeze({ do: 'write', how: RestoreHow.dress });
const COMPARE: Verdict = Object.freeze({ do: 'write', how: RestoreHow.compare });
const COMPARE_OR_REPLACE: Verdict = Object.freeze({
  do: 'write',
  how: RestoreHow.compare | RestoreHow.replace,
});
/** Verdict on a file that an interrupted run may have left half-done. Its content shows if that is so. */
const GO_ON = Object.freeze({ do: 'write' as const, how: RestoreHow.begun | RestoreHow.replace });
/** Verdict on a file that an interrupted run may have left half-done before a reboot or a failure of the disk: zeros stand for lost bytes. */
const GO_ON_TORN: Verdict = Object.freeze({ do: 'write', how: GO_ON.how | RestoreHow.torn });

/**
 * Units in which file systems store times, each with a distance. A stored time that is a multiple of the unit, and
 * closer to the wanted time than this distance, counts as the wanted one. The units are seconds (FAT stores only even
 * ones), milliseconds, microseconds, and 100 ns (NTFS).
 */
const KEPT_NS: readonly (readonly [unitNs: bigint, withinNs: bigint])[] = [
  [SECOND_NS, 2n * SECOND_NS],
  [1_000_000n, 1_000_000n],
  [1000n, 1000n],
  [100n, 100n],
];
const UNFINISHED_MODE = 0o600;

export class RestorePolicy {
  readonly isRoot: boolean = process.geteuid?.() === 0;
  private readonly uid = process.geteuid?.() ?? 0;
  private readonly restored: RestoredMetadata | undefined;
  /** The state of an earlier run of this restore that was interrupted or ended with failures. */
  resume: Resume | undefined;

  /** Creates the policy. `owners` maps the owners of entries to this machine; if undefined, the numbers are kept. */
  constructor(
    private readonly options: PolicyOptions,
    nowMs: number,
    private readonly owners?: OwnerMap,
  ) {
    const { setTimes, setPermissions, setOwner, setAttributes } = options;
    const isPlain = [setTimes, setPermissions, setOwner, setAttributes].every((is) => is !== false);
    this.restored = isPlain ? undefined : new RestoredMetadata(options, nowMs);
  }

  /** True if it is not an error that an existing entry stays. */
  get keepsSilently(): boolean {
    return this.options.overwrite !== undefined;
  }

  /** Bits of MetadataOption for setting metadata. */
  get metadataOptions(): number {
    const { setOwner, setPermissions, setTimes } = this.options;
    // For an ordinary user a failing chown is not an error.
    const owner = MetadataOption.setOwner | (this.isRoot ? 0 : MetadataOption.forgiveOwner);
    return (
      (setOwner === false ? 0 : owner) |
      (setPermissions === false ? MetadataOption.forgivePermissions : 0) |
      (setTimes === false ? MetadataOption.forgiveTimes : 0)
    );
  }

  /** True if existing directories that get the metadata of the set get its ACLs, too. */
  get setsAttributes(): boolean {
    return this.options.setAttributes !== false;
  }

  get requestedLimits(): RequestedLimits {
    const { setPermissions, setTimes } = this.options;
    return { permissions: setPermissions !== false, times: setTimes !== false };
  }

  /** True if restored inodes get the flags of the set. Only root may set the flags that matter. */
  get setsFlags(): boolean {
    return this.isRoot && this.keepsFlags;
  }

  /** True if the options request flags, regardless of the user. */
  get keepsFlags(): boolean {
    return this.options.setFlags !== false && this.options.setAttributes !== false;
  }

  /** True if existing directories get the metadata of the set. */
  get changesDirectories(): boolean {
    return this.options.overwrite !== undefined && this.options.overwrite !== 'never';
  }

  /** Verdict on an entry whose name was free. The name may be taken before the entry is written. */
  get unseen(): Verdict {
    return this.options.overwrite === 'always' ? REPLACE : WRITE;
  }

  /** Returns the row with which an entry is restored, made from the metadata in the catalog. */
  row(metadata: Buffer, name: Buffer): Buffer {
    const row = new BytesBuilder(0);
    this.append(row, metadata, name);
    return row.take();
  }

  /** Appends the row that `row` returns. */
  append(into: BytesBuilder, metadata: Buffer, name: Buffer, digest?: Uint8Array): void {
    const chosen = this.restored?.of(metadata) ?? metadata;
    if (this.owners === undefined) appendRow(into, chosen, name, digest);
    else this.owners.append(into, chosen, name, digest);
  }

  /**
   * Decides on a file, link or node whose name exists; `row` describes the existing entry. `path` is relative to
   * the output.
   */
  decide(wanted: HistoryEntry, row: Buffer, path: Buffer): Verdict {
    const verdict = this.decideAnew(wanted, row);
    if (!this.hasFailed(path) || !this.isKnownOwner(wanted, row)) return verdict;
    if (!this.mayDress(wanted, row)) return verdict === NOTHING ? REPLACE : verdict;
    if (verdict === NOTHING) return wanted.type === EntryType.file ? DRESS : REPLACE;
    const isCompared = verdict.do === 'write' && (verdict.how & RestoreHow.compare) !== 0;
    return isCompared ? { do: 'write', how: verdict.how | RestoreHow.dress } : verdict;
  }

  /**
   * True if an entry that a restore has written is still as it was written, as far as its own row shows: its type, rights,
   * size and time.
   */
  isUntouched(wanted: HistoryEntry, row: Buffer): boolean {
    const there = decodeRow(new RowReader(row), 0);
    if (there.type !== wanted.type || !this.hasSameRights(wanted, there)) return false;
    if (!isCoarselyEqual(wanted.mtimeNs, there.mtimeNs)) return false;
    return wanted.type === EntryType.file
      ? wanted.sizeBytes === there.sizeBytes
      : isEqualNode(wanted, there);
  }

  /**
   * True if an existing entry may get the metadata of the set: this user has written it, or its owner is that of the set. Any
   * other owner could have opened it for writing, and would change what has the rights of the set.
   */
  private mayDress(wanted: HistoryEntry | undefined, row: Buffer): boolean {
    const uid = new RowReader(row).uid(0);
    if (uid === this.resume?.ownUid) return true;
    return wanted !== undefined && uid === (this.owners?.of(wanted) ?? wanted).uid;
  }

  /** True if an existing entry may be of this run, or of the one that it continues, which another user may have made. */
  isKnownOwner(wanted: HistoryEntry | undefined, row: Buffer): boolean {
    return new RowReader(row).uid(0) === this.resume?.uid || this.mayDress(wanted, row);
  }

  /** True if an earlier run ended without restoring all of an entry. */
  hasFailed(path: Buffer): boolean {
    return this.resume?.failed.has(path) === true;
  }

  private decideAnew(wanted: HistoryEntry, row: Buffer): Verdict {
    const there = decodeRow(new RowReader(row), 0);
    if (there.type === EntryType.directory) return REFUSE;
    if (there.type === wanted.type) {
      const same = this.ifSame(wanted, there);
      if (same !== undefined) return same;
    }
    const different = this.ifDifferent(wanted, there);
    if (different === REPLACE || there.type !== wanted.type) return different;
    return this.ifUnfinished(wanted, there) ?? different;
  }

  /** Decides on a directory whose name belongs to an existing entry of another type. */
  decideDirectory(mtimeNs: bigint | undefined, row: Buffer): Verdict {
    const there = decodeRow(new RowReader(row), 0);
    return mtimeNs === undefined ? REFUSE : this.ifDifferent({ mtimeNs }, there);
  }

  /** True if an existing entry was created by an earlier run that did not succeed. */
  isOursBefore(wanted: HistoryEntry | undefined, row: Buffer): boolean {
    const { resume } = this;
    if (resume === undefined || !this.isKnownOwner(wanted, row)) return false;
    return isBornSince(decodeRow(new RowReader(row), 0), resume.firstSinceNs);
  }

  private ifDifferent(wanted: Pick<Entry, 'mtimeNs'>, there: Entry): Verdict {
    switch (this.options.overwrite) {
      case 'always':
        return REPLACE;
      case 'newer':
        return wanted.mtimeNs > there.mtimeNs ? REPLACE : KEEP;
      case 'older':
        return wanted.mtimeNs < there.mtimeNs ? REPLACE : KEEP;
      case 'never':
        return KEEP;
      case undefined:
        return REFUSE;
    }
  }

  /**
   * Returns the verdict if the existing entry is equal, or if only a comparison of contents can show that. Otherwise
   * returns undefined.
   */
  private ifSame(wanted: HistoryEntry, there: Entry): Verdict | undefined {
    const { overwrite, compareContents, setTimes } = this.options;
    const isOverwriting = overwrite === 'always';
    if (isOverwriting && !this.hasSameRights(wanted, there)) return undefined;
    switch (wanted.type) {
      case EntryType.symlink: {
        const isEqual = wanted.linkTarget?.equals(there.linkTarget ?? Buffer.alloc(0)) === true;
        const isTimely = setTimes === false || wanted.mtimeNs === there.mtimeNs || !isOverwriting;
        return isEqual && isTimely && !this.lacksTime(wanted, there) ? NOTHING : undefined;
      }
      case EntryType.file: {
        if (wanted.sizeBytes !== there.sizeBytes) return undefined;
        const onContent = this.onContent(wanted, there);
        if (setTimes === false) return onContent;
        if (isCoarselyEqual(wanted.mtimeNs, there.mtimeNs)) {
          const before = this.resume;
          // Without a reboot, what was not synced is lost if the disk failed; such a file has holes.
          const hasHoles = (there.flags & RowFlag.sparse) !== 0;
          const mayBeLost = before?.isBrokenOff === true && (!before.isSameBoot || hasHoles);
          if (mayBeLost && isBornSince(there, before.sinceNs)) return COMPARE_OR_REPLACE;
          const isExact = wanted.mtimeNs === there.mtimeNs;
          return isExact && compareContents !== true ? NOTHING : onContent;
        }
        return compareContents === true && !isOverwriting ? onContent : undefined;
      }
      default:
        if (wanted.device !== there.device) return undefined;
        return this.lacksTime(wanted, there) ? undefined : NOTHING;
    }
  }

  /** Returns the verdict on a file of which only the content can show that it is equal. */
  private onContent(wanted: HistoryEntry, there: Entry): Verdict {
    if (this.ifDifferent(wanted, there) === REPLACE) return COMPARE_OR_REPLACE;
    const unfinished = this.ifUnfinished(wanted, there);
    if (unfinished?.do !== 'write') return COMPARE;
    // An equal content shows that a file is finished, unless it still has the mode of a new one.
    const { permissions } = there;
    const isClosed = permissions === UNFINISHED_MODE && wanted.permissions !== permissions;
    return isClosed ? unfinished : { do: 'write', how: unfinished.how | RestoreHow.compare };
  }

  private hasSameRights(wanted: HistoryEntry, there: Entry): boolean {
    const { setPermissions, setOwner } = this.options;
    if (wanted.type !== EntryType.symlink && setPermissions !== false) {
      const ignored = this.isRoot ? 0 : SET_ID_BITS;
      if (((wanted.permissions ^ there.permissions) & ~ignored) !== 0) return false;
    }
    if (!this.isRoot || setOwner === false) return true;
    const { uid, gid } = this.owners?.of(wanted) ?? wanted;
    return uid === there.uid && gid === there.gid;
  }

  /**
   * Returns the verdict on an entry that a killed run may have left half-done; otherwise undefined. It must have been
   * created since that run began. A link or node is half-done if it equals that of the set but for its time. A file is
   * half-done if its content is a beginning of that of the set, which is examined only if only its owner may access it,
   * or if it has the right size without its time. After a reboot, or if the disk failed, a file with its time may lack its
   * last bytes.
   */
  private ifUnfinished(wanted: HistoryEntry, there: Entry): Verdict | undefined {
    const { resume } = this;
    if (resume?.isBrokenOff !== true || !isBornSince(there, resume.sinceNs)) return undefined;
    if (there.type !== EntryType.file) {
      return isEqualNode(wanted, there) && this.lacksTime(wanted, there) ? REPLACE : undefined;
    }
    const { isSameBoot, sinceNs } = resume;
    if (there.sizeBytes < wanted.sizeBytes) {
      // No change by a user gives a file the time of the set. Its bytes were lost with the disk, or in a power cut.
      if (isCoarselyEqual(wanted.mtimeNs, there.mtimeNs)) return isSameBoot ? GO_ON_TORN : REPLACE;
      if (!isSameBoot && there.sizeBytes === 0 && there.mtimeNs >= sinceNs) return GO_ON_TORN;
    }
    // If the file also has another name, it was complete before it got that name, unless after a power cut only the
    // name is on the disk.
    if (there.linkCount !== 1 && isSameBoot) return undefined;
    const isClosed = there.permissions === UNFINISHED_MODE && there.uid === this.uid;
    const isWhole = there.sizeBytes === wanted.sizeBytes && there.mtimeNs >= sinceNs;
    if (!isClosed && !isWhole) return undefined;
    return isSameBoot ? GO_ON : GO_ON_TORN;
  }

  /** True if an entry was made by an interrupted run that did not come to set its time. */
  private lacksTime(wanted: HistoryEntry, there: Entry): boolean {
    const { resume, options } = this;
    if (resume?.isBrokenOff !== true || !isBornSince(there, resume.sinceNs)) return false;
    return options.setTimes !== false && !isCoarselyEqual(wanted.mtimeNs, there.mtimeNs);
  }
}

/** True if links have equal targets, or nodes equal devices. */
function isEqualNode(wanted: HistoryEntry, there: Entry): boolean {
  if (wanted.type !== EntryType.symlink) return wanted.device === there.device;
  return wanted.linkTarget?.equals(there.linkTarget ?? Buffer.alloc(0)) === true;
}

function isBornSince(there: Entry, sinceNs: bigint): boolean {
  const bornNs = there.birthTimeNs === 0n ? there.ctimeNs : there.birthTimeNs;
  return bornNs >= sinceNs;
}

/** True if two times are equal, or if the second is the first in a coarser unit of a file system (`KEPT_NS`). */
function isCoarselyEqual(wantedNs: bigint, thereNs: bigint): boolean {
  if (wantedNs === thereNs) return true;
  const apartNs = wantedNs > thereNs ? wantedNs - thereNs : thereNs - wantedNs;
  return KEPT_NS.some(([unitNs, withinNs]) => thereNs % unitNs === 0n && apartNs < withinNs);
}
