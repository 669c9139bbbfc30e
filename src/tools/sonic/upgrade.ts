/** Implements `sonic upgrade`: upgrades the catalog of a client to the version of this software. */
import { CATALOG_VERSION, catalogVersion } from '../../store/catalog/index.js';
import type { Settings } from '../../config/index.js';
import { StoreWriter } from '../../store/writer/index.js';
import { openClientDirectory } from '../../store/index.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { compareShown } from '../shared/older-store.js';
import { clientPlace, storeSystem, storeLimits } from '../shared/local-store.js';
import { jsonText } from '../shared/json-text.js';

/** Upgrades the catalog, unless the run is a dry run. Throws CATALOG_NEWER, CATALOG_DAMAGED, CLIENT_BUSY. */
export async function upgrade(options: Settings<'sonic upgrade'>): Promise<void> {
  const { client, rehearse, json } = options;
  const system = storeSystem(options.umask);
  const directory = openClientDirectory(system, clientPlace(options));
  compareShown(system, options);
  const from = catalogVersion(system, directory.catalogPath);
  const isThere = from > 0;
  const isOlder = isThere && from < CATALOG_VERSION;
  if (isOlder && !rehearse) {
    const store = await StoreWriter.open(system, directory, storeLimits());
    try {
      store.close();
    } catch (error) {
      throw store.letGo(error);
    }
  }
  const isDone = isOlder && !rehearse;
  if (json) {
    const told = { client, from: isThere ? from : null, to: CATALOG_VERSION, upgraded: isDone };
    print(jsonText({ version: JSON_VERSION, ...told }));
    return;
  }
  print(`The catalog of "${client}" ${said(from, isDone)}.`);
}

function said(from: number, isDone: boolean): string {
  if (from === 0) return 'does not exist yet: the next backup creates it';
  if (from === CATALOG_VERSION) return `has version ${from}, the newest one`;
  const what = isDone ? 'was upgraded' : 'would be upgraded';
  return `${what} from version ${from} to ${CATALOG_VERSION}`;
}
