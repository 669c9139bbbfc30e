/**
 * Upkeep of one client: sets are dropped at once; what they alone held goes in steps, each of which may be broken
 * off at any moment and is done again or gone on with the next time. It has the client's lock only while it works,
 * and gives it up, within one slice of time, as soon as a session wants it: nobody waits for it.
 */
import { throwIfAborted } from '../errors/index.js';
import {
  type ClientDirectory,
  forgetAsking,
  isLockWanted,
  objectName,
  packName,
} from '../store/index.js';
import { breather, type System } from '../system/index.js';
import { ClientStore, type StoreLimits } from './client-store.js';
import { compact } from './compact.js';
import type { FrameTools } from './remake.js';
import { requireNoSecond } from './set-changes.js';
import { dropVersions, sweep } from './sweep.js';

export type UpkeepStep = 'versions' | 'contents' | 'packs' | 'files';

export interface UpkeepOptions {
  readonly limits: StoreLimits;
  /** What nothing needs is deleted so long after that was found: who reads it meanwhile finds its new place. */
  readonly graceMs: number;
  /** A pack of which at least this share is not needed is written anew. */
  readonly wasteRatio: number;
  /** Undefined: frames of the client cannot be opened, and move as they are. */
  readonly frames: FrameTools | undefined;
  /** Look for contents and packs that nothing needs, also if nothing says that there are any. */
  readonly isThorough: boolean;
  readonly signal?: AbortSignal | undefined;
  /** `of` undefined: how much there is to do is not known. */
  readonly onProgress?: (step: UpkeepStep, done: number, of: number | undefined) => void;
}

export interface UpkeepReport {
  /** False: somebody wanted the client; the rest is for the next time. */
  readonly isDone: boolean;
  /** Contents that nothing needs. */
  readonly contents: number;
  /** Packs that were written anew, and what that saves once the old ones are gone. */
  readonly packs: number;
  readonly freedBytes: number;
  /** What was deleted, of earlier runs too. */
  readonly deletedFiles: number;
  readonly deletedBytes: number;
}

/** Files deleted between two checkpoints. */
const MAX_OBJECTS = 1024;

/** Somebody else wants the client. */
class Yielded extends Error {}

/** Clears up after sets were dropped, and deletes what has been of no use for long enough. Throws CLIENT_BUSY. */
export async function keepUp(
  system: System,
  directory: ClientDirectory,
  options: UpkeepOptions,
): Promise<UpkeepReport> {
  const store = await ClientStore.open(system, directory, options.limits);
  const run = new Run(system, directory, store, options);
  try {
    requireNoSecond(system, directory);
    forgetAsking(system, directory);
    await run.all();
    store.close();
    return { ...run.report, isDone: true };
  } catch (error) {
    const told = store.letGo(error);
    if (error instanceof Yielded) return { ...run.report, isDone: false };
    throw told;
  }
}

class Run {
  readonly report = { contents: 0, packs: 0, freedBytes: 0, deletedFiles: 0, deletedBytes: 0 };
  private readonly turn = breather();
  private readonly system: System;
  private readonly directory: ClientDirectory;
  private readonly store: ClientStore;
  private readonly options: UpkeepOptions;

  constructor(
    system: System,
    directory: ClientDirectory,
    store: ClientStore,
    options: UpkeepOptions,
  ) {
    this.system = system;
    this.directory = directory;
    this.store = store;
    this.options = options;
  }

  async all(): Promise<void> {
    const { store, options, report } = this;
    const { state } = store.catalog;
    const nowMs = this.system.clock.nowMs();
    const breathe = (): Promise<void> => this.breathe();
    await this.deleteFiles(nowMs);
    const waste = state.readWaste();
    if (waste.versions || options.isThorough) {
      this.tell('versions', 0);
      await dropVersions(store, breathe);
      state.writeWaste({ versions: false, contents: true });
      await store.checkpoint();
    }
    if (!state.readWaste().contents && !options.isThorough) return;
    this.tell('contents', 0);
    report.contents += await sweep(store, nowMs, breathe);
    await store.checkpoint();
    const { wasteRatio, frames } = options;
    const onProgress = (done: number, of: number): void => this.tell('packs', done, of);
    const compacted = await compact(store, { wasteRatio, frames, nowMs, breathe, onProgress });
    report.packs += compacted.packs;
    report.freedBytes += compacted.freedBytes;
    state.writeWaste({ versions: false, contents: false });
    await store.checkpoint();
    await this.deleteFiles(nowMs);
  }

  private tell(step: UpkeepStep, done: number, of?: number): void {
    throwIfAborted(this.options.signal);
    this.options.onProgress?.(step, done, of);
  }

  /** Lets others have the thread, and ends when somebody wants the client. */
  private async breathe(): Promise<void> {
    const pause = this.turn();
    if (pause === undefined) return;
    await pause;
    throwIfAborted(this.options.signal);
    if (isLockWanted(this.system, this.directory)) throw new Yielded();
  }

  /** What nothing has needed for long enough. The events that say so are durable: we have read them. */
  private async deleteFiles(nowMs: number): Promise<void> {
    const { upkeep } = this.store.catalog;
    const { graceMs } = this.options;
    this.tell('files', this.report.deletedFiles);
    for (const pack of upkeep.duePacks(nowMs, graceMs)) {
      await this.breathe();
      await this.deleteFile(packName(pack));
      upkeep.forgetPack(pack);
    }
    for (;;) {
      const due = upkeep.dueObjects(nowMs, graceMs, MAX_OBJECTS);
      for (const digest of due) {
        await this.breathe();
        if (!upkeep.isObject(digest)) await this.deleteFile(objectName(digest));
        upkeep.forgetObject(digest);
      }
      await this.store.checkpoint();
      if (due.length < MAX_OBJECTS) return;
    }
  }

  private async deleteFile(name: string): Promise<void> {
    const { backend } = this.store;
    const sizeBytes = await backend.size(name);
    if (sizeBytes === undefined) return;
    await backend.remove(name);
    this.report.deletedFiles += 1;
    this.tell('files', this.report.deletedFiles);
    this.report.deletedBytes += sizeBytes;
  }
}
