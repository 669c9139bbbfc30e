/**
 * A bucket in memory that speaks S3, in this process. It can fail, hang, give false answers or lose changes at any
 * request (s3-faults.ts), and records the requests.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { isChange, type S3Fault } from './s3-faults.js';
import { type Keys, signatureFault } from './s3-signature.js';
import { S3Answer, S3Objects, type S3Rules } from './s3-objects.js';

export const KEYS: Keys = { accessKeyId: 'AKTEST', secretAccessKey: 'secret/of+the test' };
export const BUCKET = 'bucket';

export interface S3Options extends S3Rules {
  readonly keys?: Keys;
  /** Clock of the server minus that of this machine. */
  readonly aheadMs?: number;
  /** Chooses the fault of a request, whose number counts from 0. */
  readonly faultAt?: (request: S3Record) => S3Fault | undefined;
  /** Number of requests after which a delayed change takes effect; with Infinity, only at `settle`. */
  readonly laterBy?: number;
  /** Name of the bucket, by default `BUCKET`. Requests for any other bucket get NoSuchBucket. */
  readonly bucket?: string;
}

/** A request that the server received. */
export interface S3Record {
  readonly number: number;
  readonly method: string;
  /** Key of the object; empty for the bucket itself. */
  readonly key: string;
  /** True if the bucket's name was in the host, not in the path. */
  readonly isInHost: boolean;
  readonly headers: http.IncomingHttpHeaders;
}

const LATER_BY = 2;

export class S3Server {
  readonly requests: S3Record[] = [];
  readonly objects: S3Objects;
  private readonly server: http.Server;
  private readonly options: S3Options;
  /** Changes of requests whose connections were dropped. They take effect later. */
  private later: { readonly at: number; readonly apply: () => void }[] = [];

  private constructor(options: S3Options) {
    this.options = options;
    this.objects = new S3Objects(options, () => Date.now() + (options.aheadMs ?? 0));
    this.server = http.createServer((request, response) => void this.take(request, response));
  }

  static async start(options: S3Options = {}): Promise<S3Server> {
    const made = new S3Server(options);
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  /** Starts a server that is closed when the test is over. */
  static async during(
    t: Pick<ExecutionContext, 'teardown'>,
    options?: S3Options,
  ): Promise<S3Server> {
    const made = await S3Server.start(options);
    t.teardown(() => made.close());
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private get bucket(): string {
    return this.options.bucket ?? BUCKET;
  }

  /** Lets all delayed changes take effect. */
  settle(): void {
    for (const { apply } of this.later.splice(0)) apply();
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    if (body === undefined) return; // the client broke off, so the request counts as not made
    const url = new URL(request.url ?? '/', 'http://x');
    const { method = '', headers } = request;
    const isInHost = headers.host?.startsWith(`${this.bucket}.`) === true;
    const parts = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const [bucket = '', ...rest] = isInHost ? [this.bucket, ...parts] : parts;
    const number = this.requests.length;
    const record = { number, method, key: rest.join('/'), isInHost, headers };
    this.requests.push(record);
    const due = this.later.filter(({ at }) => at <= record.number);
    this.later = this.later.filter(({ at }) => at > record.number);
    for (const { apply } of due) apply();
    const answer = (): S3Answer => this.answer(request, body, bucket, record, url.searchParams);
    const fault = this.options.faultAt?.(record);
    if (fault === undefined) this.send(response, answer(), method);
    else this.fail(fault, record, response, answer);
  }

  private answer(
    request: IncomingMessage,
    body: Buffer,
    bucket: string,
    { key, method, headers }: S3Record,
    query: URLSearchParams,
  ): S3Answer {
    const { keys = KEYS, aheadMs = 0 } = this.options;
    const fault = signatureFault(request, body, keys, Date.now() + aheadMs);
    if (fault !== undefined) {
      return S3Answer.error(fault === 'XAmzContentSHA256Mismatch' ? 400 : 403, fault);
    }
    if (bucket !== this.bucket) return S3Answer.error(404, 'NoSuchBucket');
    if (key === '') return this.objects.list(query);
    const id = query.get('versionId');
    if (query.has('retention')) {
      return method === 'PUT'
        ? this.objects.retain(key, id, { body, headers })
        : this.objects.retention(key, id);
    }
    switch (method) {
      case 'PUT':
        return this.objects.put(key, body, headers);
      case 'DELETE':
        return this.objects.remove(key, id);
      default:
        return this.objects.get(key, headers.range, id);
    }
  }

  private fail(
    fault: S3Fault,
    { number, method }: S3Record,
    response: ServerResponse,
    answer: () => S3Answer,
  ): void {
    switch (fault) {
      case 'internal':
        return this.send(response, S3Answer.error(500, 'InternalError'), method);
      case 'slow down':
        return this.send(response, S3Answer.error(503, 'SlowDown'), method);
      case 'hang':
        return;
      case 'apply, hang':
        answer();
        return;
      case 'apply, internal':
        answer();
        return this.send(response, S3Answer.error(500, 'InternalError'), method);
      case 'drop':
        response.destroy();
        return;
      case 'apply, drop':
        answer();
        response.destroy();
        return;
      case 'drop, apply later':
        if (isChange(method)) {
          const at = number + (this.options.laterBy ?? LATER_BY);
          this.later.push({ at, apply: () => void answer() });
        }
        response.destroy();
        return;
      case 'cut':
        if (method === 'HEAD') {
          response.destroy();
          return;
        }
        return this.cut(response, answer());
      case 'wrong bytes':
        return this.send(response, answer().spoiled(), method);
      case 'stale 404':
        if (isChange(method)) return this.send(response, answer(), method);
        return this.send(response, S3Answer.error(404, 'NoSuchKey'), method);
      case 'stale list':
        return this.send(response, answer().emptied(), method);
      case 'ignored condition':
        this.objects.ignoreNextCondition();
        return this.send(response, answer(), method);
      case 'login page':
        return this.send(response, S3Answer.page('<html><p>Log in</html>'), method);
    }
  }

  private send(response: ServerResponse, answer: S3Answer, method: string): void {
    response.writeHead(answer.status, this.headersOf(answer));
    response.end(method === 'HEAD' ? undefined : answer.body);
  }

  /** Sends the headers and half of the body, and then ends the connection. */
  private cut(response: ServerResponse, answer: S3Answer): void {
    const headers = { ...this.headersOf(answer), 'content-length': String(answer.body.length + 1) };
    response.writeHead(answer.status, headers);
    response.flushHeaders();
    response.write(answer.body.subarray(0, answer.body.length / 2), () => response.destroy());
  }

  private headersOf({ headers, body }: S3Answer): Record<string, string> {
    const date = new Date(Date.now() + (this.options.aheadMs ?? 0)).toUTCString();
    return { 'content-length': String(body.length), ...headers, date };
  }
}

/** Returns the body of a request; undefined if it is not complete. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return undefined; // broken off
  }
  return request.complete ? Buffer.concat(chunks) : undefined;
}
