/**
 * Opens or creates the client at the target of a copy. A new client gets the keys of the source. The keys of an
 * existing client must be those of the source.
 */
import { type KeyRecord, parseKeyRecord } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  bucketAt,
  type ClientDirectory,
  createClientDirectory,
  fetchClient,
  newestKeys,
  openClientDirectory,
  storeKeys,
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
 * Opens the client at the target. Creates it, and the store, if it does not exist. `record` is the newest key record of
 * the source. It is added at the target if it is newer than the target's own, for example after a change of the
 * password. Throws COPY_DIFFERS if source and target have different keys.
 */
export async function openTarget(
  system: System,
  record: Buffer | undefined,
  place: ClientPlace,
): Promise<ClientDirectory> {
  const keys = record && parseKeyRecord(record);
  const bucket = bucketAt(place.store);
  if (bucket !== undefined) await fetchClient(system, bucket, place.client);
  const there = existing(system, place);
  if (there === undefined) return createClientDirectory(system, { ...place, ...recordOf(keys) });
  await withClient(system, there, async () => {
    const known = newestKeys(system, there.path);
    const present = known && parseKeyRecord(known.bytes);
    requireSameKeys(keys, present);
    if (keys === undefined || keys.number <= (present?.number ?? 0)) return;
    const added = { number: keys.number, bytes: keys.bytes };
    await storeKeys(system, there, added, present?.number ?? 0);
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
