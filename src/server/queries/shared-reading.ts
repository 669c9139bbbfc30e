/**
 * Updates the catalogs of clients in a bucket during reading sessions, so that readers see what other machines store
 * and move.
 */
import {
  catalogFileOf,
  type ClientDirectory,
  openClientDirectory,
  useBucket,
} from '../../store/index.js';
import { catchUp, isBehind } from '../../store/writer/index.js';
import { asTardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';

/** Minimum time between two checks of one session for new commits. */
const LOOK_EVERY_MS = 30_000;

/** Enables this thread to update the catalogs of a bucket when a pack is missing. */
export function followHere(system: System, directory: ClientDirectory): void {
  const { bucket } = directory;
  if (bucket === undefined) return;
  const catalogFile = catalogFileOf(directory);
  useBucket(bucket, (client) =>
    catchUp(system, openClientDirectory(system, { store: bucket.cache, client, catalogFile })),
  );
}

/**
 * Returns a function that updates the client's catalog from its bucket. The function does nothing if it checked for
 * new commits less than LOOK_EVERY_MS ago.
 */
export function regularLook(system: System, directory: ClientDirectory): () => Promise<void> {
  const { clock } = system;
  let lookedMs = clock.monotonicMs(); // the session began with a look
  return async () => {
    const nowMs = clock.monotonicMs();
    if (directory.bucket === undefined || nowMs - lookedMs < LOOK_EVERY_MS) return;
    lookedMs = nowMs;
    try {
      if (await isBehind(system, directory)) await catchUp(system, directory);
    } catch (error) {
      // The catalog of this machine counts until the bucket answers again; a bug is no reason for that.
      if (asTardisError(error).row.kind === 'bug') throw error;
    }
  };
}
