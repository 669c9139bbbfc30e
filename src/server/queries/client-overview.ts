/** Overview of clients in a store: their newest sets, their protection, and the facts that decide their state. */
import path from 'node:path';
import type { ClientOverview, Protection } from '../../history/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError } from '../../errors/index.js';
import { countErrors } from '../../model/index.js';
import {
  accountOf,
  catalogFileOf,
  type ClientDirectory,
  heldLocks,
  isClientInUse,
  KEYS_DIRECTORY,
  listClients,
  newestKeys,
  openClientDirectory,
  PROOF_FILES,
  requestedBackups,
} from '../../store/index.js';
import { BoundedCache, type System } from '../../system/index.js';
import { standingInFiles } from '../storage/client-standing.js';
import type { SpaceTaken } from '../storage/measure-space.js';
import { Alerts } from '../monitor/alerts.js';
import { NO_SPACE, spaceOf } from './client-space.js';

const NOTHING = {
  completeSets: 0,
  newestSet: 0,
  newestAtMs: 0,
  fault: '',
  unread: 0,
  damagedContents: 0,
  unfinishedAtMs: 0,
  lateAfterMs: 0,
  isDoubtful: false,
  isInUse: false, // known only of a set that is not complete, which may be written now
  isFailing: false,
  requestedAtMs: 0,
  requestedBy: '',
  checkedAtMs: 0,
  restoredAtMs: 0,
  ...NO_SPACE,
} as const;

/** Maximum number of clients whose rows are remembered. */
const MAX_REMEMBERED = 8192;
/** Age of the last change from which a row is remembered. A later change could have the same time. */
const SETTLED_MS = 2000;

/** Remembers a value of each client. */
class Remembered<T> {
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

/**
 * Remembers the rows and the space of clients. A row counts for as long as the catalog, the keys and the proofs of its client
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
}

/**
 * Returns one row for each of `clients`, in the same order. The row of a client that cannot be read has an error code.
 */
export async function overviewOf(
  system: System,
  place: OverviewPlace,
  clients: readonly string[],
): Promise<ClientOverview[]> {
  const alerts = new Alerts(system, place.store);
  const { memory } = place;
  const locks = heldLocks();
  const requests = requestedBackups(system, place.store);
  // A mark of before a file is read: one of after it could hide a change.
  const marks = new Map<string, string | undefined>();
  const markFor = (client: string): string | undefined => {
    if (!marks.has(client)) marks.set(client, markOf(system, place, client));
    return marks.get(client);
  };
  const spaces = await spaceOf(system, place, clients, {
    findSpace: (client) => memory?.spaces.find(client, markFor(client)),
    noteSpace: (client, taken) => memory?.spaces.note(client, taken, markFor(client)),
  });
  const rows: ClientOverview[] = [];
  for (const client of clients) {
    const mark = memory === undefined ? undefined : markFor(client);
    const known = memory?.rows.find(client, mark);
    const row = known ?? (await rowOf(system, place, client));
    if (known === undefined && row.fault === '') memory?.rows.note(client, row, mark);
    const request = requests.get(client);
    rows.push({
      ...row,
      ...spaces.get(client),
      isInUse:
        row.unfinishedAtMs > 0 && isClientInUse({ path: path.join(place.store, client) }, locks),
      lateAfterMs: alerts.overdueAfterMs(client) ?? row.lateAfterMs,
      requestedAtMs: request?.atMs ?? 0,
      requestedBy: request?.by ?? '',
      isFailing: row.fault === '' && alerts.isOpenSince('failing', client, row.newestSet),
    });
  }
  return rows;
}

/** Returns the row of a client as its own files show it. */
async function rowOf(
  system: System,
  { store, catalogFile }: OverviewPlace,
  client: string,
): Promise<ClientOverview> {
  const protection = protectionOf(system, path.join(store, client));
  try {
    const directory = openClientDirectory(system, { store, client, catalogFile });
    const { newest, ...standing } = await standingInFiles(system, directory, true);
    return {
      ...NOTHING,
      client,
      protection,
      newestSet: newest?.set ?? 0,
      newestAtMs: newest?.closedAtMs ?? 0,
      completeSets: standing.completeSets,
      unread: countErrors(newest?.counts ?? {}),
      damagedContents: standing.damagedContents,
      unfinishedAtMs: standing.unfinishedAtMs,
      lateAfterMs: standing.usualLateMs,
      isDoubtful: newest?.isDoubtful ?? false,
      ...standing.proofs,
    };
  } catch (error) {
    return { ...unseenClient(client, asTardisError(error).code), protection };
  }
}

/** Returns the row of a client that was not read, because of an error or because nobody has looked at it. */
export function unseenClient(client: string, fault = ''): ClientOverview {
  return { ...NOTHING, client, protection: 'unknown', fault };
}

/** Returns a text that differs after a change of a client's catalog, keys or proofs; undefined if they change now. */
function markOf(
  { files, clock }: System,
  { store, catalogFile }: OverviewPlace,
  client: string,
): string | undefined {
  const settledMs = clock.nowMs() - SETTLED_MS;
  const marks: string[] = [];
  for (const name of [catalogFile, `${catalogFile}-wal`, KEYS_DIRECTORY, ...PROOF_FILES]) {
    const status = files.status(path.join(store, client, name));
    if (status === undefined && name === catalogFile) return undefined;
    if (status !== undefined && status.mtimeMs > settledMs) return undefined;
    marks.push(`${status?.identity} ${status?.sizeBytes} ${status?.mtimeMs}`);
  }
  return marks.join('\n');
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
