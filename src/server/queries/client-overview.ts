/** Overview of clients in a store: their newest sets, their protection, and the facts that decide their state. */
import path from 'node:path';
import type { ClientOverview, Protection } from '../../history/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError } from '../../errors/index.js';
import { NO_FACTS, rootId, type RunRecord } from '../../model/index.js';
import {
  accountOf,
  catalogFileOf,
  type ClientDirectory,
  heldLocks,
  isClientInUse,
  listClients,
  newestKeys,
  openClientDirectory,
  requestedBackups,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { markOf, Remembered, spaceFacts } from '../storage/client-space.js';
import { standingInFiles } from '../storage/client-standing.js';
import type { SpaceTaken } from '../storage/measure-space.js';

const NO_REQUEST = { requestedAtMs: 0, requestedBy: '' } as const;

/**
 * Remembers the rows and the space of clients. A row counts for as long as the catalog, the keys and the journal of its client
 * are unchanged, since opening a catalog takes some milliseconds.
 */
export class OverviewMemory {
  readonly rows = new Remembered<ClientOverview>();
  readonly spaces = new Remembered<SpaceTaken>();
}

interface OverviewPlace {
  readonly store: string;
  readonly catalogFile: string;
  readonly memory?: OverviewMemory | undefined;
  /** Returns records of a client that its journal does not have yet. */
  readonly waiting?: ((client: string) => readonly RunRecord[]) | undefined;
  /** Returns the paths of the roots that a configuration of this machine has for a client now. */
  readonly configured?: ((client: string) => readonly Buffer[] | undefined) | undefined;
}

/**
 * Returns one row for each of `clients`, in the same order. The row of a client that cannot be read has an error code.
 */
export async function overviewOf(
  system: System,
  place: OverviewPlace,
  clients: readonly string[],
): Promise<ClientOverview[]> {
  const { memory } = place;
  const locks = heldLocks();
  const requests = requestedBackups(system, place.store);
  // A mark of before a file is read: one of after it could hide a change.
  const marks = new Map<string, string | undefined>();
  const markFor = (client: string): string | undefined => {
    const roots = place.configured?.(client)?.join('\0') ?? '';
    if (!marks.has(client)) {
      const mark = markOf(system, place, client);
      marks.set(client, mark && `${mark}\n${roots}`);
    }
    return marks.get(client);
  };
  const spaces = await spaceFacts(system, place, clients, markFor);
  const rows: ClientOverview[] = [];
  for (const client of clients) {
    const mark = memory === undefined ? undefined : markFor(client);
    const waiting = place.waiting?.(client) ?? [];
    const known = waiting.length > 0 ? undefined : memory?.rows.find(client, mark);
    const row = known ?? (await rowOf(system, place, client, waiting));
    const isKept = known === undefined && row.fault === '' && waiting.length === 0;
    if (isKept) memory?.rows.note(client, row, mark);
    const request = requests.get(client);
    rows.push({
      ...row,
      ...spaces.get(client),
      isInUse:
        row.unfinishedAtMs > 0 && isClientInUse({ path: path.join(place.store, client) }, locks),
      requestedAtMs: request?.atMs ?? 0,
      requestedBy: request?.by ?? '',
    });
  }
  return rows;
}

/** Returns the row of a client as its own files show it. */
async function rowOf(
  system: System,
  { store, catalogFile, configured }: OverviewPlace,
  client: string,
  waiting: readonly RunRecord[],
): Promise<ClientOverview> {
  const protection = protectionOf(system, path.join(store, client));
  try {
    const directory = openClientDirectory(system, { store, client, catalogFile });
    // Where names are sealed, only the journal has the ids.
    const roots = protection === 'encrypted' ? undefined : configured?.(client)?.map(rootId);
    const { facts } = await standingInFiles(system, directory, true, {
      waiting,
      configured: roots,
    });
    return { ...NO_FACTS, ...NO_REQUEST, ...facts, client, protection };
  } catch (error) {
    return { ...unseenClient(client, asTardisError(error).code), protection };
  }
}

/** Returns the row of a client that was not read, because of an error or because nobody has looked at it. */
export function unseenClient(client: string, fault = ''): ClientOverview {
  return { ...NO_FACTS, ...NO_REQUEST, client, protection: 'unknown', fault };
}

/**
 * Returns the overview of all clients of the account that owns this client, or of `only` one of them. Without an account,
 * the overview has only this client.
 */
export function overviewBeside(
  system: System,
  own: ClientDirectory,
  { only, memory }: { readonly only?: string | undefined; readonly memory?: OverviewMemory },
): Promise<ClientOverview[]> {
  const store = path.dirname(own.path);
  const account = accountOf(system, store, own.client, () => undefined);
  const isThere = new Set(listClients(system, store));
  const clients = (account?.targets ?? [own.client]).filter(
    (client) => isThere.has(client) && (only === undefined || client === only),
  );
  const place = { store, catalogFile: catalogFileOf(own), memory };
  return overviewOf(system, place, clients.toSorted());
}

function protectionOf(system: System, directory: string): Protection {
  try {
    const keys = newestKeys(system, directory);
    if (keys === undefined) return 'none';
    return parseKeyRecord(keys.bytes).isEncrypting ? 'encrypted' : 'password';
  } catch {
    return 'unknown'; // shown as such in the table
  }
}
