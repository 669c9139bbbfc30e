/** A client with a history, written anew in this process, and what its generations tell. */
import { crc32 } from 'node:zlib';
import path from 'node:path';
import { Access, openLocalArchive, unsealedArchive } from '../../src/archive/index.js';
import {
  type FormerKeys,
  type Keyring,
  keyringOf,
  newKeyRecord,
  parseKeyRecord,
  replaceKeys,
  unlockKeyRecord,
} from '../../src/crypto/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { type ForgetRequest, Scheme } from '../../src/model/index.js';
import {
  Generations,
  rekeyClient,
  type RekeyProgress,
  type RekeyResult,
  removeOld,
  requestsDigest,
} from '../../src/rekey/index.js';
import { ContentReader } from '../../src/restore/index.js';
import { addKeys, newestKeys, openClientDirectory } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { historyOf, type Place, SMALL_STORE } from './inline.js';

/** Of every client here. */
export const PASSWORD = 'of a test';

/** The keys in a directory, opened. */
export async function keysIn(system: System, directory: string): Promise<FormerKeys | undefined> {
  const found = newestKeys(system, directory);
  return found && opened(found.bytes);
}

const openedBefore = new Map<string, FormerKeys>();

/** The keys in a record. Each record is opened once, since that takes its time on purpose. */
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

/** Gives a client its first keys, encrypting or waiting. */
export async function giveKeys(place: Place, isEncrypting: boolean): Promise<void> {
  const system = nodeSystem();
  const { record } = await newKeyRecord(system.native.modPow, Buffer.from(PASSWORD), isEncrypting);
  await addKeys(system, path.join(place.store, place.client), { number: 1, bytes: record.bytes });
}

export interface RekeyChoice {
  readonly verify?: boolean;
  readonly acceptDamage?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: RekeyProgress;
  /** What is left out. */
  readonly forgotten?: readonly ForgetRequest[];
  /** Keys that were made before, since making them takes its time. */
  readonly keys?: Buffer;
}

/** Does whatever is still to be done, as the commands do. Undefined: only the old generation was left. */
export async function rekeyInline(
  system: System,
  place: Place,
  choice: RekeyChoice = {},
): Promise<RekeyResult | undefined> {
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
    return await rekeyClient(system, {
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
  const { record } = await replaceKeys(nodeSystem().native.modPow, Buffer.from(PASSWORD), former);
  return record.bytes;
}

/** What a client tells to who has its password: all of its history, with what is in each version. */
export async function toldBy(place: Place): Promise<string[]> {
  const system = nodeSystem();
  const found = newestKeys(system, path.join(place.store, place.client));
  const keys = found && (await opened(found.bytes));
  const sealed = openLocalArchive(system, { ...place, access: new Access(undefined) });
  const archive =
    keys?.record.isEncrypting === true
      ? unsealedArchive(sealed, ringOf(system, keys), system.native)
      : sealed;
  const reader = new ContentReader(system, archive);
  /** Each content is read once, however many versions have it. */
  const read = new Map<number, string>();
  try {
    return await historyOf(archive, async (entry) => {
      if (entry.contentId === undefined) return '';
      const known = read.get(entry.contentId);
      if (known !== undefined) return known;
      const [pieces] = await archive.locate([entry]);
      if (pieces === undefined) return 'lost';
      const content = await contentOf(reader.bytes(pieces));
      read.set(entry.contentId, content);
      return content;
    });
  } finally {
    reader.close();
    archive.close();
  }
}

/**
 * What is damaged is told as such: nobody takes it for a content. The reader has proven the rest by its digest; a
 * checksum beside that tells contents apart.
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
