/**
 * Rows of the message table for copies in both directions. A reader copies a client of the server from a snapshot of
 * its catalog. A server copies a client that its peer offers, by the same questions in the other direction.
 */
import {
  answers,
  answersCopy,
  KIB,
  maybe,
  MIB,
  ofCopy,
  questionsCopy,
  requests,
  toCopy,
  withAttachment,
  words,
} from './message-row.js';
import { MAX_READ_BYTES } from './reading-messages.js';

/** A snapshot of a catalog, and the state of its client. */
const SNAPSHOT = {
  /** The number by which the end that has the client identifies the snapshot. */
  offer: 'uint',
  /** The id of the client in its `format.json`. */
  clientId: 'line',
  /** Number of the last set that no session can still write to; the sets before it have ended, too. */
  endedUpTo: 'uint',
  /** Number of the last commit in the snapshot. */
  commit: 'uint',
  /** The state of the client, as a text to compare; empty if there is no backup yet. */
  point: 'line',
  /** Size of the catalog; 0 if there is no backup yet, or none since the known state. */
  catalogBytes: 'uint',
} as const;
/** A piece of the catalog in a snapshot, by its index. */
const PIECE = { offer: 'uint', piece: 'uint' } as const;
/** Maximum size of a piece of a catalog, as a sequence of compressed frames. */
const PIECE_BYTES: number = 5 * MIB;

export const COPY_MESSAGES = {
  /**
   * Requests a snapshot of the catalog; it replaces an earlier snapshot of the session. Sends `known`, the last known
   * state of the client, or an empty text. If the client is still in that state, no snapshot is made.
   */
  openCopy: requests.read(166, 8 * KIB, 'copyOffered', { known: 'line' }),
  copyOffered: answers(167, 16 * KIB, {
    ...SNAPSHOT,
    /** SHA-256 of the newest key record of the client; empty if it has none. */
    keysSum: 'bytes',
  }),
  /** Requests a piece of the catalog in the snapshot, by the index of the piece. */
  readCatalog: requests.read(168, KIB, 'catalogIs', PIECE),
  /** The piece of the catalog is the attachment, as a sequence of compressed frames. */
  catalogIs: withAttachment(answers(169, PIECE_BYTES, {})),
  /** Offers a client. `keyset` is the id of its keys, or empty if it does not encrypt. */
  copyStart: ofCopy(170, KIB, 'copyDone', { keyset: 'bytes' }),
  /** Requests a snapshot of the peer's client, as `openCopy` does. */
  copyOpen: questionsCopy(171, 8 * KIB, 'copyOpened', { known: 'line' }),
  copyOpened: answersCopy(172, 16 * KIB, SNAPSHOT),
  copyProgress: toCopy(173, KIB, {
    step: words('catalog', 'contents', 'sets', 'remove'),
    done: 'uint',
    of: maybe('uint'),
  }),
  /** The copy is complete and durable. */
  copyDone: toCopy(175, 16 * MIB, {
    sets: 'uints',
    leftSet: maybe('uint'),
    kept: maybe('uints'),
    copiedRecords: 'uint',
    copiedBytes: 'uint',
    lostVersions: 'uint',
    allSets: 'uint',
  }),
  /** Requests a piece of the peer's catalog, as `readCatalog` does. */
  copyPiece: questionsCopy(177, KIB, 'copyPieceIs', PIECE),
  copyPieceIs: withAttachment(answersCopy(178, PIECE_BYTES, {})),
  /** Requests bytes of an object of the peer, as `readObject` does. */
  copyObject: questionsCopy(179, KIB, 'copyObjectIs', {
    object: 'text',
    position: 'uint',
    bytes: 'uint',
  }),
  copyObjectIs: withAttachment(answersCopy(180, MAX_READ_BYTES + 4 * KIB, { exists: 'bool' })),
  /** A question of the server failed, in place of its answer. */
  copyFailed: answersCopy(174, 16 * KIB, { code: 'text', message: 'text' }),
};
