/** Storage in threads of their own. */
import { fromWire, type TardisError } from '../../errors/index.js';
import { bufferOf, ownMemory } from '../../model/index.js';
import type { ClientDirectory } from '../../store/index.js';
import { Calls, STORE_UMASK, Thread } from '../../system/index.js';
import type { MessageName, PurposeName } from '../../transport/index.js';
import type { ClientStanding } from '../storage/client-standing.js';
import type { GcResult, GcWork } from '../storage/gc-work.js';
import type { SpaceTaken } from '../storage/measure-space.js';
import { endingOnce, type StorageHost } from '../storage/storage-host.js';
import type { StorageEvents, StorageHandle, StorageOptions } from '../storage/storage-options.js';
import type { SessionRequest } from './open-session.js';
import { NOT_REPORTED, type SideWorkFailed } from './side-work.js';
import type {
  FromStorage,
  StorageChannel,
  StorageRequest,
  StorageResult,
  StorageThreadData,
} from './storage-channel.js';

/**
 * Size of V8's young generation. It is small, since the thread's garbage is short-lived and memory should be saved.
 */
const YOUNG_GENERATION_MB = 4;

interface OpenSession {
  readonly events: StorageEvents;
  isEnding: boolean;
}

/** Storage in threads; each session runs in one of them. */
export class ThreadStorageHost implements StorageHost {
  private readonly threads: StorageThread[];
  private nextThread = 0;

  constructor(
    threads: number,
    data: StorageThreadData = { umask: STORE_UMASK },
    onSideWorkFailed = NOT_REPORTED,
  ) {
    const start = (): StorageThread => new StorageThread(data, onSideWorkFailed);
    this.threads = Array.from({ length: threads }, start);
  }

  open(
    directory: ClientDirectory,
    purpose: PurposeName,
    options: StorageOptions,
    events: StorageEvents,
  ): Promise<StorageHandle> {
    const { thread } = this;
    this.nextThread += 1;
    return thread.open({ directory, purpose, options }, events);
  }

  async measure(directory: ClientDirectory, withEntries: boolean): Promise<SpaceTaken> {
    return (await this.thread.request({ kind: 'measure', directory, withEntries })) as SpaceTaken;
  }

  async standing(directory: ClientDirectory, withFigures: boolean): Promise<ClientStanding> {
    return (await this.thread.request({
      kind: 'standing',
      directory,
      withFigures,
    })) as ClientStanding;
  }

  async collectGarbage(directory: ClientDirectory, work: GcWork): Promise<GcResult> {
    return (await this.thread.request({ kind: 'collectGarbage', directory, work })) as GcResult;
  }

  halt(): void {
    for (const thread of this.threads) thread.halt();
  }

  /** The thread that gets the next session or request. */
  private get thread(): StorageThread {
    return this.threads[this.nextThread % this.threads.length]!;
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}

class StorageThread {
  private readonly thread: Thread<StorageChannel>;
  private readonly calls: Calls<StorageRequest, StorageResult>;
  private readonly sessions = new Map<number, OpenSession>();
  private lastSession = 0;

  constructor(
    data: StorageThreadData,
    private readonly onSideWorkFailed: SideWorkFailed,
  ) {
    const entry = new URL('./storage-thread.js', import.meta.url);
    const start = { entry, name: 'storage', data, youngGenerationMb: YOUNG_GENERATION_MB };
    this.thread = new Thread<StorageChannel>(start, (message) => this.receive(message));
    this.calls = new Calls((call) => this.thread.send({ op: 'call', call }));
    void this.thread.exited.then((error) => this.died(error));
  }

  async open(request: SessionRequest, events: StorageEvents): Promise<StorageHandle> {
    this.lastSession += 1;
    const session = this.lastSession;
    this.sessions.set(session, { events, isEnding: false });
    try {
      await this.calls.request({ kind: 'open', session, request });
    } catch (error) {
      this.sessions.delete(session);
      throw error;
    }
    return endingOnce({
      post: (name, bytes) => this.post(session, name, bytes),
      park: () => this.thread.send({ op: 'park', session }),
      end: () => this.finish(session, 'end'),
      abandon: () => this.finish(session, 'abandon'),
    });
  }

  request(request: StorageRequest): Promise<StorageResult> {
    return this.calls.request(request);
  }

  halt(): void {
    this.thread.send({ op: 'halt' });
  }

  close(): Promise<void> {
    return this.thread.terminate();
  }

  /**
   * Sends a message. A large message has memory of its own, which is moved; a small message is copied out of a shared
   * block.
   */
  private post(session: number, name: MessageName, bytes: Buffer): void {
    this.thread.send({ op: 'message', session, name, bytes }, ownMemory(bytes));
  }

  private async finish(session: number, kind: 'end' | 'abandon'): Promise<void> {
    const open = this.sessions.get(session);
    if (open === undefined) return;
    open.isEnding = true;
    try {
      await this.calls.request({ kind, session });
    } finally {
      this.sessions.delete(session);
    }
  }

  private receive(message: FromStorage): void {
    if (message.op === 'reply') {
      this.calls.take(message.reply);
      return;
    }
    if (message.op === 'sideWorkFailed') {
      this.onSideWorkFailed(message.client, fromWire(message.error), message.what);
      return;
    }
    const open = this.sessions.get(message.session);
    if (open === undefined) return;
    switch (message.op) {
      case 'answer': {
        const { answer } = message;
        open.events.answer(answer && bufferOf(answer), message.processedBytes);
        return;
      }
      case 'closing':
        open.events.closing(message.requests);
        return;
      case 'failed':
        // The thread has released the session; a caller that is ending it still waits for the reply.
        if (!open.isEnding) this.sessions.delete(message.session);
        open.events.failed(fromWire(message.error));
    }
  }

  /** Fails every session and request of a thread that died (a bug, or out of memory). */
  private died(error: TardisError): void {
    this.calls.fail(error);
    for (const open of this.sessions.values()) open.events.failed(error);
    this.sessions.clear();
  }
}
