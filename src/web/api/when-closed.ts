/** The end of an answer, by which everything that it holds is given back. */
import type { FastifyReply } from 'fastify';

/**
 * Calls `end` once the answer was sent or its requester went away: at once if that happened before, since the event
 * of it comes only once.
 */
export function whenClosed({ raw }: FastifyReply, end: () => void): void {
  // The answer of HTTP/2 does not tell; its stream does.
  const isOver = raw.destroyed || ('stream' in raw && isDestroyed(raw.stream));
  if (isOver) end();
  else raw.once('close', end);
}

function isDestroyed(stream: unknown): boolean {
  return typeof stream === 'object' && stream !== null && 'destroyed' in stream
    ? stream.destroyed === true
    : false;
}
