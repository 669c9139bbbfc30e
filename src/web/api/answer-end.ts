/** The ends of answers: one that breaks off never looks complete. */
import { constants, Http2ServerResponse } from 'node:http2';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/**
 * Ends an answer before its end, so that its requester sees that it is not complete. An HTTP/2 stream that is only
 * destroyed would be closed without an error, which some programs take for the end.
 */
export function cutOff(reply: FastifyReply): void {
  const raw: unknown = reply.raw;
  if (raw instanceof Http2ServerResponse) raw.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  reply.raw.destroy();
}

/** Cuts an answer off if the stream that is sent fails after the headers. */
export function cutOffAtError(reply: FastifyReply, payload: unknown): void {
  if (!(payload instanceof Readable)) return;
  // Before the answer has begun, the error is the answer.
  payload.once('error', () => {
    if (reply.raw.headersSent) cutOff(reply);
  });
}
