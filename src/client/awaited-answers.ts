/**
 * The answers of a server for which a backup waits. The message table names the answer to each request. An answer
 * belongs to the oldest request with the same key, for example the slot of a listing.
 */
import { protocolViolation, type TardisError } from '../errors/index.js';
import { countRows, DIGEST_BYTES, listAt, RowReader } from '../model/index.js';
import {
  type AnsweredMessage,
  type AnswerTo,
  answerTo,
  decodeMessage,
  type Head,
  type MessageName,
} from '../transport/index.js';

/**
 * Requests for which a backup waits here. The answers to `basisWish` and `rangeWish` are pieces, which `OfferedBases` takes, and
 * `setKeys` belongs to a session of its own.
 */
export type AwaitedRequest = Exclude<AnsweredMessage, 'basisWish' | 'rangeWish' | 'setKeys'>;
export type AwaitedAnswer = AnswerTo<AwaitedRequest>;

/** The key by which a request and its answer belong together, and the number of items in the answer. */
interface Place {
  readonly key: number;
  readonly items: number;
}

/** The place of the answer, as the request requires it and as the answer has it. */
interface Places<N extends AwaitedRequest> {
  readonly required: (request: Head<N>) => Place;
  readonly given: (answer: Head<AnswerTo<N>>) => Place;
}

/** The place of an answer of which a session has only one. */
const ONLY: Place = Object.freeze({ key: 0, items: 1 });

const PLACES: { readonly [N in AwaitedRequest]: Places<N> } = {
  openSet: { required: () => ONLY, given: () => ONLY },
  closeSet: { required: () => ONLY, given: () => ONLY },
  // Answers to heads have the order of the requests.
  heads: {
    required: ({ slots }) => ({ key: 0, items: slots.length }),
    given: ({ same }) => ({ key: 0, items: same.length }),
  },
  listing: {
    required: ({ slot, rows }) => ({ key: slot, items: countRows(new RowReader(rows)) }),
    given: ({ slot, wanted }) => ({ key: slot, items: wanted.length }),
  },
  digests: {
    required: ({ question, digests }) => ({ key: question, items: digests.length / DIGEST_BYTES }),
    given: ({ question, verdicts }) => ({ key: question, items: verdicts.length }),
  },
  seekBasis: {
    required: ({ question }) => ({ key: question, items: 1 }),
    given: ({ question }) => ({ key: question, items: 1 }),
  },
};

const REQUESTS: ReadonlyMap<MessageName, AwaitedRequest> = new Map(
  (Object.keys(PLACES) as AwaitedRequest[]).map((name) => [answerTo(name), name]),
);

interface Waiting {
  readonly items: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** True if a message is an answer for which a backup waits here. */
export function isAwaited(name: MessageName): name is AwaitedAnswer {
  return REQUESTS.has(name);
}

export class AwaitedAnswers {
  /** Requests without an answer, by name and key, oldest first. */
  private readonly waiting = new Map<string, Waiting[]>();

  /** Resolves with the answer to a request. Call it before the request is sent. */
  to<N extends AwaitedRequest>(name: N, request: Head<N>): Promise<Head<AnswerTo<N>>> {
    const { key, items } = PLACES[name].required(request);
    return new Promise<unknown>((resolve, reject) => {
      const waiting = { items, resolve, reject };
      listAt(this.waiting, `${name} ${key}`).push(waiting);
    }) as Promise<Head<AnswerTo<N>>>;
  }

  /** Takes an answer. Throws PROTOCOL_VIOLATION if it belongs to no request, or lacks items. */
  take(name: AwaitedAnswer, bytes: Buffer): void {
    const request = REQUESTS.get(name);
    if (request !== undefined) this.takeTo(request, bytes);
  }

  /** Rejects all requests. */
  fail(error: TardisError): void {
    const open = [...this.waiting.values()].flat();
    this.waiting.clear();
    for (const { reject } of open) reject(error);
  }

  private takeTo<N extends AwaitedRequest>(name: N, bytes: Buffer): void {
    const { head } = decodeMessage(answerTo(name), bytes);
    const { key, items } = PLACES[name].given(head);
    const all = this.waiting.get(`${name} ${key}`);
    const next = all?.[0]; // stays pending if this is not its answer: the end of the session rejects it
    if (all === undefined || next?.items !== items) throw unexpected(answerTo(name));
    all.shift();
    if (all.length === 0) this.waiting.delete(`${name} ${key}`);
    next.resolve(head);
  }
}

/** Returns the error for a message of the server that has no place where it arrives. */
export function unexpected(name: MessageName): TardisError {
  return protocolViolation(`the server sent "${name}" unexpectedly`);
}
