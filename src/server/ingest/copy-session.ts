/**
 * One session that copies a client from its peer. The copy requests a snapshot of the catalog and bytes of objects
 * from the peer, and writes as `sonic copy` does. Each set is durable before the next one. Everything from the peer is
 * checked, and no more is requested than is read at once.
 */
import { asTardisError, protocolViolation, TardisError } from '../../errors/index.js';
import { encryptingKeyset, parseKeyRecord } from '../../crypto/index.js';
import {
  copyInto,
  type CopyFeed,
  type CopyResult,
  type CopyStep,
  RemoteSource,
  keysSumOf,
} from '../../maintenance/rewrite/index.js';
import {
  decodeReply,
  encodeRequest,
  objectsInPieces,
  type Reply,
  type Request,
} from '../../history/index.js';
import { type ClientDirectory, newestKeys } from '../../store/index.js';
import { SpaceMeter } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import {
  answerTo,
  type CopyQuestion,
  decodeMessage,
  encodeMessage,
  type MessageName,
} from '../../transport/index.js';
import { runJobThread } from '../jobs/background-jobs.js';
import type { StorageEvents, StorageHandle, StorageOptions } from '../storage/storage-options.js';

/** Maximum number of copies at one time in a thread. */
const MAX_COPIES = 2;
/** Maximum number of bytes of a catalog from a peer. It is examined in a thread of its own, with temporary files. */
const MAX_CATALOG_BYTES: number = 2 ** 31;
/** Maximum time until the next answer of the peer. */
const ANSWER_MS = 300_000;
/** Minimum time between two messages about the progress of a step. */
const REPORT_EVERY_MS = 250;

interface Waiting {
  /** The message that answers the question. */
  readonly answer: MessageName;
  /** Takes that message. Throws PROTOCOL_VIOLATION if it is malformed. */
  readonly take: (bytes: Buffer) => void;
  readonly number: number;
  readonly reject: (error: Error) => void;
}

let copies = 0;

export class CopySession implements StorageHandle {
  /** Questions without an answer yet; the answers have the same order. */
  private readonly waiting: Waiting[] = [];
  private readonly stopping = new AbortController();
  private lastQuestion = 0;
  private running: Promise<void> | undefined;
  private isOver = false;
  private timer: NodeJS.Timeout | undefined;
  private reported: { readonly step: CopyStep; readonly atMs: number } | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly options: StorageOptions,
    private readonly events: StorageEvents,
  ) {}

  post(name: MessageName, bytes: Buffer): void {
    if (this.isOver) return;
    try {
      if (name === 'copyStart' && this.running === undefined) this.start(bytes);
      else this.hear(name, bytes);
      this.events.answer(undefined, bytes.length);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Does nothing: a copy makes its own checkpoints. */
  park(): void {}

  /** Ends the copy, and keeps what its checkpoints cover. */
  async end(): Promise<void> {
    this.stop(new TardisError('CONNECTION_LOST', 'the peer has left'));
    await this.running;
  }

  abandon(): Promise<void> {
    return this.end();
  }

  private start(bytes: Buffer): void {
    const { keyset } = decodeMessage('copyStart', bytes).head;
    if (copies >= MAX_COPIES) {
      throw new TardisError('CLIENT_BUSY', 'the server makes as many copies as it can');
    }
    copies += 1;
    this.running = this.run(keyset)
      .then(({ sets, leftSet, kept, ...result }) => {
        const { copiedRecords, copiedBytes, lostVersions, allSets } = result;
        const counts = { copiedRecords, copiedBytes, lostVersions, allSets };
        this.send('copyDone', { sets: [...sets], leftSet, kept: kept && [...kept], ...counts });
      })
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        copies -= 1;
      });
  }

  private run(keyset: Buffer): Promise<CopyResult> {
    const { system, directory, options } = this;
    const keys = newestKeys(system, directory.path)?.bytes;
    if (!encryptingKeyset(keys && parseKeyRecord(keys)).equals(keyset)) {
      const what = 'the client at the server has other keys than the source, or none';
      return Promise.reject(new TardisError('COPY_DIFFERS', what));
    }
    const { signal } = this.stopping;
    const report = (step: CopyStep, done: number, of: number | undefined): void =>
      this.report(step, done, of);
    const source = new RemoteSource(system, this.feed(keys), signal, {
      onPiece: (done, of) => report('catalog', done, of),
      maxCatalogBytes: MAX_CATALOG_BYTES,
      examine: async (file) => {
        const { store: limits, umask } = options;
        await runJobThread({ directory, limits, umask, work: { kind: 'examine', file } }, signal);
      },
    });
    const request = {
      source,
      limits: options.store,
      // The owner has no right to delete sets of a backup, nor to change their marks, which can have them deleted.
      deletes: false,
      keepsMarks: true,
      wasteRatio: 1,
      signal,
      onProgress: report,
      space: options.space && new SpaceMeter(options.space),
    };
    return copyInto(system, request, directory);
  }

  /** Returns the peer's client as a source. */
  private feed(keys: Buffer | undefined): CopyFeed {
    const keysSum = keysSumOf(keys);
    return {
      keys,
      open: async (known = '') => ({ ...(await this.request('copyOpen', { known })), keysSum }),
      piece: (offer, piece) => this.request('copyPiece', { offer, piece }),
      objects: objectsInPieces((piece) => this.request('copyObject', piece)),
    };
  }

  private request<N extends CopyQuestion>(name: N, request: Request<N>): Promise<Reply<N>> {
    this.lastQuestion += 1;
    const question = { number: this.lastQuestion, request };
    return new Promise((resolve, reject) => {
      if (this.isOver || this.stopping.signal.aborted) {
        reject(new TardisError('CONNECTION_LOST', 'the peer has left'));
        return;
      }
      if (this.waiting.length === 0) this.expectAnswer();
      const take = (bytes: Buffer): void => resolve(decodeReply(name, question, bytes));
      this.waiting.push({ answer: answerTo(name), take, number: question.number, reject });
      this.events.answer(encodeRequest(name, question.number, request).head, 0);
    });
  }

  /** Starts the timer for the next answer. When it expires, the copy fails with TIMED_OUT. */
  private expectAnswer(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.fail(new TardisError('TIMED_OUT', 'the peer does not answer a question of the copy'));
    }, ANSWER_MS);
    this.timer.unref();
  }

  private hear(name: MessageName, bytes: Buffer): void {
    const [next] = this.waiting; // stays pending if this is no answer: the end of the session rejects it
    if (next !== undefined && name === next.answer) next.take(bytes);
    else if (next !== undefined && name === 'copyFailed') takeFailure(next, bytes);
    else throw protocolViolation(`"${name}" has no place in a copy now`);
    this.waiting.shift();
    if (this.waiting.length > 0) this.expectAnswer();
    else clearTimeout(this.timer);
  }

  private report(step: CopyStep, done: number, of: number | undefined): void {
    const atMs = this.system.clock.monotonicMs();
    if (this.reported?.step === step && atMs - this.reported.atMs < REPORT_EVERY_MS) return;
    this.reported = { step, atMs };
    this.send('copyProgress', { step, done, ...(of === undefined ? {} : { of }) });
  }

  private send<N extends 'copyProgress' | 'copyDone'>(
    name: N,
    head: Parameters<typeof encodeMessage<N>>[1],
  ): void {
    if (!this.isOver) this.events.answer(encodeMessage(name, head).head, 0);
  }

  /** Ends the session; the failure is reported when the store is closed. */
  private fail(error: unknown): void {
    if (this.isOver) return;
    const failure = asTardisError(error);
    this.stop(failure);
    const closed = this.running ?? Promise.resolve();
    void closed.then(() => this.events.failed(failure));
  }

  private stop(reason: TardisError): void {
    this.isOver = true;
    this.stopping.abort();
    clearTimeout(this.timer);
    for (const { reject } of this.waiting.splice(0)) reject(reason);
  }
}

/** Rejects a question that the peer could not answer. The error is not passed on, since the peer reports it itself. */
function takeFailure({ number, reject }: Waiting, bytes: Buffer): void {
  const { question, code } = decodeMessage('copyFailed', bytes).head;
  if (question !== number) throw protocolViolation('an answer to another question of the copy');
  // Only NO_SUCH_REQUEST changes what happens here.
  if (code === 'NO_SUCH_REQUEST') reject(new TardisError('NO_SUCH_REQUEST', 'gone'));
  else reject(new TardisError('INTERRUPTED', 'the peer cannot read the client that it offers'));
}
