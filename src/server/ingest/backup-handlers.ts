/** Handlers of the messages of a backup, one for each row of the message table. */
import { protocolViolation } from '../../errors/index.js';
import { readHeader, RECORD_HEADER_BYTES, recordBytes } from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { BackupMessage, Head } from '../../transport/index.js';
import type { Answer, BasisOffers } from './basis-offers.js';
import type { IncomingContents } from './incoming-contents.js';
import type { Ingest } from './ingest.js';
import { takeConfiguration, takeNotes, takeOwners } from './notes.js';

/** Handles a message of `bytes` bytes. Returns a promise only if there is something to wait for. */
type Handler<N extends BackupMessage> = (
  head: Head<N>,
  attachment: Buffer,
  bytes: number,
) => Promise<void> | void;

export type BackupHandlers = { readonly [N in BackupMessage]: Handler<N> };

/** The open set of a session, and the function that answers its client. */
interface OpenSession {
  /** Returns the open set. Throws PROTOCOL_VIOLATION if there is none. */
  currentSet(): Ingest;
  readonly answer: Answer;
  /** False to discard the configurations that clients send. */
  readonly savesConfig: boolean | undefined;
}

/** Messages that the session handles itself, since they concern the whole session. */
type OfSession = 'openSet' | 'closeSet' | 'setKeys';
type OfContents =
  | 'streamOpen'
  | 'streamChunk'
  | 'streamEnd'
  | 'streamAbort'
  | 'signatureOpen'
  | 'signatureEnd'
  | 'deltaOpen'
  | 'deltaEnd'
  | 'basisWish'
  | 'rangeWish'
  | 'seekBasis'
  | 'assembly';

export function backupHandlers(
  store: StoreWriter,
  large: IncomingContents,
  offers: BasisOffers,
  session: OpenSession,
): Omit<BackupHandlers, OfSession> {
  return { ...entryHandlers(store, offers, session), ...contentHandlers(large, offers, session) };
}

function entryHandlers(
  store: StoreWriter,
  offers: BasisOffers,
  session: OpenSession,
): Omit<BackupHandlers, OfSession | OfContents> {
  const { answer } = session;
  return {
    heads: (head) => {
      const set = session.currentSet();
      const same = set.heads(head);
      if (!head.isQuestion) return;
      const seals = set.seals.keptOf(head.slots, same);
      answer('headsAnswer', { slots: head.slots, same: Buffer.from(same), seals });
    },
    listing: ({ slot, rows, last }) => {
      const { wanted, known, gone } = session.currentSet().listing(slot, rows, last);
      answer('differs', { slot, last, wanted: Buffer.from(wanted), known, gone: [...gone] });
    },
    parcel: (head, attachment) =>
      session.currentSet().rows.parcel(head, splitRecords(attachment, head.records)),
    digests: ({ question, digests, promise }) => {
      const verdicts = Buffer.from(session.currentSet().verdicts(digests, promise));
      answer('verdicts', { question, verdicts });
    },
    done: ({ slots, settled, seals }) => {
      const set = session.currentSet();
      set.seals.done(slots, seals);
      set.done(slots, settled);
      for (const slot of slots) offers.slotDone(slot);
    },
    moved: ({ slots, seals }) => session.currentSet().seals.moved(slots, seals),
    notes: (head, _attachment, bytes) => {
      store.space?.take(bytes); // the number of notes is not limited otherwise
      takeNotes(session.currentSet(), head);
    },
    configuration: (head, _attachment, bytes) => {
      store.space?.take(bytes);
      takeConfiguration(session.currentSet(), head, session.savesConfig);
    },
    owners: (head) => takeOwners(session.currentSet(), head),
  };
}

function contentHandlers(
  large: IncomingContents,
  offers: BasisOffers,
  session: OpenSession,
): Pick<BackupHandlers, OfContents> {
  return {
    streamOpen: (head) => large.open(head),
    streamChunk: ({ stream }, attachment) => large.chunk(stream, attachment),
    streamEnd: (head) => large.end(session.currentSet(), head),
    streamAbort: ({ stream }) => large.abort(stream),
    signatureOpen: (head) => large.openSignature(head),
    signatureEnd: (head) => large.endSignature(session.currentSet(), head),
    deltaOpen: (head) => large.openDelta(head),
    deltaEnd: (head) => large.endDelta(session.currentSet(), head),
    basisWish: (head) => offers.takeWish(head),
    rangeWish: (head) => offers.takeRangeWish(head),
    seekBasis: (head) => {
      const basis = session.currentSet().seekBasis(head);
      session.answer('sought', { question: head.question, basis });
    },
    assembly: (head) => large.assemble(session.currentSet(), head),
  };
}

/** Returns the length of a record, from its header; undefined if there is no valid header. */
function recordBytesAt(attachment: Buffer, at: number): number | undefined {
  try {
    const header = readHeader(attachment, at);
    return header === undefined ? undefined : recordBytes(header);
  } catch (error) {
    throw protocolViolation('a record in a parcel is unknown here', {}, error);
  }
}

/** Splits an attachment into records of the given lengths. Throws PROTOCOL_VIOLATION. */
function splitRecords(attachment: Buffer, lengths: readonly number[]): Buffer[] {
  const records: Buffer[] = [];
  let at = 0;
  for (const bytes of lengths) {
    if (bytes < RECORD_HEADER_BYTES || recordBytesAt(attachment, at) !== bytes) {
      throw protocolViolation('a record in a parcel is broken');
    }
    records.push(attachment.subarray(at, at + bytes));
    at += bytes;
  }
  if (at !== attachment.length) throw protocolViolation('bytes in a parcel belong to no record');
  return records;
}
