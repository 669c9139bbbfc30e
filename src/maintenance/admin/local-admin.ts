/** Changes of a client in a store on this machine. */
import type { BackupSet } from '../../history/index.js';
import type { Keyring } from '../../crypto/index.js';
import { Catalog } from '../../store/catalog/index.js';
import type { ClientDirectory } from '../../store/index.js';
import {
  askToForget,
  changeSetting,
  dropSets,
  forgetRequestsOf,
  markSets,
  ownRulesFor,
  previewDrop,
  previewForget,
  type StoreLimits,
  withdrawForget,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { previewPurgeOf } from '../gc/index.js';
import type { Admin } from './admin.js';
import { sealedAdmin } from './sealed-admin.js';

export interface LocalAdminOptions {
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  /** The client's keys; undefined if it does not encrypt. */
  readonly keyring: Keyring | undefined;
  /** Returns the listed sets, opened and compared with this machine's memory. */
  readonly sets: () => Promise<BackupSet[]>;
}

export function localAdmin(
  system: System,
  { directory, limits, keyring, sets }: LocalAdminOptions,
): Admin {
  const admin: Admin = {
    keyring,
    far: undefined,
    sets,
    drop: (gone) => dropSets(system, directory, { limits, sets: gone, leastAgeMs: 0 }),
    previewDrop: async (gone) => previewDrop(system, directory, gone, 0),
    previewPurge: async (wish) => previewPurgeOf(system, directory, () => wish),
    purge: async (gone) => {
      await dropSets(system, directory, { limits, sets: gone, leastAgeMs: 0 });
      return undefined;
    },
    keptRules: (words) =>
      Catalog.reading(system, directory.catalogPath, (catalog) => ownRulesFor(catalog, words)),
    mark: (marked, wish) => markSets(system, directory, limits, { sets: marked, wish }),
    forgets: async () => forgetRequestsOf(system, directory),
    previewForget: async (paths) => previewForget(system, directory, paths),
    askToForget: (paths, undoMs) => askToForget(system, directory, { limits, paths, undoMs }),
    withdrawForget: (ids) => withdrawForget(system, directory, limits, ids),
    changeSetting: (key, value) => changeSetting(system, directory, limits, { text: key, value }),
    close: () => undefined,
  };
  return keyring === undefined ? admin : sealedAdmin(admin, keyring);
}
