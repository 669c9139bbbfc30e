/** Fields that report background jobs on a client's store: findings of a check, progress and results. */
import { mapOf, maybe, oneOf, words } from './message-row.js';

export const FINDING = oneOf('finding', {
  /** A place in the store with wrong bytes. */
  record: {
    /** Path of the file below the client's directory. */
    object: 'line',
    position: 'uint',
    bytes: 'uint',
    /**
     * Purpose of the record: `contents` of versions of files, or contents on which those depend; a `signature` from
     * which deltas are made; `metadata`: listings, events and commits, of which the catalog has the facts; `parity`;
     * or data that is `unneeded` now. Signatures and parity can be made again.
     */
    role: words('contents', 'signature', 'metadata', 'parity', 'unneeded'),
    why: 'line',
  },
  /** A version of a file that cannot be restored. */
  version: {
    /** Path of the finding; sealed if the client's names are. */
    path: 'bytes',
    /** Numbers of the sets that show the version, ascending. */
    sets: 'uints',
    /** Number of the version in the catalog: the set in which it began. */
    firstSet: 'uint',
    sizeBytes: 'uint',
    digest: 'bytes',
    /** `missing`: its bytes are not stored. `rests`: it depends on damaged or missing contents. */
    why: words('damaged', 'missing', 'rests'),
  },
  /** A rule that the catalog breaks, or a difference between the catalog and the packs. */
  catalog: { what: 'line' },
  /**
   * Listings, events or checkpoints that the packs have lost: only the catalog still contains their facts. `versions`:
   * number of versions that a rebuild would lose; absent if the catalog cannot be used either. `sets` has the sets in
   * which these versions began.
   */
  history: { versions: maybe('uint'), sets: 'uints' },
  /** Sets that may lack entries because of an earlier loss. The missing entries are unknown. */
  doubtful: { sets: 'uints' },
  /**
   * A key record that is not as it was written: its path below the client's directory; for lost records, the directory
   * that contained them. `mended`: it was repaired from its copy in the other place. `damaged`: it can be repaired.
   * `lost`: neither file of it is intact. `gone`: no record is left in either place. `other`: it is intact, but differs
   * from the record in the other place.
   */
  keys: { file: 'line', state: words('mended', 'damaged', 'lost', 'gone', 'other') },
  /**
   * A sub-account whose rights cannot be determined, so that it has none. `senseless`: its rights file contains no
   * right, or more than rights. `gone`: it has keys, but no rights file.
   */
  account: { account: 'line', state: words('senseless', 'gone') },
  /** A file among the packs that contains a pack of another client, or a pack with another number than in its name. */
  pack: { file: 'line', pack: 'uint', clientId: 'line', isOwn: 'bool' },
  /** Something that does not belong in its place. */
  stray: { file: 'line', kind: words('file', 'directory', 'other'), isInTheWay: 'bool' },
  /** A file below the client's directory that the disk cannot read, or that this user may not read. */
  unreadable: { file: 'line', why: 'line' },
  /**
   * A copy of the catalog in a bucket that no machine can use, by its name below the generation of the client. Nothing
   * is lost, since the log has all of its data. `damaged`: a commit names it, but its bytes differ. `foreign`: no commit
   * can name it. `left`: no commit names it, since the session that made it was interrupted.
   */
  copy: { copy: 'line', state: words('damaged', 'foreign', 'left'), why: 'line' },
});

/** Progress of a step; `of` is missing if the total is unknown. */
export const PROGRESS = mapOf({ step: 'line', done: 'number', of: maybe('number') });

/** The result of the job that is over. */
export const RESULT = oneOf('kind', {
  check: {
    records: 'uint',
    recordsRead: 'uint',
    bytesRead: 'uint',
    bytesToRead: 'uint',
    totalBytes: 'uint',
    allReadSinceMs: 'uint',
    catalogFaults: 'uint',
    damagedRecords: 'uint',
    damagedMetadata: 'uint',
    unneededDamaged: 'uint',
    damagedParity: 'uint',
    lostVersions: 'uint',
    doubtfulSets: 'uint',
    damagedKeys: 'uint',
    damagedAccounts: 'uint',
    strangePacks: 'uint',
    strayFiles: 'uint',
    unreadableFiles: 'uint',
    damagedCopies: 'uint',
    marked: 'uint',
    cleared: 'uint',
    /** False if encrypted data was only compared with checksums. */
    isOpened: 'bool',
    /** True if the list of the data that this check has read was not saved for the next check. */
    isForgetful: 'bool',
    /** The error that prevented marking the findings. */
    notMarked: maybe(mapOf({ code: 'line', message: 'text' })),
  },
  free: {
    isDone: 'bool',
    contents: 'uint',
    packs: 'uint',
    freedBytes: 'uint',
    deletedFiles: 'uint',
    deletedBytes: 'uint',
  },
});
