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
  type Reply,
  type Request,
} from '../../history/index.js';
import { asTardisError, protocolViolation, toWire } from '../../errors/index.js';
import { contentIdOf, MAX_READ_RUNS, releaseMemory } from '../../model/index.js';
import type { ObjectReader } from '../../store/index.js';
import { type EncodedMessage, encodeMessage, type QuestionName } from '../../transport/index.js';
import { withoutBucket } from '../shared-clients.js';

/** The history that is read, and the objects of its store. */
interface Source {
  readonly history: History;
  readonly objects: ObjectReader;
  /** Returns the overview, which needs to have no other client than `only`. */
  readonly clients: (only?: string) => Promise<readonly ClientOverview[]>;
}

/** The questions that are answered here, and their answers. */
const READING = {
  readSets: ({ history }) => history.sets(),
  readRoots: ({ history }, { set }) => history.roots(set),
  readNotes: async ({ history }, { set, from }) => pageOf(await history.notes(set), from),
  readOwners: async ({ history }, { set, from }) => pageOf(await history.owners(set), from),
  readSeals: async ({ history }, { set, after }) => {
    const { directories, setSeal } = await history.seals(set, after, PAGE_ITEMS);
    return { items: directories, setSeal, hasMore: directories.length === PAGE_ITEMS };
  },
  readEntry: ({ history }, { set, path }) => history.find(path, set),
  readListing: async ({ history }, page) => {
    const entries = await history.list(page);
    return { entries, hasMore: entries.length === page.limit };
  },
  readVersions: ({ history }, { path }) => history.versions(path),
  readDigests: ({ history }, { prefix, limit }) => history.findContents(prefix, limit),
  readPlaces: ({ history }, { contents }) =>
    history.locate(contents.map((id) => ({ contentId: contentIdOf(id), digest: undefined }))),
  readObject: ({ objects }, piece) => pieceOfObject(objects, piece),
  readSetRoots: async ({ history }) => ({
    roots: await history.reports.rootsOfSets(),
    next: undefined,
  }),
  readChanges: ({ history }, page) => history.reports.changes(page),
  readNamed: ({ history }, page) => history.reports.named({ ...page, isMatch: () => true }),
  readDirectoryPaths: ({ history }, { set, directories }) =>
    history.reports.directoryPaths(set, directories),
  readSettings: ({ history }) => history.reports.settings(),
  readConfiguration: ({ history }, { set }) => history.reports.clientConfig(set),
  readFigures: ({ history }) => history.reports.figures(),
  readSizes: ({ history }, request) => history.reports.sizes(request),
  readStore: ({ history }) => history.reports.store(),
  readRuns: ({ history }, { most }) => history.reports.runs(Math.min(most, MAX_READ_RUNS)),
  readClients: ({ clients }) => clients(),
  readOwnState: async ({ history: { client }, clients }) =>
    (await clients(client)).filter((one) => one.client === client),
} satisfies {
  readonly [N in QuestionName]?: (source: Source, request: Request<N>) => Promise<Reply<N>>;
};
type ReadingQuestion = keyof typeof READING;

/** True if a message is a question that is answered here. */
export function isReadingQuestion(name: string): name is ReadingQuestion {
  return Object.hasOwn(READING, name);
}

/** Returns the handlers for a history that is readable in full. The caller must have checked the rights. */
export function readOnlyHandlers(
  history: History,
  objects: ObjectReader,
  clients: Source['clients'],
): Pick<Handlers, ReadingQuestion> {
  const source = { history, objects, clients };
  const bound = Object.entries(READING).map(([name, answer]) => [
    name,
    (request: never) => answer(source, request),
  ]);
  return Object.fromEntries(bound) as Pick<Handlers, ReadingQuestion>;
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
