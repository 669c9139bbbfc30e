/**
 * Rows of the message table for copies in both directions. A reader copies a client of the server from a snapshot of
 * its catalog. A server copies a client that its peer offers, by requests to the peer.
 */
import { answers, requests, KIB, maybe, MIB, ofCopy, toCopy, words } from './message-row.js';

export const COPY_MESSAGES = {
  /**
   * Requests a snapshot of the catalog; it replaces an earlier snapshot of the session. Sends `known`, the last known
   * state of the client, or an empty text. If the client is still in that state, no snapshot is made.
   */
  openCopy: requests(166, 'read', 8 * KIB, { known: 'line' }, { answer: 'copyOffered' }),
  copyOffered: answers(167, 16 * KIB, {
    /** The server's number for the snapshot. */
    offer: 'uint',
    /** The id of the client in its `format.json`. */
    clientId: 'line',
    /** Number of the last set that no session can still write to; the sets before it have ended, too. */
    endedUpTo: 'uint',
    /** Number of the last commit in the snapshot. */
    commit: 'uint',
    /** The state of the client, as a text to compare; empty if there is no backup yet. */
    point: 'line',
    /** SHA-256 of the newest key record of the client; empty if it has none. */
    keysSum: 'bytes',
    /** Size of the catalog; 0 if there is no backup yet, or none since the known state. */
    catalogBytes: 'uint',
  }),
  /** Requests a piece of the catalog in the snapshot, by the index of the piece. */
  readCatalog: requests(
    168,
    'read',
    KIB,
    { offer: 'uint', piece: 'uint' },
    { answer: 'catalogIs' },
  ),
  /** The piece of the catalog is the attachment, as a sequence of compressed frames. */
  catalogIs: answers(169, 5 * MIB, {}, { hasAttachment: true }),
  /** Offers a client. `keyset` is the id of its keys, or empty if it does not encrypt. */
  copyStart: ofCopy(170, KIB, { keyset: 'bytes' }, { answer: 'copyDone' }),
  /** Requests a snapshot (`open`), a piece of its catalog, or bytes of an object. Other fields are 0 or empty. */
  copyAsk: toCopy(171, 16 * KIB, {
    question: 'uint',
    what: words('open', 'piece', 'object'),
    offer: 'uint',
    piece: 'uint',
    object: 'text',
    position: 'uint',
    bytes: 'uint',
    known: 'line',
  }),
  /** Answers `copyAsk`: with an error if `code` is not empty, or with the fields of what was requested. */
  copyAnswer: ofCopy(
    172,
    5 * MIB,
    {
      question: 'uint',
      code: 'text',
      message: 'text',
      exists: 'bool',
      offer: 'uint',
      clientId: 'line',
      endedUpTo: 'uint',
      commit: 'uint',
      point: 'line',
      catalogBytes: 'uint',
    },
    { hasAttachment: true },
  ),
  copyProgress: toCopy(173, KIB, {
    step: words('catalog', 'contents', 'sets', 'remove'),
    done: 'uint',
    of: maybe('uint'),
  }),
  /** The copy is complete and durable. */
  copyDone: toCopy(175, 16 * MIB, {
    sets: 'uints',
    leftSet: maybe('uint'),
    copiedRecords: 'uint',
    copiedBytes: 'uint',
    lostVersions: 'uint',
    allSets: 'uint',
  }),
};
