/** Records damage that a restore has found. */
import { asTardisError } from '../../errors/index.js';
import type { RestoreFailure } from '../../restore/index.js';
import type { System } from '../../system/index.js';
import type { clientPlace } from './local-store.js';

/**
 * Marks the damaged contents of the failures in the store of this machine, so that the next backup sends them again.
 * Calls `warn` with the result. For a store on a server (`isRemote`), only warns.
 */
export async function noteDamage(
  system: System,
  settings: Parameters<typeof clientPlace>[0],
  failures: readonly RestoreFailure[],
  { isRemote, warn }: { readonly isRemote: boolean; readonly warn: (line: string) => void },
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  if (isRemote) {
    warn("the damage is in the server's store; inform its operator");
    return;
  }
  try {
    const { adminHere } = await import('./open-admin.js'); // most runs find no damage
    await adminHere(system, settings, undefined).markDamaged(digests); // marking needs no keys
    warn('the damage was marked; the next backup sends the contents again');
  } catch (error) {
    const { code } = asTardisError(error);
    warn(`the damage could not be marked in the store [${code}]`);
  }
}
