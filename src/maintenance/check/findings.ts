/** Findings of a check: plain data, for text and JSON alike. */
import type { SetNumber } from '../../model/index.js';
import type { Body } from '../../transport/index.js';

/** A finding that a server can report too; src/transport/work-fields.ts describes each kind. */
type ReportedFinding = Body<'workIs'>['findings'][number];
type FindingOf<Kind> = Extract<ReportedFinding, { readonly finding: Kind }>;

/** Purpose of a damaged record. */
export type RecordRole = FindingOf<'record'>['role'];
export type VersionFinding = FindingOf<'version'>;
export type KeysFinding = FindingOf<'keys'>;
export type StrayFinding = FindingOf<'stray'>;
export type UnreadableFinding = FindingOf<'unreadable'>;
export type CopyFinding = FindingOf<'copy'>;

export type PackFinding = FindingOf<'pack'> & {
  /** Name of the client in the label, if it is in the same store, and the store is on this machine. */
  readonly client?: string;
};

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

export type Finding = Exclude<ReportedFinding, PackFinding> | PackFinding | SealFinding;

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
