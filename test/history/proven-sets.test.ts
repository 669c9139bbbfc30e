/** The memory of a store that encrypts, while a backup goes on. */
import test from 'ava';
import { SealMemory } from '../../src/crypto/index.js';
import {
  Access,
  type History,
  openLocalHistory,
  unsealedHistory,
} from '../../src/history/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { lived } from '../helpers/lived-store.js';
import { ownState } from '../helpers/scratch.js';

ownState(test);

test('a backup that ends while a reader compares the store with the memory rolls nothing back', async (t) => {
  const { place, keyring } = await lived(t, true);
  const system = nodeSystem();
  const memory = new SealMemory(keyring!.id);
  const { set, seal } = memory.read();
  t.is(set, 3);
  const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
  t.teardown(() => local.close());
  const sets: History['sets'] = async () => {
    const found = await local.sets();
    memory.write(set + 1, Buffer.alloc(seal.length, 1)); // the end of a backup behind what was found
    return found;
  };
  const slow = new Proxy(local, {
    get: (target, name) =>
      name === 'sets' ? sets : (Reflect.get(target, name, target) as unknown),
  });
  const history = unsealedHistory(slow, keyring!, system.native);
  t.is((await history.sets()).length, 3);
  const later = unsealedHistory(local, keyring!, system.native);
  await t.throwsAsync(later.sets(), { message: /the newest set of the store is 3, but was 4/ });
});
