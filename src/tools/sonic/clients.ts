/**
 * Implements `sonic clients`: lists the clients of a store with their newest set, their protection and their state.
 */
import { type ClientOverview, stateOf } from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import { byUrgency, type ClientState, displayText, isWell } from '../../model/index.js';
import { overviewOf } from '../../server/index.js';
import { listClients } from '../../store/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { clientPlace } from '../opening/local-store.js';
import { configuredHere } from '../shared/configured.js';
import { waitingFor } from '../opening/run-note.js';
import { differencesFromKnown } from '../opening/rollback.js';
import { donePartly } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { printWarning } from '../output/progress-line.js';
import { remotePlace } from '../opening/server.js';
import { counted, formatBytes, formatTable, formatTime } from '../output/units.js';

export async function clients(options: Settings<'sonic clients'>): Promise<void> {
  const system = nodeSystem();
  const all = await overview(system, options);
  if (all.some(({ fault }) => fault !== '')) donePartly();
  const facts = { nowMs: system.clock.nowMs(), lateAfterMs: options.overdueSeconds * 1000 };
  const shown = byUrgency(all.map((one) => ({ ...one, ...stateOf(one, facts) })));
  if (options.json) return printJson({ clients: shown });
  if (shown.length === 0) {
    print('No clients yet.');
    return;
  }
  const bad = shown.filter((one) => !isWell(one));
  if (shown.length > 1 && bad.length > 0) {
    const worst = `the worst is ${displayText(bad[0]!.client)}: ${bad[0]!.state}`;
    print(`${bad.length} of ${counted(shown.length, 'client')} need attention; ${worst}.\n`);
  }
  const rows = shown.map(rowOf);
  const isShown = (column: number): boolean =>
    !RARE.includes(HEAD[column]!) || rows.some((row) => row[column] !== '');
  print(
    formatTable(
      [HEAD, ...rows].map((row) => row.filter((_, at) => isShown(at))),
      [1],
    ),
  );
}

async function overview(
  system: System,
  options: Settings<'sonic clients'>,
): Promise<readonly ClientOverview[]> {
  if (options.throughServer === undefined) {
    const { store, catalogFile } = clientPlace(options);
    const waiting = (client: string) => waitingFor(options, client);
    const clients = listClients(system, store);
    const configured = configuredHere(options);
    const all = await overviewOf(system, { store, catalogFile, waiting, configured }, clients);
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
    printWarning(`${name}${displayText(message)} [${code}]`);
    donePartly();
  }
}

const HEAD = ['client', 'sets', 'newest set', 'of', 'restored', 'space', 'protection', 'state'];
/** Columns that are shown only if a client has something there. */
const RARE: readonly string[] = ['restored', 'space'];

function rowOf({ client, ...one }: ClientOverview & ClientState): string[] {
  const { completeSets, newestSet, newestAtMs, protection, fault, state, reason } = one;
  const { restoredAtMs, quotaBytes, accountBytes } = one;
  const isThere = newestSet > 0;
  return [
    client,
    fault === '' ? String(completeSets) : '',
    isThere ? String(newestSet) : '',
    isThere ? formatTime(newestAtMs) : '',
    restoredAtMs === 0 ? '' : formatTime(restoredAtMs),
    quotaBytes === 0 ? '' : `${formatBytes(accountBytes)} of ${formatBytes(quotaBytes)}`,
    protection,
    fault !== '' ? `cannot be read: ${fault}` : state === 'good' ? state : `${state}: ${reason}`,
  ];
}
