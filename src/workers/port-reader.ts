/**
 * Objects of a store that another thread reads for us: a job that runs far from the store asks through a
 * port, whoever started it answers.
 */
import type { MessagePort } from 'node:worker_threads';
import { asTardisError, fromWire, systemCode, toWire, type WireError } from '../errors/index.js';
import type { ObjectReader } from '../store/index.js';

interface Ask {
  readonly number: number;
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
}

interface Told {
  readonly number: number;
  readonly bytes: Uint8Array | undefined;
  readonly error: WireError | undefined;
  /** The system's code, where there is one. */
  readonly code: string | undefined;
}

interface Waiting {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** The asking end. */
export class PortReader implements ObjectReader {
  private readonly waiting = new Map<number, Waiting>();
  private lastNumber = 0;
  private readonly port: MessagePort;

  constructor(port: MessagePort) {
    this.port = port;
    port.on('message', (told: Told) => {
      const waiting = this.waiting.get(told.number);
      this.waiting.delete(told.number);
      if (told.bytes !== undefined) waiting?.resolve(told.bytes);
      else waiting?.reject(errorOf(told));
    });
  }

  async read(object: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    this.lastNumber += 1;
    const number = this.lastNumber;
    const got = await new Promise<Uint8Array>((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.port.postMessage({ number, object, position, bytes } satisfies Ask);
    });
    target.set(got);
    return got.length;
  }

  close(): void {
    this.port.close();
  }
}

function errorOf({ error, code }: Told): Error {
  const failure = fromWire(error ?? { code: 'INTERNAL', message: 'no answer', context: {} });
  return code === undefined ? failure : Object.assign(new Error(failure.message), { code });
}

/** The answering end: reads what is asked for at `port` until that is closed. */
export function serveReads(port: MessagePort, reader: ObjectReader): void {
  port.on('message', ({ number, object, position, bytes }: Ask) => {
    const target = new Uint8Array(bytes);
    reader.read(object, position, target, bytes).then(
      (got) => {
        const told: Told = {
          number,
          bytes: target.subarray(0, got),
          error: undefined,
          code: undefined,
        };
        port.postMessage(told, [target.buffer]);
      },
      (error: unknown) => {
        const code = systemCode(error);
        const wire = toWire(code === undefined ? error : asTardisError(error));
        port.postMessage({ number, bytes: undefined, error: wire, code } satisfies Told);
      },
    );
  });
}
