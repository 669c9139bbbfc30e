/** A WebSocket as the socket of a connection. */
import type { WebSocket } from 'ws';
import { protocolViolation, TardisError } from '../errors/index.js';
import { releaseAll, releaseMemory } from '../model/index.js';
import type { MessageSocket, SocketEvents } from './message-socket.js';

/** Size from which on a fragment takes several whole chunks. */
const MIN_BYTES = 256 << 10;

export class WebMessageSocket implements MessageSocket {
  constructor(private readonly socket: WebSocket) {
    socket.binaryType = 'fragments';
    freeReceivedChunks(socket);
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  listen(events: SocketEvents): void {
    const { socket } = this;
    socket.on('message', (data, isBinary) =>
      events.message(joined(data as Buffer | Buffer[]), !isBinary),
    );
    socket.on('pong', events.pong);
    socket.on('ping', () => events.ping());
    socket.on('error', (error: Error) => events.failed(wrapSocketError(error)));
    socket.on('close', (code) => events.closed(code));
  }

  /** Sends the parts as fragments of one message. */
  send(...parts: readonly Uint8Array[]): void {
    for (const [index, part] of parts.entries()) {
      this.socket.send(part, { fin: index === parts.length - 1, binary: true });
    }
  }

  sendLast(message: Uint8Array): void {
    this.socket.send(message, { binary: true }, () => releaseMemory(message));
  }

  ping(data: Buffer | string): void {
    this.socket.ping(data);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(code: number): void {
    this.socket.close(code);
  }

  terminate(): void {
    this.socket.terminate();
  }
}

/**
 * Joins the fragments of a message, and frees them. ws would join them too, but leave them to the garbage collector, which
 * V8 then runs for every 10 MB.
 */
function joined(fragments: Buffer | Buffer[]): Buffer {
  if (!Array.isArray(fragments)) return fragments;
  if (fragments.length === 1) return fragments[0]!;
  const data = Buffer.concat(fragments);
  releaseAll(fragments);
  return data;
}

/**
 * Converts an error of ws. Its protocol errors (bad frames, payloads that are too large) are caused by the peer.
 */
function wrapSocketError(error: Error): TardisError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return new TardisError('MESSAGE_TOO_LARGE', error.message, {}, error);
  }
  if (code.startsWith('WS_ERR')) {
    return protocolViolation(error.message, {}, error);
  }
  return new TardisError('CONNECTION_LOST', error.message, { cause: code }, error);
}

/** The members of ws's receiver that this module needs. They are not documented; a test shows that they exist. */
interface Receiver {
  /** Chunks that are not consumed yet. The first one may be the rest of a chunk. */
  readonly _buffers: readonly Buffer[];
  /** Returns the next bytes: a copy if they are in several chunks, else a part of a chunk. */
  consume(bytes: number): Buffer;
}

/**
 * Frees the chunks of a socket as soon as a fragment of a message was copied from them. Each chunk is a buffer of
 * 64 KiB outside of V8's heap. V8 counts the bytes of such buffers, and collects all garbage for every 10 MB that were
 * not freed. Does nothing if the receiver of this ws is made otherwise.
 */
function freeReceivedChunks(socket: WebSocket): void {
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
