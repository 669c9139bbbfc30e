/**
 * Starts threads of this program, with channels for typed messages. The worker pool does not use this: its library
 * passes jobs to its threads.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { asTardisError, TardisError } from '../errors/index.js';
import { keepBlocksSmall } from './buffer-pool.js';

/** The types of a channel. Buffers arrive as plain Uint8Arrays (`bufferOf`), and errors pass as `WireError`. */
export interface Channel {
  /** Input with which the thread starts. */
  readonly data: unknown;
  readonly toThread: unknown;
  readonly fromThread: unknown;
}

interface ThreadStart<Of extends Channel> {
  /** The module that the thread runs. */
  readonly entry: URL;
  readonly name: string;
  readonly data: Of['data'];
  /** Size of V8's young generation; V8's own choice if undefined. */
  readonly youngGenerationMb?: number;
}

export class Thread<Of extends Channel> {
  /** Resolves when the thread has exited, with the error for calls that still wait for it. */
  readonly exited: Promise<TardisError>;
  private readonly worker: Worker;
  private hasExited = false;

  constructor(
    { entry, name, data, youngGenerationMb }: ThreadStart<Of>,
    receive: (message: Of['fromThread']) => void,
  ) {
    const resourceLimits =
      youngGenerationMb === undefined ? {} : { maxYoungGenerationSizeMb: youngGenerationMb };
    this.worker = new Worker(entry, { name, workerData: data, resourceLimits });
    this.worker.on('message', receive);
    let failure: unknown;
    this.worker.once('error', (error) => {
      failure = error;
    });
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.hasExited = true;
        const what = `the ${name} thread has ended before its work`;
        resolve(
          failure === undefined ? new TardisError('INTERNAL', what) : asTardisError(failure, what),
        );
      });
    });
  }

  /** Sends a message; drops it if the thread has exited. */
  send(message: Of['toThread'], transfer: readonly ArrayBuffer[] = []): void {
    if (!this.hasExited) this.worker.postMessage(message, transfer);
  }

  /** Ends the thread at once, even while it works. */
  async terminate(): Promise<void> {
    await this.worker.terminate();
  }
}

/** The end of a channel inside of its thread. */
interface ThreadEnd<Of extends Channel> {
  readonly data: Of['data'];
  send(message: Of['fromThread'], transfer?: readonly ArrayBuffer[]): void;
  /** Calls `receive` with each message. The thread runs until `close`. */
  listen(receive: (message: Of['toThread']) => void): void;
  /** Ends the thread when its work is done. */
  close(): void;
}

/** Returns this thread's end of its channel. Throws INTERNAL in the main thread. */
export function threadEnd<Of extends Channel>(): ThreadEnd<Of> {
  const port = parentPort;
  if (port === null) throw new TardisError('INTERNAL', 'this module runs in a thread only');
  keepBlocksSmall();
  return {
    data: workerData as Of['data'],
    send: (message, transfer = []) => port.postMessage(message, transfer),
    listen: (receive) => port.on('message', receive),
    close: () => port.close(),
  };
}
