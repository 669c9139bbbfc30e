/** Tests of the contract in src/store/objects/object-store.ts, for every implementation. */
import { createHash, randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { type ObjectSource, type ObjectStore, probe } from '../../src/store/objects/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { rejectedCode } from '../helpers/codes.js';

/** Names of a list that takes several pages, if the store has small ones. */
const SOME_MANY = 25;
const RACERS = 8;
const MAX_BYTES = 1 << 20;
/** A store shows times in whole seconds, and its clock may differ from this machine's. */
const MAX_SKEW_MS = 60_000;

type Make = (t: ExecutionContext) => Promise<ObjectStore | undefined>;
type Body = (t: ExecutionContext, store: ObjectStore) => Promise<void>;

/** Returns a source that counts how often it is read. */
export function sourceOf(bytes: Buffer, pieceBytes = 10_000): ObjectSource & { opened: number } {
  return {
    opened: 0,
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest(),
    async *open() {
      this.opened += 1;
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        yield bytes.subarray(at, at + pieceBytes);
      }
    },
  };
}

async function namesOf(store: ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of store.list(prefix, after)) names.push(name);
  return names;
}

async function textOf(store: ObjectStore, name: string): Promise<string | undefined> {
  return (await store.readWhole(name, MAX_BYTES))?.toString();
}

/**
 * Declares the tests. `make` returns an empty store for one test, or undefined if this machine has none, which it
 * logs.
 */
export function objectStoreSuite(make: Make): void {
  const on = (title: string, body: Body): void =>
    test(title, async (t) => {
      const store = await make(t);
      if (store === undefined) return t.pass();
      await body(t, store);
    });
  creatingSuite(on);
  arbitratingSuite(on);
  readingSuite(on);
  namesSuite(on);
}

type On = (title: string, body: Body) => void;

function creatingSuite(on: On): void {
  on('a new object has the bytes it was created with', async (t, store) => {
    t.is(await store.putNew('c/me/1', Buffer.from('one')), 'created');
    t.is(await textOf(store, 'c/me/1'), 'one');
    t.is(await store.putNew('c/me/empty', Buffer.alloc(0)), 'created');
    t.is(await textOf(store, 'c/me/empty'), '');
    t.is((await store.head('c/me/empty'))?.sizeBytes, 0);
  });

  on('bytes that are not in memory are stored as those that are', async (t, store) => {
    for (const size of [0, 1, 300_000]) {
      const bytes = randomBytes(size);
      t.is(await store.putNew(`packs/${size}`, sourceOf(bytes)), 'created');
      t.true((await store.readWhole(`packs/${size}`, MAX_BYTES))?.equals(bytes));
      t.is(await store.putNew(`packs/${size}`, sourceOf(bytes)), 'created');
      t.is(await store.putNew(`packs/${size}`, sourceOf(randomBytes(size + 1))), 'exists');
    }
  });

  on('an own object is replaced', async (t, store) => {
    await store.putOwn('nodes/a.json', Buffer.from('first'));
    await store.putOwn('nodes/a.json', Buffer.from('the second'));
    t.is(await textOf(store, 'nodes/a.json'), 'the second');
    t.is((await store.head('nodes/a.json'))?.sizeBytes, 10);
  });

  on(
    'an object that is written again has its bytes, checksum and name as before',
    async (t, store) => {
      for (const size of [1, 300_000]) {
        const bytes = randomBytes(size);
        await store.putNew('packs/1', sourceOf(bytes));
        const source = sourceOf(bytes);
        for (let times = 0; times < 2; times += 1) await store.putAgain('packs/1', source);
        t.true((await store.readWhole('packs/1', MAX_BYTES))?.equals(bytes));
        const { sizeBytes, sha256 } = (await store.head('packs/1'))!;
        t.is(sizeBytes, size);
        t.is(sha256, Buffer.from(source.sha256).toString('hex'));
        t.is(await store.putNew('packs/1', source), 'created');
        await store.remove(['packs/1']);
      }
    },
  );

  on('the class of storage that every service has is accepted', async (t, store) => {
    const options = { storageClass: 'STANDARD' };
    t.is(await store.putNew('packs/1', Buffer.from('x'), options), 'created');
    t.is(await textOf(store, 'packs/1'), 'x');
  });
}

function arbitratingSuite(on: On): void {
  on('an object that exists keeps its bytes', async (t, store) => {
    t.is(await store.putNew('log/1', Buffer.from('first')), 'created');
    for (const other of ['other', 'first and more', 'firs', '']) {
      t.is(await store.putNew('log/1', Buffer.from(other)), 'exists', other);
    }
    t.is(await textOf(store, 'log/1'), 'first');
  });

  on('creating an object again with the bytes it has succeeds', async (t, store) => {
    t.is(await store.putNew('log/1', Buffer.from('own bytes')), 'created');
    t.is(await store.putNew('log/1', Buffer.from('own bytes')), 'created');
  });

  on('of writers that create one object at once, one succeeds', async (t, store) => {
    for (let round = 0; round < 3; round += 1) {
      const name = `log/${round}`;
      const bodies = Array.from({ length: RACERS }, (_, index) => `writer ${index}`);
      const results = await Promise.all(
        bodies.map((body) => store.putNew(name, Buffer.from(body))),
      );
      t.is(results.filter((result) => result === 'created').length, 1);
      t.is(await textOf(store, name), bodies[results.indexOf('created')]);
    }
  });

  on('the probe accepts the store, and leaves nothing in it', async (t, store) => {
    t.is(await probe(store, seededRandom(1)), undefined);
    t.deepEqual(await namesOf(store, ''), []);
  });
}

function readingSuite(on: On): void {
  on('a range of an object is read, and less only at its end', async (t, store) => {
    const content = randomBytes(100_000);
    await store.putNew('packs/1', content);
    for (const [at, bytes, expected] of [
      [0, 100_000, 100_000],
      [0, 100_001, 100_000],
      [0, 0, 0],
      [0, 1, 1],
      [998, 3, 3],
      [43_210, 50_000, 50_000],
      [99_990, 100, 10],
      [100_000, 1, 0],
      [200_000, 5, 0],
    ] as const) {
      const target = Buffer.alloc(bytes + 1, 0xaa);
      t.is(await store.read('packs/1', at, target, bytes), expected, `${at}`);
      t.deepEqual(target.subarray(0, expected), content.subarray(at, at + expected));
      t.true(target.subarray(expected).every((byte) => byte === 0xaa));
    }
  });

  on('an object that does not exist is not there', async (t, store) => {
    t.is(await rejectedCode(store.read('packs/1', 0, Buffer.alloc(1), 1)), 'ENOENT');
    t.is(await rejectedCode(store.read('packs/1', 0, Buffer.alloc(1), 0)), 'ENOENT');
    t.is(await store.readWhole('packs/1', MAX_BYTES), undefined);
    t.is(await store.head('packs/1'), undefined);
  });

  on('an object that is larger than expected is refused', async (t, store) => {
    await store.putNew('log/1', Buffer.alloc(1001));
    t.is(await rejectedCode(store.readWhole('log/1', 1000)), 'BUCKET_ANSWER_INVALID');
    t.is((await store.readWhole('log/1', 1001))?.length, 1001);
  });

  on('size and times of an object are known', async (t, store) => {
    const beforeMs = Date.now();
    await store.putNew('packs/1', Buffer.alloc(1234));
    const head = await store.head('packs/1');
    t.is(head?.sizeBytes, 1234);
    t.true(head!.storeNowMs >= head!.modifiedMs - 1000);
    t.true(Math.abs(head!.modifiedMs - beforeMs) < MAX_SKEW_MS);
  });

  on('many objects are read and created at once', async (t, store) => {
    const names = Array.from({ length: 60 }, (_, index) => `packs/${index}`);
    await Promise.all(names.map((name) => store.putNew(name, Buffer.from(name))));
    const texts = await Promise.all(names.map((name) => textOf(store, name)));
    t.deepEqual(texts, names);
  });
}

function namesSuite(on: On): void {
  on('names below a prefix are listed in the order of their bytes', async (t, store) => {
    t.deepEqual(await namesOf(store, 'packs/'), []);
    const names = ['10', '9', 'a', '1', 'B', '_', 'a-b', 'a.b', 'ab', 'x/y/z'];
    for (const name of names) await store.putNew(`packs/${name}`, Buffer.from(name));
    await store.putNew('packsx/1', Buffer.from('x'));
    const sorted = names.map((name) => `packs/${name}`).sort();
    t.deepEqual(await namesOf(store, 'packs/'), sorted);
    t.deepEqual(
      await namesOf(store, 'packs/', 'packs/a'),
      sorted.slice(sorted.indexOf('packs/a') + 1),
    );
    t.deepEqual(
      await namesOf(store, 'packs/', 'packs/Z'),
      sorted.filter((name) => name > 'packs/Z'),
    );
    t.deepEqual(await namesOf(store, ''), [...sorted, 'packsx/1']);
    const sizes: [string, number][] = [];
    for await (const { name, sizeBytes } of store.listSized('packs/'))
      sizes.push([name, sizeBytes]);
    t.deepEqual(
      sizes,
      sorted.map((name) => [name, name.length - 'packs/'.length]),
    );
  });

  on('a list of many pages is complete', async (t, store) => {
    const names = Array.from({ length: SOME_MANY }, (_, n) => `log/${String(n).padStart(10, '0')}`);
    await Promise.all(names.map((name) => store.putNew(name, Buffer.from(name))));
    t.deepEqual(await namesOf(store, 'log/'), names);
    t.deepEqual(await namesOf(store, 'log/', names[20]), names.slice(21));
  });

  on('removed objects are gone, and their names can be used again', async (t, store) => {
    const names = Array.from({ length: 20 }, (_, index) => `packs/${index}`);
    for (const name of names) await store.putNew(name, Buffer.from('first'));
    await store.remove([...names, 'packs/never']);
    t.deepEqual(await namesOf(store, ''), []);
    t.is(await store.head('packs/1'), undefined);
    t.is(await store.putNew('packs/1', Buffer.from('second')), 'created');
    t.is(await textOf(store, 'packs/1'), 'second');
    await store.remove([]);
  });

  on('names that could leave the store are refused', async (t, store) => {
    for (const name of [
      '',
      '/a',
      'a/',
      'a//b',
      '../a',
      'a/../b',
      'a/.b',
      'a b',
      'ü',
      'a?b',
      'x'.repeat(1025),
    ]) {
      await t.throwsAsync(store.putNew(name, Buffer.from('x')), { message: /is no name/ }, name);
      await t.throwsAsync(store.readWhole(name, 1), { message: /is no name/ }, name);
      await t.throwsAsync(store.remove([name]), { message: /is no name/ }, name);
    }
    await t.throwsAsync(namesOf(store, 'a'), { message: /is no prefix/ });
    await t.throwsAsync(namesOf(store, '../'), { message: /is no prefix/ });
  });

  on('a store that was closed can be used again', async (t, store) => {
    await store.putNew('log/1', Buffer.from('x'));
    store.close();
    t.is(await textOf(store, 'log/1'), 'x');
    store.close();
  });
}
