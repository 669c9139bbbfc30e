/** Ends answers. An answer that is cut off never looks complete, and every wait for a reader is bounded. */
import { constants, Http2ServerResponse } from 'node:http2';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { whenClosed } from './when-closed.js';

/** Minimum time for the reader of an answer of known size. The answer's bytes extend it, at LEAST_BYTES_PER_MS. */
const LEAST_PATIENCE_MS = 60_000;
const LEAST_BYTES_PER_MS = 16;
const MAX_TIMER_MS: number = 2 ** 31 - 1;
/** Number of checks of a reader within `readerMs`. */
const LOOKS = 6;

/**
 * Cuts an answer off in such a way that the requester detects it. Over HTTP/2, a stream that is only destroyed would be
 * closed without an error, which some programs treat as the end of the answer.
 */
export function cutOff(reply: FastifyReply): void {
  const raw: unknown = reply.raw;
  if (raw instanceof Http2ServerResponse) raw.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  reply.raw.destroy();
}

/**
 * Cuts an answer off if its stream fails after the headers were sent. Also cuts it off if its reader is too slow, since
 * a slow reader occupies memory and an open client. For an answer of unknown size, the reader must take some bytes
 * within `readerMs`.
 */
export function boundAnswer(reply: FastifyReply, payload: unknown, readerMs: number): void {
  const known = reply.getHeader('content-length');
  if (!(payload instanceof Readable)) {
    const isBytes = typeof payload === 'string' || Buffer.isBuffer(payload);
    endLate(reply, isBytes ? Buffer.byteLength(payload) : 0);
    return;
  }
  // If the headers were not sent yet, the error itself is sent as the answer.
  payload.once('error', () => {
    if (reply.raw.headersSent) cutOff(reply);
  });
  if (known === undefined) endStalled(reply, readerMs);
  else endLate(reply, Number(known));
}

function endLate(reply: FastifyReply, bytes: number): void {
  const patienceMs = LEAST_PATIENCE_MS + bytes / LEAST_BYTES_PER_MS;
  const timer = setTimeout(() => cutOff(reply), Math.min(patienceMs, MAX_TIMER_MS));
  timer.unref();
  whenClosed(reply, () => clearTimeout(timer));
}

/** Cuts an answer off if bytes wait for its reader, and the reader has taken none of them for `readerMs`. */
function endStalled(reply: FastifyReply, readerMs: number): void {
  const raw: unknown = reply.raw;
  const sink = raw instanceof Http2ServerResponse ? raw.stream : reply.raw;
  let waitingBytes = 0;
  let takenAtMs = performance.now();
  const note = (): void => {
    takenAtMs = performance.now();
  };
  sink.on('drain', note);
  const timer = setInterval(() => {
    const before = waitingBytes;
    waitingBytes = sink.writableLength;
    if (waitingBytes === 0 || waitingBytes !== before) note();
    else if (performance.now() - takenAtMs >= readerMs) cutOff(reply);
  }, readerMs / LOOKS);
  timer.unref();
  whenClosed(reply, () => clearInterval(timer));
}
