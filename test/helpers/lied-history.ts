/** The history of an encrypting client whose server lies in some of its answers. */
import {
  Access,
  type History,
  openLocalHistory,
  unsealedHistory,
} from '../../src/history/index.js';
import type { Keyring } from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import type { Place } from './inline.js';

/** Opens a store with the keys of its client. `lies` replaces answers of the honest history. */
export function openLied(
  place: Place,
  keyring: Keyring,
  lies: (honest: History) => Partial<History>,
): History {
  const system = nodeSystem();
  const honest = openLocalHistory(system, { ...place, access: new Access(undefined) });
  const lying = lies(honest);
  const server = new Proxy(honest, {
    get: (target, name) => {
      const value: unknown =
        Reflect.get(lying, name, lying) ?? (Reflect.get(target, name, target) as unknown);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return unsealedHistory(server, keyring, system.native);
}
