/** Fields that report background jobs on a client's store: findings of a check, progress and results. */
import { mapOf, maybe, oneOf, words } from './message-row.js';

export const FINDING = oneOf('finding', {
  record: {
    object: 'line',
    position: 'uint',
    bytes: 'uint',
    role: words('contents', 'signature', 'metadata', 'parity', 'unneeded'),
    why: 'line',
  },
  version: {
    /** Path of the finding; sealed if the client's names are. */
    path: 'bytes',
    sets: 'uints',
    firstSet: 'uint',
    sizeBytes: 'uint',
    digest: 'bytes',
    why: words('damaged', 'missing', 'rests'),
  },
  catalog: { what: 'line' },
  history: { versions: maybe('uint'), sets: 'uints' },
  doubtful: { sets: 'uints' },
  keys: { file: 'line', state: words('mended', 'damaged', 'lost', 'gone', 'other') },
  account: { account: 'line', state: words('senseless', 'gone') },
  pack: { file: 'line', pack: 'uint', clientId: 'line', isOwn: 'bool' },
  stray: { file: 'line', kind: words('file', 'directory', 'other'), isInTheWay: 'bool' },
  unreadable: { file: 'line', why: 'line' },
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
