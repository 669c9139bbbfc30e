/**
 * The codec of every question, and of its answer: those of a reader, and those of a server that copies from its peer.
 * The types of requests and replies follow from this table: one end sends them, and the other one has one handler for
 * each question. The code does not compile if a question of the message table has no codec here, or a codec has no
 * question.
 */
import { protocolViolation } from '../../errors/index.js';
import {
  type AnswerTo,
  type AnyQuestion,
  type Body,
  type CopyQuestion,
  answerTo,
  decodeNumbered,
  type EncodedMessage,
  encodeNumbered,
  type QuestionName,
} from '../../transport/index.js';
import { CLIENTS, RUNS } from './client-overview.js';
import { asIs, type Coded, type Coder, NOTHING, odd } from './coder.js';
import { FORGETS, TO_FORGET, VERDICTS } from './wire-changes.js';
import {
  DELTA,
  DELTA_PART,
  DIGESTS,
  FOUND,
  OBJECT,
  OBJECT_PART,
  SIGNATURE,
} from './wire-contents.js';
import { ENTRY, LISTING, PAGE, VERSIONS } from './wire-entries.js';
import { PLACES, PLACES_REQUEST } from './wire-places.js';
import {
  CHANGES,
  CHANGES_PAGE,
  CONFIGURATION,
  DIRECTORIES,
  DIRECTORY_PATHS,
  FIGURES,
  NAMES,
  SET_ROOTS,
  SETTINGS,
  SIZES,
  SIZES_REQUEST,
  STORE,
} from './wire-reports.js';
import { NOTES, OWNERS, ROOTS, SEALS, SETS } from './wire-sets.js';

const SUM_BYTES = 32;

const OFFER = asIs<'copyOffered'>(({ keysSum }) => {
  if (keysSum.length !== 0 && keysSum.length !== SUM_BYTES) throw odd('checksums of keys');
});

const CATALOG_PIECE: Coder<Buffer, Body<'catalogIs'>, unknown> = {
  toWire: (attachment) => ({ attachment }),
  fromWire: ({ attachment }) => attachment,
};

function coded<N extends AnyQuestion, Request, Reply>(
  _question: N,
  request: Coder<Request, Body<N>>,
  reply: Coder<Reply, Body<AnswerTo<N>>, NoInfer<Request>>,
): Coded<N, Request, Reply> {
  return { request, reply };
}

const QUESTIONS = {
  readSets: coded('readSets', NOTHING, SETS),
  readRoots: coded('readRoots', asIs<'readRoots'>(), ROOTS),
  readNotes: coded('readNotes', asIs<'readNotes'>(), NOTES),
  readOwners: coded('readOwners', asIs<'readOwners'>(), OWNERS),
  readSeals: coded('readSeals', asIs<'readSeals'>(), SEALS),
  readEntry: coded('readEntry', asIs<'readEntry'>(), ENTRY),
  readListing: coded('readListing', LISTING, PAGE),
  readVersions: coded('readVersions', asIs<'readVersions'>(), VERSIONS),
  readDigests: coded('readDigests', DIGESTS, FOUND),
  readPlaces: coded('readPlaces', PLACES_REQUEST, PLACES),
  readObject: coded('readObject', OBJECT, OBJECT_PART),
  readerSignature: coded('readerSignature', SIGNATURE, NOTHING),
  readDelta: coded('readDelta', DELTA, DELTA_PART),
  dropSignature: coded('dropSignature', asIs<'dropSignature'>(), NOTHING),
  deleteSets: coded('deleteSets', asIs<'deleteSets'>(), NOTHING),
  markSets: coded('markSets', asIs<'markSets'>(), NOTHING),
  purgeSets: coded('purgeSets', NOTHING, VERDICTS),
  previewPurge: coded('previewPurge', NOTHING, VERDICTS),
  forgetPaths: coded('forgetPaths', TO_FORGET, FORGETS),
  withdrawForgets: coded('withdrawForgets', asIs<'withdrawForgets'>(), FORGETS),
  readForgets: coded('readForgets', NOTHING, FORGETS),
  checkStore: coded('checkStore', asIs<'checkStore'>(), asIs<'workIs'>()),
  freeUnneeded: coded('freeUnneeded', NOTHING, asIs<'workIs'>()),
  watchWork: coded('watchWork', NOTHING, asIs<'workIs'>()),
  readSetRoots: coded('readSetRoots', asIs<'readSetRoots'>(), SET_ROOTS),
  readChanges: coded('readChanges', CHANGES_PAGE, CHANGES),
  readNamed: coded('readNamed', asIs<'readNamed'>(), NAMES),
  readDirectoryPaths: coded('readDirectoryPaths', DIRECTORIES, DIRECTORY_PATHS),
  readSettings: coded('readSettings', NOTHING, SETTINGS),
  changeSetting: coded('changeSetting', asIs<'changeSetting'>(), NOTHING),
  readConfiguration: coded('readConfiguration', asIs<'readConfiguration'>(), CONFIGURATION),
  readFigures: coded('readFigures', NOTHING, FIGURES),
  readSizes: coded('readSizes', SIZES_REQUEST, SIZES),
  readStore: coded('readStore', NOTHING, STORE),
  readClients: coded('readClients', NOTHING, CLIENTS),
  readOwnState: coded('readOwnState', NOTHING, CLIENTS),
  noteRuns: coded('noteRuns', RUNS, NOTHING),
  readRuns: coded('readRuns', asIs<'readRuns'>(), RUNS),
  openCopy: coded('openCopy', asIs<'openCopy'>(), OFFER),
  readCatalog: coded('readCatalog', asIs<'readCatalog'>(), CATALOG_PIECE),
  copyOpen: coded('copyOpen', asIs<'copyOpen'>(), asIs<'copyOpened'>()),
  copyPiece: coded('copyPiece', asIs<'copyPiece'>(), CATALOG_PIECE),
  copyObject: coded('copyObject', OBJECT, OBJECT_PART),
} satisfies { readonly [N in AnyQuestion]: Coded<N, unknown, unknown> };

/** The value in a question, and the value in its answer. */
export type Request<N extends AnyQuestion> = ReturnType<
  (typeof QUESTIONS)[N]['request']['fromWire']
>;
export type Reply<N extends AnyQuestion> = ReturnType<(typeof QUESTIONS)[N]['reply']['fromWire']>;

const CODECS: { readonly [N in AnyQuestion]: Coded<N, Request<N>, Reply<N>> } = QUESTIONS;

/** One handler for each of these questions. */
type HandlersOf<All extends AnyQuestion> = {
  readonly [N in All]: (request: Request<N>) => Promise<Reply<N>>;
};
export type Handlers = HandlersOf<QuestionName>;
export type CopyHandlers = HandlersOf<CopyQuestion>;

/** A question as its receiver decodes it. */
export interface DecodedRequest<N extends AnyQuestion> {
  readonly number: number;
  readonly request: Request<N>;
}

export function encodeRequest<N extends AnyQuestion>(
  name: N,
  number: number,
  request: Request<N>,
): EncodedMessage {
  return encodeNumbered(name, number, CODECS[name].request.toWire(request));
}

/** Decodes a question. Throws PROTOCOL_VIOLATION if it is malformed. */
export function decodeRequest<N extends AnyQuestion>(name: N, bytes: Buffer): DecodedRequest<N> {
  const { number, body } = decodeNumbered(name, bytes);
  return { number, request: CODECS[name].request.fromWire(body) };
}

/** Encodes the answer to a question. If the codec knows pages, a long answer is cut to one. */
export function encodeReply<N extends AnyQuestion>(
  name: N,
  { number, request }: DecodedRequest<N>,
  reply: Reply<N>,
): EncodedMessage {
  return encodeNumbered(answerTo(name), number, CODECS[name].reply.toWire(reply, request));
}

/** Decodes an answer. Throws PROTOCOL_VIOLATION if it is malformed, or belongs to another question. */
export function decodeReply<N extends AnyQuestion>(
  name: N,
  { number, request }: DecodedRequest<N>,
  bytes: Buffer,
): Reply<N> {
  const answer = decodeNumbered(answerTo(name), bytes);
  if (answer.number !== number) {
    throw protocolViolation(`an answer to "${name}" is to another question`);
  }
  return CODECS[name].reply.fromWire(answer.body, request);
}
