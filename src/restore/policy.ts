/**
 * What a restore does about what is there already: whether it is the same, and who wins if it is not.
 * Also what of an entry's metadata is put on what is restored.
 */
import { readFileSync } from 'node:fs';
import type { ArchiveEntry } from '../archive/index.js';
import {
  decodeRow,
  type Entry,
  EntryType,
  joinRow,
  METADATA_FROM,
  metadataOf,
  RowOffset,
  RowReader,
  timeAmong,
  withAttributes,
} from '../model/index.js';
import { RestoreHow } from '../workers/index.js';
import type { OwnerMap } from './owner-map.js';
import type { Resume } from './journal.js';

/** When what is there makes way: always, if the set's is newer (or older) than it, or never. */
export type OverwriteMode = 'always' | 'newer' | 'older' | 'never';

export interface PolicyOptions {
  /** Undefined: what differs stays, and is told as an error. */
  readonly overwrite?: OverwriteMode | undefined;
  /** Files of equal size are the same only if their contents are. */
  readonly compareContents?: boolean;
  readonly setTimes?: boolean;
  readonly setPermissions?: boolean;
  readonly setOwner?: boolean;
  readonly setAttributes?: boolean;
}

/** What to do about an entry. */
export type Verdict =
  /** It is there already. */
  | { readonly do: 'nothing' }
  /** Something else is there and stays, as it was wished. */
  | { readonly do: 'keep' }
  /** Something else is there and stays, which is an error. */
  | { readonly do: 'refuse' }
  /** With bits of RestoreHow. */
  | { readonly do: 'write'; readonly how: number };

const NOTHING: Verdict = Object.freeze({ do: 'nothing' });
const KEEP: Verdict = Object.freeze({ do: 'keep' });
const REFUSE: Verdict = Object.freeze({ do: 'refuse' });
const WRITE: Verdict = Object.freeze({ do: 'write', how: 0 });
const REPLACE: Verdict = Object.freeze({ do: 'write', how: RestoreHow.replace });
const COMPARE: Verdict = Object.freeze({ do: 'write', how: RestoreHow.compare });
const COMPARE_OR_REPLACE: Verdict = Object.freeze({
  do: 'write',
  how: RestoreHow.compare | RestoreHow.replace,
});

const SECOND_NS = 1_000_000_000n;
/** Some file systems keep even seconds only. */
const COARSE_NS = 2n * SECOND_NS;
const UNFINISHED_MODE = 0o600;
const SET_ID_BITS = 0o6000;

export class RestorePolicy {
  private readonly options: PolicyOptions;
  private readonly isRoot = process.geteuid?.() === 0;
  private readonly uid = process.geteuid?.() ?? 0;
  private readonly dressing: Dressing | undefined;
  private readonly owners: OwnerMap | undefined;
  /** Of an earlier run of the same restore that was broken off. */
  resume: Resume | undefined;

  /** `owners`: who has the entries here; undefined for who has their numbers. */
  constructor(options: PolicyOptions, nowMs: number, owners?: OwnerMap) {
    this.options = options;
    this.owners = owners;
    const { setTimes, setPermissions, setOwner, setAttributes } = options;
    const isPlain = [setTimes, setPermissions, setOwner, setAttributes].every((is) => is !== false);
    this.dressing = isPlain ? undefined : new Dressing(options, nowMs);
  }

  /** What stays is no error. */
  get keepsSilently(): boolean {
    return this.options.overwrite !== undefined;
  }

  get setsOwner(): boolean {
    return this.options.setOwner !== false;
  }

  /** Whether directories that are there get the metadata of the set. */
  get changesDirectories(): boolean {
    return this.options.overwrite !== undefined && this.options.overwrite !== 'never';
  }

  /** For what is not there: it may have come by the time it is written. */
  get unseen(): Verdict {
    return this.options.overwrite === 'always' ? REPLACE : WRITE;
  }

  /** The row with which an entry is restored, from the metadata in the catalog. */
  row(metadata: Buffer, name: Buffer, digest: Uint8Array | undefined): Buffer {
    const dressed = this.dressing?.dress(metadata) ?? metadata;
    return this.owners?.row(dressed, name, digest) ?? joinRow(dressed, name, digest);
  }

  /** What to do about a file, link or node where a row tells what is there. */
  decide(wanted: ArchiveEntry, row: Buffer): Verdict {
    const there = decodeRow(new RowReader(row), 0);
    if (there.type === EntryType.directory) return REFUSE;
    if (there.type === wanted.type) {
      const same = this.ifSame(wanted, there);
      if (same !== undefined) return same;
      if (this.isUnfinished(wanted, there)) return REPLACE;
    }
    return this.ifDifferent(wanted, there);
  }

  /** The same for a directory where something else has its name. */
  decideDirectory(mtimeNs: bigint | undefined, row: Buffer): Verdict {
    const there = decodeRow(new RowReader(row), 0);
    return mtimeNs === undefined ? REFUSE : this.ifDifferent({ mtimeNs }, there);
  }

  /** Whether the run that was broken off made a directory that is there. */
  isOursBefore(row: Buffer): boolean {
    return this.resume !== undefined && isBornSince(decodeRow(new RowReader(row), 0), this.resume);
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

  /** The verdict if it is the same, or if that must be seen from the content; else undefined. */
  private ifSame(wanted: ArchiveEntry, there: Entry): Verdict | undefined {
    const { overwrite, compareContents, setTimes } = this.options;
    const isOverwriting = overwrite === 'always';
    if (isOverwriting && !this.hasSameRights(wanted, there)) return undefined;
    switch (wanted.type) {
      case EntryType.symlink: {
        const isEqual = wanted.linkTarget?.equals(there.linkTarget ?? Buffer.alloc(0)) === true;
        const isTimely = setTimes === false || wanted.mtimeNs === there.mtimeNs || !isOverwriting;
        const isFinished = !this.isUnfinished(wanted, there) || wanted.mtimeNs === there.mtimeNs;
        return isEqual && isTimely && isFinished ? NOTHING : undefined;
      }
      case EntryType.file: {
        if (wanted.sizeBytes !== there.sizeBytes) return undefined;
        const onContent = this.mayReplace(wanted, there) ? COMPARE_OR_REPLACE : COMPARE;
        if (setTimes === false) return onContent;
        if (wanted.mtimeNs === there.mtimeNs) {
          const isLost = this.resume?.isSameBoot === false && isBornSince(there, this.resume);
          if (isLost) return COMPARE_OR_REPLACE;
          return compareContents === true ? onContent : NOTHING;
        }
        if (isCoarselyEqual(wanted.mtimeNs, there.mtimeNs)) return onContent;
        return compareContents === true && !isOverwriting ? onContent : undefined;
      }
      default:
        return wanted.device === there.device ? NOTHING : undefined;
    }
  }

  private mayReplace(wanted: ArchiveEntry, there: Entry): boolean {
    return this.ifDifferent(wanted, there) === REPLACE || this.isUnfinished(wanted, there);
  }

  private hasSameRights(wanted: ArchiveEntry, there: Entry): boolean {
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
   * Whether it looks like what a run leaves that is killed while it writes this entry: made since that
   * run began, and either still closed to all but its owner, or whole but without its times.
   */
  private isUnfinished(wanted: ArchiveEntry, there: Entry): boolean {
    const { resume } = this;
    if (resume === undefined || !isBornSince(there, resume)) return false;
    if (there.type === EntryType.symlink) return true;
    if (there.type !== EntryType.file) return false;
    if (!resume.isSameBoot && isCutShort(wanted, there, resume)) return true;
    // What has another name was finished, unless that name got to the disk before the file itself.
    if (there.linkCount !== 1 && resume.isSameBoot) return false;
    if (there.permissions === UNFINISHED_MODE && there.uid === this.uid) {
      return !resume.isSameSet || there.sizeBytes <= wanted.sizeBytes;
    }
    return there.sizeBytes === wanted.sizeBytes && there.mtimeNs >= resume.sinceNs;
  }
}

/** Whether it looks like a file that got all but its bytes before the power failed. */
function isCutShort(wanted: ArchiveEntry, there: Entry, resume: Resume): boolean {
  if (there.sizeBytes >= wanted.sizeBytes) return false;
  if (there.mtimeNs === wanted.mtimeNs) return true;
  return there.sizeBytes === 0 && there.mtimeNs >= resume.sinceNs;
}

function isBornSince(there: Entry, resume: Resume): boolean {
  const bornNs = there.birthTimeNs === 0n ? there.ctimeNs : there.birthTimeNs;
  return bornNs >= resume.sinceNs;
}

/** Whether a time is what a file system makes of another that keeps seconds only. */
function isCoarselyEqual(wantedNs: bigint, thereNs: bigint): boolean {
  if (thereNs % SECOND_NS !== 0n) return false;
  const apartNs = wantedNs - thereNs;
  return apartNs > -COARSE_NS && apartNs < COARSE_NS;
}

/** Changes metadata where the set's is not wanted. */
class Dressing {
  private readonly options: PolicyOptions;
  private readonly nowNs: bigint;
  private readonly umask: number;

  constructor(options: PolicyOptions, nowMs: number) {
    this.options = options;
    this.nowNs = BigInt(Math.round(nowMs)) * 1_000_000n;
    this.umask = currentUmask();
  }

  dress(metadata: Buffer): Buffer {
    const dressed = this.options.setAttributes === false ? bare(metadata) : Buffer.from(metadata);
    const { setTimes, setPermissions, setOwner } = this.options;
    const type = metadata[RowOffset.type - METADATA_FROM];
    const permissionsAt = RowOffset.permissions - METADATA_FROM;
    if (setPermissions === false && type !== EntryType.symlink) {
      const open = type === EntryType.directory ? 0o777 : 0o666;
      dressed.writeUInt16LE(open & ~this.umask, permissionsAt);
    }
    if (setOwner === false && type !== EntryType.directory) {
      // It must not run as whoever restores it.
      dressed.writeUInt16LE(dressed.readUInt16LE(permissionsAt) & ~SET_ID_BITS, permissionsAt);
    }
    if (setTimes === false) dressed.writeBigInt64LE(this.nowNs, RowOffset.mtimeNs - METADATA_FROM);
    return dressed;
  }
}

/** A copy without attributes, but with the time that is kept among them. */
function bare(metadata: Buffer): Buffer {
  const row = joinRow(metadata, Buffer.from('x'), undefined);
  const rows = new RowReader(row);
  const time = timeAmong(rows.attributes(0));
  return Buffer.from(metadataOf(new RowReader(withAttributes(row, time)), 0));
}

const DEFAULT_UMASK = 0o022;

/** Not process.umask(): asking it changes the mask for a moment, for all threads. */
export function currentUmask(): number {
  const found = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return found === null ? DEFAULT_UMASK : Number.parseInt(found[1]!, 8);
}
