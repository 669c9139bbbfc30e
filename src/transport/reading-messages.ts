/**
 * Rows of the message table for reading a client's history over a connection. The reader chooses the number of each
 * question. Each question gets one answer, in the order of the questions. The lists in a message are parallel:
 * items with the same index belong together.
 */
import { KIB, MIB, toClient, toServer } from './message-row.js';

/** Number of integers for each entry in `entriesAre.numbers`. */
export const ENTRY_NUMBERS = 6;
/** Number of integers for each piece in `placesAre.numbers`. */
export const PIECE_NUMBERS = 6;

/** Bytes of answers that a server sends before the reader acknowledges some by `taken`. */
export const READING_CREDIT_BYTES: number = 16 * MIB;
/** Most questions that may wait for their answers. */
export const MAX_QUESTIONS = 1024;
/** Most bytes that one question may request. */
export const MAX_READ_BYTES: number = 2 * MIB;
export const MAX_PAGE_ENTRIES = 4096;
export const MAX_LOCATED = 4096;

export const READING_MESSAGES = {
  readSets: toServer(48, 'list', KIB, { question: 'uint' }),
  readRoots: toServer(49, 'list', KIB, { question: 'uint', set: 'uint' }),
  readNotes: toServer(50, 'list', KIB, { question: 'uint', set: 'uint', from: 'uint' }),
  readOwners: toServer(51, 'list', KIB, { question: 'uint', set: 'uint', from: 'uint' }),
  readEntry: toServer(52, 'list', 4 * MIB, { question: 'uint', set: 'uint', path: 'bytes' }),
  readListing: toServer(53, 'list', 8 * KIB, {
    question: 'uint',
    set: 'uint',
    directory: 'uint',
    after: 'bytes',
    limit: 'uint',
    withDigests: 'bool',
    /** A set, or 0. With a set, the answer has only directories, and entries that differ from that set. */
    unlike: 'uint',
  }),
  readVersions: toServer(54, 'list', 4 * MIB, { question: 'uint', path: 'bytes' }),
  readDigests: toServer(55, 'list', KIB, { question: 'uint', prefix: 'bytes', limit: 'uint' }),
  readPlaces: toServer(56, 'read', 64 * KIB, { question: 'uint', contents: 'uints' }),
  readObject: toServer(57, 'read', KIB, {
    question: 'uint',
    object: 'text',
    position: 'uint',
    bytes: 'uint',
  }),
  /** The reader has processed this many bytes of answers; the server may send as many more. */
  taken: toServer(58, 'list', KIB, { bytes: 'uint' }),
  /** Pieces of the signature of a file version that the reader has. */
  readerSignature: toServer(
    59,
    'read',
    512 * KIB,
    { question: 'uint', signature: 'uint', basisBytes: 'uint', last: 'bool' },
    { hasAttachment: true },
  ),
  /** Requests the next part of a content's delta on that version. */
  readDelta: toServer(60, 'read', KIB, {
    question: 'uint',
    signature: 'uint',
    digest: 'bytes',
    first: 'bool',
  }),
  /** Changes the marks of sets. `change` has all changes except those of tags. */
  markSets: toServer(128, 'purge', 64 * KIB, {
    question: 'uint',
    sets: 'uints',
    change: 'counts',
    addTags: 'texts',
    removeTags: 'texts',
  }),
  setsMarked: toClient(129, KIB, { question: 'uint' }),
  /** Deletes sets by the server's retention rules. */
  purgeSets: toServer(130, 'purge', KIB, { question: 'uint' }),
  /** Requests a preview: the sets that the rules would delete now. */
  previewPurge: toServer(158, 'list', KIB, { question: 'uint' }),
  /** The reasons for keeping each set, as a list in JSON; an empty list means that the set is deleted. */
  setsPurged: toClient(131, 4 * MIB, {
    question: 'uint',
    sets: 'uints',
    reasons: 'texts',
    inDoubt: 'bool',
  }),
  /** Requests that paths be forgotten after `undoMs`. With `preview`, only reports what would be removed. */
  forgetPaths: toServer(132, 'purge', 4 * MIB, {
    question: 'uint',
    paths: 'byteses',
    undoMs: 'uint',
    preview: 'bool',
  }),
  /** Withdraws requests to forget, by their numbers. */
  withdrawForgets: toServer(134, 'purge', 8 * KIB, { question: 'uint', ids: 'uints' }),
  readForgets: toServer(136, 'list', KIB, { question: 'uint' }),
  /** Requests to forget paths: the new ones, or all that are stored. */
  forgetsAre: toClient(133, 16 * MIB, {
    question: 'uint',
    ids: 'uints',
    paths: 'byteses',
    lastSets: 'uints',
    /** Times of the request and of its due date, by the server's clock. */
    askedAt: 'ints',
    dueAt: 'ints',
    /** Figures of what would be removed; empty without `preview`. */
    report: 'counts',
  }),
  /**
   * Starts a check of the client's store. `data` selects what is read: `none`, `all`, `part` (part `amount` of
   * `of`), `bytes`, or `percent` (in thousandths).
   */
  checkStore: toServer(138, 'read', KIB, {
    question: 'uint',
    data: 'text',
    amount: 'uint',
    of: 'uint',
    /** Contents that were read within this time are not read again. */
    leastAgeMs: 'uint',
    mark: 'bool',
  }),
  /** Starts garbage collection. */
  freeUnneeded: toServer(140, 'purge', KIB, { question: 'uint' }),
  /** Requests the news of the running work since the last answer. */
  askWork: toServer(142, 'list', KIB, { question: 'uint' }),
  workIs: toClient(139, 16 * MIB, {
    question: 'uint',
    /** Findings in JSON. */
    findings: 'texts',
    /** Number of findings so far that were discarded because too many were pending. */
    omitted: 'uint',
    /** JSON; empty if no progress is known. */
    progress: 'text',
    /** JSON; empty while the work is running. */
    result: 'text',
  }),
  /** Deletes sets. With `preview`, only reports whether they may be deleted. */
  dropSets: toServer(63, 'purge', 64 * KIB, {
    question: 'uint',
    sets: 'uints',
    preview: 'bool',
  }),
  /** Requests the seals of a set's directories with ids greater than `after`. */
  readSeals: toServer(62, 'list', KIB, { question: 'uint', set: 'uint', after: 'uint' }),
  dropSignature: toServer(61, 'read', KIB, { question: 'uint', signature: 'uint' }),
  // answers
  setsAre: toClient(80, 16 * MIB, {
    question: 'uint',
    /**
     * Five integers for each set: number, start by the server's clock, start by the client's clock, end (-1: none),
     * and 1 if the set is doubtful.
     */
    numbers: 'ints',
    names: 'texts',
    states: 'texts',
    /** JSON. */
    stats: 'texts',
    firstNames: 'texts',
    /** JSON. */
    marks: 'texts',
  }),
  rootsAre: toClient(81, 16 * MIB, {
    question: 'uint',
    roots: 'uints',
    directories: 'uints',
    paths: 'byteses',
    devices: 'texts',
  }),
  notesAre: toClient(82, 8 * MIB, {
    question: 'uint',
    directories: 'uints',
    names: 'byteses',
    whats: 'texts',
    reasons: 'texts',
    more: 'bool',
  }),
  ownersAre: toClient(83, 8 * MIB, {
    question: 'uint',
    groups: 'bytes',
    ids: 'uints',
    names: 'byteses',
    more: 'bool',
  }),
  entriesAre: toClient(84, 16 * MIB, {
    question: 'uint',
    /** Packed rows, with digests if the question requested them. */
    rows: 'bytes',
    /**
     * Six integers for each entry: directory, first set, last set, content, child, flags. Last set, content and
     * child are 0 if there is none.
     */
    numbers: 'uints',
    /** For versions: the first and last set (0: none) that had the version at the path. */
    spans: 'uints',
    more: 'bool',
  }),
  digestsAre: toClient(85, MIB, {
    question: 'uint',
    contents: 'uints',
    digests: 'byteses',
    sizes: 'uints',
  }),
  placesAre: toClient(86, 16 * MIB, {
    question: 'uint',
    /** For each content the number of its list of pieces, counted from 1; -1 if its bytes are missing. */
    places: 'ints',
    /** Number of pieces in each list. The list of a basis precedes the lists that depend on it. */
    lengths: 'uints',
    /**
     * Six integers for each piece: index of its object, position, length of the record, offset in the frame, size,
     * and number of the list of its basis (0: none).
     */
    numbers: 'uints',
    digests: 'byteses',
    objects: 'texts',
  }),
  /** The attachment is shorter than requested only at the end of the object. */
  objectIs: toClient(
    87,
    MAX_READ_BYTES + 4 * KIB,
    { question: 'uint', exists: 'bool' },
    { hasAttachment: true },
  ),
  setsDropped: toClient(92, KIB, { question: 'uint' }),
  sealsAre: toClient(91, 2 * MIB, {
    question: 'uint',
    directories: 'uints',
    seals: 'bytes',
    more: 'bool',
    /** Seal of the set itself; empty if it has none. */
    setSeal: 'bytes',
  }),
  signatureTaken: toClient(89, KIB, { question: 'uint' }),
  /** The attachment is the decoded length of the part (u32), followed by a chunk. */
  deltaIs: toClient(
    90,
    2 * MIB,
    { question: 'uint', last: 'bool', useless: 'bool' },
    { hasAttachment: true },
  ),
  /** The question failed; other questions are still answered. */
  questionFailed: toClient(88, 16 * KIB, {
    question: 'uint',
    code: 'text',
    message: 'text',
    context: 'counts',
  }),
};
