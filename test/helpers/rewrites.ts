/** Re-keys a client with a history in this process, and reads what its generations show. */
import { crc32 } from 'node:zlib';
import path from 'node:path';
import { Access, openLocalHistory, unsealedHistory } from '../../src/history/index.js';
import {
  type FormerKeys,
  type Keyring,
  keyringOf,
  newAccountRecord,
  newKeyRecord,
  parseKeyRecord,
  replaceKeys,
  unlockKeyRecord,
} from '../../src/crypto/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { type ForgetRequest, type RightName, Scheme } from '../../src/model/index.js';
import {
  Generations,
  rewriteClient,
  type RewriteProgress,
  type RewriteResult,
  removeOld,
  requestsDigest,
} from '../../src/maintenance/rewrite/index.js';
import { ContentReader } from '../../src/restore/index.js';
import { addKeys, newestKeys, openClientDirectory, putAccount } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { historyOf, type Place, SMALL_STORE } from './inline.js';
import { LIGHT } from './light.js';

/** The password of every client here. */
export const PASSWORD = 'of a test';

/** Returns the unlocked keys in a directory. */
export async function keysIn(system: System, directory: string): Promise<FormerKeys | undefined> {
  const found = newestKeys(system, directory);
  return found && opened(found.bytes);
}

const openedBefore = new Map<string, FormerKeys>();

/** Returns the keys in a record. Each record is unlocked once, because unlocking is slow by design. */
async function opened(bytes: Buffer): Promise<FormerKeys> {
  const known = openedBefore.get(bytes.toString('latin1'));
  if (known !== undefined) return known;
  const record = parseKeyRecord(bytes);
  const { keys } = await unlockKeyRecord(record, Buffer.from(PASSWORD));
  openedBefore.set(bytes.toString('latin1'), { record, keys });
  return { record, keys };
}

export function ringOf(system: System, { record, keys }: FormerKeys): Keyring {
  return keyringOf(system.native, record, keys, Scheme.aes);
}

/** Gives a client its first keys. Without `isEncrypting` they only protect its logins. */
export async function giveKeys(place: Place, isEncrypting: boolean): Promise<void> {
  const system = nodeSystem();
  const { record } = await newKeyRecord(
    system.native.modPow,
    Buffer.from(PASSWORD),
    isEncrypting,
    LIGHT,
  );
  await addKeys(system, path.join(place.store, place.client), { number: 1, bytes: record.bytes });
}

/** Creates an account of a client that has keys; its password is the client's. */
export async function giveAccount(
  place: Place,
  name: string,
  rights: readonly RightName[],
): Promise<void> {
  const system = nodeSystem();
  const { path: home } = openClientDirectory(system, place);
  const password = Buffer.from(PASSWORD);
  const { record } = (await keysIn(system, home))!;
  const made = await newAccountRecord(system.native.modPow, record, password, {
    password,
    parameters: LIGHT,
  });
  await putAccount(system, home, { name, rights }, made.record.bytes);
}

export interface RewriteChoice {
  readonly verify?: boolean;
  readonly acceptDamage?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: RewriteProgress;
  /** The paths to leave out. */
  readonly forgotten?: readonly ForgetRequest[];
  /** Keys created before, because creating them is slow. */
  readonly keys?: Buffer;
}

/** Completes a re-key as the commands do. Undefined if only the old generation had to be removed. */
export async function rewriteInline(
  system: System,
  place: Place,
  choice: RewriteChoice = {},
): Promise<RewriteResult | undefined> {
  const generations = new Generations(system, openClientDirectory(system, place));
  const lock = await generations.lock();
  try {
    const stage = generations.stage();
    if (stage === 'switched') {
      await removeOld(generations, () => undefined);
      return undefined;
    }
    if (stage === 'begun') await generations.removeSecond();
    const former = await keysIn(system, generations.first.path);
    const without = requestsDigest(choice.forgotten ?? []);
    if (stage !== 'making') {
      await generations.begin(choice.keys ?? (await freshKeys(former)), undefined, without);
    }
    const fresh = await keysIn(system, generations.second.path);
    return await rewriteClient(system, {
      generations,
      oldKeyring: former?.record.isEncrypting === true ? ringOf(system, former) : undefined,
      keyring: ringOf(system, fresh!),
      forgotten: choice.forgotten ?? [],
      limits: SMALL_STORE.store,
      verify: choice.verify ?? true,
      acceptDamage: choice.acceptDamage ?? false,
      signal: choice.signal ?? new AbortController().signal,
      onProgress: choice.onProgress ?? (() => undefined),
    });
  } finally {
    lock.release();
  }
}

export async function freshKeys(former: FormerKeys | undefined): Promise<Buffer> {
  const { record } = await replaceKeys(
    nodeSystem().native.modPow,
    Buffer.from(PASSWORD),
    former,
    LIGHT,
  );
  return record.bytes;
}

/** Returns a client's whole history as a user with the password sees it, including the content of each version. */
export async function dumpedHistory(
  place: Place,
  system: System = nodeSystem(),
): Promise<string[]> {
  const found = newestKeys(system, path.join(place.store, place.client));
  const keys = found && (await opened(found.bytes));
  const sealed = openLocalHistory(system, { ...place, access: new Access(undefined) });
  const history =
    keys?.record.isEncrypting === true
      ? unsealedHistory(sealed, ringOf(system, keys), system.native)
      : sealed;
  const reader = new ContentReader(system, history);
  /** Each content is read once, however many versions have it. */
  const read = new Map<number, string>();
  try {
    return await historyOf(history, async (entry) => {
      if (entry.contentId === undefined) return '';
      const known = read.get(entry.contentId);
      if (known !== undefined) return known;
      const [pieces] = await history.locate([entry]);
      if (pieces === undefined) return 'lost';
      const content = await contentOf(reader.bytes(pieces));
      read.set(entry.contentId, content);
      return content;
    });
  } finally {
    reader.close();
    history.close();
  }
}

/**
 * Returns size and checksum of a content, or a description of its damage. The reader has verified the digest; the
 * checksum only distinguishes contents.
 */
async function contentOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  let [checksum, sizeBytes] = [0, 0];
  try {
    for await (const bytes of pieces) {
      checksum = crc32(bytes, checksum);
      sizeBytes += bytes.length;
    }
  } catch (error) {
    const { code } = asTardisError(error);
    if (code !== 'CONTENT_DAMAGED' && code !== 'RECORD_DAMAGED') throw error;
    return `damaged: ${(error as Error).message}`;
  }
  return `${sizeBytes} bytes, ${checksum}`;
}
