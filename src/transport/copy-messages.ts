/** Rows of the message table for copying a client to another store: a snapshot of its catalog, piece by piece. */
import { answers, asks, KIB, MIB } from './message-row.js';

export const COPY_MESSAGES = {
  /** Requests a snapshot of the catalog. It takes the place of an earlier one of the session. */
  openCopy: asks(166, 'read', KIB, {}, { answer: 'copyOffered' }),
  copyOffered: answers(167, 8 * KIB, {
    /** The server's number for the snapshot. */
    offer: 'uint',
    /** The id of the client in its `format.json`. */
    clientId: 'line',
    /** No session writes to the sets up to this one any more. */
    endedUpTo: 'uint',
    /** Number of the last commit in the snapshot. */
    commit: 'uint',
    /** SHA-256 of the newest key record of the client; empty if it has none. */
    keysSum: 'bytes',
    /** Size of the catalog; 0 if there is no backup yet. */
    catalogBytes: 'uint',
  }),
  /** Requests a piece of that catalog, by its index. */
  readCatalog: asks(168, 'read', KIB, { offer: 'uint', piece: 'uint' }, { answer: 'catalogIs' }),
  /** The attachment is the piece, as a row of compressed frames. */
  catalogIs: answers(169, 5 * MIB, {}, { hasAttachment: true }),
};
