/**
 * Frees the chunks of a socket as soon as a fragment of a message was copied from them. Each chunk is a buffer of
 * 64 KiB outside of V8's heap. V8 counts the bytes of such buffers, and collects all garbage for every 10 MB that were
 * not freed.
 */
import type { WebSocket } from 'ws';
import { releaseAll } from '../model/index.js';

/** Size from which on a fragment takes several whole chunks. */
const MIN_BYTES = 256 << 10;

/** The members of ws's receiver that this module needs. They are not documented; a test shows that they exist. */
interface Receiver {
  /** Chunks that are not consumed yet. The first one may be the rest of a chunk. */
  readonly _buffers: readonly Buffer[];
  /** Returns the next bytes: a copy if they are in several chunks, else a part of a chunk. */
  consume(bytes: number): Buffer;
}

/** Frees chunks from which fragments were copied. Does nothing if the receiver of this ws is made otherwise. */
export function freeReceivedChunks(socket: WebSocket): void {
  const { _receiver: receiver } = socket as unknown as { readonly _receiver?: Partial<Receiver> };
  if (receiver === undefined || !isReceiver(receiver)) return;
  const consume = receiver.consume.bind(receiver);
  receiver.consume = (bytes) => {
    if (bytes < MIN_BYTES) return consume(bytes);
    const chunks = [...receiver._buffers];
    const fragment = consume(bytes);
    const consumed = chunks.slice(0, chunks.length - receiver._buffers.length);
    // Only buffers that consist of the chunk alone are freed, so no other message can have a part of them.
    releaseAll(consumed.filter(({ buffer }) => buffer !== fragment.buffer));
    return fragment;
  };
}

function isReceiver(receiver: Partial<Receiver>): receiver is Receiver {
  return Array.isArray(receiver._buffers) && typeof receiver.consume === 'function';
}
