/** Ends answers: an answer that breaks off never looks complete, and every wait for a reader is bounded. */
import { constants, Http2ServerResponse } from 'node:http2';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { whenClosed } from './when-closed.js';

/**
 * Minimum time that a reader of an answer of known size has; the bytes of the answer extend it by LEAST_BYTES_PER_MS.
 */
const LEAST_PATIENCE_MS = 60_000;
const LEAST_BYTES_PER_MS = 16;
const MAX_TIMER_MS: number = 2 ** 31 - 1;
/** Number of checks of a reader within its time limit. */
const LOOKS = 6;

/**
 * Ends an answer early, such that the requester detects that it is not complete. An HTTP/2 stream that is only
 * destroyed would be closed without an error, which some programs treat as the end.
 */
export function cutOff(reply: FastifyReply): void {
  const raw: unknown = reply.raw;
  if (raw instanceof Http2ServerResponse) raw.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  reply.raw.destroy();
}

/**
 * Cuts an answer off if its stream fails after the headers were sent, or if its reader is too slow, since a slow
 * reader occupies memory and an open client. If the size is unknown, the reader must take some bytes within
 * `readerMs`.
 */
export function boundAnswer(reply: FastifyReply, payload: unknown, readerMs: number): void {
  const known = reply.getHeader('content-length');
  if (!(payload instanceof Readable)) {
    const isBytes = typeof payload === 'string' || Buffer.isBuffer(payload);
    endLate(reply, isBytes ? Buffer.byteLength(payload) : 0);
    return;
  }
  // Before the answer has begun, the error is the answer.
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

/** Ends an answer if bytes wait for its reader, and the reader has taken none of them for `readerMs`. */
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
