import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { type ObjectBody, probe } from '../../../src/store/objects/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { MemoryObjectStore } from '../../support/memory-object-store.js';

/** Looks whether an object exists, and creates it a moment later. */
class HastyStore extends MemoryObjectStore {
  override async putNew(name: string, body: ObjectBody): Promise<'created' | 'exists'> {
    if ((await this.head(name)) !== undefined) return super.putNew(name, body);
    await turn();
    await this.putOwn(name, body as Uint8Array);
    return 'created';
  }
}

/** Keeps the first bytes, but calls every writer the first. */
class FlatteringStore extends MemoryObjectStore {
  override async putNew(name: string, body: ObjectBody): Promise<'created' | 'exists'> {
    await super.putNew(name, body);
    return 'created';
  }
}

test('a store that arbitrates between writers one after the other, but not at once, fails the probe', async (t) => {
  const store = new HastyStore();
  t.regex(
    (await probe(store, seededRandom(1))) ?? '',
    /^of 8 writers of one object at once, 8 got/,
  );
  for await (const name of store.list('')) t.fail(`the probe left ${name}`);
});

test('a store that calls every writer the first fails the probe', async (t) => {
  const reason = await probe(new FlatteringStore(), seededRandom(1));
  t.is(reason, 'it replaces an object that must not be replaced');
});
