/** Opens a client for a request, and gives it back after the answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Door, Lease, Visitor } from './door.js';
import { whenClosed } from './when-closed.js';

export interface LeasedRequest {
  readonly door: Door;
  readonly client: string;
  readonly visitor: Visitor;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Throws if a visitor may not ask this. */
  readonly permit: (visitor: Visitor) => void;
}

/**
 * Answers a request from a client that is open until the answer has ended. If the source of the answer ends before
 * anything is sent, as a connection to a server may at any moment, the request is authenticated and answered once
 * again: requests for a client only read.
 */
export async function withLease<T>(
  { door, client, visitor, request, reply, permit }: LeasedRequest,
  use: (lease: Lease, visitor: Visitor) => Promise<T>,
): Promise<T> {
  const answerWith = async (asking: Visitor, mayRepeat: boolean): Promise<T> => {
    const lease = await door.open(client, asking);
    const release = once(lease);
    whenClosed(reply, release); // a stream is still read when the answer has begun
    try {
      return await use(lease, asking);
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
