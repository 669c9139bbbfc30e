/** Steps of `sonic rebuild` after the new catalog is written, in a directory and in a bucket. */
import type { Settings } from '../../config/index.js';
import { checkClient, type CheckOptions, type CheckResult } from '../../maintenance/check/index.js';
import { LOST_AND_FOUND, placeOrphans } from '../../maintenance/rebuild/index.js';
import { Catalog } from '../../store/catalog/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { hasPassword, mayEncrypt, unlockClient } from '../opening/keys.js';
import { clientPlace, storeLimits } from '../opening/local-store.js';
import { compareShown } from '../opening/rollback.js';
import { print } from '../output/output.js';
import { counted } from '../output/units.js';

type Options = Settings<'sonic rebuild'>;

/**
 * Moves orphans to a new place, if entries may be lost. Those of an encrypting client are not moved, since readers
 * reject a place that the client has not sealed.
 */
export async function placeLost(
  system: System,
  directory: ClientDirectory,
  options: Options,
  isMetadataLost: boolean,
): Promise<{ readonly isEncrypted: boolean; readonly placed: number }> {
  compareShown(system, options); // only now, since the catalog that shows the seals may have been lost before
  const isEncrypted = mayEncrypt(system, clientPlace(options));
  const isDoubtful = (): boolean =>
    Catalog.reading(system, directory.catalogPath, ({ state }) => state.readDoubtfulUpTo() > 0);
  const isPlaced = !isEncrypted && (isMetadataLost || isDoubtful());
  const placed = isPlaced ? await placeOrphans(system, directory, storeLimits(options)) : 0;
  return { isEncrypted, placed };
}

/** Checks the versions in the new catalog, and marks contents that cannot be restored as damaged. */
export async function checkRebuilt(
  system: System,
  directory: ClientDirectory,
  options: Options,
  rest: Pick<CheckOptions, 'read' | 'isEncrypted' | 'signal' | 'onFinding' | 'onRead'>,
): Promise<CheckResult> {
  const unlocking = { ...options, account: undefined };
  const keyring = hasPassword(options) ? await unlockClient(system, unlocking) : undefined;
  const limits = storeLimits(options);
  const always = { keyring, mark: true, limits, onStep: (): void => undefined };
  return checkClient(system, directory, { ...rest, ...always });
}

/** Prints the number of directories that had lost their parents. */
export function printPlaced(placed: number): void {
  if (placed === 0) return;
  const what = counted(placed, 'directory', 'directories');
  print(`${what} whose parents are lost: moved to ${LOST_AND_FOUND} of their roots, in all sets.`);
}
