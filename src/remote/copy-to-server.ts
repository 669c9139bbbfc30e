/** Copies a client to a server, which requests a snapshot of the catalog and records from this machine. */
import {
  type CopyHandlers,
  type DecodedRequest,
  decodeRequest,
  encodeReply,
  pieceOfObject,
} from '../history/index.js';
import { asTardisError, protocolViolation, TardisError } from '../errors/index.js';
import { encryptingKeyset, parseKeyRecord } from '../crypto/index.js';
import type { CopyFeed, CopyProgress, CopyResult } from '../maintenance/rewrite/index.js';
import type { System } from '../system/index.js';
import {
  Backoff,
  type ClientLine,
  type CopyQuestion,
  connect,
  decodeMessage,
  DEFAULT_LINK,
  type EncodedMessage,
  encodeMessage,
  isCopyQuestion,
  type MessageName,
  NO_PATIENCE,
  Purpose,
} from '../transport/index.js';
import { greet, linkToNamed, Login, NO_CREDENTIALS, SentOn } from '../transport/login/index.js';
import type { RemotePlace } from './remote-peer.js';

/** Maximum number of requests of the server that are answered at one time. */
const MAX_REQUESTED = 24;
/** Maximum number of bytes of answers that the server has not taken from its socket: more than MAX_REQUESTED answers have. */
const MAX_UNREAD_BYTES = 128 << 20;

interface CopyToServer {
  readonly feed: CopyFeed;
  /** True if the client is created at the server, with the keys of the source. */
  readonly create: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: CopyProgress;
}

/**
 * Copies a client to a server. A lost connection is replaced until the retry time is over, and the copy continues.
 * Throws INTERRUPTED if it is aborted, the errors of the server, such as COPY_DIFFERS, NOT_PERMITTED or QUOTA_EXCEEDED,
 * and those of reading the source.
 */
export async function copyToServer(
  system: System,
  place: RemotePlace,
  order: CopyToServer,
): Promise<CopyResult> {
  const { credentials = NO_CREDENTIALS, client } = place;
  const record = order.feed.keys && parseKeyRecord(order.feed.keys);
  const target = { client, create: order.create, purpose: Purpose.copy };
  const keyed = { ...credentials, encrypts: record?.isEncrypting === true, copied: record };
  const backoff = new Backoff(system, place.patience ?? NO_PATIENCE, order.signal);
  let login = await Login.prepare(system, target, keyed);
  const sentOn = new SentOn(place.elsewhere);
  let here = place;
  for (;;) {
    const session = new CopyingSession(order, encryptingKeyset(record));
    try {
      return await session.run(system, here, login);
    } catch (error) {
      if (session.failure !== undefined) throw session.failure;
      if (order.signal.aborted) throw new TardisError('INTERRUPTED', 'interrupted');
      const address = sentOn.next(error);
      const link = linkToNamed(place.link ?? DEFAULT_LINK);
      here = address === undefined ? place : { ...place, address, link };
      if (address === undefined) await backoff.wait(error, (retry) => place.onRetry?.(retry));
      login = login.again({ isMade: session.isMet });
    }
  }
}

class CopyingSession {
  /**
   * The error of reading the source, or of a forbidden request of the server. It is thrown in place of the error of
   * the server.
   */
  failure: TardisError | undefined;
  /** True if the login has succeeded, so that the client exists at the server. */
  isMet = false;
  private requested = 0;
  /** The last answer; the next one is sent after it. */
  private turn: Promise<void> = Promise.resolve();
  private readonly handlers: CopyHandlers;

  constructor(
    private readonly order: CopyToServer,
    private readonly keyset: Buffer,
  ) {
    const { feed } = order;
    this.handlers = {
      copyOpen: async ({ known }) => {
        const { keysSum: _, ...offer } = await feed.open(known);
        return offer;
      },
      copyPiece: ({ offer, piece }) => feed.piece(offer, piece),
      copyObject: (piece) => pieceOfObject(feed.objects, piece),
    };
  }

  /** Connects, logs in, and answers the server until it has the copy. */
  async run(system: System, place: RemotePlace, login: Login): Promise<CopyResult> {
    const { signal } = this.order;
    const connection = await connect(system, place.address, place.link ?? DEFAULT_LINK, place.tls);
    const stop = (): void => connection.leave();
    signal.addEventListener('abort', stop);
    try {
      return await new Promise<CopyResult>((resolve, reject) => {
        const greeted = {
          hear: (name: MessageName, bytes: Buffer) => this.hear(connection, name, bytes, resolve),
          lost: reject,
        };
        greet(connection, login, greeted)
          .then((welcome) => {
            this.isMet = true;
            login.keyring(welcome); // compares the keys with this machine's memory
            connection.send('copyStart', { keyset: this.keyset });
          })
          .catch(reject);
      });
    } finally {
      signal.removeEventListener('abort', stop);
      connection.leave();
    }
  }

  private hear(
    connection: ClientLine,
    name: MessageName,
    bytes: Buffer,
    done: (result: CopyResult) => void,
  ): void {
    if (isCopyQuestion(name)) {
      this.take(connection, name, bytes);
    } else if (name === 'copyProgress') {
      const { step, done: count, of } = decodeMessage(name, bytes).head;
      this.order.onProgress(step, count, of);
    } else if (name === 'copyDone') {
      done({ ...decodeMessage(name, bytes).head, deleted: [] } as CopyResult);
    } else {
      const what = `the server sent "${name}" where it has no place`;
      throw protocolViolation(what);
    }
  }

  /** Answers a question of the server, after those before it. Throws PROTOCOL_VIOLATION for one that is malformed. */
  private take<N extends CopyQuestion>(connection: ClientLine, name: N, bytes: Buffer): void {
    this.requested += 1;
    try {
      if (this.requested > MAX_REQUESTED || connection.bufferedBytes > MAX_UNREAD_BYTES) {
        throw protocolViolation('the server requests too much at once');
      }
      const answering = this.answer(name, decodeRequest(name, bytes));
      this.turn = this.turn.then(async () => {
        connection.sendEncoded(await answering);
        this.requested -= 1;
      });
    } catch (error) {
      throw (this.failure ??= asTardisError(error));
    }
  }

  /** Returns the answer to a question; never rejects. An error becomes the answer, and ends the copy unless it passes. */
  private async answer<N extends CopyQuestion>(
    name: N,
    question: DecodedRequest<N>,
  ): Promise<EncodedMessage> {
    try {
      const handlers: Pick<CopyHandlers, N> = this.handlers;
      return encodeReply(name, question, await handlers[name](question.request));
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code !== 'NO_SUCH_REQUEST') this.failure ??= asTardisError(error);
      return encodeMessage('copyFailed', { question: question.number, code, message });
    }
  }
}
