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
  PAGE_ITEMS,
  pieceOfObject,
} from '../../history/index.js';
import { asTardisError, protocolViolation, toWire } from '../../errors/index.js';
import { contentIdOf, MAX_READ_RUNS, releaseMemory } from '../../model/index.js';
import type { ObjectReader } from '../../store/index.js';
import { type EncodedMessage, encodeMessage, type QuestionName } from '../../transport/index.js';
import { withoutBucket } from '../shared-clients.js';

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
  'readRuns',
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
  const { client, reports } = history;
  return {
    readSets: () => history.sets(),
    readRoots: ({ set }) => history.roots(set),
    readNotes: async ({ set, from }) => pageOf(await history.notes(set), from),
    readOwners: async ({ set, from }) => pageOf(await history.owners(set), from),
    readSeals: async ({ set, after }) => {
      const { directories, setSeal } = await history.seals(set, after, PAGE_ITEMS);
      return { items: directories, setSeal, hasMore: directories.length === PAGE_ITEMS };
    },
    readEntry: ({ set, path }) => history.find(path, set),
    readListing: async (page) => {
      const entries = await history.list(page);
      return { entries, hasMore: entries.length === page.limit };
    },
    readVersions: ({ path }) => history.versions(path),
    readDigests: ({ prefix, limit }) => history.findContents(prefix, limit),
    readPlaces: ({ contents }) =>
      history.locate(contents.map((id) => ({ contentId: contentIdOf(id), digest: undefined }))),
    readObject: (piece) => pieceOfObject(objects, piece),
    readSetRoots: async () => ({ roots: await reports.rootsOfSets(), next: undefined }),
    readChanges: (page) => reports.changes(page),
    readNamed: (page) => reports.named({ ...page, isMatch: () => true }),
    readDirectoryPaths: ({ set, directories }) => reports.directoryPaths(set, directories),
    readSettings: () => reports.settings(),
    readConfiguration: ({ set }) => reports.clientConfig(set),
    readFigures: () => reports.figures(),
    readSizes: (request) => reports.sizes(request),
    readStore: () => reports.store(),
    readRuns: ({ most }) => reports.runs(Math.min(most, MAX_READ_RUNS)),
    readClients: () => clients(),
    readOwnState: async () => (await clients(client)).filter((one) => one.client === client),
  };
}

function pageOf<T>(all: readonly T[], from: number): { items: readonly T[]; hasMore: boolean } {
  const items = all.slice(from, from + PAGE_ITEMS);
  return { items, hasMore: from + items.length < all.length };
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
  throw protocolViolation(`"${name}" is not a question that has an answer here`);
}
