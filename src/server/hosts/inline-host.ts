import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { PurposeName } from '../../transport/index.js';
import { type ClientStanding, standingOf } from '../storage/client-standing.js';
import { collectGarbageHere, type GcResult, type GcWork } from '../storage/gc-work.js';
import { measureSpace, type SpaceTaken } from '../storage/measure-space.js';
import { endingOnce, type StorageHost } from '../storage/storage-host.js';
import type { StorageEvents, StorageHandle, StorageOptions } from '../storage/storage-options.js';
import { openSession } from './open-session.js';
import { NOT_REPORTED } from './side-work.js';

/** Storage in the calling thread. */
export class InlineStorageHost implements StorageHost {
  private readonly halting = new AbortController();

  constructor(
    private readonly system: System,
    private readonly onSideWorkFailed = NOT_REPORTED,
  ) {}

  async open(
    directory: ClientDirectory,
    purpose: PurposeName,
    options: StorageOptions,
    events: StorageEvents,
  ): Promise<StorageHandle> {
    const session = await openSession(
      this.system,
      { directory, purpose, options },
      events,
      (error) => this.onSideWorkFailed(directory.client, error, 'copy of the catalog'),
    );
    return endingOnce(session);
  }

  measure(directory: ClientDirectory, withEntries: boolean): Promise<SpaceTaken> {
    return measureSpace(this.system, directory, withEntries);
  }

  standing(directory: ClientDirectory, withFigures: boolean): Promise<ClientStanding> {
    return standingOf(this.system, directory, withFigures);
  }

  collectGarbage(directory: ClientDirectory, work: GcWork): Promise<GcResult> {
    return collectGarbageHere(this.system, directory, work, this.halting.signal);
  }

  halt(): void {
    this.halting.abort();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
