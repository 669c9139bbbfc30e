/**
 * Access to a store through another thread. A job without direct access sends requests through a port; the thread that
 * started the job answers them.
 */
import type { MessagePort } from 'node:worker_threads';
import type { DeltaPart, DeltaSource } from '../delta/index.js';
import { asTardisError, fromWire, systemCode, toWire, type WireError } from '../errors/index.js';
import { releaseMemory } from '../model/index.js';
import type { ObjectReader } from '../store/index.js';

/** Minimum size of an answer whose memory is freed explicitly. Smaller answers are left to the garbage collector. */
const MIN_RELEASE_BYTES = 64 << 10;

type StoreRequest =
  | { readonly what: 'read'; readonly object: string; position: number; bytes: number }
  | { what: 'sign'; signature: number; basisBytes: number; bytes: Uint8Array; isLast: boolean }
  | { what: 'next'; signature: number; digest: Uint8Array; isFirst: boolean }
  | { what: 'drop'; signature: number };

interface ProxyRequest {
  readonly number: number;
  readonly request: StoreRequest;
}

interface ProxyAnswer {
  readonly number: number;
  readonly part: DeltaPart | undefined;
  readonly error: WireError | undefined;
  /** The system's error code, if there is one. */
  readonly code: string | undefined;
}

interface Waiting {
  readonly resolve: (part: DeltaPart) => void;
  readonly reject: (error: Error) => void;
}

/** The end of a port that sends requests. */
export class StoreProxy implements ObjectReader, DeltaSource {
  private readonly waiting = new Map<number, Waiting>();
  private lastNumber = 0;
  private readonly port: MessagePort;

  constructor(port: MessagePort) {
    this.port = port;
    port.on('message', ({ number, part, error, code }: ProxyAnswer) => {
      const waiting = this.waiting.get(number);
      this.waiting.delete(number);
      if (part !== undefined) waiting?.resolve(part);
      else waiting?.reject(errorOf(error, code));
    });
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

  private request(request: StoreRequest): Promise<DeltaPart> {
    this.lastNumber += 1;
    const number = this.lastNumber;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.port.postMessage({ number, request } satisfies ProxyRequest);
    });
  }
}

function errorOf(error: WireError | undefined, code: string | undefined): Error {
  const failure = fromWire(error ?? { code: 'INTERNAL', message: 'no answer', context: {} });
  return code === undefined ? failure : Object.assign(new Error(failure.message), { code });
}

const NOTHING = new Uint8Array(0);

/** Serves requests from `port` until it is closed. */
export function serveFarStore(port: MessagePort, reader: ObjectReader, deltas: DeltaSource): void {
  port.on('message', ({ number, request }: ProxyRequest) => {
    answer(request, reader, deltas).then(
      (part) => {
        const { chunk } = part;
        const isOwner = chunk.length > 0 && chunk.length === chunk.buffer.byteLength;
        const reply: ProxyAnswer = { number, part, error: undefined, code: undefined };
        port.postMessage(reply, isOwner ? [chunk.buffer as ArrayBuffer] : []);
      },
      (error: unknown) => {
        const code = systemCode(error);
        const wire = toWire(code === undefined ? error : asTardisError(error));
        port.postMessage({ number, part: undefined, error: wire, code } satisfies ProxyAnswer);
      },
    );
  });
}

async function answer(
  request: StoreRequest,
  reader: ObjectReader,
  deltas: DeltaSource,
): Promise<DeltaPart> {
  let chunk: Uint8Array = NOTHING;
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
