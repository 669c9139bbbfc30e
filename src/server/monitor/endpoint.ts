/** HTTP endpoint for collectors of metrics and load balancers: serves GET /metrics and GET /health. */
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asTardisError, TardisError, systemReason } from '../../errors/index.js';
import { hostInUrl, isLoopback, loadHttp, requireHost } from '../../system/index.js';

const MAX_CONNECTIONS = 32;
const MAX_HEAD_BYTES = 8 << 10;
const REQUEST_TIMEOUT_MS = 10_000;
const PLAIN = { 'content-type': 'text/plain', 'cache-control': 'no-store' } as const;
const OPEN_METRICS = 'application/openmetrics-text';

export interface EndpointAddress {
  readonly host: string;
  /** Port of the endpoint; 0 lets the system choose one. */
  readonly port: number;
}

/** The answers of an endpoint. */
interface Shown {
  /** Returns the metrics. */
  metrics(): string;
  /** Returns the code of the error that prevents new backups; undefined if there is none. Never rejects. */
  health(): Promise<string | undefined>;
}

const NOTHING: Shown = { metrics: () => '# EOF\n', health: async () => 'SERVER_STARTING' };

export class MetricsEndpoint {
  private shown = NOTHING;

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => void this.answer(request, response));
  }

  /** Listens until closed. Throws LISTEN_FAILED if that is not possible. */
  static async open({ host, port }: EndpointAddress): Promise<MetricsEndpoint> {
    const server = loadHttp().createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_TIMEOUT_MS / 2,
    });
    server.maxConnections = MAX_CONNECTIONS;
    const endpoint = new MetricsEndpoint(server);
    server.listen({ host, port });
    try {
      await once(server, 'listening');
    } catch (error) {
      const why = systemReason(error);
      throw new TardisError('LISTEN_FAILED', `cannot give out metrics on ${host}:${port}: ${why}`);
    }
    return endpoint;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Sets the answers that the endpoint serves. */
  show(shown: Shown): void {
    this.shown = shown;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    try {
      requireOwn(request);
    } catch (error) {
      response.writeHead(403, PLAIN).end(`${asTardisError(error).message}\n`);
      return;
    }
    const path = (request.url ?? '').split('?', 1)[0];
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if ((path !== '/metrics' && path !== '/health') || !isRead) {
      response.writeHead(isRead ? 404 : 405, PLAIN);
      response.end(isRead ? 'look at /metrics or /health\n' : 'only GET\n');
      return;
    }
    const failure = await this.shown.health(); // the metrics have it, too
    if (path === '/health') {
      response.writeHead(failure === undefined ? 200 : 503, PLAIN);
      response.end(failure === undefined ? 'ok\n' : `${failure}\n`);
      return;
    }
    const acceptsOpenMetrics = request.headers.accept?.includes(OPEN_METRICS) === true;
    const type = acceptsOpenMetrics
      ? `${OPEN_METRICS}; version=1.0.0`
      : 'text/plain; version=0.0.4';
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(this.shown.metrics());
  }
}

/**
 * Throws NOT_PERMITTED if a request over loopback names another host than the address. The port does not count, since a
 * tunnel may have another one. A request without a host comes from no browser.
 */
function requireOwn({ headers: { host }, socket: { localAddress = '' } }: IncomingMessage): void {
  const address = localAddress.replace(/^::ffff:/i, '');
  if (host === undefined || !isLoopback(address)) return;
  requireHost(host.replace(/:\d*$/, ''), new Set(['localhost', hostInUrl(address)]));
}
