// Pace: slow
/** Versions and locks of a real gateway, if this machine has one. */
import test, { type ExecutionContext } from 'ava';
import { extendLocks, recover, recoverTo } from '../../../src/maintenance/bucket-versions/index.js';
import type { Bucket, ObjectVersion } from '../../../src/store/objects/index.js';
import { bucketAt, type TestOptions } from '../../helpers/buckets.js';
import { rejectedCode } from '../../helpers/codes.js';
import { leaveOut } from '../../helpers/left-out.js';
import { type Gateway, LOCKED_BUCKET, startGateway, whyNoGateway } from '../../support/radosgw.js';

const why = whyNoGateway();
const X = Buffer.from('x');
const DAY_MS = 86_400_000;
let gateway: Gateway | undefined;

test.before(async (t) => {
  t.timeout(240_000);
  if (why === undefined) gateway = await startGateway();
});
test.after.always(async () => gateway?.stop());

async function opened(t: ExecutionContext, options: TestOptions): Promise<Bucket | undefined> {
  if (gateway === undefined) return leaveOut(t, `left out: no real gateway (${why})`);
  const bucket = await bucketAt(gateway.url, {
    patienceMs: 0,
    prefix: t.title.slice(0, 8).trim(),
    ...options,
  });
  t.teardown(() => bucket.store.close());
  return bucket;
}

async function versionsOf({ versions }: Bucket): Promise<ObjectVersion[]> {
  const found: ObjectVersion[] = [];
  for await (const version of versions.list('')) found.push(version);
  return found;
}

test('keeps: a real gateway keeps versions and locks', async (t) => {
  const bucket = await opened(t, { bucket: LOCKED_BUCKET, lockDays: 2, isSingleWriter: true });
  if (bucket === undefined) return;
  const { store, versions, writers } = bucket;
  t.log(`writers: ${await writers()}, abilities: ${JSON.stringify(await versions.abilities())}`);
  for (let at = 0; at < 1100; at += 50) {
    const some = Array.from({ length: 50 }, (_, index) => `many/${at + index}`);
    await Promise.all(some.map(async (name) => store.putOwn(name, X)));
  }
  t.is(await store.putNew('packs/1', X), 'created');
  for (let round = 0; round < 3; round += 1) await store.putOwn('packs/1', Buffer.from('thief'));
  await store.remove(['packs/1']);
  const all = await versionsOf(bucket);
  t.is(all.filter(({ name }) => name.startsWith('many/')).length, 1100);
  const own = all.filter(({ name }) => name === 'packs/1');
  t.deepEqual(
    own.map(({ isMark, isLatest }) => [isMark, isLatest]),
    [
      [true, true],
      [false, false],
      [false, false],
      [false, false],
      [false, false],
    ],
  );
  const oldest = own.at(-1)!;
  const source = await versions.source(oldest);
  await versions.putAgain('packs/1', source!);
  t.deepEqual(await store.readWhole('packs/1', 10), X);
  const leftMs = (await versions.lockedUntilMs(oldest)) - Date.now();
  t.true(Math.abs(leftMs - 2 * DAY_MS) < 60_000, `${leftMs}`);
  await versions.lockFor(oldest, 3 * DAY_MS);
  t.true((await versions.lockedUntilMs(oldest)) - Date.now() > 2.9 * DAY_MS);
  t.truthy(await rejectedCode(versions.lockFor(oldest, DAY_MS)));
  await store.putOwn('note', X);
  t.is(await versions.lockedUntilMs({ name: 'note' }), 0);
});

test('mended: what a thief did in a real gateway is brought back, and locks are made longer', async (t) => {
  const where = { bucket: LOCKED_BUCKET, isSingleWriter: true };
  const bucket = await opened(t, { ...where, lockDays: 2 });
  if (bucket === undefined) return;
  const { store, versions, writers } = bucket;
  await writers();
  const names = [
    'client.json',
    'g1/log/0000000001',
    'g1/packs/0000000001-0001',
    'keys/00000002.key',
  ];
  const all = names.map((name) => `c/me/${name}`);
  for (const name of all) t.is(await store.putNew(name, Buffer.from(name)), 'created');
  for (const name of all.slice(0, 2)) await store.putOwn(name, X);
  await store.remove(all.slice(1));
  const { changed, hidden, lost } = await recover(versions, { isPreview: false });
  t.deepEqual([changed, hidden, lost], [1, 3, 0]);
  for (const name of all) t.is((await store.readWhole(name, 100))?.toString(), name);
  t.like(await recover(versions, { isPreview: false }), { changed: 0, hidden: 0 });
  t.like(await extendLocks(versions, { retainMs: 3 * DAY_MS }), { extended: 0, attacked: 0 });
  // Each name has two versions to extend: the first, and the one that the recovery has written. The commit object is left,
  // since its bytes here are not a commit.
  t.like(await extendLocks(versions, { retainMs: 5 * DAY_MS }), {
    extended: 6,
    unlocked: 0,
    strange: 1,
    uncovered: 0,
  });
  const other = await opened(t, { prefix: 'other' });
  await recoverTo(versions, { isPreview: false, target: other!.store, untilMs: Infinity });
  for (const name of all) t.is((await other!.store.readWhole(name, 100))?.toString(), name);
});

test('refused: a bucket of a real gateway without Object Lock is refused with LockDays', async (t) => {
  const bucket = await opened(t, { lockDays: 2 });
  if (bucket === undefined) return;
  t.deepEqual(await bucket.versions.abilities(), { locks: 'no', versions: 'no' });
  t.is(await rejectedCode(bucket.writers()), 'BUCKET_CANNOT_LOCK');
});
