/** Implements `sonic upgrade`: upgrades the catalog of a client to the version of this software. */
import type { Settings } from '../../config/index.js';
import { type CatalogUpgrade, upgradeCatalog } from '../../store/writer/index.js';
import { openClientDirectory } from '../../store/index.js';
import { print, printJson } from '../output/output.js';
import { compareShown } from '../opening/rollback.js';
import { clientPlace, storeSystem, storeLimits } from '../opening/local-store.js';

/** Upgrades the catalog, unless the run is a dry run. Throws CATALOG_NEWER, CATALOG_DAMAGED, CLIENT_BUSY. */
export async function upgrade(options: Settings<'sonic upgrade'>): Promise<void> {
  const { client, rehearse, json } = options;
  const system = storeSystem(options.umask);
  const directory = openClientDirectory(system, clientPlace(options));
  compareShown(system, options);
  const done = await upgradeCatalog(system, directory, storeLimits(), rehearse);
  if (json) {
    const { from, to, isDone: upgraded } = done;
    return printJson({ client, from: from > 0 ? from : null, to, upgraded });
  }
  print(`The catalog of "${client}" ${outcomeOf(done, directory.bucket !== undefined)}.`);
}

/** Returns the result in words. The catalog of a client in a bucket is a cache, which any command creates. */
function outcomeOf({ from, to, isDone }: CatalogUpgrade, isCache: boolean): string {
  if (from === 0)
    return `does not exist ${isCache ? 'here ' : ''}yet: the next ${isCache ? 'command' : 'backup'} creates it`;
  if (from === to) return `has version ${from}, the newest one`;
  return `${isDone ? 'was upgraded' : 'would be upgraded'} from version ${from} to ${to}`;
}
