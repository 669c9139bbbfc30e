/**
 * Answers to questions that only read and depend on no connection, from any history. HTTP requests send them one by
 * one; a session answers more kinds (answers.ts).
 */
import {
  type DecodedRequest,
  type ClientOverview,
  decodeRequest,
  encodeReply,
  type Handlers,
  type History,
} from '../../history/index.js';
import { asTardisError, TardisError, toWire } from '../../errors/index.js';
import { releaseMemory } from '../../model/index.js';
import type { ObjectReader } from '../../store/index.js';
import { type EncodedMessage, encodeMessage, type QuestionName } from '../../transport/index.js';
import { withoutBucket } from '../shared-clients.js';
import { entryReaders, objectReader, reportReaders, setReaders } from './history-handlers.js';

/** The questions that are answered here. */
const READING = [
  'readSets',
  'readRoots',
  'readNotes',
  'readOwners',
  'readSeals',
  'readEntry',
  'readListing',
  'readVersions',
  'readDigests',
  'readPlaces',
  'readObject',
  'readSetRoots',
  'readChanges',
  'readNamed',
  'readDirectoryPaths',
  'readSettings',
  'readConfiguration',
  'readFigures',
  'readSizes',
  'readStore',
  'readClients',
  'readOwnState',
] as const satisfies readonly QuestionName[];
type ReadingQuestion = (typeof READING)[number];

/** True if a message is a question that is answered here. */
export function isReadingQuestion(name: string): name is ReadingQuestion {
  return READING.some((one) => one === name);
}

/**
 * Returns the handlers for a history that is readable in full. The caller must have checked the rights. `clients` returns
 * the overview, which needs to have no other client than `only`.
 */
export function readOnlyHandlers(
  history: History,
  objects: ObjectReader,
  clients: (only?: string) => Promise<readonly ClientOverview[]>,
): Pick<Handlers, ReadingQuestion> {
  return {
    ...setReaders(history),
    ...entryReaders(history),
    ...reportReaders(history, clients),
    ...objectReader(objects),
  };
}

/**
 * Returns the answer to an encoded question; an error of the question itself becomes its answer. Throws
 * PROTOCOL_VIOLATION for a malformed question, and INTERNAL for a bug.
 */
export async function answerWith<N extends QuestionName>(
  handlers: Pick<Handlers, N>,
  name: N,
  bytes: Buffer,
): Promise<EncodedMessage> {
  const decoded: DecodedRequest<N> = decodeRequest(name, bytes);
  try {
    const reply = handlers[name](decoded.request);
    return await reply.then((value) => encodeReply(name, decoded, value));
  } catch (error) {
    const { code, message, context } = toWire(withoutBucket(asTardisError(error)));
    if (code === 'PROTOCOL_VIOLATION' || code === 'INTERNAL') throw error;
    const { number: question } = decoded;
    return encodeMessage('questionFailed', { question, code, message, context: { ...context } });
  }
}

/** Returns a message as one buffer, and frees its attachment, which no handler may use again. */
export function wholeMessage({ head, attachment }: EncodedMessage): Buffer {
  if (attachment === undefined) return head;
  const whole = Buffer.concat([head, attachment]);
  releaseMemory(attachment);
  return whole;
}

/** Returns the name of a question that has an answer here. Throws PROTOCOL_VIOLATION for any other name. */
export function readingQuestion(name: string): ReadingQuestion {
  if (isReadingQuestion(name)) return name;
  throw new TardisError(
    'PROTOCOL_VIOLATION',
    `"${name}" is not a question that has an answer here`,
  );
}
