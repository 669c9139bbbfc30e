/**
 * Access to a store through another thread. A job without direct access sends requests through a port; the thread that
 * started the job answers them.
 */
import type { MessagePort } from 'node:worker_threads';
import type { DeltaPart, DeltaSource } from '../delta/index.js';
import { asTardisError, requireSystemCode, toWire, type WireError } from '../errors/index.js';
import { NO_BYTES, releaseMemory } from '../model/index.js';
import type { ObjectReader } from '../store/index.js';
import { type CallReply, type CallRequest, Calls, replyTo } from '../system/index.js';

/** Minimum size of an answer whose memory is freed explicitly. Smaller answers are left to the garbage collector. */
const MIN_RELEASE_BYTES = 64 << 10;

type StoreRequest =
  | { readonly what: 'read'; readonly object: string; position: number; bytes: number }
  | { what: 'sign'; signature: number; basisBytes: number; bytes: Uint8Array; isLast: boolean }
  | { what: 'next'; signature: number; digest: Uint8Array; isFirst: boolean }
  | { what: 'drop'; signature: number };

/** The result of a request. An error of the system keeps its code, on which readers match. */
type StoreResult = DeltaPart | { readonly code: string; readonly error: WireError };

/** The end of a port that sends requests. */
export class StoreProxy implements ObjectReader, DeltaSource {
  private readonly calls: Calls<StoreRequest, StoreResult>;

  constructor(private readonly port: MessagePort) {
    this.calls = new Calls((call) => port.postMessage(call));
    port.on('message', (reply: CallReply<StoreResult>) => this.calls.take(reply));
  }

  async read(object: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const { chunk } = await this.request({ what: 'read', object, position, bytes });
    const { length } = chunk;
    target.set(chunk);
    if (length >= MIN_RELEASE_BYTES) releaseMemory(chunk);
    return length;
  }

  async sign(
    signature: number,
    basisBytes: number,
    bytes: Uint8Array,
    isLast: boolean,
  ): Promise<void> {
    await this.request({ what: 'sign', signature, basisBytes, bytes, isLast });
  }

  next(signature: number, digest: Uint8Array, isFirst: boolean): Promise<DeltaPart> {
    return this.request({ what: 'next', signature, digest, isFirst });
  }

  async drop(signature: number): Promise<void> {
    await this.request({ what: 'drop', signature });
  }

  close(): void {
    this.port.close();
  }

  private async request(request: StoreRequest): Promise<DeltaPart> {
    const result = await this.calls.request(request);
    if (!('code' in result)) return result;
    const { code, error } = result;
    throw Object.assign(new Error(error.message), { code });
  }
}

/** Serves requests from `port` until it is closed. */
export function serveRemoteStore(
  port: MessagePort,
  reader: ObjectReader,
  deltas: DeltaSource,
): void {
  port.on('message', (call: CallRequest<StoreRequest>) => {
    void replyTo(call, (request) => resultOf(request, reader, deltas)).then((reply) => {
      port.postMessage(reply, transferOfReply(reply));
    });
  });
}

/** Returns the memory of a reply's chunk that can be moved: the chunk has it for itself. */
function transferOfReply(reply: CallReply<StoreResult>): ArrayBuffer[] {
  if (!('result' in reply) || !('chunk' in reply.result)) return [];
  const { chunk } = reply.result;
  const isOwner = chunk.length > 0 && chunk.length === chunk.buffer.byteLength;
  return isOwner ? [chunk.buffer as ArrayBuffer] : [];
}

async function resultOf(
  request: StoreRequest,
  reader: ObjectReader,
  deltas: DeltaSource,
): Promise<StoreResult> {
  try {
    return await answer(request, reader, deltas);
  } catch (error) {
    const code = requireSystemCode(error);
    return { code, error: toWire(asTardisError(error)) };
  }
}

async function answer(
  request: StoreRequest,
  reader: ObjectReader,
  deltas: DeltaSource,
): Promise<DeltaPart> {
  let chunk: Uint8Array = NO_BYTES;
  switch (request.what) {
    case 'read': {
      const { object, position, bytes } = request;
      const target = new Uint8Array(bytes);
      const got = await reader.read(object, position, target, bytes);
      chunk = got === bytes ? target : target.slice(0, got);
      break;
    }
    case 'sign':
      await deltas.sign(request.signature, request.basisBytes, request.bytes, request.isLast);
      break;
    case 'next':
      return deltas.next(request.signature, request.digest, request.isFirst);
    case 'drop':
      await deltas.drop(request.signature);
      break;
  }
  return { chunk, isLast: true, isUseless: false };
}
