/**
 * The medium of a client's store: the place of its records, and the way in which one process claims the client for
 * writing. Other code opens it with `mediumOf` (src/store/open/medium-of.ts), and does not depend on the kind of medium.
 */
import type { PackNumber } from '../../model/index.js';
import type { Backend, MendableBackend } from '../backends/backend.js';
import type { ClientDirectory } from './client-directory.js';
import type { ClientLock } from './client-lock.js';
import type { RecordWriter } from '../packs/record-writer.js';
import type { Stray } from './foreign-files.js';

/** The position at which a writer continues. */
export interface WriterStart {
  /** Highest number that any pack of this client ever had. */
  readonly lastPack: PackNumber;
  readonly lastCommit: number;
  /** Size in bytes at which a pack ends. */
  readonly packBytes: number;
}

/** The state in which a rewrite leaves the generation that it has copied. */
export interface SwitchState {
  /** Number of the last commit that was copied. */
  readonly commit: number;
  /** True if the second generation has the same keys as the present one. */
  readonly keepsKeys: boolean;
}

/** Methods that may be absent are for clients that other machines use too. */
export interface ClientMedium {
  /** Opens the packs and large contents. The caller closes them. */
  records(): Backend;
  /**
   * Opens the packs and large contents for a repair, which may replace them. Throws CONFIG_INVALID if they are in a
   * bucket.
   */
  mendable(): MendableBackend;
  /** Returns a writer of records. `records` must have been opened by this medium. */
  writer(records: Backend, start: WriterStart): RecordWriter;
  /**
   * Claims the client for writing. Waits a moment if the holder of the claim is about to finish. With `requestsLock`
   * (the default), a holder that does deferrable work is requested to release the claim. Throws CLIENT_BUSY if the
   * claim is still held after that.
   */
  claim(options?: { readonly requestsLock: boolean }): Promise<ClientLock>;
  /** True if another process or session waits for the claim. The caller must hold it. */
  isRequested(): boolean;
  /** Withdraws requests for the claim, which may be stale. A process that still waits repeats its request. */
  clearLockRequest(): void;
  /** Throws STORE_UNSAFE if contents would be staged through a symbolic link. */
  checkStaged(): void;
  /** Removes the contents that an interrupted session had staged. Call with the claim held. */
  clearStaged(): void;
  /** Yields files and directories in the store's own directories that do not belong to the store. */
  strays(): Iterable<Stray>;
  /** Returns the directory of a second generation, which a rewrite builds beside this one. */
  second(): ClientDirectory;
  /**
   * Throws STORE_NOT_WRITABLE if a second generation could not replace this one. Called before the rewrite's work,
   * while the directory of the second generation is still empty.
   */
  requireExchange(second: ClientDirectory): void;
  /**
   * Writes a note of a second generation, so that no process deletes data that is being copied. Returns true if other
   * machines use the client. Then a commit must follow, since other machines see the note only after it.
   */
  noteSecond?(second: ClientDirectory): Promise<boolean>;
  /** Fetches the keys, which another machine may have changed. Call with the claim held. */
  refreshKeys(): Promise<void>;
  /**
   * Puts a second generation in the place of this one in one step, durable when it resolves. Throws STORE_TAKEN if
   * another machine has written to the client: the rewrite must then copy the new data, and may try again.
   */
  switchTo(second: ClientDirectory, state: SwitchState): Promise<void>;
  /**
   * Ensures that a second generation can never replace this one. Its objects may be removed (`removeBuilt`) after the
   * next commit. Returns true if such a commit is needed.
   */
  giveUp?(second: ClientDirectory): Promise<boolean>;
  /**
   * Removes the objects of an abandoned second generation that are not in its directory. `onRemoved` is called for each
   * of them.
   */
  removeBuilt?(second: ClientDirectory, onRemoved: () => void): Promise<void>;
  /**
   * Removes the objects of former generations that are not in their directories. Call it after a switch. `onRemoved` is
   * called for each object.
   */
  removeFormer?(onRemoved: () => void): Promise<void>;
  /** True if former generations have objects that are not in their directories. */
  hasFormer?(): Promise<boolean>;
}
