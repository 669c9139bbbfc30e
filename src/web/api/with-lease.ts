/** Opens a client for a request, and releases it after the answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Door, Lease, Visitor } from './door.js';
import { whenClosed } from './when-closed.js';

interface LeasedRequest {
  readonly door: Door;
  readonly client: string;
  readonly visitor: Visitor;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Throws if a visitor lacks the right that the request needs. */
  readonly permit: (visitor: Visitor) => void;
}

/**
 * Answers a request with an open client, and keeps the client open until the answer has ended. If the connection to a
 * server ends before any part of the answer is sent, authenticates and answers the request once more. This is safe,
 * since the request only reads.
 */
export async function withLease<T>(
  { door, client, visitor, request, reply, permit }: LeasedRequest,
  use: (lease: Lease, visitor: Visitor) => Promise<T>,
): Promise<T> {
  const answerWith = async (caller: Visitor, mayRepeat: boolean): Promise<T> => {
    const lease = await door.open(client, caller);
    const release = once(lease);
    whenClosed(reply, release); // a stream is still being read when the answer has begun
    try {
      return await use(lease, caller);
    } catch (error) {
      release();
      if (!mayRepeat || lease.isOver?.() !== true || reply.raw.headersSent) throw error;
    }
    const again = await door.authenticate(request);
    permit(again);
    request.visitor = again;
    return answerWith(again, false);
  };
  return answerWith(visitor, true);
}

function once(lease: Lease): () => void {
  let isReleased = false;
  return () => {
    if (isReleased) return;
    isReleased = true;
    lease.release();
  };
}
