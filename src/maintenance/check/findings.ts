/** Findings of a check: plain data, for text and JSON alike. */
import type { SetNumber } from '../../model/index.js';
import type { StrangePack, Stray } from '../../store/index.js';

/** Purpose of a damaged record. */
export type RecordRole =
  /** Contents of versions of files, or contents on which those depend. */
  | 'contents'
  /** Data from which deltas are made; it can be made again. */
  | 'signature'
  /** Listings, events and commits; the catalog contains their facts. */
  | 'metadata'
  /** Parity, which can be made again. */
  | 'parity'
  /** Data that is not needed any more. */
  | 'unneeded';

/** A place in the store with wrong bytes. */
interface RecordFinding {
  readonly finding: 'record';
  /** Path of the file below the client's directory. */
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
  readonly role: RecordRole;
  readonly why: string;
}

/** A version of a file that cannot be restored. */
export interface VersionFinding {
  readonly finding: 'version';
  readonly path: Buffer;
  /** Numbers of the sets that show the version, ascending. */
  readonly sets: readonly SetNumber[];
  /** Number of the version in the catalog: the set in which it began. */
  readonly firstSet: SetNumber;
  readonly sizeBytes: number;
  readonly digest: Buffer;
  /**
   * The reason: `damaged`, `missing` (its bytes are not stored), or `rests` (it depends on damaged or missing
   * contents).
   */
  readonly why: 'damaged' | 'missing' | 'rests';
}

/** A rule that the catalog breaks, or a difference between the catalog and the packs. */
interface CatalogFinding {
  readonly finding: 'catalog';
  readonly what: string;
}

/** Listings, events or checkpoints that the packs have lost: only the catalog still contains their facts. */
interface HistoryFinding {
  readonly finding: 'history';
  /**
   * Number of versions that a rebuild would lose; undefined if the catalog cannot be used either. `sets` has the sets
   * in which these versions began.
   */
  readonly versions?: number | undefined;
  readonly sets: readonly SetNumber[];
}

/** Sets that may lack entries because of an earlier loss. The missing entries are unknown. */
interface DoubtfulFinding {
  readonly finding: 'doubtful';
  readonly sets: readonly SetNumber[];
}

/** A key record that is not as it was written. */
export interface KeysFinding {
  readonly finding: 'keys';
  /** Path of the key record below the client's directory. For lost records, the directory that contained them. */
  readonly file: string;
  /**
   * `mended`: it was repaired from its copy in the other place. `damaged`: it can be repaired. `lost`: neither file of
   * it is intact. `gone`: no record is left in either place. `other`: it is intact, but differs from the record in the
   * other place.
   */
  readonly state: 'mended' | 'damaged' | 'lost' | 'gone' | 'other';
}

/** A sub-account whose rights cannot be determined, so that it has none. */
interface AccountFinding {
  readonly finding: 'account';
  /** Name of the sub-account. */
  readonly account: string;
  /** `senseless`: its rights file contains no right, or more than rights. `gone`: it has keys, but no rights file. */
  readonly state: 'senseless' | 'gone';
}

/** A file among the packs that contains a pack of another client, or a pack with another number than in its name. */
export interface PackFinding extends StrangePack {
  readonly finding: 'pack';
  /** Name of the client in the label, if it is in the same store, and the store is on this machine. */
  readonly client?: string;
}

/** Something that does not belong in its place. */
export interface StrayFinding extends Stray {
  readonly finding: 'stray';
}

/** A file that the disk cannot read, or that this user may not read. */
export interface UnreadableFinding {
  readonly finding: 'unreadable';
  /** Path below the client's directory. */
  readonly file: string;
  readonly why: string;
}

/** A copy of the catalog in a bucket that no machine can use. Nothing is lost, since the log has all of its data. */
export interface CopyFinding {
  readonly finding: 'copy';
  /** Name of the copy below the generation of the client. */
  readonly copy: string;
  /**
   * `damaged`: a commit names it, but its bytes differ. `foreign`: no commit can name it. `left`: no commit names it,
   * since the session that made it was interrupted.
   */
  readonly state: 'damaged' | 'foreign' | 'left';
  readonly why: string;
}

/**
 * A complete set of an encrypting client that differs from the set that the client sealed. Only a check with the keys
 * finds it.
 */
export interface SealFinding {
  readonly finding: 'seal';
  readonly set: SetNumber;
  /**
   * Number of directories with other entries than were sealed; undefined if the set as a whole does not match
   * its seal.
   */
  readonly directories?: number;
}

export type Finding =
  | RecordFinding
  | VersionFinding
  | CatalogFinding
  | HistoryFinding
  | DoubtfulFinding
  | KeysFinding
  | AccountFinding
  | PackFinding
  | StrayFinding
  | UnreadableFinding
  | CopyFinding
  | SealFinding;

export type CheckCounts = ReturnType<typeof newCounts>;

/** Returns the counts of a check that has examined nothing. */
export function newCounts() {
  return {
    /** Number of records examined. */
    records: 0,
    /** Number of records whose bytes were read. */
    recordsRead: 0,
    bytesRead: 0,
    /** Number of bytes to read in this run. */
    bytesToRead: 0,
    /** Bytes of all records, and the time since when each was read (`ReadPlan`). */
    totalBytes: 0,
    allReadSinceMs: 0,
    /** Number of findings, by kind. */
    catalogFaults: 0,
    damagedRecords: 0,
    damagedMetadata: 0,
    unneededDamaged: 0,
    /** Number of damaged parity files, or records with parity in a bucket. */
    damagedParity: 0,
    lostVersions: 0,
    /** Number of sets that may lack entries because of an earlier loss. */
    doubtfulSets: 0,
    damagedKeys: 0,
    damagedAccounts: 0,
    strangePacks: 0,
    strayFiles: 0,
    unreadableFiles: 0,
    /** Number of copies of the catalog in a bucket that are damaged or foreign. */
    damagedCopies: 0,
    /** Number of contents that were marked as damaged. */
    marked: 0,
    /** Number of contents whose marks were cleared. */
    cleared: 0,
  };
}
