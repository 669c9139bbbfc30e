/** Overview of clients in a store: their newest sets, their protection, and whether a server found them overdue. */
import path from 'node:path';
import type { ClientOverview, Protection } from '../../history/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError } from '../../errors/index.js';
import {
  catalogFileOf,
  type ClientDirectory,
  listClients,
  newestKeys,
  openClientDirectory,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { accountOf } from '../login/accounts.js';
import { standingOf } from '../storage/client-standing.js';
import { Alerts } from '../monitor/alerts.js';

/**
 * Returns one row for each of `clients`, in the same order. The row of a client that cannot be read has an error code.
 */
export async function overviewOf(
  system: System,
  store: string,
  clients: readonly string[],
  catalogFile: string,
): Promise<ClientOverview[]> {
  const alerts = new Alerts(system, store);
  const rows: ClientOverview[] = [];
  for (const client of clients) {
    const protection = protectionOf(system, path.join(store, client));
    const nothing = { completeSets: 0, newestSet: 0, newestAtMs: 0, isOverdue: false, fault: '' };
    try {
      const directory = openClientDirectory(system, { store, client, catalogFile });
      const { newest, completeSets } = await standingOf(system, directory, false);
      const [newestSet, newestAtMs] = [newest?.set ?? 0, newest?.closedAtMs ?? 0];
      const isOverdue = alerts.isOpenSince('overdue', client, newestSet);
      rows.push({ ...nothing, client, completeSets, newestSet, newestAtMs, protection, isOverdue });
    } catch (error) {
      rows.push({ ...nothing, client, protection, fault: asTardisError(error).code });
    }
  }
  return rows;
}

/**
 * Returns the overview of all clients of the account that owns this client. Without an account, the overview has only
 * this client.
 */
export function overviewBeside(system: System, own: ClientDirectory): Promise<ClientOverview[]> {
  const store = path.dirname(own.path);
  const account = accountOf(system, store, own.client, () => undefined);
  const isThere = new Set(listClients(system, store));
  const clients = (account?.targets ?? [own.client]).filter((client) => isThere.has(client));
  return overviewOf(system, store, clients.toSorted(), catalogFileOf(own));
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
