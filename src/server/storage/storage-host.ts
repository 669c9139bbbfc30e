/**
 * Runs storage sessions, and the work on a client's store that needs no session (src/server/hosts/). A server usually
 * runs them in threads of their own, so that a slow disk never stalls the event loop of the sockets. A server of one
 * backup on a small machine runs them in the calling thread. Both kinds return the same handle.
 */
import type { ClientDirectory } from '../../store/index.js';
import type { PurposeName } from '../../transport/index.js';
import type { ClientStanding } from './client-standing.js';
import type { GcResult, GcWork } from './gc-work.js';
import type { SpaceTaken } from './measure-space.js';
import type { StorageEvents, StorageHandle, StorageOptions } from './storage-options.js';

export interface StorageHost {
  /**
   * Opens a client: with its lock for a backup, without it for a reader. Throws CLIENT_BUSY if a backup finds the
   * client in use, and errors of opening a catalog.
   */
  open(
    directory: ClientDirectory,
    purpose: PurposeName,
    options: StorageOptions,
    events: StorageEvents,
  ): Promise<StorageHandle>;
  /**
   * Returns the space used by a client; counts its entries only if requested. Throws errors of opening a catalog.
   */
  measure(directory: ClientDirectory, withEntries: boolean): Promise<SpaceTaken>;
  /** Returns the state of a client; measures its store only if requested. Throws errors of opening a catalog. */
  standing(directory: ClientDirectory, withFigures: boolean): Promise<ClientStanding>;
  /**
   * Collects the garbage of a client, until another session waits for it or `halt` is called. Throws CLIENT_BUSY if the
   * client is in use, and other errors of the work.
   */
  collectGarbage(directory: ClientDirectory, work: GcWork): Promise<GcResult>;
  /** Interrupts garbage collection. */
  halt(): void;
  close(): Promise<void>;
}

/** Returns a handle that drops messages after its end has begun. Further calls to end it wait for the first one. */
export function endingOnce(handle: StorageHandle): StorageHandle {
  let ending: Promise<void> | undefined;
  return {
    post: (name, bytes) => {
      if (ending === undefined) handle.post(name, bytes);
    },
    park: () => {
      if (ending === undefined) handle.park();
    },
    end: () => (ending ??= handle.end()),
    abandon: () => (ending ??= handle.abandon()),
  };
}
