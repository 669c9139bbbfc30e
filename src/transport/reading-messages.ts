/**
 * Rows of the message table for reading a client's history over a connection. The reader chooses the number of each
 * question. Each question gets one answer, in the order of the questions. The lists in a message are parallel:
 * items with the same index belong together.
 */
import { MACHINE } from './client-config.js';
import {
  answers,
  KIB,
  listOf,
  mapOf,
  maybe,
  MIB,
  ofReader,
  requests,
  withAttachment,
  words,
} from './message-row.js';
import type { Head } from './messages.js';
import { FINDING, PROGRESS, RESULT } from './work-fields.js';

/** Number of integers for each entry in `entriesAre.numbers`. */
export const ENTRY_NUMBERS = 6;
/** Number of integers for each piece in `placesAre.numbers`. */
export const PIECE_NUMBERS = 6;

/** Maximum number of bytes of answers that a server sends before the reader acknowledges some by `taken`. */
export const READING_CREDIT_BYTES: number = 16 * MIB;
/** Maximum number of questions that may wait for their answers. */
export const MAX_QUESTIONS = 1024;
/** Maximum number of bytes that one question may request. */
export const MAX_READ_BYTES: number = 2 * MIB;
export const MAX_PAGE_ENTRIES = 4096;
export const MAX_LOCATED = 4096;

/** A backup set. */
const SET = mapOf({
  set: 'uint',
  /** The current name of the set, and the original one. */
  name: 'text',
  firstName: 'text',
  state: words('unfinished', 'complete', 'superseded'),
  /** Start of the set by the server's clock, and by the client's. */
  openedAtMs: 'int',
  clientTimeMs: 'int',
  closedAtMs: maybe('int'),
  stats: 'figures',
  marks: mapOf({
    title: 'text',
    priority: 'int',
    isLocked: 'bool',
    isExpendable: 'bool',
    tags: 'texts',
    machine: maybe(MACHINE),
    requestedBy: maybe('text'),
  }),
  isDoubtful: 'bool',
  isSealed: 'bool',
});

/** A reason to keep a set. */
const REASON = mapOf({ why: 'line', what: maybe('line'), which: maybe(words('newest', 'oldest')) });

/** Effects that deleting a path would have now; see `ForgetReport`. */
const FORGET_REPORT = mapOf({
  versions: 'uint',
  fileBytes: 'uint',
  sets: 'uint',
  lockedSets: 'uint',
  rootsBelow: 'uint',
  isInNewest: 'bool',
  contents: 'uint',
  contentBytes: 'uint',
  heldElsewhere: 'uint',
});

export const READING_MESSAGES = {
  readSets: requests.list(48, KIB, 'setsAre', {}),
  readRoots: requests.list(49, KIB, 'rootsAre', { set: 'uint' }),
  readNotes: requests.list(50, KIB, 'notesAre', { set: 'uint', from: 'uint' }),
  readOwners: requests.list(51, KIB, 'ownersAre', { set: 'uint', from: 'uint' }),
  readEntry: requests.list(52, 4 * MIB, 'entriesAre', { set: 'uint', path: 'bytes' }),
  readListing: requests.list(53, 8 * KIB, 'entriesAre', {
    set: 'uint',
    directory: 'uint',
    after: 'bytes',
    limit: 'uint',
    withDigests: 'bool',
    /** Number of a set to compare with. The answer then has only directories, and entries that differ from that set. */
    unlike: maybe('uint'),
  }),
  readVersions: requests.list(54, 4 * MIB, 'entriesAre', { path: 'bytes' }),
  readDigests: requests.list(55, KIB, 'digestsAre', { prefix: 'bytes', limit: 'uint' }),
  readPlaces: requests.read(56, 64 * KIB, 'placesAre', { contents: 'uints' }),
  readObject: requests.read(57, KIB, 'objectIs', {
    object: 'text',
    position: 'uint',
    bytes: 'uint',
  }),
  /** Acknowledges this many bytes of answers. The server may send as many more. */
  taken: ofReader(58, KIB, { bytes: 'uint' }),
  /** Sends pieces of the signature of a file version that the reader has. */
  readerSignature: withAttachment(
    requests.read(59, 512 * KIB, 'signatureTaken', {
      signature: 'uint',
      basisBytes: 'uint',
      isLast: 'bool',
    }),
  ),
  /** Requests the next part of a delta. It leads from the file version that `signature` describes to a content. */
  readDelta: requests.read(60, KIB, 'deltaIs', {
    signature: 'uint',
    digest: 'bytes',
    first: 'bool',
  }),
  /** Changes the marks of sets. */
  markSets: requests.purge(128, 64 * KIB, 'setsMarked', {
    sets: 'uints',
    change: mapOf({
      title: maybe('text'),
      priority: maybe('int'),
      isLocked: maybe('bool'),
      isExpendable: maybe('bool'),
      addTags: maybe('texts'),
      removeTags: maybe('texts'),
    }),
  }),
  setsMarked: answers(129, KIB, {}),
  /** Deletes sets by the server's retention rules. */
  purgeSets: requests.purge(130, KIB, 'setsPurged', {}),
  /** Requests a preview: the sets that the rules would delete now. */
  previewPurge: requests.list(158, KIB, 'setsPurged', {}),
  /** The verdict on each set. A set without a reason to keep it is deleted. */
  setsPurged: answers(131, 4 * MIB, {
    verdicts: listOf(mapOf({ set: 'uint', reasons: listOf(REASON) })),
    isClockInDoubt: 'bool',
    /** Tags in the rules that no set has. */
    unusedTags: 'texts',
  }),
  /** Requests that paths be forgotten after `undoMs`. With `preview`, only reports what would be removed. */
  forgetPaths: requests.purge(132, 4 * MIB, 'forgetsAre', {
    paths: 'byteses',
    undoMs: 'uint',
    preview: 'bool',
  }),
  /** Withdraws requests to forget, by their numbers. */
  withdrawForgets: requests.purge(134, 8 * KIB, 'forgetsAre', { ids: 'uints' }),
  readForgets: requests.list(136, KIB, 'forgetsAre', {}),
  /** Requests to forget paths: the new ones, or all that are stored. */
  forgetsAre: answers(133, 16 * MIB, {
    requests: listOf(
      mapOf({
        id: 'uint',
        path: 'bytes',
        lastSet: 'uint',
        /** Times of the request and of its due date, by the server's clock. */
        requestedAtMs: 'int',
        dueAtMs: 'int',
      }),
    ),
    /** Figures of what would be removed; only after a preview. */
    report: maybe(FORGET_REPORT),
  }),
  /**
   * Starts a check of the client's store. `data` selects what is read: `none`, `all`, `part` (part `amount` of
   * `of`), `bytes`, or `percent` (in thousandths).
   */
  checkStore: requests.read(138, KIB, 'workIs', {
    data: words('none', 'all', 'part', 'bytes', 'percent'),
    amount: 'uint',
    of: 'uint',
    /** Contents that were read within this time are not read again. */
    leastAgeMs: 'uint',
    mark: 'bool',
  }),
  /** Starts garbage collection. */
  freeUnneeded: requests.purge(140, KIB, 'workIs', {}),
  /** Requests the news of the running work since the last answer. */
  watchWork: requests.list(142, KIB, 'workIs', {}),
  workIs: answers(139, 16 * MIB, {
    findings: listOf(FINDING),
    /** Number of findings so far that were discarded because too many were pending. */
    omitted: 'uint',
    progress: maybe(PROGRESS),
    /** Missing while the work is running. */
    result: maybe(RESULT),
  }),
  /** Deletes sets. With `preview`, only reports whether they may be deleted. */
  deleteSets: requests.purge(63, 64 * KIB, 'setsDeleted', { sets: 'uints', preview: 'bool' }),
  /** Requests the seals of a set's directories with ids greater than `after`. */
  readSeals: requests.list(62, KIB, 'sealsAre', { set: 'uint', after: 'uint' }),
  dropSignature: requests.read(61, KIB, 'signatureTaken', { signature: 'uint' }),
  // answers
  setsAre: answers(80, 16 * MIB, { sets: listOf(SET) }),
  rootsAre: answers(81, 16 * MIB, {
    roots: listOf(mapOf({ root: 'uint', path: 'bytes', directory: 'uint', device: maybe('text') })),
  }),
  notesAre: answers(82, 8 * MIB, {
    items: listOf(mapOf({ directory: 'uint', name: 'bytes', what: 'text', reason: 'text' })),
    hasMore: 'bool',
  }),
  ownersAre: answers(83, 8 * MIB, {
    items: listOf(mapOf({ isGroup: 'bool', id: 'uint', name: 'bytes' })),
    hasMore: 'bool',
  }),
  entriesAre: answers(84, 16 * MIB, {
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
  digestsAre: answers(85, MIB, {
    found: listOf(mapOf({ contentId: 'uint', digest: 'bytes', sizeBytes: 'uint' })),
  }),
  placesAre: answers(86, 16 * MIB, {
    /**
     * For each content, the number of its list of pieces, counted from 1; -1 if the bytes of the content are missing.
     */
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
  objectIs: withAttachment(answers(87, MAX_READ_BYTES + 4 * KIB, { exists: 'bool' })),
  setsDeleted: answers(92, KIB, {}),
  sealsAre: answers(91, 2 * MIB, {
    directories: 'uints',
    seals: 'bytes',
    hasMore: 'bool',
    /** Seal of the set itself; empty if it has none. */
    setSeal: 'bytes',
  }),
  signatureTaken: answers(89, KIB, {}),
  /** The attachment is the decoded length of the part (u32), followed by a chunk. */
  deltaIs: withAttachment(answers(90, 2 * MIB, { isLast: 'bool', isUseless: 'bool' })),
  /** The question failed; other questions are still answered. */
  questionFailed: answers(88, 16 * KIB, { code: 'text', message: 'text', context: 'counts' }),
};

/** The message `settled` of a session after which the server had nothing to purge or to free. */
export const NOTHING_SETTLED: Head<'settled'> = Object.freeze({
  purged: [],
  early: [],
  young: 0,
  cautious: false,
  contents: 0,
  packs: 0,
  freedBytes: 0,
  deletedFiles: 0,
  deletedBytes: 0,
  isDone: true,
  inDoubt: false,
  failure: '',
});
