/** Lets readers of a client in a bucket see what other machines store and move, while their sessions last. */
import {
  catalogFileOf,
  type ClientDirectory,
  openClientDirectory,
  useBucket,
} from '../../store/index.js';
import { catchUp, isBehind } from '../../store/writer/index.js';
import { asTardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';

/** Minimum time between two looks of one session for new commits. */
const LOOK_EVERY_MS = 30_000;

/** Lets this thread bring the catalogs of a bucket up to date when a pack is missing. */
export function followHere(system: System, directory: ClientDirectory): void {
  const { bucket } = directory;
  if (bucket === undefined) return;
  const catalogFile = catalogFileOf(directory);
  useBucket(bucket, (client) =>
    catchUp(system, openClientDirectory(system, { store: bucket.cache, client, catalogFile })),
  );
}

/** Returns a function that brings the client's catalog up to date if it has not been called for a while. */
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
