/**
 * The decoy for logins: a key record that stands in for all unknown clients and accounts. A login to one of them does
 * the work of a real login, and its answer looks like a real one.
 */
import { createHmac } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import { type KeyRecord, parseKeyRecord, STRETCH, stretchOf } from '../../crypto/index.js';
import { asTardisError } from '../../errors/index.js';
import {
  addKeys,
  bucketAt,
  DECOY_OBJECT,
  dropKeys,
  newestKeys,
  sharedObject,
} from '../../store/index.js';
import { guardDirectory, type System } from '../../system/index.js';

/** Directory of the decoy in the store; no client's name begins with a dot. */
export const DECOY_DIRECTORY: string = '.login';
const SALT_LABEL = 'tardis decoy 1: salt';
const STRETCH_LABEL = 'tardis decoy 1: stretch';
/**
 * Cost of the key derivation that clients with the profile `pi` choose. SMALL_SHARE of 256 unknown names get it in
 * their answers.
 */
const SMALL_STRETCH = stretchOf(32 << 20);
const SMALL_SHARE = 64;

/** The key record that stands in for unknown names. */
export interface Decoy {
  readonly record: KeyRecord;
  /** The directory that stores the decoy; undefined if it cannot be stored. */
  readonly directory: string | undefined;
}

/**
 * Returns the decoy stored in a directory. Stores `fresh` if there is none, and returns `fresh` if it cannot be
 * stored. All servers of a bucket use the decoy stored in it, since two decoys would give an unknown name two salts.
 */
export async function keepDecoy(
  system: System,
  directory: string,
  fresh: KeyRecord,
  log: Pick<Logger, 'warn'>,
): Promise<Decoy> {
  try {
    guardDirectory(directory, path.dirname(directory));
    if (system.files.status(directory) === undefined) system.files.makeDirectory(directory);
    const kept = newestKeys(system, directory);
    const agreed = await agreedBytes(system, directory, fresh, log);
    const isOther = agreed !== undefined && kept?.bytes.equals(agreed) !== true;
    if (kept !== undefined && (isOther || !isKeyRecord(kept.bytes))) dropKeys(system, directory);
    if (newestKeys(system, directory) === undefined) {
      await addKeys(system, directory, { number: 1, bytes: agreed ?? fresh.bytes });
    }
    return { record: parseKeyRecord(newestKeys(system, directory)!.bytes), directory };
  } catch (error) {
    log.warn({ err: error }, 'the decoy of logins cannot be kept in the store');
    return { record: fresh, directory: undefined };
  }
}

/**
 * Returns the decoy of the bucket that a directory belongs to; undefined without a bucket, or if the bucket has no
 * valid decoy.
 */
async function agreedBytes(
  system: System,
  directory: string,
  fresh: KeyRecord,
  log: Pick<Logger, 'warn'>,
): Promise<Buffer | undefined> {
  const bucket = bucketAt(path.dirname(directory));
  if (bucket === undefined) return undefined;
  try {
    const bytes = await sharedObject(system, bucket, DECOY_OBJECT, Buffer.from(fresh.bytes));
    if (isKeyRecord(bytes)) return bytes;
    log.warn({ object: DECOY_OBJECT }, 'the decoy of logins in the bucket is damaged');
  } catch (error) {
    const { code, message } = asTardisError(error); // a key that only reads may not create it
    log.warn({ code, reason: message }, 'the decoy of logins is not shared with other servers');
  }
  return undefined;
}

/** Returns the decoy for one name. Its verifier never leaves the server, so it serves as the secret key. */
export function decoyFor(
  { client, account }: { readonly client: string; readonly account: string },
  { record }: Decoy,
): KeyRecord {
  const name = account === '' ? client : `${client}/${account}`; // names contain no slash
  const of = (label: string): Buffer =>
    createHmac('sha256', record.verifier).update(label).update(name).digest();
  const isSmall = of(STRETCH_LABEL)[0]! < SMALL_SHARE;
  const parameters = isSmall ? SMALL_STRETCH : STRETCH;
  return { ...record, salt: of(SALT_LABEL).subarray(0, record.salt.length), parameters };
}

function isKeyRecord(bytes: Uint8Array): boolean {
  try {
    parseKeyRecord(bytes);
    return true;
  } catch (error) {
    if (asTardisError(error).code !== 'KEYS_DAMAGED') throw error;
    return false;
  }
}
