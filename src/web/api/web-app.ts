/** The HTTP server of the API, with its limits and the errors that it sends itself. */
import type { Http2SecureServer } from 'node:http2';
import type { Socket } from 'node:net';
import {
  fastify,
  type FastifyError,
  type FastifyHttp2SecureOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import compress from '@fastify/compress';
import { asTardisError, type TardisError } from '../../errors/index.js';
import { type Certificate, Gate, type GateLimits } from '../../transport/index.js';
import { boundAnswer, cutOff, type ReaderLimits } from './answer-end.js';
import type { Visitor } from './door.js';
import { invalidRequest, PROBLEM_TYPE, problemOf } from './problem.js';
import { parseQuery, type RawQuery } from './raw-query.js';
import { type IsTrusted, removedPrefixes, trusting } from './trusted-proxies.js';
import { takeTurns } from './turns.js';

export type WebApp = FastifyInstance;

declare module 'fastify' {
  interface FastifyRequest {
    /** The requester; undefined on routes that are open to everybody. */
    visitor: Visitor | undefined;
    /** Path that a trusted proxy has removed from the start of the URL; '' for none. Throws REQUEST_INVALID. */
    readonly removedPrefix: string;
  }
}

export interface WebAppOptions {
  /** Certificate and key in PEM; undefined for plain HTTP. */
  readonly tls?:
    | (Pick<Certificate, 'onRenewed'> & Record<'cert' | 'key', string | Buffer>)
    | undefined;
  /** True to compress answers in JSON, if the requester accepts it. */
  readonly compresses?: boolean;
  /** Called with each error that is answered with a status of 500 or higher, such as a bug or damage. */
  readonly onError: (error: TardisError, request: FastifyRequest) => void;
  readonly limits?: Partial<WebLimits>;
  /** Addresses and blocks (CIDR) of proxies whose X-Forwarded-For and X-Forwarded-Prefix are trusted. */
  readonly trustedProxies?: readonly string[];
}

export interface WebLimits extends ReaderLimits {
  /** Time within which the body of a request must be received. */
  readonly bodyMs: number;
  /** Limits of connections without a login. If requests come through a proxy, many readers have one address. */
  readonly gate: GateLimits;
  readonly maxConnections: number;
}

const WEB_LIMITS: WebLimits = Object.freeze({
  readerMs: 60_000,
  leastBytesPerMs: 16,
  idleMs: 120_000,
  bodyMs: 30_000,
  gate: Object.freeze({ deadlineMs: 60_000, maxWaiting: 1024, maxPerAddress: 512 }),
  maxConnections: 4096,
});

const TLS_VERSION = 'TLSv1.3';
/** Maximum number of bytes of a request's body, unless its route has another limit. */
const MAX_BODY_BYTES: number = 64 << 10;
const MAX_PARAMETER_CHARS = 1024;
/** Time within which a whole request must be received. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Interval at which the time limits of requests are checked. */
const CHECK_MS = 5000;
/** Time for open answers to end when the app closes. */
const CLOSING_MS = 2000;
const KEEP_ALIVE_MS = 30_000;
const MAX_HEADERS_BYTES: number = 32 << 10;
const LEAST_COMPRESSED_BYTES = 1024;
/** Maximum number of concurrent requests of one HTTP/2 connection. */
const MAX_STREAMS = 128;

/** Key that stands for a query that could not be parsed; no schema allows it. */
const MALFORMED = '%';

const ROUTER_OPTIONS = {
  maxParamLength: MAX_PARAMETER_CHARS,
  querystringParser: (text: string): RawQuery => {
    try {
      return parseQuery(text);
    } catch {
      return { [MALFORMED]: '' }; // a hook of the app refuses it with a text
    }
  },
};

/** Returns an app without routes. It serves HTTP/2 and HTTP/1.1 over TLS, and HTTP/1.1 without TLS. */
export function newWebApp({
  tls,
  compresses = false,
  onError,
  limits: given = {},
  trustedProxies = [],
}: WebAppOptions): WebApp {
  const limits = { ...WEB_LIMITS, ...given };
  const isTrusted = trusting(trustedProxies);
  const common = {
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    // The address is the last one in the header that does not belong to a trusted proxy.
    trustProxy: trustedProxies.length === 0 ? false : isTrusted,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: limits.idleMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http2SessionTimeout: limits.idleMs,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    frameworkErrors: (error: unknown, _: FastifyRequest, reply: FastifyReply) => {
      void sendProblem(reply, errorOf(error), statusOf(error));
    },
    routerOptions: ROUTER_OPTIONS,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: false } },
  } as const;
  // HTTP/2 changes the generic parameters of an app, but no route uses what differs.
  const rewriteUrl = ({ url = '/' }: { readonly url?: string | undefined }): string =>
    routableUrl(url);
  const app =
    tls === undefined
      ? fastify({ ...common, rewriteUrl, http: { maxHeaderSize: MAX_HEADERS_BYTES } })
      : (fastify<Http2SecureServer>({
          ...common,
          rewriteUrl,
          http2: true,
          https: {
            cert: tls.cert,
            key: tls.key,
            settings: { maxConcurrentStreams: MAX_STREAMS },
            allowHTTP1: true,
            minVersion: TLS_VERSION,
            maxHeaderSize: MAX_HEADERS_BYTES,
          },
        } as unknown as FastifyHttp2SecureOptions<Http2SecureServer>) as unknown as WebApp);
  useRenewed(app, tls);
  if (compresses) {
    void app.register(compress, { threshold: LEAST_COMPRESSED_BYTES, encodings: ['zstd', 'gzip'] });
  }
  app.decorateRequest('visitor', undefined);
  app.decorateRequest('removedPrefix', { getter: removedPrefixes(isTrusted) });
  takeTurns(app);
  app.addHook('preValidation', async (request) => {
    if (MALFORMED in (request.query as object)) parseQuery(request.raw.url?.split('?', 2)[1] ?? '');
  });
  app.addHook('onSend', async (_, reply, payload) => {
    void reply.headers(GUARDS);
    boundAnswer(reply, payload, limits);
  });
  boundConnections(app, limits, isTrusted);
  boundBodies(app, limits.bodyMs);
  answerErrors(app, onError);
  return app;
}

/**
 * Limits connections. Sets the time limit of requests also for TLS. Ends connections that are still open some time
 * after the app has closed. A connection without a login is ended at its deadline, or if its address has too many.
 */
function boundConnections(
  app: WebApp,
  { gate: gateLimits, maxConnections }: WebLimits,
  isTrusted: IsTrusted,
): void {
  const { server } = app;
  const gate = new Gate(gateLimits);
  const sockets = new Set<Socket>();
  server.maxConnections = maxConnections;
  Object.assign(server, {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_MS,
  });
  server.on('connection', (socket: Socket) => {
    if (!isTrusted(socket.remoteAddress)) gate.enter(socket); // many people may share a proxy's connections
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.addHook('preParsing', async ({ visitor, raw }) => {
    if (visitor !== undefined) gate.admit(raw.socket);
  });
  let closing: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    gate.close();
    // The timer keeps the process alive. A connection from which nothing is read, because its answer waits, would not.
    closing = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, CLOSING_MS);
  });
  app.addHook('onClose', async () => clearTimeout(closing));
}

/** Cuts a request off if its body takes too long. Over HTTP/2 nothing else limits that time. */
function boundBodies(app: WebApp, bodyMs: number): void {
  const timers = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  app.addHook('preParsing', async (request, reply) => {
    const timer = setTimeout(() => {
      if (!reply.raw.writableEnded) cutOff(reply);
    }, bodyMs);
    timer.unref();
    timers.set(request, timer);
  });
  const came = async (request: FastifyRequest): Promise<void> => clearTimeout(timers.get(request));
  app.addHook('preValidation', came);
  app.addHook('onResponse', came); // also for a request whose body was refused
}

/**
 * Returns a URL whose path the router can decode: each escaped byte beyond ASCII becomes an underscore. Routes whose paths
 * have such bytes take them from `originalUrl`.
 */
function routableUrl(url: string): string {
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  return `${path.replaceAll(/%[89a-f][0-9a-f]/gi, '_')}${at < 0 ? '' : url.slice(at)}`;
}

/** Headers of each answer. Only Content-Disposition contains names of files. */
const GUARDS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
};

function answerErrors(app: WebApp, onError: WebAppOptions['onError']): void {
  app.setErrorHandler((error, request, reply) => {
    const known = errorOf(error);
    if (problemOf(known).status >= 500) onError(known, request);
    return sendProblem(reply, known, statusOf(error));
  });
  app.setNotFoundHandler((_, reply) =>
    sendProblem(reply, invalidRequest('there is no such route'), NOT_FOUND),
  );
}

const NOT_FOUND = 404;
/** Headers of an answer that are removed if sending it fails. */
const OF_CONTENTS = 'accept-ranges content-disposition content-range etag last-modified'.split(' ');

/** Sends an error, with the status of its code unless another status is given. */
function sendProblem(reply: FastifyReply, error: TardisError, status?: number): FastifyReply {
  const problem = { ...problemOf(error), ...(status === undefined ? {} : { status }) };
  for (const name of OF_CONTENTS) void reply.removeHeader(name);
  if (problem.retryAfterSeconds !== undefined) {
    void reply.header('retry-after', problem.retryAfterSeconds);
  }
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer');
  void reply.header('cache-control', 'no-store').code(problem.status).type(PROBLEM_TYPE);
  return reply.send(JSON.stringify(problem));
}

/** Statuses of the framework that say more than 400: body or address too long, type of the body. */
const PRECISE = new Set([413, 414, 415]);

/**
 * Returns the status of an error of the framework if it is more precise than that of the error's code; otherwise
 * undefined.
 */
function statusOf(error: unknown): number | undefined {
  const { statusCode, code }: Partial<FastifyError> = Object(error);
  if (code?.startsWith('FST_') !== true || statusCode === undefined) return undefined;
  return PRECISE.has(statusCode) ? statusCode : undefined;
}

/** Converts an error of the framework. It becomes REQUEST_INVALID if its status reports a wrong request. */
function errorOf(error: unknown): TardisError {
  const { statusCode, code, validation, message }: Partial<FastifyError> = Object(error);
  const isRefusal = code?.startsWith('FST_') === true || validation !== undefined;
  if (!isRefusal || statusCode === undefined || statusCode >= 500) return asTardisError(error);
  return invalidRequest(message ?? 'malformed request');
}

function useRenewed(app: WebApp, tls: WebAppOptions['tls']): void {
  const server = app.server as unknown as Http2SecureServer;
  tls?.onRenewed?.(({ cert, key }) =>
    server.setSecureContext({ cert, key, minVersion: TLS_VERSION }),
  );
}
