/**
 * Implements `sonic clients`: lists the clients of a store with their newest set, their protection and their state.
 */
import { type ClientOverview, stateOf } from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import { type ClientState, displayText } from '../../model/index.js';
import { overviewOf } from '../../server/index.js';
import { listClients } from '../../store/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { clientPlace } from '../opening/local-store.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { differencesFromKnown } from '../opening/rollback.js';
import { donePartly } from '../output/output.js';
import { printAbove } from '../output/progress-line.js';
import { remotePlace } from '../opening/server.js';
import { formatTable, formatTime } from '../output/units.js';
import { jsonText } from '../output/json-text.js';

export async function clients(options: Settings<'sonic clients'>): Promise<void> {
  const system = nodeSystem();
  const all = await overview(system, options);
  if (all.some(({ fault }) => fault !== '')) donePartly();
  const facts = { nowMs: system.clock.nowMs(), lateAfterMs: options.overdueSeconds * 1000 };
  const shown = all.map((one) => ({ ...one, ...stateOf(one, facts) }));
  if (options.json) {
    print(jsonText({ version: JSON_VERSION, clients: shown }));
    return;
  }
  if (shown.length === 0) print('No clients yet.');
  else print(formatTable([HEAD, ...shown.map(rowOf)], [1]));
}

async function overview(
  system: System,
  options: Settings<'sonic clients'>,
): Promise<readonly ClientOverview[]> {
  if (options.throughServer === undefined) {
    const { store, catalogFile } = clientPlace(options);
    const all = await overviewOf(system, { store, catalogFile }, listClients(system, store));
    for (const one of all) warnOfOther(system, options, one);
    return all;
  }
  const place = await remotePlace(options.throughServer, options);
  const { remoteClients } = await import('../../remote/index.js'); // most runs need no connection
  return remoteClients(system, place);
}

/** Warns if a client differs from this machine's memory of it; the run then ends with status 3. */
function warnOfOther(
  system: System,
  options: Settings<'sonic clients'>,
  { client, fault }: ClientOverview,
): void {
  const settings = { ...options, client, trustStore: false };
  for (const { code, message } of differencesFromKnown(system, settings)) {
    if (code === fault) continue; // the table shows this fault
    const name = message.includes(`"${client}"`) ? '' : `the client "${client}": `;
    printAbove(`warning: ${name}${displayText(message)} [${code}]`);
    donePartly();
  }
}

const HEAD = ['client', 'sets', 'newest set', 'of', 'protection', 'state'];

function rowOf({ client, ...one }: ClientOverview & ClientState): string[] {
  const { completeSets, newestSet, newestAtMs, protection, fault, state, reason } = one;
  const isThere = newestSet > 0;
  return [
    client,
    fault === '' ? String(completeSets) : '',
    isThere ? String(newestSet) : '',
    isThere ? formatTime(newestAtMs) : '',
    protection,
    fault !== '' ? `cannot be read: ${fault}` : state === 'good' ? state : `${state}: ${reason}`,
  ];
}
