/** Versions of objects, and locks that keep them. */
import http from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { isMultipart, type ObjectVersion } from '../../../src/store/objects/index.js';
import type { Clock } from '../../../src/system/index.js';
import { bucketAt, openTestBucket, type TestBucket } from '../../helpers/buckets.js';
import { rejectedCode } from '../../helpers/codes.js';
import { sourceOf } from '../../contract/object-store.suite.js';
import type { S3Options } from '../../support/s3-server.js';
import { versionsText } from '../../support/s3-lists.js';
import { listening } from '../../helpers/listener.js';

const DAY_MS = 86_400_000;
const LOCK_DAYS = 30;
const X = Buffer.from('x');
const Y = Buffer.from('yy');
const LOCKING = { locks: 'honoured' } as const;
const BRIEF = { patienceMs: 0 };

function locking(t: ExecutionContext, rules: S3Options = LOCKING): Promise<TestBucket> {
  return openTestBucket(t, rules, { lockDays: LOCK_DAYS, ...BRIEF });
}

async function versionsOf({ versions }: TestBucket, prefix = ''): Promise<ObjectVersion[]> {
  const found: ObjectVersion[] = [];
  for await (const version of versions.list(prefix)) found.push(version);
  return found;
}

test('objects of a store with LockDays are locked, and nobody deletes their versions', async (t) => {
  const bucket = await locking(t);
  const { store, server, versions } = bucket;
  t.is(await store.putNew('packs/1', X), 'created');
  t.is(await store.putNew('packs/2', sourceOf(Buffer.alloc(50_000))), 'created');
  const { headers } = server.requests[0]!;
  t.is(headers['x-amz-object-lock-mode'], 'COMPLIANCE');
  const all = await versionsOf(bucket);
  t.is(all.length, 2);
  for (const version of all) {
    const leftMs = (await versions.lockedUntilMs(version)) - Date.now();
    t.true(Math.abs(leftMs - LOCK_DAYS * DAY_MS) < 10_000, `${leftMs}`);
    const key = `backups/all/${version.name}`;
    t.is(server.objects.remove(key, version.id).status, 403);
  }
  await store.remove(['packs/1']);
  t.is(await store.readWhole('packs/1', 10), undefined);
  const [mark, first] = await versionsOf(bucket);
  t.like(mark, { name: 'packs/1', isMark: true, isLatest: true });
  const source = await versions.source(first!);
  for await (const bytes of source!.open()) t.deepEqual(bytes, X);
  server.objects.pass(LOCK_DAYS * DAY_MS + 10_000);
  t.is(server.objects.remove('backups/all/packs/1', first!.id).status, 204);
});

test('a lock is made longer, and never shorter', async (t) => {
  const bucket = await locking(t);
  const { store, versions } = bucket;
  await store.putNew('packs/1', X);
  const [version] = await versionsOf(bucket);
  await versions.lockFor(version!, 40 * DAY_MS);
  const leftMs = (await versions.lockedUntilMs(version!)) - Date.now();
  t.true(Math.abs(leftMs - 40 * DAY_MS) < 10_000);
  t.is(await rejectedCode(versions.lockFor(version!, DAY_MS)), 'BUCKET_DENIED');
});

test('an object without a lock, of a note or of a store without LockDays, has no time of a lock', async (t) => {
  const bucket = await locking(t);
  await bucket.store.putOwn('note', X);
  const [version] = await versionsOf(bucket);
  t.is(await bucket.versions.lockedUntilMs(version!), 0);
  await bucket.versions.lockFor(version!, DAY_MS);
  t.true((await bucket.versions.lockedUntilMs(version!)) > Date.now());
});

test('locks end by the clock of the store, and no answer moves it by more than a signature may be wrong', async (t) => {
  const behind: Clock = { nowMs: () => Date.now() - 600_000, monotonicMs: () => performance.now() };
  const opened = await openTestBucket(t, LOCKING, { lockDays: 1, clock: behind });
  const { store, versions, server } = opened;
  await store.head('nothing');
  await store.putNew('packs/1', X);
  const leftMs = (await versions.lockedUntilMs({ name: 'packs/1' })) - Date.now();
  t.true(Math.abs(leftMs - DAY_MS) < 10_000, `${leftMs}`);
  t.true(server.requests.length > 0);

  const late = http.createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(404, { date: 'Fri, 01 Jan 2100 00:00:00 GMT' }).end();
    });
  });
  const port = await listening(t, late);
  const url = `http://127.0.0.1:${port}`;
  const lying = await bucketAt(url, { lockDays: 1 });
  await lying.store.head('nothing');
  t.true(Math.abs(lying.versions.nowMs() - Date.now() - 900_000) < 10_000);
});

test('a bucket that cannot lock objects, or ignores locks, is refused with LockDays', async (t) => {
  for (const [rules, reason] of [
    [{}, /refuses an object that is to be locked/],
    [{ isVersioned: true }, /refuses an object that is to be locked/],
    [{ locks: 'ignored' }, /does not lock it|question for its lock/],
  ] as const) {
    const { writers } = await locking(t, rules);
    const error = await t.throwsAsync(writers());
    t.like(error, { code: 'BUCKET_CANNOT_LOCK' });
    t.regex(error.message, reason);
  }
  const { writers, store } = await locking(t);
  t.is(await writers(), 'many');
  for await (const name of store.list('')) t.fail(`${name} was left`);
});

test('a bucket with versions that ignores conditions needs a single writer, whose objects are locked', async (t) => {
  const rules = { ...LOCKING, conditions: 'ignored' } as const;
  t.is(await rejectedCode((await locking(t, rules)).writers()), 'BUCKET_UNSAFE');
  const options = { lockDays: 1, isSingleWriter: true };
  const { writers, store, versions } = await openTestBucket(t, rules, options);
  t.is(await writers(), 'one');
  t.is(await store.putNew('log/1', X), 'created');
  t.is(await store.putNew('log/1', Y), 'exists');
  t.true((await versions.lockedUntilMs({ name: 'log/1' })) > Date.now());
});

test('versions are listed by pages, of each name the newest first', async (t) => {
  const bucket = await locking(t, { ...LOCKING, pageKeys: 2 });
  const { store } = bucket;
  for (const bytes of [X, Y, Buffer.from('zzz')]) await store.putOwn('b/1', bytes);
  await store.putOwn('a/1', X);
  await store.putOwn('b/2', X);
  await store.remove(['b/1']);
  const shown = (await versionsOf(bucket)).map(
    ({ name, isLatest, isMark, sizeBytes }) =>
      `${name} ${isMark ? 'mark' : sizeBytes}${isLatest ? ' latest' : ''}`,
  );
  t.deepEqual(shown, [
    'a/1 1 latest',
    'b/1 mark latest',
    'b/1 3',
    'b/1 2',
    'b/1 1',
    'b/2 1 latest',
  ]);
  t.is((await versionsOf(bucket, 'b/')).length, 5);
});

test('a version whose bytes differ from its checksum is refused, and one without a checksum is not ours', async (t) => {
  const bucket = await locking(t);
  const { store, server, versions } = bucket;
  await store.putNew('packs/1', X);
  const [version] = await versionsOf(bucket);
  server.objects.spoil('backups/all/packs/1', () => Buffer.from('z'));
  t.is(await rejectedCode(versions.source(version!)), 'OBJECT_DAMAGED');
  server.objects.put('backups/all/strange', X, {});
  const strange = (await versionsOf(bucket, '')).find(({ name }) => name === 'strange');
  t.is(await versions.source(strange!), undefined);
});

test('the bytes of large and empty versions are read again as they were', async (t) => {
  const bucket = await locking(t);
  const { store, versions } = bucket;
  const large = Buffer.alloc((40 << 20) + 5, 'abcdefg');
  for (const [name, bytes] of [
    ['large', large],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    await store.putNew(name, bytes);
    await store.putOwn(name, Y);
    const [, oldest] = (await versionsOf(bucket)).filter((version) => version.name === name);
    await versions.putAgain(name, (await versions.source(oldest!))!);
    t.true((await store.readWhole(name, 50 << 20))?.equals(bytes));
    t.true((await versions.lockedUntilMs({ name })) > Date.now() + 29 * DAY_MS);
  }
});

test('a version that several requests made is recognized', async (t) => {
  const bucket = await locking(t);
  bucket.server.objects.completeMultipart('backups/all/packs/1', X, Date.now() - DAY_MS);
  await bucket.store.putOwn('packs/2', X);
  t.deepEqual((await versionsOf(bucket)).map(isMultipart), [true, false]);
});

interface Shown {
  readonly key?: string;
  readonly id?: string;
  readonly isLatest?: boolean;
}

function page(shown: readonly Shown[], hasMore: boolean): string {
  const versions = shown.map(({ key = 'backups/all/a', id = 'v1', isLatest = true }) => ({
    key,
    isLatest,
    version: { id, etag: '"e"', modifiedMs: 0, bytes: X },
  }));
  return versionsText(versions, hasMore);
}

test('lists of versions that lie are refused', async (t) => {
  const pages: readonly (readonly [string, RegExp])[] = [
    [page([{}], true), /does not end|newest version/],
    [
      page([], true).replace('</IsTruncated>', '</IsTruncated><NextKeyMarker>a</NextKeyMarker>'),
      /does not end/,
    ],
    [page([], true), /where it goes on/],
    [page([{ key: 'backups/others/a' }], false), /another prefix/],
    [page([{ key: 'backups/all/b' }, { key: 'backups/all/a' }], false), /not sorted/],
    [page([{ isLatest: false }], false), /newest version/],
    [page([{}, { id: 'v0' }], false), /newest version/],
    [page([{ id: '' }], false), /without number/],
    [page([{ id: 'v'.repeat(2000) }], false), /without number/],
    [page([{}], false).replaceAll('1970-01-01', 'x'), /without number/],
    ['<ListBucketResult/>', /no list/],
    ['<html>', /XML/],
  ];
  for (const [body, reason] of pages) {
    const server = http.createServer((request, response) => {
      request.resume().on('end', () => response.end(body));
    });
    const port = await listening(t, server);
    const url = `http://127.0.0.1:${port}`;
    const { versions } = await bucketAt(url, BRIEF);
    const walk = async (): Promise<void> => {
      for await (const version of versions.list('')) t.truthy(version);
    };
    const error = await t.throwsAsync(walk(), undefined, body);
    t.like(error, { code: 'BUCKET_ANSWER_INVALID' }, body);
    t.regex(error.message, reason);
  }
});

test('names in a list of versions that lead elsewhere are left out', async (t) => {
  const bucket = await locking(t);
  for (const name of ['a/../b', '.hidden', 'good']) {
    bucket.server.objects.put(`backups/all/${name}`, X, {});
  }
  t.deepEqual(
    (await versionsOf(bucket)).map(({ name }) => name),
    ['good'],
  );
});

test('the abilities of a bucket are those it reports, or unknown', async (t) => {
  const ask = async (rules: S3Options) => (await locking(t, rules)).versions.abilities();
  t.deepEqual(await ask(LOCKING), { locks: 'yes', versions: 'yes' });
  t.deepEqual(await ask({ isVersioned: true }), { locks: 'no', versions: 'yes' });
  t.deepEqual(await ask({}), { locks: 'no', versions: 'no' });
});
