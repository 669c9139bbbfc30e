/**
 * The rows of the message table for reading a client's history over a connection. Every question has a
 * number of the asker's choice and is answered once, in the order of the questions. Lists of a message
 * belong together item by item.
 */
import { KIB, MIB, toClient, toServer } from './message-row.js';

/** Numbers for each entry in `entriesAre`. */
export const ENTRY_NUMBERS = 6;
/** Numbers for each piece in `placesAre`. */
export const PIECE_NUMBERS = 6;

/** Answers that a server sends before the reader has said that it took some. */
export const READING_CREDIT_BYTES: number = 16 * MIB;
/** Questions that may wait for their answers. */
export const MAX_QUESTIONS = 1024;
/** What one question may ask for. */
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
    /** A set, or 0: only directories, and what is not the same as of that set. */
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
  /** So many bytes of answers were taken; as many more may come. */
  taken: toServer(58, 'list', KIB, { bytes: 'uint' }),
  /** Pieces of the signature of what a reader has. */
  readerSignature: toServer(
    59,
    'read',
    512 * KIB,
    { question: 'uint', signature: 'uint', basisBytes: 'uint', last: 'bool' },
    { hasAttachment: true },
  ),
  /** The next part of the delta of a content on that. */
  readDelta: toServer(60, 'read', KIB, {
    question: 'uint',
    signature: 'uint',
    digest: 'bytes',
    first: 'bool',
  }),
  /** What is said of sets: `change` has what becomes of their marks but the tags. */
  markSets: toServer(128, 'purge', 64 * KIB, {
    question: 'uint',
    sets: 'uints',
    change: 'counts',
    addTags: 'texts',
    removeTags: 'texts',
  }),
  setsMarked: toClient(129, KIB, { question: 'uint' }),
  /** The server's own rules are to be followed. */
  purgeSets: toServer(130, 'purge', KIB, { question: 'uint' }),
  /** What would go by them, were it now. */
  previewPurge: toServer(158, 'list', KIB, { question: 'uint' }),
  /** For each set why it is kept, as a list in JSON; an empty one: it goes. */
  setsPurged: toClient(131, 4 * MIB, {
    question: 'uint',
    sets: 'uints',
    reasons: 'texts',
    inDoubt: 'bool',
  }),
  /** Paths are to be forgotten, so long from now; with `preview` it is only told what would go with them. */
  forgetPaths: toServer(132, 'purge', 4 * MIB, {
    question: 'uint',
    paths: 'byteses',
    undoMs: 'uint',
    preview: 'bool',
  }),
  /** Nor are they, by the numbers of the requests. */
  withdrawForgets: toServer(134, 'purge', 8 * KIB, { question: 'uint', ids: 'uints' }),
  readForgets: toServer(136, 'list', KIB, { question: 'uint' }),
  /** Requests to forget something: those that were asked for, or all there are. */
  forgetsAre: toClient(133, 16 * MIB, {
    question: 'uint',
    ids: 'uints',
    paths: 'byteses',
    lastSets: 'uints',
    /** When they were asked for, and when they are due; the server's clock. */
    askedAt: 'ints',
    dueAt: 'ints',
    /** What would go; empty where that was not asked. */
    report: 'counts',
  }),
  /** The store of the client is to be checked: how much is read (`none`, `all`, `part` of `of`, `bytes`, `percent` in thousandths). */
  checkStore: toServer(138, 'read', KIB, {
    question: 'uint',
    data: 'text',
    amount: 'uint',
    of: 'uint',
    /** What was read later than so long ago is not read again. */
    leastAgeMs: 'uint',
    mark: 'bool',
  }),
  /** What nothing needs is to be freed. */
  freeUnneeded: toServer(140, 'purge', KIB, { question: 'uint' }),
  /** What has come of it since the last answer. */
  askWork: toServer(142, 'list', KIB, { question: 'uint' }),
  workIs: toClient(139, 16 * MIB, {
    question: 'uint',
    /** JSON, each. */
    findings: 'texts',
    /** So many more were found than could wait to be told. */
    omitted: 'uint',
    /** JSON; empty: nothing is known of it. */
    progress: 'text',
    /** JSON; empty: it goes on. */
    result: 'text',
  }),
  /** Sets that are no longer to be kept; with `preview` it is only told whether they may go. */
  dropSets: toServer(63, 'purge', 64 * KIB, {
    question: 'uint',
    sets: 'uints',
    preview: 'bool',
  }),
  /** Seals of a set's directories, behind a directory. */
  readSeals: toServer(62, 'list', KIB, { question: 'uint', set: 'uint', after: 'uint' }),
  dropSignature: toServer(61, 'read', KIB, { question: 'uint', signature: 'uint' }),
  // answers
  setsAre: toClient(80, 16 * MIB, {
    question: 'uint',
    /** Number, server's time of the beginning, client's, of the end (-1: none), 1 if doubtful. */
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
    /** Packed rows, with digests as far as they were asked for. */
    rows: 'bytes',
    /** Directory, first set, last set, content, child (0: none), flags. */
    numbers: 'uints',
    /** Of versions: first and last set (0: none) at the path. */
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
    /** For each content its list of pieces, from 1 on; -1: its bytes are missing. */
    places: 'ints',
    /** How many pieces each list has; lists that others are based on come before them. */
    lengths: 'uints',
    /** Which object, position, length of the record, offset in the frame, size, list of its basis (0: none). */
    numbers: 'uints',
    digests: 'byteses',
    objects: 'texts',
  }),
  /** The attachment is shorter than what was asked for only at the object's end. */
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
    /** Of the set itself; empty: it has none. */
    setSeal: 'bytes',
  }),
  signatureTaken: toClient(89, KIB, { question: 'uint' }),
  /** The attachment is the length of what the part decodes to (u32), and a chunk. */
  deltaIs: toClient(
    90,
    2 * MIB,
    { question: 'uint', last: 'bool', useless: 'bool' },
    { hasAttachment: true },
  ),
  /** That question failed; others may be answered. */
  questionFailed: toClient(88, 16 * KIB, {
    question: 'uint',
    code: 'text',
    message: 'text',
    context: 'counts',
  }),
};
