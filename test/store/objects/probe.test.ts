import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { type ObjectBody, probe } from '../../../src/store/objects/index.js';
import { bucketAt } from '../../helpers/buckets.js';
import { seededRandom } from '../../support/seeded-random.js';
import { MemoryObjectStore } from '../../support/memory-object-store.js';
import { S3Server } from '../../support/s3-server.js';

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

test('a bucket that begins to keep versions, and then ignores conditions, is refused to all writers', async (t) => {
  const rules = { isVersioned: false, conditions: 'without versions' as const };
  const server = await S3Server.during(t, rules);
  const [one, other] = [await bucketAt(server.url), await bucketAt(server.url)];
  t.is(await one.writers(), 'many');
  other.trust(false); // it knows what another process has found
  t.is(await other.store.putNew('a', Buffer.from('before')), 'created');
  rules.isVersioned = true;
  for (const { store } of [one, other, one]) {
    const written = store.putNew('b', Buffer.from('each believes that it is the first'));
    t.like(await t.throwsAsync(written), { code: 'BUCKET_UNSAFE' });
  }
  const replaced = one.store.putNew('a', Buffer.from('after'));
  t.like(await t.throwsAsync(replaced), { code: 'BUCKET_UNSAFE' });
  t.is((await one.store.readWhole('a', 100))?.toString(), 'before', 'nothing more is written');
});

test('a process that finds a bucket unsafe reports it, so that others do not trust what was found before', async (t) => {
  const rules = { isVersioned: false, conditions: 'without versions' as const };
  const server = await S3Server.during(t, rules);
  let refusals = 0;
  const refused = (): void => void (refusals += 1);
  const { store, writers } = await bucketAt(server.url, { refused });
  await writers();
  t.is(refusals, 0);
  rules.isVersioned = true;
  await t.throwsAsync(store.putNew('a', Buffer.from('first')), { code: 'BUCKET_UNSAFE' });
  t.is(refusals, 1);
});

test('a bucket that begins to keep versions, and still honours conditions, is probed once more', async (t) => {
  const rules = { isVersioned: false };
  const server = await S3Server.during(t, rules);
  const found: boolean[] = [];
  const decided = async (isForVersions: boolean): Promise<void> => void found.push(isForVersions);
  const { store, writers, trust } = await bucketAt(server.url, { decided });
  await writers();
  rules.isVersioned = true;
  t.is(await store.putNew('a', Buffer.from('first')), 'created');
  t.is(await store.putNew('a', Buffer.from('second')), 'exists');
  t.deepEqual(found, [false, true]);
  const before = server.requests.length;
  t.is(await store.putNew('b', Buffer.from('first')), 'created');
  t.is(server.requests.length, before + 1);
  trust(false); // its own decision counts
  t.is(await store.putNew('c', Buffer.from('first')), 'created');
  t.is(server.requests.length, before + 2);
});
