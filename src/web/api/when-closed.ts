/** Calls functions at the end of an answer, to release everything that it holds. */
import type { FastifyReply } from 'fastify';

/**
 * Functions to call at the end of each answer. One listener calls all functions of an answer, since Node warns of many
 * listeners.
 */
const ends = new WeakMap<object, (() => void)[]>();

/**
 * Calls `end` when the answer was sent or its requester has disconnected. Calls it at once if that has already
 * happened, since the event comes only once.
 */
export function whenClosed({ raw }: Pick<FastifyReply, 'raw'>, end: () => void): void {
  // Over HTTP/2 only the stream shows that an answer has ended.
  const isOver = raw.destroyed || ('stream' in raw && isDestroyed(raw.stream));
  if (isOver) {
    end();
    return;
  }
  const known = ends.get(raw);
  if (known !== undefined) {
    known.push(end);
    return;
  }
  const all = [end];
  ends.set(raw, all);
  raw.once('close', () => {
    for (const each of all) each();
  });
}

function isDestroyed(stream: unknown): boolean {
  return typeof stream === 'object' && stream !== null && 'destroyed' in stream
    ? stream.destroyed === true
    : false;
}
