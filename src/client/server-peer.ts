/**
 * The server as the pipeline uses it, over one connection or several in turn. Each request returns a promise of its
 * answer.
 */
import { protocolViolation, type TardisError } from '../errors/index.js';
import {
  bufferOf,
  type ClientConfig,
  type ContentKeys,
  countRows,
  DIGEST_BYTES,
  KNOWN_BYTES,
  listAt,
  MAX_OWNER_NAME_BYTES,
  NO_BYTES,
  releaseMemory,
  RowReader,
  type SlotNumber,
} from '../model/index.js';
import type {
  HeadBatch,
  OfferedBasis,
  OutgoingParcel,
  PeerStream,
  StreamStart,
} from '../pipeline/index.js';
import type { CipherHead } from '../store/index.js';
import {
  type AnsweredMessage,
  type AnswerTo,
  answerTo,
  type BackupAnswer,
  decodeMessage,
  type Head,
  isBackupAnswer,
  MAX_OWNERS,
  type MessageName,
} from '../transport/index.js';
import type { Failure, OwnerName } from '../workers/index.js';
import { OfferedBases } from './offered-bases.js';
import { OutgoingStreams } from './outgoing-streams.js';
import { pagesOf, rowPages } from './row-pages.js';
import { Sender, type SenderOptions } from './sender.js';
import { SessionLine } from './session-line.js';
import type { SealedSet } from './set-sealer.js';

interface Question<T> {
  readonly resolve: (answer: T) => void;
  readonly reject: (error: Error) => void;
}

/** One handler for each message of the server that answers no awaited request; `bytes` is the encoded message. */
type Takers = {
  readonly [N in Exclude<BackupAnswer, AwaitedAnswer>]: (head: Head<N>, bytes: Buffer) => void;
};

/** The server's answer to a listing. */
interface ListingAnswer {
  /** A `Wanted` for each row. */
  readonly wanted: Buffer;
  /**
   * Data by which an encrypting client identifies unchanged entries, KNOWN_BYTES for each row; empty if nothing is
   * sealed.
   */
  readonly known: Buffer;
  /** Names of mount points that are missing from the listing. Their stored entries are kept. */
  readonly gone: readonly Buffer[];
}

type HeadsAnswer = Pick<Head<'headsAnswer'>, 'same' | 'seals'>;

/** Maximum number of notes in one message; far below its largest size. */
const NOTES_BATCH = 1024;
/** Maximum number of bytes in a page of a listing. */
const LISTING_PAGE_BYTES = 1 << 20;

export class ServerPeer {
  /** True if the client has no complete set yet; known once the set is open. */
  isEmpty = false;
  readonly sender: Sender;
  /** Receives the server's messages, over one connection or several. */
  readonly line: SessionLine;
  /** Keys of a client that encrypts; set before the first request. */
  contentKeys: ContentKeys | undefined;
  private readonly takers: Takers = {
    received: ({ upTo }) => this.sender.received(upTo),
    durable: ({ upTo }) => this.sender.durable(upTo),
    settled: (head) => {
      const { settling } = this;
      if (settling === undefined) throw unexpected('settled');
      this.settling = undefined;
      settling.resolve(head);
    },
    basis: (head) => this.bases.offer(head),
    signature: (head, bytes) => {
      this.bases.piece(head);
      releaseMemory(bytes); // the checksums have been copied
    },
    keysSet: () => {
      throw unexpected('keysSet');
    },
  };
  private readonly bases: OfferedBases;
  private readonly streams: OutgoingStreams;
  private settling: Question<Head<'settled'>> | undefined;
  private readonly answers = new AwaitedAnswers();
  /** Owners whose names were sent. A user is recorded by number n, a group by -1 - n. */
  private readonly sentOwners = new Set<number>();
  private lastQuestion = 0;
  private failed: TardisError | undefined;

  constructor(options: SenderOptions) {
    this.sender = new Sender(options);
    this.line = new SessionLine(this.sender, (name, bytes) => this.receive(name, bytes));
    this.streams = new OutgoingStreams(this.sender);
    this.bases = new OfferedBases(this.sender, this.streams);
  }

  async openSet(head: Head<'openSet'>): Promise<Head<'setOpened'>> {
    const opened = await this.request('openSet', head);
    this.isEmpty = opened.empty;
    return opened;
  }

  /** Closes the set. `sealed` is empty unless the client encrypts. With `waits` the server also sends `settled`. `runs` are for the journal. */
  closeSet(
    stats: Record<string, number>,
    sealed: SealedSet,
    more: { readonly purge: boolean; readonly waits: boolean; readonly runs: string[] },
  ): Promise<Head<'setClosed'>> {
    return this.request('closeSet', { stats, ...sealed, ...more });
  }

  /** Resolves with the result of the server's work after the set. Call it before the answer to `closeSet` arrives. */
  settled(): Promise<Head<'settled'>> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.settling = { resolve, reject };
    });
  }

  /** Compares directories. Resolves also with the seals that the server stored for unchanged ones. */
  async heads(batch: HeadBatch, isQuery: boolean): Promise<HeadsAnswer> {
    const count = batch.slots.length;
    const head = {
      isQuestion: isQuery,
      slots: Array.from(batch.slots),
      parents: Array.from(batch.parents),
      rows: bufferOf(batch.rows),
      hashes: bufferOf(batch.hashes),
    };
    if (!isQuery) {
      this.sender.post('heads', head);
      return { same: Buffer.alloc(count), seals: NO_BYTES };
    }
    return this.request('heads', head);
  }

  /** Compares a listing, or a page of one. */
  async listing(slot: SlotNumber, rows: Buffer, isLast: boolean): Promise<ListingAnswer> {
    const pages = [...pagesOf(rows, LISTING_PAGE_BYTES)];
    const answers = pages.map((page, index) => {
      const last = isLast && index === pages.length - 1;
      return this.request('listing', { slot, last, rows: page });
    });
    return joined(await Promise.all(answers));
  }

  async verdicts(digests: Uint8Array, promise: boolean): Promise<Uint8Array> {
    this.lastQuestion += 1;
    const head = { question: this.lastQuestion, digests: bufferOf(digests), promise };
    return (await this.request('digests', head)).verdicts;
  }

  /** Sends a parcel; in several messages if its rows, because of their attributes, are too large for one. */
  async parcel(parcel: OutgoingParcel): Promise<void> {
    let records = parcel.records?.length === 0 ? undefined : parcel.records;
    let lengths = [...parcel.recordLengths];
    const sent: Promise<void>[] = [];
    for (const { slots, lengths: rowLengths, rows } of rowPages(parcel)) {
      const head = { slots, lengths: rowLengths, rows, records: lengths };
      sent.push(this.sender.send('parcel', head, records));
      [records, lengths] = [undefined, []];
    }
    await Promise.all(sent);
  }

  done(slots: readonly SlotNumber[], settled: readonly boolean[], seals = NO_BYTES): void {
    const flags = Buffer.from(settled.map((isSettled) => (isSettled ? 1 : 0)));
    this.sender.post('done', { slots: [...slots], settled: flags, seals });
    this.bases.slotsDone(slots);
  }

  /** Sends the new seals of unchanged directories that have been moved. */
  moved(slots: SlotNumber[], seals: Buffer): void {
    this.sender.post('moved', { slots, seals });
  }

  configuration(config: ClientConfig): void {
    this.sender.post('configuration', { config });
  }

  notes(failures: readonly Failure[]): void {
    for (let from = 0; from < failures.length; from += NOTES_BATCH) {
      this.postNotes(failures.slice(from, from + NOTES_BATCH));
    }
  }

  owners(names: readonly OwnerName[]): void {
    const fresh = names.filter(({ isGroup, id }) => {
      const owner = isGroup ? -1 - id : id;
      if (this.sentOwners.has(owner) || this.sentOwners.size >= MAX_OWNERS) return false;
      this.sentOwners.add(owner);
      return true;
    });
    for (let from = 0; from < fresh.length; from += NOTES_BATCH) {
      const batch = fresh.slice(from, from + NOTES_BATCH);
      this.sender.post('owners', {
        groups: Buffer.from(batch.map(({ isGroup }) => (isGroup ? 1 : 0))),
        ids: batch.map(({ id }) => id),
        names: batch.map(({ name }) => bufferOf(name).subarray(0, MAX_OWNER_NAME_BYTES)),
      });
    }
  }

  private postNotes(failures: readonly Failure[]): void {
    this.sender.post('notes', {
      slots: failures.map(({ slot }) => slot),
      names: failures.map(({ name }) => bufferOf(name)),
      whats: failures.map(({ what }) => what),
      reasons: failures.map(({ reason }) => reason),
    });
  }

  openStream(start: StreamStart): PeerStream {
    return this.streams.content(start);
  }

  basisOf(slot: SlotNumber, name: Uint8Array): OfferedBasis | undefined {
    return this.bases.find(slot, name);
  }

  async seekBasis(
    slot: SlotNumber,
    name: Uint8Array,
    digests: Buffer,
  ): Promise<OfferedBasis | undefined> {
    this.lastQuestion += 1;
    const head = { question: this.lastQuestion, slot, name: bufferOf(name), digests };
    const { basis } = await this.request('seekBasis', head);
    return basis === 0 ? undefined : this.basisOf(slot, name); // the offer was sent before the answer
  }

  openSignature(cipher: CipherHead | undefined): PeerStream {
    return this.streams.signature(cipher);
  }

  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void {
    const isKeyed = this.contentKeys !== undefined;
    const head = { digest: bufferOf(digest), sizeBytes, parts: bufferOf(parts), isKeyed };
    this.sender.post('assembly', head);
  }

  /** Sends a request, and resolves with the answer that the message table names. */
  private request<N extends AwaitedRequest>(name: N, head: Head<N>): Promise<Head<AnswerTo<N>>> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const answer = this.answers.to(name, head);
    this.sender.post(name, head);
    return answer;
  }

  get failure(): TardisError | undefined {
    return this.failed;
  }

  /** Fails all pending and later requests. */
  fail(error: TardisError): void {
    this.failed ??= error;
    this.sender.fail(error);
    this.bases.fail(error);
    this.answers.fail(error);
    this.settling?.reject(error);
    this.settling = undefined;
  }

  private receive(name: MessageName, bytes: Buffer): void {
    if (!isBackupAnswer(name)) throw unexpected(name);
    if (isAwaited(name)) this.answers.take(name, bytes);
    else this.take(name, bytes);
  }

  private take<N extends keyof Takers>(name: N, bytes: Buffer): void {
    this.takers[name](decodeMessage(name, bytes).head, bytes);
  }
}

/** Joins the answers to the pages of a listing. Pages without seals get zeros. */
function joined(answers: readonly ListingAnswer[]): ListingAnswer {
  const wanted = Buffer.concat(answers.map((answer) => answer.wanted));
  const gone = answers.flatMap((answer) => answer.gone);
  if (answers.every(({ known }) => known.length === 0)) return { wanted, known: NO_BYTES, gone };
  const known = answers.map((answer) => {
    const bytes = answer.wanted.length * KNOWN_BYTES;
    return answer.known.length === bytes ? answer.known : Buffer.alloc(bytes);
  });
  return { wanted, known: Buffer.concat(known), gone };
}

/**
 * Requests for which a backup waits here. The answers to `basisWish` and `rangeWish` are pieces, which `OfferedBases` takes, and
 * `setKeys` belongs to a session of its own.
 */
type AwaitedRequest = Exclude<AnsweredMessage, 'basisWish' | 'rangeWish' | 'setKeys'>;
type AwaitedAnswer = AnswerTo<AwaitedRequest>;

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
function isAwaited(name: MessageName): name is AwaitedAnswer {
  return REQUESTS.has(name);
}

/**
 * The answers of a server for which a backup waits. The message table names the answer to each request. An answer
 * belongs to the oldest request with the same key, for example the slot of a listing.
 */
class AwaitedAnswers {
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
function unexpected(name: MessageName): TardisError {
  return protocolViolation(`the server sent "${name}" unexpectedly`);
}
