/**
 * Opens or creates the client at the target of a copy. A new client gets the keys of the source. The keys of an
 * existing client must be those of the source.
 */
import { type KeyRecord, parseKeyRecord } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  bucketAt,
  clientExists,
  type ClientDirectory,
  createClientDirectory,
  fetchClient,
  makeSkipFile,
  newestKeys,
  openClientDirectory,
  storeKeys,
  withClient,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { differs, readOrigin } from './copy-origin.js';

/** Place of a client in a store. */
export interface ClientPlace {
  readonly store: string;
  readonly client: string;
  readonly catalogFile: string;
}

/**
 * How a copy begins: `no` needs one that is there; `new` creates it, or continues one whose first run was interrupted;
 * `missing` creates it if it is not there.
 */
export type Creation = 'no' | 'new' | 'missing';

/** The target of a copy. */
export interface CopyTarget extends ClientPlace {
  readonly creation: Creation;
  /** Name of an empty file by which backups of this machine leave the copy out. */
  readonly skipFile: string;
}

/** A client to copy to, and true if this run has created it. */
interface OpenedTarget {
  readonly directory: ClientDirectory;
  readonly isNew: boolean;
}

/**
 * Opens the client at the target, or creates it, and the store, as `creation` allows. `record` is the newest key record
 * of the source. It is added at the target if it is newer than the target's own, for example after a change of the
 * password. Throws COPY_DIFFERS if source and target have different keys, NO_SUCH_STORE or NO_SUCH_CLIENT if the copy
 * is not there, and CLIENT_EXISTS if a new one is.
 */
export async function openTarget(
  system: System,
  record: Buffer | undefined,
  { creation, skipFile, ...place }: CopyTarget,
): Promise<OpenedTarget> {
  const keys = record && parseKeyRecord(record);
  const bucket = bucketAt(place.store);
  if (bucket !== undefined) await fetchClient(system, bucket, place.client);
  const there = existing(system, place, creation !== 'no');
  if (there === undefined) {
    const options = { ...place, ...recordOf(keys), ...(bucket === undefined && { skipFile }) };
    return { directory: await createClientDirectory(system, options), isNew: true };
  }
  if (creation === 'new' && (await readOrigin(system, there))?.done !== undefined) {
    throw clientExists(place.client);
  }
  await withClient(system, there, async () => {
    if (bucket === undefined) makeSkipFile(system.files, there.path, skipFile); // early releases made none
    const known = newestKeys(system, there.path);
    const present = known && parseKeyRecord(known.bytes);
    requireSameKeys(keys, present);
    if (keys === undefined || keys.number <= (present?.number ?? 0)) return;
    const added = { number: keys.number, bytes: keys.bytes };
    await storeKeys(system, there, added, present?.number ?? 0);
  });
  return { directory: there, isNew: false };
}

function existing(
  system: System,
  place: ClientPlace,
  mayBeMissing: boolean,
): ClientDirectory | undefined {
  try {
    return openClientDirectory(system, place);
  } catch (error) {
    const isMissing =
      error instanceof TardisError && ['NO_SUCH_STORE', 'NO_SUCH_CLIENT'].includes(error.code);
    if (isMissing && mayBeMissing) return undefined;
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
