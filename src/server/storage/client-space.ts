/**
 * Space of clients: that of the disk of the store, and what an account with a quota may use and uses, as the server would
 * count it when a session begins.
 */
import path from 'node:path';
import { unlessBug } from '../../errors/index.js';
import { HOUR_MS, type SpaceFacts } from '../../model/index.js';
import {
  type Account,
  bucketAt,
  type ClientDirectory,
  KEYS_DIRECTORY,
  openClientDirectory,
  RUNS_DIRECTORY,
  soundAccounts,
} from '../../store/index.js';
import { BoundedCache, type System } from '../../system/index.js';
import { measureSpace, type SpaceTaken } from './measure-space.js';

type ClientSpace = Pick<SpaceFacts, 'quotaBytes' | 'accountBytes' | 'usedBytes'>;

/** Bytes that a backup leaves free, unless the server has another LeastFree. */
const LEAST_FREE_BYTES = 32 << 20;

/** Maximum number of clients whose rows are remembered. */
const MAX_REMEMBERED = 8192;
/** Age of the last change from which a row is remembered. A later change could have the same time. */
const SETTLED_MS = 2000;
/** Time for which a row of a client in a bucket is remembered: other machines add to its journal. */
const IN_BUCKET_MS = 60_000;

/** Remembers a value of each client. */
export class Remembered<T> {
  private readonly kept = new BoundedCache<string, { mark: string; value: T }>(MAX_REMEMBERED);

  /** Returns the value of a client if its files still have this mark. */
  find(client: string, mark: string | undefined): T | undefined {
    const found = this.kept.get(client);
    return found !== undefined && found.mark === mark ? found.value : undefined;
  }

  note(client: string, value: T, mark: string | undefined): void {
    if (mark !== undefined) this.kept.set(client, { mark, value });
  }
}

interface SpacePlace {
  readonly store: string;
  readonly catalogFile: string;
  readonly memory?: { readonly spaces: Remembered<SpaceTaken> } | undefined;
}

/** Remembers measurements of clients. */
interface SpaceMemory {
  findSpace(client: string): SpaceTaken | undefined;
  noteSpace(client: string, taken: SpaceTaken): void;
}

/** Returns what is known of the space of clients; `markFor` returns what `markOf` does. */
export async function spaceFacts(
  system: System,
  place: SpacePlace,
  clients: readonly string[],
  markFor: (client: string) => string | undefined = (client) => markOf(system, place, client),
): Promise<ReadonlyMap<string, Partial<SpaceFacts>>> {
  const { memory } = place;
  const disk = diskOf(system, place);
  const quotas = await spaceOf(system, place, clients, {
    findSpace: (client) => memory?.spaces.find(client, markFor(client)),
    noteSpace: (client, taken) => memory?.spaces.note(client, taken, markFor(client)),
  });
  return new Map(clients.map((client) => [client, { ...disk, ...quotas.get(client) }]));
}

/** Returns the space of the disk of a store; nothing for a bucket, or if it cannot be seen. */
function diskOf(
  { files }: System,
  { store }: SpacePlace,
): Pick<SpaceFacts, 'diskBytes' | 'freeBytes' | 'leastFreeBytes'> | undefined {
  if (bucketAt(store) !== undefined) return undefined;
  const space = unlessBug(() => files.space(store));
  if (space === undefined) return undefined;
  const { blocks, availableBlocks, blockBytes } = space;
  const [diskBytes, freeBytes] = [blocks * blockBytes, availableBlocks * blockBytes];
  return { diskBytes, freeBytes, leastFreeBytes: LEAST_FREE_BYTES };
}

/** Returns a text that differs after a change of a client's catalog, keys or journal; undefined if they change now. */
export function markOf(
  { files, clock }: System,
  { store, catalogFile }: SpacePlace,
  client: string,
): string | undefined {
  const settledMs = clock.nowMs() - SETTLED_MS;
  const inBucket = bucketAt(store) !== undefined;
  // Time is in the mark, since a state has shares of the last days.
  const marks = [String(Math.floor(clock.nowMs() / (inBucket ? IN_BUCKET_MS : HOUR_MS)))];
  for (const name of [catalogFile, `${catalogFile}-wal`, KEYS_DIRECTORY, RUNS_DIRECTORY]) {
    const status = files.status(path.join(store, client, name));
    if (status === undefined && name === catalogFile) return undefined;
    if (status !== undefined && status.mtimeMs > settledMs) return undefined;
    marks.push(`${status?.identity} ${status?.sizeBytes} ${status?.mtimeMs}`);
  }
  return marks.join('\n');
}

/**
 * Returns the space of those clients whose account has a quota. In a bucket, other servers add to an account too, so nothing is
 * returned there. An account with a client that cannot be measured is left out, and all of them if their files cannot be read.
 */
async function spaceOf(
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
