/** The bytes that a client takes in a bucket, and the requests for that. */
import test, { type ExecutionContext } from 'ava';
import { UsedSpace } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { accountMachine } from '../../helpers/bucket-accounts.js';
import { ManualClock } from '../../support/manual-clock.js';
import { MemoryObjectStore, type Objects } from '../../support/memory-object-store.js';

function labOf(t: ExecutionContext) {
  const objects: Objects = new Map();
  const requested: string[] = [];
  const store = new MemoryObjectStore(objects, (kind) => void requested.push(kind));
  const clock = new ManualClock(0);
  const used = new UsedSpace({ ...nodeSystem(), clock }, accountMachine(t, store).access);
  const put = (name: string, sizeBytes: number): void =>
    void objects.set(`c/${name}`, { bytes: Buffer.alloc(sizeBytes), modifiedMs: 0 });
  return { requested, clock, used, put };
}

test('packs, commits, keys and lists count, and copies of the catalog do not', async (t) => {
  const { put, used } = labOf(t);
  t.is(await used.of('me'), 0);
  put('other/g1/packs/0000000001-0001', 7);
  put('me/client.json', 1);
  put('me/keys/00000002.key', 2);
  put('me/accounts/0000000001.json', 4);
  put('me/g1/log/0000000001', 8);
  put('me/g1/packs/0000000001-0001', 16);
  put('me/g1/snap/0000000001-0123456789abcdef/0000', 32);
  used.forget('me');
  t.is(await used.of('me'), 31);
});

test('of two generations the larger one counts', async (t) => {
  const { put, used } = labOf(t);
  put('me/g1/log/0000000001', 8);
  put('me/g1/packs/0000000001-0001', 100);
  put('me/g2-0123456789abcdef/log/0000000001', 60);
  t.is(await used.of('me'), 108);
  put('me/g1/packs/0000000001-0001', 0);
  put('me/g2-0123456789abcdef/packs/0000000001-0001', 50);
  used.forget('me');
  t.is(await used.of('me'), 110);
});

test('objects are listed again only if the log goes on, and seldom without that', async (t) => {
  const { put, used, requested, clock } = labOf(t);
  put('me/g1/log/0000000001', 8);
  put('me/g1/log/0000000002', 8);
  t.is(await used.of('me'), 16);
  t.deepEqual(requested.splice(0), ['list']);
  clock.advance(2000);
  t.is(await used.of('me'), 16);
  t.deepEqual(requested.splice(0), ['head']);
  put('me/g1/log/0000000003', 8);
  clock.advance(11_000);
  t.is(await used.of('me'), 24);
  t.deepEqual(requested.splice(0), ['head', 'list']);
  clock.advance(601_000);
  t.is(await used.of('me'), 24);
  t.deepEqual(requested.splice(0), ['list'], 'packs may have been removed');
});
