/** Ends answers. An answer that is cut off never looks complete, and every wait for a reader is bounded. */
import { constants, Http2ServerResponse, type Http2Session } from 'node:http2';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { whenClosed } from './when-closed.js';

/** Limits of the time for which answers wait for their readers. */
export interface ReaderLimits {
  /** Time for which each answer may wait. The bytes that its reader has taken extend it, at `leastBytesPerMs`. */
  readonly readerMs: number;
  readonly leastBytesPerMs: number;
  /** Time without any byte after which a connection is ended that sends no answer. */
  readonly idleMs: number;
}

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
 * a slow reader occupies memory and an open client. A reader may pause for as long as it has taken bytes ahead: a proxy
 * that buffers takes a gigabyte at once, and nothing more until its own reader has it.
 */
export function boundAnswer(reply: FastifyReply, payload: unknown, limits: ReaderLimits): void {
  if (!(payload instanceof Readable)) {
    const isBytes = typeof payload === 'string' || Buffer.isBuffer(payload);
    endLate(reply, isBytes ? Buffer.byteLength(payload) : 0, limits);
    return;
  }
  // If the headers were not sent yet, the error itself is sent as the answer.
  payload.once('error', () => {
    if (reply.raw.headersSent) cutOff(reply);
  });
  keepOpen(reply, limits);
  endSlow(reply, payload, limits);
}

function endLate(
  reply: FastifyReply,
  bytes: number,
  { readerMs, leastBytesPerMs }: ReaderLimits,
): void {
  const patienceMs = readerMs + bytes / leastBytesPerMs;
  const timer = setTimeout(() => cutOff(reply), Math.min(patienceMs, MAX_TIMER_MS));
  timer.unref();
  whenClosed(reply, () => clearTimeout(timer));
}

/** Cuts an answer off once it has waited too long, in sum, for its reader to take bytes. */
function endSlow(
  reply: FastifyReply,
  payload: Readable,
  { readerMs, leastBytesPerMs }: ReaderLimits,
): void {
  const raw: unknown = reply.raw;
  const sink = raw instanceof Http2ServerResponse ? raw.stream : reply.raw;
  const lookMs = readerMs / LOOKS;
  let [waitedMs, patienceMs, waitingBytes] = [0, readerMs, 0];
  payload.on('pause', () => {
    waitingBytes = sink.writableLength;
  });
  sink.on('drain', () => {
    patienceMs += waitingBytes / leastBytesPerMs;
    waitingBytes = 0;
  });
  const timer = setInterval(() => {
    if (sink.writableLength > 0) waitedMs += lookMs;
    if (waitedMs >= patienceMs) cutOff(reply);
  }, lookMs);
  timer.unref();
  whenClosed(reply, () => clearInterval(timer));
}

/** Number of answers that are sent over an HTTP/2 session. */
const underWay = new WeakMap<Http2Session, number>();

/** Suspends the time limit of an idle connection while an answer is sent, since that has a limit of its own. */
function keepOpen(reply: FastifyReply, { idleMs }: ReaderLimits): void {
  const raw: unknown = reply.raw;
  if (!(raw instanceof Http2ServerResponse)) {
    const { socket } = reply.raw;
    if (socket instanceof Socket) socket.setTimeout(0); // Node.js sets it again after the answer
    return;
  }
  const { session } = raw.stream;
  if (session === undefined) return;
  const count = (more: 1 | -1): void => {
    const answers = (underWay.get(session) ?? 0) + more;
    underWay.set(session, answers);
    if (!session.destroyed) session.setTimeout(answers > 0 ? 0 : idleMs);
  };
  count(1);
  whenClosed(reply, () => count(-1));
}
