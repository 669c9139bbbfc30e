/** Sends signed requests to one bucket: once, or repeatedly until there is an answer. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TardisError } from '../../../errors/index.js';
import { type Clock, Credit, reportLongWait, Retries, type System } from '../../../system/index.js';
import type { CredentialChain, Credentials } from '../credentials.js';
import type { Endpoint } from '../endpoint.js';
import type { ObjectBody } from '../object-store.js';
import { errorOf, errorOfLoss, isPassing } from './error-answer.js';
import {
  type Answer,
  Connections,
  LostAnswer,
  MAX_CONNECTIONS,
  type Method,
  type Sink,
} from './http.js';

/** Maximum time without a byte from or to an endpoint. */
const IDLE_MS = 30_000;
/** Maximum time for a whole request, in addition to the time for its bytes. */
const TOTAL_MS = 60_000;
/** Minimum rate of a request; a slower one is ended. */
const LEAST_BYTES_PER_MS = 32;

/** Maximum difference of clocks at which S3 accepts a signature. */
const MAX_SKEW_MS = 15 * 60_000;

/** Maximum time for which a request is retried. */
const DEFAULT_PATIENCE_MS = 60_000;
/** Time for which a request has failed before that is reported. */
const REPORTED_AFTER_MS = 2000;
/** Delays between attempts. The number of attempts is that of a request that fails at once each time. */
const RETRIES = { firstMs: 100, longestMs: 5000, maxTries: 20 };

const EMPTY_SHA256 = createHash('sha256').digest('hex');

export interface S3Request {
  readonly method: Method;
  /** Key of an object; empty for the bucket itself. */
  readonly key: string;
  /** The action and its object, in the words of an error. */
  readonly what: string;
  readonly query?: Readonly<Record<string, string>>;
  /** True if the request concerns a property of the object and not its bytes. Its answer then has no ETag. */
  readonly isProperty?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: ObjectBody;
  /** SHA-256 of the body, in hexadecimal. */
  readonly bodySha256?: string;
  readonly sink?: Sink;
  /** Statuses that are no failure, in addition to those below 300. */
  readonly expects: readonly number[];
}

/** An answer, or a failure that another attempt may not have. */
type Outcome =
  | { readonly answer: Answer }
  | {
      readonly answer: undefined;
      readonly error: TardisError;
      /** False if the request cannot have had an effect. */
      readonly mayHaveHappened: boolean;
    };

interface RequestsOptions {
  readonly system: Pick<System, 'clock' | 'random'>;
  readonly endpoint: Endpoint;
  readonly credentials: CredentialChain;
  /** Bucket and prefix as the user writes them. */
  readonly shown: string;
  /** Maximum time for which a request is retried. */
  readonly patienceMs?: number | undefined;
  /** Maximum time without a byte; tests make it short. */
  readonly idleMs?: number | undefined;
}

/** Numbers of requests that were sent. LIST counts all requests for the bucket itself. */
export interface RequestCounts {
  readonly GET: number;
  readonly PUT: number;
  readonly HEAD: number;
  readonly DELETE: number;
  readonly LIST: number;
}

export class Requests {
  private readonly connections: Connections;
  private readonly turns = new Credit(MAX_CONNECTIONS);
  /** Clock of the store minus that of this machine. */
  private aheadMs = 0;
  /** True if the answer to a PUT had the id of a version, so that the bucket keeps versions. */
  hasVersions = false;
  private isWaitReported = false;
  private readonly sent = { GET: 0, PUT: 0, HEAD: 0, DELETE: 0, LIST: 0 };

  constructor(private readonly options: RequestsOptions) {
    this.connections = new Connections(options.endpoint);
  }

  get counts(): RequestCounts {
    return { ...this.sent };
  }

  /**
   * Returns the time by the clock of the store, exact to a second. Before the first answer, this is the time of this
   * machine. The difference of the two clocks is limited to that with which S3 accepts a signature, whatever an answer
   * contains.
   */
  storeNowMs(): number {
    return this.options.system.clock.nowMs() + this.aheadMs;
  }

  get shown(): string {
    return this.options.shown;
  }

  /** The store as its user names it, and its endpoint. */
  get where(): string {
    return `${this.shown} at ${this.options.endpoint.url.host}`;
  }

  /**
   * Starts the time for the attempts of one request. Returns a function that waits before the next attempt, and throws
   * `reason` if there may be none.
   */
  tries(): (reason: Error) => Promise<void> {
    const { system, patienceMs = DEFAULT_PATIENCE_MS } = this.options;
    const retries = new Retries(system, { ...RETRIES, forMs: patienceMs });
    return async (reason) => {
      const waitMs = retries.next();
      if (waitMs === undefined) throw reason;
      if (retries.spentMs >= REPORTED_AFTER_MS) this.reportWait(reason, retries.leftMs);
      await sleep(waitMs);
    };
  }

  /** Reports once, until the bucket answers again, that requests fail and are sent again. */
  private reportWait(reason: Error, leftMs: number): void {
    if (this.isWaitReported) return;
    this.isWaitReported = true;
    const seconds = Math.max(1, Math.round(leftMs / 1000));
    reportLongWait(`${reason.message}, trying again for up to ${seconds} s`);
  }

  /** Sends a request until there is an answer. Only for requests that may be repeated. */
  async send(request: S3Request): Promise<Answer> {
    for (const pause = this.tries(); ; ) {
      const outcome = await this.once(request);
      if (outcome.answer !== undefined) return outcome.answer;
      await pause(outcome.error);
    }
  }

  /**
   * Sends a request once, or twice if the credentials were refused and could be renewed. Throws errors that another
   * attempt would repeat.
   */
  async once(request: S3Request): Promise<Outcome> {
    const credentials = await this.options.credentials.get();
    const outcome = await this.turns.run(() => this.attempt(request, credentials));
    if (outcome.answer !== undefined || isPassing(outcome.error)) return outcome;
    if (outcome.error.code !== 'CREDENTIALS_REFUSED') throw outcome.error;
    if (!this.options.credentials.refused(credentials)) throw outcome.error;
    const renewed = await this.options.credentials.get();
    if (isSameKey(renewed, credentials)) throw outcome.error;
    const again = await this.turns.run(() => this.attempt(request, renewed));
    if (again.answer === undefined && !isPassing(again.error)) throw again.error;
    return again;
  }

  close(): void {
    this.connections.close();
  }

  private async attempt(request: S3Request, credentials: Credentials): Promise<Outcome> {
    const { endpoint, system, idleMs = IDLE_MS } = this.options;
    const { method, key, body, query = {}, headers = {}, expects, sink } = request;
    const about = {
      what: request.what,
      where: this.where,
      source: credentials.source,
      nowMs: system.clock.nowMs(),
    };
    const unsigned = {
      method,
      path: endpoint.basePath + encodeKey(key),
      query,
      headers: body === undefined ? headers : { ...headers, 'content-length': `${sizeOf(body)}` },
      bodySha256: request.bodySha256 ?? EMPTY_SHA256,
    };
    const signed = await sign(unsigned, credentials, endpoint, system.clock);
    const bytes = (body === undefined ? 0 : sizeOf(body)) + (sink?.maxBytes ?? 0);
    const timeouts = { idleMs, totalMs: TOTAL_MS + bytes / LEAST_BYTES_PER_MS };
    this.sent[key === '' ? 'LIST' : method] += 1;
    try {
      const sending = {
        ...signed,
        method,
        body,
        timeouts,
        ...(sink === undefined ? {} : { sink }),
      };
      const answer = await this.connections.exchange(sending);
      this.noteClock(answer);
      this.hasVersions ||= method === 'PUT' && isVersionId(answer.headers['x-amz-version-id']);
      if (isExpected(answer.status, expects)) {
        this.isWaitReported = false;
        return { answer: genuine(answer, request) };
      }
      const error = errorOf(answer, about);
      // A refused request had no effect. After a failure of the store, it may have had one.
      return { answer: undefined, error, mayHaveHappened: answer.status >= 500 };
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error;
      const wasSent = error.loss !== 'refused' && error.loss !== 'certificate';
      return { answer: undefined, error: errorOfLoss(error, about), mayHaveHappened: wasSent };
    }
  }

  private noteClock({ headers }: Answer): void {
    const aheadMs = Date.parse(headers.date ?? '') - this.options.system.clock.nowMs();
    if (Number.isNaN(aheadMs)) return;
    this.aheadMs = Math.max(-MAX_SKEW_MS, Math.min(MAX_SKEW_MS, aheadMs));
  }
}

/**
 * Returns a successful answer about an object if it came from an S3 interface. Throws BUCKET_ANSWER_INVALID for any
 * other, such as the login page of a network, which has status 200 for every request. Returns failures and lists
 * unchecked.
 */
function genuine(answer: Answer, { method, key, what, isProperty }: S3Request): Answer {
  if (answer.status >= 300 || key === '') return answer; // a list has no ETag; the code that reads the list checks it
  const hasTag = answer.headers.etag !== undefined || method === 'DELETE' || isProperty === true;
  const isChange = method === 'PUT' || method === 'DELETE';
  if (hasTag && !(isChange && answer.body.length > 0)) return answer;
  throw invalidAnswer(what, 'this is no answer of an S3 interface');
}

/** True for the id of a version. A bucket that has stopped keeping versions has `null` in its place. */
function isVersionId(id: string | readonly string[] | undefined): boolean {
  return id !== undefined && id !== 'null';
}

function isExpected(status: number, expects: readonly number[]): boolean {
  return (status >= 200 && status < 300) || expects.includes(status);
}

/** Returns the number of bytes of a body. */
export function sizeOf(body: ObjectBody): number {
  return body instanceof Uint8Array ? body.length : body.sizeBytes;
}

/** Returns the error for an answer that no S3 interface sends. */
export function invalidAnswer(what: string, why: string): TardisError {
  return new TardisError('BUCKET_ANSWER_INVALID', `${what}: ${why}`);
}

function isSameKey(one: Credentials, other: Credentials): boolean {
  return (
    one.accessKeyId === other.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
  );
}

interface Unsigned {
  readonly method: Method;
  /** Encoded path. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, in hexadecimal. */
  readonly bodySha256: string;
}

interface Signed {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Returns path and headers of a request signed by AWS Signature Version 4, among them the checksum of its body. The
 * library is loaded with the first request.
 */
export async function sign(
  { method, path, query, headers, bodySha256 }: Unsigned,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  { url, region }: Endpoint,
  clock: Clock,
): Promise<Signed> {
  const { default: aws4 } = await import('aws4');
  const time = new Date(clock.nowMs()).toISOString().replace(/[:-]|\.\d{3}/g, '');
  const search = new URLSearchParams(query).toString().replaceAll('+', '%20');
  const signed = aws4.sign(
    {
      service: 's3',
      region,
      method,
      path: search === '' ? path : `${path}?${search}`,
      headers: {
        ...headers,
        host: url.host,
        'x-amz-content-sha256': bodySha256,
        'x-amz-date': time,
      },
    },
    { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  );
  return { path: signed.path ?? path, headers: textHeaders(signed.headers ?? {}) };
}

function textHeaders(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** Encodes a key for the path of a signed request: all characters except letters, digits and `-._~/`. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
