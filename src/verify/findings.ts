/** What a check finds: plain data, for texts and JSON alike. */

/** What a damaged record is for. */
export type RecordRole =
  /** Contents that versions of files have, or that such contents rest on. */
  | 'contents'
  /** From which deltas are made; a new one can be made. */
  | 'signature'
  /** Listings, events and commits: the catalog has what they say. */
  | 'metadata'
  /** Nothing needs it any more. */
  | 'unneeded';

/** A place in the store where something else stands than should. */
export interface RecordFinding {
  readonly finding: 'record';
  /** The file, below the client's directory. */
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
  /** The sets that show it, rising. */
  readonly sets: readonly number[];
  /** Its number in the catalog: the set it began in. */
  readonly firstSet: number;
  readonly sizeBytes: number;
  readonly digest: Buffer;
  /** `damaged`, `missing` (its bytes are not there), or `rests` (on what is damaged or missing). */
  readonly why: 'damaged' | 'missing' | 'rests';
}

/** The catalog breaks its rules, or says other things than the packs. */
export interface CatalogFinding {
  readonly finding: 'catalog';
  readonly what: string;
}

/** Listings, events or checkpoints are gone from the packs: only the catalog still knows what they said. */
export interface HistoryFinding {
  readonly finding: 'history';
  /** Versions that a rebuild would lose, and the sets they began in; undefined: the catalog cannot be used either. */
  readonly versions: number | undefined;
  readonly sets: readonly number[];
}

export type Finding = RecordFinding | VersionFinding | CatalogFinding | HistoryFinding;

export interface CheckCounts {
  /** Records that were looked at, and those whose bytes were read. */
  records: number;
  recordsRead: number;
  bytesRead: number;
  /** What there is to be read in this run. */
  bytesToRead: number;
  /** Findings, by what they are. */
  catalogFaults: number;
  damagedRecords: number;
  damagedMetadata: number;
  unneededDamaged: number;
  lostVersions: number;
  /** Marks set, and taken away. */
  marked: number;
  cleared: number;
}

export function newCounts(): CheckCounts {
  return {
    records: 0,
    recordsRead: 0,
    bytesRead: 0,
    bytesToRead: 0,
    catalogFaults: 0,
    damagedRecords: 0,
    damagedMetadata: 0,
    unneededDamaged: 0,
    lostVersions: 0,
    marked: 0,
    cleared: 0,
  };
}
