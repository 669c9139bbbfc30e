/** `sonic upgrade`: brings the catalog of a client to the version of this software. */
import { CATALOG_VERSION, catalogVersion } from '../catalog/index.js';
import type { Settings } from '../config/index.js';
import { ClientStore } from '../keeper/index.js';
import { openClientDirectory } from '../store/index.js';
import { JSON_VERSION, print } from './run-tool.js';
import { clientPlace, storeSystem, storeLimits } from './local-store.js';

/** Throws CATALOG_NEWER, CATALOG_DAMAGED, CLIENT_BUSY. */
export async function upgrade(options: Settings<'sonic upgrade'>): Promise<void> {
  const { client, rehearse, json } = options;
  const system = storeSystem(options.umask);
  const directory = openClientDirectory(system, clientPlace(options));
  const from = catalogVersion(system, directory.catalogPath);
  const isThere = from > 0;
  const isOlder = isThere && from < CATALOG_VERSION;
  if (isOlder && !rehearse) {
    const store = await ClientStore.open(system, directory, storeLimits());
    try {
      store.close();
    } catch (error) {
      throw store.letGo(error);
    }
  }
  const isDone = isOlder && !rehearse;
  if (json) {
    const told = { client, from: isThere ? from : null, to: CATALOG_VERSION, upgraded: isDone };
    print(JSON.stringify({ version: JSON_VERSION, ...told }));
    return;
  }
  print(`The catalog of "${client}" ${said(from, isDone)}.`);
}

function said(from: number, isDone: boolean): string {
  if (from === 0) return 'is not there yet: the next backup makes it';
  if (from === CATALOG_VERSION) return `has version ${from}, the newest one`;
  const what = isDone ? 'was upgraded' : 'would be upgraded';
  return `${what} from version ${from} to ${CATALOG_VERSION}`;
}
