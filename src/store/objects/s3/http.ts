/**
 * Sends one HTTP request to an endpoint and returns its answer, in a bounded time and with a bounded size. It never
 * repeats a request, since only the caller can decide if that is safe.
 */
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { errnoText, systemCode } from '../../../errors/index.js';
import { loadHttp, loadHttps, tlsFault, unusedProxy } from '../../../system/index.js';
import type { Endpoint } from '../endpoint.js';
import type { ObjectBody, ObjectSource } from '../object-store.js';

/** Maximum number of connections that are kept open, and of requests at once. */
export const MAX_CONNECTIONS = 16;
/** Maximum length of an answer that is not an object's bytes: a list of 1,000 names, or an error. */
const MAX_TEXT_BYTES = 8 << 20;

export type Method = 'GET' | 'PUT' | 'HEAD' | 'DELETE';

interface HttpRequest {
  readonly method: Method;
  /** Path and query, encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ObjectBody | undefined;
  /**
   * Receives the bytes of an answer with status 200 or 206. Other bytes are returned in the answer: those of other
   * statuses, and all of them if there is no sink.
   */
  readonly sink?: Sink | undefined;
  readonly timeouts: Timeouts;
}

export interface Sink {
  /** Maximum length of an answer; the connection of a longer one is ended. */
  readonly maxBytes: number;
  take(chunk: Buffer, at: number): void;
}

interface Timeouts {
  /** Maximum time without a byte in either direction. */
  readonly idleMs: number;
  /** Maximum time for the whole request. */
  readonly totalMs: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The bytes that no sink received. */
  readonly body: Buffer;
  /** Number of bytes that a sink received. */
  readonly takenBytes: number;
}

/**
 * Reason why a request has no answer. `refused` and `certificate` mean that nothing was sent. `late`: the answer did
 * not come in time. `cut`: the connection broke. `too long`: the answer exceeds its maximum length.
 */
export type Loss = 'refused' | 'certificate' | 'late' | 'cut' | 'too long';

export class LostAnswer extends Error {
  constructor(
    readonly loss: Loss,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** Errors of a connection that was never made. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
]);
const OF_TLS = /CERT|^ERR_TLS|^ERR_SSL|SELF_SIGNED|^UNABLE_TO|^EPROTO$|^HOSTNAME_MISMATCH$/;

/** Matches OpenSSL's error about an answer that is not TLS. */
const NO_TLS = /wrong version number|packet length too long|http request/i;
const ANSWERS_PLAINLY = 'the endpoint does not answer by TLS; if it is right, give it as http://';

/** The connections to one endpoint. */
export class Connections {
  private agent: Agent | undefined;

  constructor(private readonly endpoint: Endpoint) {}

  /** Sends a request. Rejects with LostAnswer, or with the error of a sink or of a body. */
  async exchange(wanted: HttpRequest): Promise<Answer> {
    const request = this.open(wanted);
    let broken: unknown;
    const timer = setTimeout(
      () => request.destroy(new LostAnswer('late', 'no complete answer in time')),
      wanted.timeouts.totalMs,
    );
    request.setTimeout(wanted.timeouts.idleMs, () =>
      request.destroy(new LostAnswer('late', 'no answer in time')),
    );
    try {
      const answer = answerTo(request, wanted);
      send(request, wanted.body, (error) => {
        broken = error;
      });
      return await answer;
    } catch (error) {
      // An error of the body also makes the connection fail; the body's own error is thrown.
      throw broken === undefined ? lossOf(error, this.endpoint.url.protocol) : broken;
    } finally {
      clearTimeout(timer);
      // The endpoint may refuse a request before all of it is sent. The connection cannot be used again then.
      if (!request.writableFinished) request.destroy();
    }
  }

  close(): void {
    this.agent?.destroy();
    this.agent = undefined;
  }

  private open({ method, path, headers }: HttpRequest): ClientRequest {
    const { url, authorities } = this.endpoint;
    const isTls = url.protocol === 'https:';
    const web = isTls ? loadHttps() : loadHttp();
    this.agent ??= new web.Agent({
      keepAlive: true,
      maxSockets: MAX_CONNECTIONS,
      ...(isTls && authorities !== undefined ? { ca: authorities } : {}),
    });
    const { protocol, hostname, port } = url;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    return web.request({ agent: this.agent, protocol, host, port, method, path, headers });
  }
}

type Note = (error: unknown) => void;

/**
 * Sends the body. If the body cannot be read, the fault is recorded in `note`, since the request itself ends with
 * another error.
 */
function send(request: ClientRequest, body: ObjectBody | undefined, note: Note): void {
  if (body === undefined || body instanceof Uint8Array) request.end(body);
  else pipeline(Readable.from(bytesOf(body, note)), request, () => undefined); // the request reports the error
}

async function* bytesOf(body: ObjectSource, note: Note): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of body.open()) {
      bytes += chunk.length;
      yield chunk;
    }
    const { sizeBytes } = body;
    if (bytes !== sizeBytes) throw new Error(`a body has ${bytes} bytes, not ${sizeBytes}`);
  } catch (error) {
    note(error);
    throw error;
  }
}

function answerTo(request: ClientRequest, { sink }: HttpRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const isTaken = response.statusCode === 200 || response.statusCode === 206;
      const into = isTaken ? sink : undefined;
      void read(response, into).then(resolve, (error: unknown) => {
        request.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  });
}

async function read(response: IncomingMessage, sink: Sink | undefined): Promise<Answer> {
  const chunks: Buffer[] = [];
  const maxBytes = sink?.maxBytes ?? MAX_TEXT_BYTES;
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    if (bytes + chunk.length > maxBytes) throw new LostAnswer('too long', 'the answer is too long');
    if (sink === undefined) chunks.push(chunk);
    else sink.take(chunk, bytes);
    bytes += chunk.length;
  };
  response.on('data', (chunk: Buffer) => {
    try {
      take(chunk);
    } catch (error) {
      response.destroy(error as Error);
    }
  });
  await finished(response);
  if (!response.complete) throw new LostAnswer('cut', 'the answer broke off');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks),
    takenBytes: sink === undefined ? 0 : bytes,
  };
}

function lossOf(error: unknown, protocol: string): unknown {
  if (error instanceof LostAnswer) return error;
  const code = systemCode(error);
  if (code === undefined || !(error instanceof Error)) return error;
  if (NOT_CONNECTED.has(code)) {
    const why = `cannot connect: ${errnoText(code)}${unusedProxy(protocol)}`;
    return new LostAnswer('refused', why, error);
  }
  if (NO_TLS.test(error.message)) return new LostAnswer('certificate', ANSWERS_PLAINLY, error);
  if (OF_TLS.test(code)) return new LostAnswer('certificate', tlsFault(error), error);
  return new LostAnswer('cut', `the connection broke: ${errnoText(code)}`, error);
}
