/**
 * A server that answers a reader's requests. Each request is a promise; answers arrive in the order of the requests.
 * After a lost connection, requests without an answer are sent again over a new connection. Requests about deltas fail
 * instead, since they depend on data that the server keeps for a connection.
 */
import type { Keyring } from '../crypto/index.js';
import { asTardisError, fromWire, protocolViolation, TardisError } from '../errors/index.js';
import { decodeReply, encodeRequest, type Reply, type Request } from '../history/index.js';
import { type Address, Credit, type System } from '../system/index.js';
import {
  answerTo,
  Backoff,
  type ClientLine,
  connect,
  connectHttps,
  decodeMessage,
  DEFAULT_LINK,
  type EncodedMessage,
  type Head,
  type LinkOptions,
  MAX_QUESTIONS,
  type MessageName,
  NO_PATIENCE,
  type Patience,
  Purpose,
  type QuestionName,
  Reconnecting,
  type Retry,
  type TlsOptions,
} from '../transport/index.js';
import {
  type Credentials,
  type Elsewhere,
  greet,
  greetByToken,
  type Greeted,
  Login,
  NO_CREDENTIALS,
} from '../transport/login/index.js';

/**
 * Number of bytes of answers after which they are acknowledged: a share of the bytes that the server may send ahead.
 */
const ACKNOWLEDGED_BYTES = 1 << 20;

/** A client of a server, and the way to connect to it. */
export interface RemotePlace {
  readonly address: Address;
  readonly client: string;
  /** TLS options; undefined for a connection without TLS. */
  readonly tls?: TlsOptions | undefined;
  /** Path of the HTTP interface in its URL; undefined if the server is a `tardisd`. */
  readonly webPath?: string | undefined;
  readonly credentials?: Credentials;
  readonly link?: LinkOptions;
  /**
   * Returns the address of a server to which another server refers; undefined if the command follows no such reference.
   */
  readonly elsewhere?: Elsewhere | undefined;
  /** Limits of the retries if a connection is lost or cannot be made; undefined for no retries. */
  readonly patience?: Patience;
  onRetry?(retry: Retry): void;
  /**
   * True if numbers of the catalog are used for as long as the peer exists. The peer then fails if a later connection
   * reads another catalog.
   */
  readonly keepsCatalog?: boolean;
}

/** The server of a program that forwards the requests of others. */
export interface TokenPlace {
  /** Address of the server. With TLS, its certificate must be checked. */
  readonly address: Address;
  readonly tls?: (TlsOptions & { readonly validate: true }) | undefined;
  readonly link?: LinkOptions;
  /** Called when the peer no longer answers; it may be called more than once. */
  onEnd?(): void;
  /** Returns the error with which a question rejects in place of `error`. */
  judge?(error: unknown): unknown;
}

type PeerPlace = RemotePlace & Pick<TokenPlace, 'onEnd' | 'judge'>;

interface Waiting {
  readonly message: EncodedMessage;
  readonly answer: MessageName;
  /** True if the request depends on earlier ones of the same connection, and is useless on another one. */
  readonly isBound: boolean;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class RemotePeer {
  /** Number of the current connection. Data that the server keeps for a connection is lost with it. */
  generation = 0;
  private waiting: Waiting[] = [];
  private lastQuestion = 0;
  /** Identifies the catalog of the first connection, if the place requires it. */
  private catalog: string | undefined;
  private unacknowledgedBytes = 0;
  private answered = 0;
  private readonly reconnecting: Reconnecting;
  private failure: TardisError | undefined;
  private connection: ClientLine | undefined;
  /** Limits the open questions to the number that a server accepts; further questions wait here. */
  private readonly turns = new Credit(MAX_QUESTIONS - 1); // one is for the peer's own question
  private readonly over = new AbortController();

  private constructor(
    private readonly system: System,
    private readonly place: PeerPlace,
    private readonly entry: Entry,
  ) {
    const { patience = NO_PATIENCE } = place;
    this.reconnecting = new Reconnecting(system, patience, this.over.signal, (retry) =>
      place.onRetry?.(retry),
    );
  }

  /** Connects and logs in. Throws errors such as SERVER_UNREACHABLE, NO_SUCH_CLIENT or LOGIN_FAILED. */
  static async open(
    system: System,
    place: RemotePlace,
  ): Promise<{ peer: RemotePeer; keyring: Keyring | undefined; record: Buffer }> {
    const entry = await PasswordEntry.prepare(system, place);
    const peer = new RemotePeer(system, place, entry);
    await peer.connectFirst();
    try {
      return { peer, keyring: entry.keyring(), record: entry.record };
    } catch (error) {
      peer.fail(asTardisError(error));
      throw error;
    }
  }

  /**
   * Connects, once, and logs in by a token. Throws errors such as SERVER_UNREACHABLE, CERTIFICATE_REFUSED,
   * INSECURE_TCP_REFUSED or NOT_LOGGED_IN.
   */
  static async openByToken(
    system: System,
    place: TokenPlace,
    token: string,
  ): Promise<{ readonly peer: RemotePeer; readonly taken: Head<'tokenTaken'> }> {
    const entry = new TokenEntry(token);
    const peer = new RemotePeer(system, { ...place, client: '' }, entry);
    await peer.connectFirst();
    return { peer, taken: entry.taken };
  }

  /** True if the server keeps signatures for a connection, and makes deltas with them. */
  get makesDeltas(): boolean {
    return this.place.webPath === undefined;
  }

  /**
   * Sends a question and returns its answer. Rejects with the error of the server. `generation` is the number of
   * the connection that the question is limited to, if it depends on earlier questions.
   */
  async request<N extends QuestionName>(
    name: N,
    request: Request<N>,
    generation?: number,
  ): Promise<Reply<N>> {
    const turn = this.turns.take(1);
    try {
      if (turn !== undefined) await turn;
      return await this.requestNow(name, request, generation);
    } catch (error) {
      throw this.place.judge?.(error) ?? error;
    } finally {
      this.turns.give(1);
    }
  }

  private async requestNow<N extends QuestionName>(
    name: N,
    request: Request<N>,
    generation: number | undefined,
  ): Promise<Reply<N>> {
    if (this.failure !== undefined) throw this.failure;
    if (generation !== undefined && generation !== this.generation) throw replaced();
    this.lastQuestion += 1;
    const question = { number: this.lastQuestion, request };
    const message = encodeRequest(name, question.number, request);
    const isBound = generation !== undefined;
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      this.waiting.push({ message, answer: answerTo(name), isBound, resolve, reject });
      this.connection?.owes(true);
      this.connection?.sendEncoded(message);
    });
    return decodeReply(name, question, bytes);
  }

  close(): void {
    this.failure ??= new TardisError('CONNECTION_LOST', 'it was closed');
    this.over.abort();
    this.connection?.leave();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Makes the first connection, and retries after temporary errors. Throws the errors of connecting and of the
   * login.
   */
  private async connectFirst(): Promise<void> {
    const wait = this.reconnecting.first();
    for (;;) {
      try {
        await this.connect();
        return;
      } catch (error) {
        this.entry.refused(asTardisError(error));
        const { triesFirst = true, waitsForName } = this.place.patience ?? NO_PATIENCE;
        if (!triesFirst || !Backoff.mayPassAtFirst(error, waitsForName)) throw error;
        await wait(error);
      }
    }
  }

  /** Makes a connection, logs in, and sends the pending requests again. */
  private async connect(): Promise<void> {
    const connection = await this.connectOnce();
    await this.entry.enter(connection, {
      hear: (name, bytes) => this.receive(connection, name, bytes),
      lost: (reason) => this.lost(connection, reason),
    });
    this.connection = connection;
    this.unacknowledgedBytes = 0;
    if (this.failure !== undefined) connection.leave(); // the peer was closed meanwhile
    if (this.place.keepsCatalog === true) this.requestCatalog();
    connection.owes(this.waiting.length > 0);
    for (const { message } of this.waiting) connection.sendEncoded(message);
  }

  /**
   * Sends a question about the catalog before all others. The peer fails if the server reads another catalog than
   * before.
   */
  private requestCatalog(): void {
    this.lastQuestion += 1;
    const question = { number: this.lastQuestion, request: undefined };
    this.waiting.unshift({
      message: encodeRequest('readStore', question.number, question.request),
      answer: 'storeIs',
      isBound: true,
      resolve: (bytes) => {
        const { catalog } = decodeReply('readStore', question, bytes);
        this.catalog ??= catalog;
        if (catalog !== this.catalog) this.fail(otherCatalog());
      },
      reject: () => undefined, // the questions after it get the error, too
    });
  }

  private connectOnce(): Promise<ClientLine> {
    const { system, place } = this;
    const { address, client, tls, webPath, link = DEFAULT_LINK } = place;
    if (webPath === undefined) return connect(system, address, link, tls);
    if (address.kind !== 'tcp' || tls === undefined) {
      throw new TardisError('INSECURE_TCP_REFUSED', 'an HTTP interface is read over TLS only');
    }
    return connectHttps(system, address, {
      link,
      tlsOptions: tls,
      place: { prefix: webPath, client },
    });
  }

  private receive(connection: ClientLine, name: MessageName, bytes: Buffer): void {
    const next = this.waiting[0]; // stays pending if this is no answer: the end of the connection rejects it
    if (next === undefined || (name !== next.answer && name !== 'questionFailed')) {
      throw protocolViolation(`the server sent "${name}" where it has no place`);
    }
    this.waiting.shift();
    this.answered += 1;
    connection.owes(this.waiting.length > 0);
    this.take(connection, bytes.length);
    if (name === next.answer) {
      next.resolve(bytes);
      return;
    }
    const { code, message, context } = decodeMessage('questionFailed', bytes).head;
    next.reject(fromWire({ code, message, context }));
  }

  private take(connection: ClientLine, bytes: number): void {
    this.unacknowledgedBytes += bytes;
    if (this.unacknowledgedBytes < ACKNOWLEDGED_BYTES) return;
    connection.send('taken', { bytes: this.unacknowledgedBytes });
    this.unacknowledgedBytes = 0;
  }

  private lost(connection: ClientLine, why: TardisError): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    if (this.failure !== undefined) this.fail(why);
    else this.goOn(why).catch((error: unknown) => this.fail(asTardisError(error)));
  }

  /**
   * Replaces a lost connection. Rejects the requests that depend on earlier ones of that connection (`isBound`). Throws
   * the reason of the loss, or a later error, if it is permanent or the time is up.
   */
  private async goOn(reason: TardisError): Promise<void> {
    this.generation += 1;
    const bound = this.waiting.filter(({ isBound }) => isBound);
    this.waiting = this.waiting.filter(({ isBound }) => !isBound);
    for (const { reject } of bound) reject(replaced());
    await this.reconnecting.replace(reason, this.answered, () => this.connect());
  }

  private fail(error: TardisError): void {
    this.failure ??= error;
    this.over.abort();
    this.connection?.fail(error);
    this.place.onEnd?.();
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }
}

/** Returns the error for requests with numbers of a catalog that was replaced. */
function otherCatalog(): TardisError {
  return new TardisError('CONNECTION_LOST', 'the catalog of the client was replaced', {
    catalog: 'replaced',
  });
}

/** Returns the error for requests that depend on a replaced connection. Their callers read without a delta. */
function replaced(): TardisError {
  return new TardisError('CONNECTION_LOST', 'the connection was replaced');
}

/** The ways to log in over each connection of a peer: by the password of a client, or by the token of an account. */
interface Entry {
  /** Logs in over a new connection. Throws the errors of the login. */
  enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void>;
  /**
   * Called with the reason why a first connection failed. Throws ENCRYPTION_GONE if the server has no password for a
   * client that encrypts, as this machine remembers.
   */
  refused(reason: TardisError): void;
}

class PasswordEntry implements Entry {
  private isUsed = false;
  private welcome: Head<'welcome'> | undefined;

  private constructor(private login: Login) {}

  static async prepare(
    system: System,
    { client, credentials = NO_CREDENTIALS }: { client: string; credentials?: Credentials },
  ): Promise<PasswordEntry> {
    const target = { client, create: false, purpose: Purpose.read };
    return new PasswordEntry(await Login.prepare(system, target, credentials));
  }

  async enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void> {
    if (this.isUsed) this.login = this.login.again({ isMade: true });
    this.isUsed = true;
    this.welcome = await greet(connection, this.login, greeted);
  }

  refused(reason: TardisError): void {
    this.login.refused(reason);
  }

  /** The newest key record of the login, as the server has it; empty if there is none. */
  get record(): Buffer {
    return this.welcome!.keys;
  }

  /** Returns the keys of the client; undefined if it does not encrypt. Throws the errors of `Login.keyring`. */
  keyring(): Keyring | undefined {
    return this.login.keyring(this.welcome!);
  }
}

class TokenEntry implements Entry {
  /** The server's answer to the token; set once the token was accepted. */
  taken!: Head<'tokenTaken'>;

  constructor(private readonly token: string) {}

  async enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void> {
    this.taken = await greetByToken(connection, this.token, greeted);
  }

  refused(): void {} // nothing is remembered of a token
}
