/** A client of a `StorageHost` without a connection: it posts any messages, and records the answers. */
import type { TardisError } from '../../src/errors/index.js';
import type { StorageHost, StorageOptions } from '../../src/server/index.js';
import type { ClientDirectory } from '../../src/store/index.js';
import {
  encodeMessage,
  type Head,
  type MessageName,
  peekMessage,
} from '../../src/transport/index.js';
import { SMALL_STORE } from './inline.js';

type Handle = Awaited<ReturnType<StorageHost['open']>>;
type Purpose = Parameters<StorageHost['open']>[1];

const WAIT_MS = 60_000;

export interface Message {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

/** One session, with everything that it answered. */
export class StorageClient {
  readonly answers: Buffer[] = [];
  readonly failures: TardisError[] = [];
  /** The requests that were reported, and how many answers came before each. */
  readonly requests: [requests: unknown, answers: number][] = [];
  processedBytes = 0;
  handle!: Handle;
  private wake: () => void = () => undefined;

  static async open(
    host: StorageHost,
    directory: ClientDirectory,
    purpose: Purpose,
    options: StorageOptions = SMALL_STORE,
  ): Promise<StorageClient> {
    const session = new StorageClient();
    session.handle = await host.open(directory, purpose, options, {
      answer: (answer, processedBytes) => {
        if (answer !== undefined) session.answers.push(answer);
        session.processedBytes += processedBytes;
        session.wake();
      },
      closing: (requests) => void session.requests.push([requests, session.answers.length]),
      failed: (error) => {
        session.failures.push(error);
        session.wake();
      },
    });
    return session;
  }

  get names(): string[] {
    return this.answers.map((answer) => peekMessage(answer, 'to-client'));
  }

  send<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): void {
    const message = encodeMessage(name, head).head;
    this.handle.post(
      name,
      attachment === undefined ? message : Buffer.concat([message, attachment]),
    );
  }

  /** Posts messages in buffers of their own, as a socket does, or as parts of a shared one. */
  replay(messages: readonly Message[], isShared = false): void {
    for (const { name, bytes } of messages) {
      const copy = isShared
        ? Buffer.concat([Buffer.alloc(8, 1), bytes, Buffer.alloc(8, 1)]).subarray(8, -8)
        : Buffer.from(new Uint8Array(bytes).buffer);
      this.handle.post(name, copy);
    }
  }

  /** Resolves once `isDone` holds after an event. */
  async until(isDone: () => boolean): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      this.wake();
    }, WAIT_MS);
    while (!isDone() && !late.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    clearTimeout(timer);
    if (late.signal.aborted)
      throw new Error(`no end; heard ${this.names.join()} ${this.failures.join()}`);
  }
}
