/** Overview of clients in a store: their newest sets, their protection, and the facts that decide their state. */
import path from 'node:path';
import type { ClientOverview, Protection } from '../../history/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError } from '../../errors/index.js';
import { countErrors } from '../../model/index.js';
import {
  catalogFileOf,
  type ClientDirectory,
  listClients,
  newestKeys,
  openClientDirectory,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { accountOf } from '../login/accounts.js';
import { standingInCatalog } from '../storage/client-standing.js';
import { Alerts } from '../monitor/alerts.js';

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
  isInUse: false,
  isFailing: false,
} as const;

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
    try {
      const directory = openClientDirectory(system, { store, client, catalogFile });
      const { newest, ...standing } = await standingInCatalog(system, directory, true);
      const newestSet = newest?.set ?? 0;
      rows.push({
        ...NOTHING,
        client,
        protection,
        newestSet,
        newestAtMs: newest?.closedAtMs ?? 0,
        completeSets: standing.completeSets,
        unread: countErrors(newest?.counts ?? {}),
        damagedContents: standing.damagedContents,
        unfinishedAtMs: standing.unfinishedAtMs,
        lateAfterMs: alerts.overdueAfterMs(client) ?? standing.usualLateMs,
        isDoubtful: newest?.isDoubtful ?? false,
        isInUse: standing.isInUse,
        isFailing: alerts.isOpenSince('failing', client, newestSet),
      });
    } catch (error) {
      rows.push({ ...NOTHING, client, protection, fault: asTardisError(error).code });
    }
  }
  return rows;
}

/**
 * Returns the overview of all clients of the account that owns this client, or of `only` one of them. Without an account,
 * the overview has only this client.
 */
export function overviewBeside(
  system: System,
  own: ClientDirectory,
  only?: string,
): Promise<ClientOverview[]> {
  const store = path.dirname(own.path);
  const account = accountOf(system, store, own.client, () => undefined);
  const isThere = new Set(listClients(system, store));
  const clients = (account?.targets ?? [own.client]).filter(
    (client) => isThere.has(client) && (only === undefined || client === only),
  );
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
