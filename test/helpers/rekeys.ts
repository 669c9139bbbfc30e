/** A client with a history, written anew in this process, and what its generations tell. */
import { createHash } from 'node:crypto';
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
import { Scheme } from '../../src/model/index.js';
import {
  Generations,
  rekeyClient,
  type RekeyProgress,
  type RekeyResult,
  removeOld,
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
  if (found === undefined) return undefined;
  const record = parseKeyRecord(found.bytes);
  const { keys } = await unlockKeyRecord(record, Buffer.from(PASSWORD));
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
    if (stage !== 'making') await generations.begin(choice.keys ?? (await freshKeys(former)));
    const fresh = await keysIn(system, generations.second.path);
    return await rekeyClient(system, {
      generations,
      oldKeyring: former?.record.isEncrypting === true ? ringOf(system, former) : undefined,
      keyring: ringOf(system, fresh!),
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
  const keys = await keysIn(system, path.join(place.store, place.client));
  const sealed = openLocalArchive(system, { ...place, access: new Access(undefined) });
  const archive =
    keys?.record.isEncrypting === true
      ? unsealedArchive(sealed, ringOf(system, keys), system.native)
      : sealed;
  const reader = new ContentReader(system, archive);
  try {
    return await historyOf(archive, async (entry) => {
      if (entry.contentId === undefined) return '';
      const [pieces] = await archive.locate([entry]);
      if (pieces === undefined) return 'lost';
      const hash = createHash('sha256');
      for await (const bytes of reader.bytes(pieces)) hash.update(bytes);
      return hash.digest('hex');
    });
  } finally {
    reader.close();
    archive.close();
  }
}
