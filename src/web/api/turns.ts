/**
 * Begins the work of requests over HTTP/2 one after the other, one in each turn of the event loop, so that other connections
 * are served between them. A request that was withdrawn meanwhile costs no work. A connection that withdraws many is ended.
 * A connection of HTTP/1 has one request at a time, which ends with it.
 */
import type { Http2Stream, ServerHttp2Session } from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { WebApp } from './web-app.js';
import { whenClosed } from './when-closed.js';

/** Number of requests that a connection may withdraw within RESETS_MS. */
const MOST_RESETS = 100;
const RESETS_MS = 10_000;

/** Adds the turns to an app that has no routes yet. */
export function takeTurns(app: WebApp): void {
  let last: Promise<void> = Promise.resolve();
  app.addHook('onRequest', async ({ raw }, reply) => {
    if (raw.httpVersionMajor < 2) return;
    const isGone = goneLater(reply);
    last = last.then(() => nextTurn());
    await last;
    if (isGone()) reply.hijack(); // nothing more is done for it
  });
  app.server.on('session', (session: ServerHttp2Session) => {
    let [resets, sinceMs] = [0, performance.now()];
    const count = (): void => {
      const nowMs = performance.now();
      if (nowMs - sinceMs > RESETS_MS) [resets, sinceMs] = [0, nowMs];
      resets += 1;
      // No further request is taken (GOAWAY), and the connection ends with those that it has. (After destroy(), clients of
      // Node.js wait for ever for the end of the connection.)
      if (resets === MOST_RESETS) session.close();
    };
    session.on('stream', (stream: Http2Stream) => stream.once('aborted', count));
  });
}

interface Place {
  readonly leave: () => void;
  isClosed: boolean;
  isRunning: boolean;
}

const places = new WeakMap<object, Place>();

/** Keeps a place until the answer was sent, or its requester has gone, and its handler has ended. */
export function keepPlace(reply: FastifyReply, leave: () => void): void {
  const place: Place = { leave, isClosed: false, isRunning: false };
  places.set(reply.raw, place);
  whenClosed(reply, () => {
    place.isClosed = true;
    if (!place.isRunning) leave();
  });
}

/** Runs the handler of an answer in the place that is kept for it, if there is one. */
export async function inPlace<T>(reply: FastifyReply, work: () => Promise<T>): Promise<T> {
  const place = places.get(reply.raw);
  if (place === undefined) return work();
  place.isRunning = true;
  try {
    return await work();
  } finally {
    place.isRunning = false;
    if (place.isClosed) place.leave();
  }
}

/** Returns a function that is true once the requester of an answer has gone. */
function goneLater(reply: FastifyReply): () => boolean {
  let isGone = false;
  whenClosed(reply, () => {
    isGone = true;
  });
  return () => isGone;
}
