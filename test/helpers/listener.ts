/** Servers of a test: any, and one over HTTP that records requests, and answers as the test specifies. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import type { ExecutionContext } from 'ava';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

export interface UrlListener {
  /** `http://127.0.0.1:PORT`. */
  readonly base: string;
  readonly requested: Received[];
}

/** `statusOf` returns the status of the answer; undefined to never answer. */
export async function urlListener(
  t: ExecutionContext,
  statusOf: (requested: Received, index: number) => number | undefined = () => 200,
): Promise<UrlListener> {
  const requested: Received[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const one = { method: request.method ?? '', url: request.url ?? '', body };
      requested.push(one);
      const status = statusOf(one, requested.length - 1);
      if (status === undefined) return;
      response.writeHead(status, { location: '/elsewhere' }).end('as you like');
    });
  });
  const port = await listening(t, server);
  t.teardown(() => server.closeAllConnections());
  return { base: `http://127.0.0.1:${port}`, requested };
}

/** Lets a server listen on this machine until the test is over, and returns its port. */
export async function listening(t: ExecutionContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  return (server.address() as AddressInfo).port;
}
