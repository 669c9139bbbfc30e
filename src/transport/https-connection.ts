/**
 * A reader's connection to a server of the HTTP interface. Each message is a request, and answers are passed on in the
 * order of the questions. One HTTP/2 connection carries all requests, and the login is bound to it. So a token is sent
 * to no server other than the one that has been authenticated.
 */
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { fromWire, protocolViolation, TardisError } from '../errors/index.js';
import { type Address, describeAddress, loadHttp2, type System } from '../system/index.js';
import { type EncodedMessage, encodeMessage, peekMessage } from './codec.js';
import type { Channel, Connection } from './connection.js';
import type { LinkOptions } from './link-times.js';
import type { Head, MessageName } from './messages.js';
import {
  answeredError,
  channelOf,
  CONNECT_TIMEOUT_MS,
  connectError,
  dial,
  hostInHeader,
  MAX_MESSAGE_BYTES,
  type TlsOptions,
} from './sockets.js';

/** The part of a connection that a reader uses. */
export type ClientLine = Pick<
  Connection,
  | 'bufferedBytes'
  | 'channel'
  | 'closed'
  | 'owes'
  | 'onMessage'
  | 'send'
  | 'sendEncoded'
  | 'fail'
  | 'leave'
>;

/** The path of the interface below the address, and the client to read. */
interface WebPlace {
  /** Path of the interface in the URL, without a slash at its end. */
  readonly prefix: string;
  readonly client: string;
}

const QUESTION_TYPE = 'application/vnd.tardis';
/**
 * Minimum speed of a question and its answer. Their time limit is the time-out of the link plus the time that their
 * bytes take at this speed.
 */
const LEAST_BYTES_PER_MS = 4;
const H2 = 'h2';
/** Interval of pings. It is shorter than the time after which a server ends an idle connection. */
const PING_MS = 30_000;

/**
 * Connects by TLS and HTTP/2. Throws SERVER_UNREACHABLE if that fails, CERTIFICATE_REFUSED if the certificate is not
 * trusted, and TIMED_OUT if the server does not answer.
 */
export async function connectHttps(
  system: System,
  address: Address & { kind: 'tcp' },
  {
    link,
    tlsOptions,
    place,
  }: { readonly link: LinkOptions; readonly tlsOptions: TlsOptions; readonly place: WebPlace },
): Promise<ClientLine> {
  const socket = await connected(dial(system, address, tlsOptions, [H2]), {
    address,
    tlsOptions,
    link,
  });
  const { alpnProtocol } = socket as TLSSocket;
  if (alpnProtocol !== H2) {
    socket.destroy();
    const what = `${describeAddress(address)} speaks no HTTP/2; is it a tardisremote?`;
    throw new TardisError('SERVER_UNREACHABLE', what);
  }
  const channel = channelOf(socket);
  const { connect } = loadHttp2();
  const session = connect(`https://${hostInHeader(address)}`, { createConnection: () => socket });
  return new HttpsConnection(session, channel, link.timeoutMs, place);
}

async function connected(
  socket: Socket,
  {
    address,
    tlsOptions,
    link,
  }: { readonly address: Address; readonly tlsOptions: TlsOptions; readonly link: LinkOptions },
): Promise<Socket> {
  const patienceMs = Math.min(CONNECT_TIMEOUT_MS, link.timeoutMs);
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(patienceMs) });
    return socket;
  } catch (error) {
    socket.on('error', () => undefined); // the first error is thrown
    socket.destroy();
    if (!(error instanceof Error)) throw error;
    if (error.name !== 'AbortError') throw connectError(error, address, tlsOptions);
    const text = `no answer from ${describeAddress(address)} in ${patienceMs / 1000} s`;
    throw new TardisError('TIMED_OUT', text, { isUnanswered: true }, error);
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

class HttpsConnection implements ClientLine {
  /** A reader's requests are small, so they are not counted. */
  readonly bufferedBytes = 0;
  readonly closed: Promise<TardisError | undefined>;
  private readonly settling = Promise.withResolvers<TardisError | undefined>();
  private isOver = false;
  private listener: ((name: MessageName, bytes: Buffer) => void) | undefined;
  /** Resolves when the answers to all earlier questions have been passed on. */
  private last: Promise<void> = Promise.resolve();
  private loginId = '';
  private token = '';
  private readonly pinger: NodeJS.Timeout;

  constructor(
    private readonly session: ClientHttp2Session,
    readonly channel: Channel,
    private readonly timeoutMs: number,
    private readonly place: WebPlace,
  ) {
    this.closed = this.settling.promise;
    const lost = (why: string) => (): void => this.fail(new TardisError('CONNECTION_LOST', why));
    session.on('error', (error: Error) => lost(error.message)());
    session.on('goaway', lost('the server ends the connection'));
    session.on('close', lost('the connection was lost'));
    // An idle connection stays, for example that of an unused mount.
    this.pinger = setInterval(() => session.ping(() => undefined), PING_MS);
    this.pinger.unref();
  }

  /** Does nothing: each request has its own time-out. */
  owes(): void {}

  onMessage(listener: (name: MessageName, bytes: Buffer) => void): void {
    this.listener = listener;
  }

  /** Sends a message. Ignores `taken`, since HTTP/2 itself reports the bytes that were received. */
  send<N extends MessageName>(name: N, head: Head<N>): void {
    if (name !== 'taken') this.sendEncoded(encodeMessage(name, head));
  }

  sendEncoded({ head, attachment }: EncodedMessage): void {
    if (this.isOver) return;
    const message = attachment === undefined ? head : Buffer.concat([head, attachment]);
    const answer = this.answerTo(message);
    answer.catch(() => undefined); // its error is handled in its turn
    this.last = this.last
      .then(async () => this.hear(await answer))
      .catch((error: unknown) => this.fail(error));
  }

  private hear(message: Buffer): void {
    if (!this.isOver) this.listener?.(peekMessage(message, 'to-client'), message);
  }

  fail(error: unknown): void {
    const reason = error instanceof TardisError ? error : fromWire(error);
    this.end(reason);
  }

  leave(): void {
    this.end(undefined);
  }

  private end(reason: TardisError | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pinger);
    this.settling.resolve(reason);
    this.session.destroy();
  }

  /** Sends a message by the request that corresponds to it. Returns the message in the answer. */
  private async answerTo(message: Buffer): Promise<Buffer> {
    const name = peekMessage(message, 'to-server');
    if (name === 'hello') {
      const greeting = message.toString('base64');
      const reply = await this.postJson('/login/challenge', { greeting });
      this.loginId = textIn(reply, 'login');
      return Buffer.from(textIn(reply, 'challenge'), 'base64');
    }
    if (name === 'loginProof') {
      const proof = message.toString('base64');
      const reply = await this.postJson('/login/proof', { login: this.loginId, proof });
      this.token = textIn(reply, 'token');
      return Buffer.from(textIn(reply, 'welcome'), 'base64');
    }
    const path = `/clients/${encodeURIComponent(this.place.client)}/questions`;
    const { body } = await this.post(path, QUESTION_TYPE, message);
    return body;
  }

  private async postJson(path: string, value: object): Promise<Record<string, unknown>> {
    const { body } = await this.post(path, 'application/json', Buffer.from(JSON.stringify(value)));
    return objectIn(body);
  }

  /**
   * Sends a request and returns the answer. Throws the error of the server, but CONNECTION_LOST if a new connection and
   * login can help.
   */
  private async post(path: string, type: string, body: Buffer): Promise<Answer> {
    const answer = await this.request(path, type, body);
    if (answer.status === 200) return answer;
    const { status, headers } = answer;
    const { code, detail: message } = codeIn(answer.body);
    if (code === undefined || code === 'SERVER_UNREACHABLE')
      throw answeredError(this.channel.peerAddress, status, headers);
    const error = fromWire({ code, message });
    if (!LOSSES.has(error.code)) throw error;
    throw new TardisError('CONNECTION_LOST', `the server refused a question: ${error.message}`);
  }

  /**
   * Calls `onLate` if a stream has not ended in time. Each byte extends the limit by its time at the minimum speed, so
   * a server cannot hold the stream by sending a byte now and then.
   */
  private limitTime(stream: ClientHttp2Stream, bytes: () => number, onLate: () => void): void {
    let allowedMs = this.timeoutMs;
    let timer: NodeJS.Timeout;
    const look = (): void => {
      const earnedMs = this.timeoutMs + bytes() / LEAST_BYTES_PER_MS;
      if (earnedMs - allowedMs < 1) {
        onLate();
        return;
      }
      timer = setTimeout(look, earnedMs - allowedMs);
      allowedMs = earnedMs;
    };
    timer = setTimeout(look, allowedMs);
    stream.once('close', () => clearTimeout(timer));
  }

  private request(path: string, type: string, body: Buffer): Promise<Answer> {
    const { session, timeoutMs, place, token } = this;
    const { NGHTTP2_CANCEL } = loadHttp2().constants;
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': `${place.prefix}/api/v1${path}`,
        'content-type': type,
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      });
      let headers: IncomingHttpHeaders & { ':status'?: number } = {};
      const parts: Buffer[] = [];
      let bytes = 0;
      const giveUp = (error: TardisError): void => {
        reject(error);
        stream.close(NGHTTP2_CANCEL);
      };
      const seconds = Math.round(timeoutMs / 1000);
      stream.setTimeout(timeoutMs, () =>
        giveUp(new TardisError('TIMED_OUT', `a question was not answered for ${seconds} s`)),
      );
      this.limitTime(
        stream,
        () => body.length + bytes,
        () => giveUp(new TardisError('TIMED_OUT', 'a question was answered too slowly')),
      );
      stream.on('response', (given) => {
        headers = given;
      });
      stream.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= MAX_MESSAGE_BYTES) parts.push(part);
        else giveUp(new TardisError('MESSAGE_TOO_LARGE', 'an answer is too large'));
      });
      stream.on('end', () =>
        resolve({ status: headers[':status'] ?? 0, headers, body: Buffer.concat(parts) }),
      );
      stream.on('error', (error: Error) =>
        reject(new TardisError('CONNECTION_LOST', error.message, {}, error)),
      );
      stream.on('close', () => reject(new TardisError('CONNECTION_LOST', 'an answer was cut off')));
      stream.end(body);
    });
  }
}

/** Refusals after which a new connection and login can help. */
const LOSSES: ReadonlySet<string> = new Set(['NOT_LOGGED_IN', 'TOO_MANY_REQUESTS']);

/** Returns the error in an answer. It has no code if a proxy has answered in place of the server. */
function codeIn(body: Buffer): { readonly code?: unknown; readonly detail?: unknown } {
  try {
    return objectIn(body);
  } catch (error) {
    if (error instanceof TardisError) return {};
    throw error;
  }
}

function objectIn(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw notJson(error);
  }
  throw notJson();
}

function notJson(cause?: unknown): TardisError {
  return protocolViolation('the server sent no JSON', {}, cause);
}

function textIn(value: Record<string, unknown>, key: string): string {
  const text = value[key];
  if (typeof text === 'string') return text;
  throw protocolViolation(`the server sent no "${key}"`);
}
