/** The client at the target of a copy: created with the keys of the source, or compared with them. */
import { configInvalid } from '../../config/index.js';
import { type KeyRecord, parseKeyRecord } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  addKeys,
  bucketAt,
  type ClientDirectory,
  createClientDirectory,
  fetchClient,
  newestKeys,
  openClientDirectory,
  withClient,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { differs } from './copy-origin.js';

/** Place of a client in a store. */
export interface ClientPlace {
  readonly store: string;
  readonly client: string;
  readonly catalogFile: string;
}

/**
 * Opens the client at the target, and creates it (and the store) if it does not exist. A newer key record of the
 * source, such as one for a changed password, is added. Throws COPY_DIFFERS if the two have different keys.
 */
export async function openTarget(
  system: System,
  source: ClientDirectory,
  place: ClientPlace,
): Promise<ClientDirectory> {
  const stored = newestKeys(system, source.path);
  const keys = stored && parseKeyRecord(stored.bytes);
  const bucket = bucketAt(place.store);
  if (bucket !== undefined) await fetchClient(system, bucket, place.client);
  const there = existing(system, place);
  if (there === undefined) return createClientDirectory(system, { ...place, ...recordOf(keys) });
  await withClient(system, there, async () => {
    const known = newestKeys(system, there.path);
    const present = known && parseKeyRecord(known.bytes);
    requireSameKeys(keys, present);
    if (keys === undefined || keys.number <= (present?.number ?? 0)) return;
    if (bucket !== undefined) {
      throw configInvalid(
        `the source has other keys now, and ${bucket.shown} is a bucket, where keys cannot be changed yet`,
      );
    }
    await addKeys(system, there.path, { number: keys.number, bytes: keys.bytes });
  });
  return there;
}

function existing(system: System, place: ClientPlace): ClientDirectory | undefined {
  try {
    return openClientDirectory(system, place);
  } catch (error) {
    const isMissing =
      error instanceof TardisError && ['NO_SUCH_STORE', 'NO_SUCH_CLIENT'].includes(error.code);
    if (isMissing) return undefined;
    throw error;
  }
}

function recordOf(keys: KeyRecord | undefined): { keys?: Buffer; keysNumber?: number } {
  return keys === undefined ? {} : { keys: keys.bytes, keysNumber: keys.number };
}

function requireSameKeys(source: KeyRecord | undefined, target: KeyRecord | undefined): void {
  const isEncrypting = source?.isEncrypting === true;
  if (isEncrypting !== (target?.isEncrypting === true)) {
    const which = isEncrypting ? 'the source encrypts, and the copy does not' : 'the copy encrypts';
    throw differs(which);
  }
  if (!isEncrypting || source.keysetId.equals(target!.keysetId)) return;
  throw differs('the keys are others (`sonic rekey`, `encrypt` or `forget-path` changed them)');
}
