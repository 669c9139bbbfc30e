/** `sonic list`: the backup sets of a client, or the clients of a store. */
import type { Found, Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { listClients } from '../store/index.js';
import { nodeSystem } from '../system/index.js';
import { withReports } from './open-archive.js';
import { printSets } from './report-sets.js';
import { JSON_VERSION, print } from './run-tool.js';
import { clientPlace } from './local-store.js';

export async function list(
  options: Settings<'sonic list'>,
  found: ReadonlyMap<string, Found>,
): Promise<void> {
  const { json, clients: wantsClients, longReport: long } = options;
  if (wantsClients) {
    if (options.throughServer !== undefined) {
      throw new TardisError(
        'USAGE',
        'a server tells nobody which clients it has: leave out --server',
      );
    }
    const clients = listClients(nodeSystem(), clientPlace(options).store);
    if (json) print(JSON.stringify({ version: JSON_VERSION, clients }));
    else for (const name of clients) print(name);
    return;
  }
  await withReports(options, found, async (archive) => {
    await printSets(archive, (await archive.sets()) ?? [], { json, long });
  });
}
