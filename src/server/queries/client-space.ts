/**
 * Space of clients whose account has a quota, as the server would count it when a session begins: what the account may use, what
 * it uses, and what the client uses of it.
 */
import type { ClientOverview } from '../../history/index.js';
import {
  type Account,
  bucketAt,
  type ClientDirectory,
  openClientDirectory,
  soundAccounts,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { measureSpace, type SpaceTaken } from '../storage/measure-space.js';

type ClientSpace = Pick<ClientOverview, 'quotaBytes' | 'accountBytes' | 'usedBytes'>;

/** Space of a client without a quota, or one that cannot be measured. */
export const NO_SPACE: ClientSpace = Object.freeze({
  quotaBytes: 0,
  accountBytes: 0,
  usedBytes: 0,
});

interface SpacePlace {
  readonly store: string;
  readonly catalogFile: string;
}

/** Remembers measurements of clients. */
interface SpaceMemory {
  findSpace(client: string): SpaceTaken | undefined;
  noteSpace(client: string, taken: SpaceTaken): void;
}

/**
 * Returns the space of those clients whose account has a quota. In a bucket, other servers add to an account too, so nothing is
 * returned there. An account with a client that cannot be measured is left out, and all of them if their files cannot be read.
 */
export async function spaceOf(
  system: System,
  place: SpacePlace,
  clients: readonly string[],
  memory: SpaceMemory,
): Promise<ReadonlyMap<string, ClientSpace>> {
  const found = new Map<string, ClientSpace>();
  if (bucketAt(place.store) !== undefined) return found;
  const wanted = new Set(clients);
  for (const account of readableAccounts(system, place.store)) {
    const { quotaBytes, targets, usedElsewhereBytes } = account;
    if (quotaBytes === 0 || !targets.some((target) => wanted.has(target))) continue;
    const used = new Map<string, number>();
    for (const target of targets) {
      const bytes = await bytesOf(system, place, { account, client: target, memory });
      if (bytes !== undefined) used.set(target, bytes);
    }
    if (used.size < targets.length) continue;
    const accountBytes = [...used.values()].reduce((sum, one) => sum + one, usedElsewhereBytes);
    for (const [client, usedBytes] of used) {
      if (wanted.has(client)) found.set(client, { quotaBytes, accountBytes, usedBytes });
    }
  }
  return found;
}

/** Returns the accounts; none for a user who may not read their files, since sessions report their faults. */
function readableAccounts(system: System, store: string): Account[] {
  try {
    return soundAccounts(system, store);
  } catch {
    return [];
  }
}

interface MeasuredClient {
  readonly account: Account;
  readonly client: string;
  readonly memory: SpaceMemory;
}

/** Returns the bytes that count for a client; 0 if it was not made yet, undefined if it cannot be measured. */
async function bytesOf(
  system: System,
  place: SpacePlace,
  { account: { perFileBytes, perDirectoryBytes }, client, memory }: MeasuredClient,
): Promise<number | undefined> {
  let taken = memory.findSpace(client);
  if (taken === undefined) {
    const directory = directoryOf(system, place, client);
    if (directory === undefined) return 0;
    try {
      taken = await measureSpace(system, directory, perFileBytes + perDirectoryBytes > 0);
    } catch {
      return undefined; // the row of the client has the error
    }
    memory.noteSpace(client, taken);
  }
  const { bytes, files, directories } = taken;
  return bytes + files * perFileBytes + directories * perDirectoryBytes;
}

function directoryOf(
  system: System,
  place: SpacePlace,
  client: string,
): ClientDirectory | undefined {
  try {
    return openClientDirectory(system, { ...place, client });
  } catch {
    return undefined; // it does not exist yet, or its row has the error
  }
}
