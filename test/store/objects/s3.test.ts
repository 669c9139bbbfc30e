/** A bucket's store beside its contract: errors, checks of answers, locks, single writers. */
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { bucketAt, openTestBucket } from '../../helpers/buckets.js';
import { certificateIn } from '../../helpers/certificates.js';
import { rejectedCode } from '../../helpers/codes.js';
import { scratch } from '../../helpers/scratch.js';
import { sourceOf } from '../../contract/object-store.suite.js';
import type { S3Fault } from '../../support/s3-faults.js';
import { listening } from '../../helpers/listener.js';

const X = Buffer.from('x');
const BRIEF = { patienceMs: 0 };
const KEY = 'backups/all/log/1';

/** Starts a server that answers everything in one way. */
async function answering(
  t: ExecutionContext,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status, headers).end(body));
  });
  const port = await listening(t, server);
  return `http://127.0.0.1:${port}`;
}

/** Starts an endpoint by TLS, whose certificate it signed itself. */
async function tlsEndpoint(t: ExecutionContext): Promise<{ url: string; certificate: Buffer }> {
  const { certFile, keyFile } = await certificateIn(scratch(t), 'localhost');
  const [cert, key] = [fs.readFileSync(certFile), fs.readFileSync(keyFile)];
  const server = https.createServer({ cert, key }, (request, response) => {
    request.resume().on('end', () => response.writeHead(200, { etag: '"1"' }).end());
  });
  const port = await listening(t, server);
  return { url: `https://localhost:${port}`, certificate: cert };
}

async function codeAt(url: string, idleMs?: number): Promise<string | undefined> {
  const { store } = await bucketAt(url, { ...BRIEF, idleMs });
  const code = await rejectedCode(store.putOwn('nodes/a', X));
  store.close();
  return code;
}

test('each failure of a bucket has its own error', async (t) => {
  const reported = (word: string, message = ''): string =>
    `<Error><Code>${word}</Code><Message>${message}</Message></Error>`;
  for (const [status, word, code] of [
    [403, 'InvalidAccessKeyId', 'CREDENTIALS_REFUSED'],
    [403, 'SignatureDoesNotMatch', 'CREDENTIALS_REFUSED'],
    [400, 'ExpiredToken', 'CREDENTIALS_REFUSED'],
    [403, 'RequestTimeTooSkewed', 'CLOCK_WRONG'],
    [404, 'NoSuchBucket', 'NO_SUCH_BUCKET'],
    [301, 'PermanentRedirect', 'BUCKET_REGION_WRONG'],
    [403, 'AccessDenied', 'BUCKET_DENIED'],
    [403, 'QuotaExceeded', 'BUCKET_FULL'],
    [507, '', 'BUCKET_FULL'],
    [503, 'SlowDown', 'BUCKET_SLOW'],
    [500, 'InternalError', 'BUCKET_FAILED'],
    [501, 'NotImplemented', 'BUCKET_FAILED'],
    [302, '', 'BUCKET_ANSWER_INVALID'],
    [200, '', 'BUCKET_ANSWER_INVALID'],
  ] as const) {
    t.is(await codeAt(await answering(t, status, reported(word))), code, `${status} ${word}`);
  }
  const cap = reported('AccessDenied', 'Cannot upload files, storage cap exceeded. See the page');
  t.is(await codeAt(await answering(t, 403, cap)), 'BUCKET_FULL');
  t.is(await codeAt('http://127.0.0.1:1'), 'BUCKET_UNREACHABLE');
  const { url } = (await openTestBucket(t, { faultAt: () => 'hang' })).server;
  t.is(await codeAt(url, 300), 'BUCKET_SLOW');
});

test('a PUT whose last answer is lost is looked for, and its outcome is unknown only if that shows nothing', async (t) => {
  const ofPuts =
    (fault: S3Fault) =>
    ({ method }: { readonly method: string }): S3Fault | undefined =>
      method === 'PUT' ? fault : undefined;
  const applied = await openTestBucket(t, { faultAt: ofPuts('apply, drop') }, BRIEF);
  t.is(await applied.store.putNew('log/1', X), 'created');
  applied.server.objects.spoil(KEY, () => Buffer.from('y'));
  t.is(await applied.store.putNew('log/1', X), 'exists');
  const dropped = await openTestBucket(t, { faultAt: ofPuts('drop') }, BRIEF);
  t.is(await rejectedCode(dropped.store.putNew('log/1', X)), 'BUCKET_OUTCOME_UNKNOWN');
  const nowhere = await bucketAt('http://127.0.0.1:1', BRIEF);
  t.is(await rejectedCode(nowhere.store.putNew('log/1', X)), 'BUCKET_UNREACHABLE');
});

test('an error names what was done where, and how wrong the clock is', async (t) => {
  const { store } = await openTestBucket(t, { aheadMs: 3_600_000 }, BRIEF);
  const error = await t.throwsAsync(store.putNew('log/1', X), { instanceOf: TardisError });
  t.is(error.code, 'CLOCK_WRONG');
  t.regex(
    error.message,
    /^creating log\/1 \(s3:\/\/bucket\/backups\/all at 127\.0\.0\.1:\d+\): 403/,
  );
  t.regex(error.message, /the clock of this machine is 3[56]\d\d s behind/);
});

test('the text of an answer cannot harm a terminal, and is short', async (t) => {
  const text = `<Error><Code>Odd</Code><Message>\u001b]0;${'x'.repeat(5000)}</Message></Error>`;
  const { store } = await bucketAt(
    await answering(t, 400, text.replace('\u001b', '&#x9b;')),
    BRIEF,
  );
  const error = await t.throwsAsync(store.putOwn('nodes/a', X));
  t.true(error.message.length < 500);
  t.notRegex(error.message, /\p{Cc}/u);
});

test('a full bucket is reported as such, also if the connection of the first attempt broke', async (t) => {
  const faults: S3Fault[] = [];
  const { store, server } = await openTestBucket(t, {
    quotaBytes: 1000,
    faultAt: () => faults.shift(),
  });
  for (const bytes of [1001, 300_000]) {
    faults.push('drop');
    t.is(await rejectedCode(store.putNew('packs/1', Buffer.alloc(bytes))), 'BUCKET_FULL');
  }
  t.is(server.objects.bytesOf(KEY), undefined);
});

test('another bucket, and a full one, are reported', async (t) => {
  const { server } = await openTestBucket(t, { quotaBytes: 1000 });
  const elsewhere = await bucketAt(server.url, { ...BRIEF, bucket: 'other-bucket' });
  t.is(await rejectedCode(elsewhere.store.putNew('log/1', X)), 'NO_SUCH_BUCKET');
  const error = await t.throwsAsync(elsewhere.store.readWhole('log/1', 10));
  t.true(error.message.includes(` at ${new URL(server.url).host}`), error.message);
  t.is(await rejectedCode(elsewhere.store.readWhole('log/1', 10)), 'NO_SUCH_BUCKET');
  t.is(await rejectedCode(elsewhere.store.remove(['log/1'])), 'NO_SUCH_BUCKET');
  const { store } = await bucketAt(server.url, BRIEF);
  t.is(await rejectedCode(store.putNew('packs/1', Buffer.alloc(1001))), 'BUCKET_FULL');
  t.is(await store.putNew('packs/1', Buffer.alloc(1000)), 'created');
});

test('an object whose bytes differ from its checksum is refused', async (t) => {
  const { store, server } = await openTestBucket(t);
  await store.putNew('log/1', Buffer.from('a slot of the log'));
  server.objects.spoil(KEY, (bytes) => Buffer.from(bytes.toString().replace('slot', 'SLOT')));
  t.is(await rejectedCode(store.readWhole('log/1', 100)), 'OBJECT_DAMAGED');
  const error = await t.throwsAsync(store.readWhole('log/1', 100));
  t.true(error.message.includes(` at ${new URL(server.url).host}`), error.message);
  t.is(await rejectedCode(store.read('log/1', 0, Buffer.alloc(100), 100)), 'OBJECT_DAMAGED');
  t.is(await store.putNew('log/1', Buffer.from('a slot of the log')), 'exists');
});

test('bytes that a network changed once are read again', async (t) => {
  let isFirst = true;
  const { store } = await openTestBucket(t, {
    faultAt: ({ method }) => {
      if (method !== 'GET' || !isFirst) return undefined;
      isFirst = false;
      return 'wrong bytes';
    },
  });
  await store.putNew('log/1', Buffer.from('a slot of the log'));
  t.is((await store.readWhole('log/1', 100))?.toString(), 'a slot of the log');
  t.false(isFirst);
});

test('answers that are no range of the object, and lists that lie, are refused', async (t) => {
  const etag = { etag: '"1"' };
  for (const [status, headers, body] of [
    [200, {}, 'more than was asked for'],
    [206, { 'content-range': 'bytes 1-3/9' }, 'abc'],
    [206, { 'content-range': 'bytes 0-2/9' }, 'ab'],
    [206, { 'content-range': 'bytes 0-1/9' }, 'ab'],
    [206, {}, 'abc'],
    [416, { 'content-range': 'bytes */9' }, ''],
  ] as const) {
    const url = await answering(t, status, body, { ...etag, ...headers });
    const { store } = await bucketAt(url, BRIEF);
    t.is(
      await rejectedCode(store.read('log/1', 0, Buffer.alloc(3), 3)),
      'BUCKET_ANSWER_INVALID',
      `${status} ${body}`,
    );
  }
  const list = (keys: readonly string[], hasMore = false): string =>
    `<ListBucketResult><IsTruncated>${hasMore}</IsTruncated>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')}</ListBucketResult>`;
  for (const text of [
    '',
    'no xml',
    '<html/>',
    list(['elsewhere/a']),
    list(['backups/all/b', 'backups/all/a']),
    list(['backups/all/a', 'backups/all/a']),
    list([], true),
    list(['backups/all/a'], true),
    `<!DOCTYPE x [<!ENTITY a "b">]>${list([])}`,
  ]) {
    const { store } = await bucketAt(await answering(t, 200, text), BRIEF);
    const all = async (): Promise<void> => {
      for await (const name of store.list('')) t.truthy(name);
    };
    t.is(await rejectedCode(all()), 'BUCKET_ANSWER_INVALID', text);
  }
});

test('names in a list that are no names of objects are left out', async (t) => {
  const { store, server } = await openTestBucket(t);
  await store.putNew('log/1', X);
  for (const key of ['log/.hidden', 'log/a b', 'log/ü&<', 'log//x']) {
    server.objects.put(`backups/all/${key}`, X, {});
  }
  const names: string[] = [];
  for await (const name of store.list('log/')) names.push(name);
  t.deepEqual(names, ['log/1']);
});

test('a store that ignores conditions may have one writer only, if the user declares it', async (t) => {
  for (const conditions of ['ignored', 'unknown'] as const) {
    const many = await openTestBucket(t, { conditions });
    t.is(await rejectedCode(many.writers()), 'BUCKET_UNSAFE', conditions);
    const single = await bucketAt(many.server.url, { isSingleWriter: true });
    t.is(await single.writers(), 'one');
    const { store } = single;
    t.is(await store.putNew('log/1', Buffer.from('first')), 'created');
    t.is(await store.putNew('log/1', Buffer.from('second')), 'exists');
    t.is(await store.putNew('log/1', Buffer.from('first')), 'created');
    t.is((await store.readWhole('log/1', 100))?.toString(), 'first');
    store.close();
  }
});

test('a store that honours conditions may have many writers, and is tried once', async (t) => {
  const { writers, server } = await openTestBucket(t);
  t.is(await writers(), 'many');
  const { length } = server.requests;
  t.true(length > 10 && length < 40, `${length}`);
  t.is(await writers(), 'many');
  t.is(server.requests.length, length);
});

test('a class of storage reaches the store', async (t) => {
  const { store, server } = await openTestBucket(t, {}, BRIEF);
  t.is(await store.putNew('packs/1', X, { storageClass: 'GLACIER_IR' }), 'created');
  t.is(server.requests[0]!.headers['x-amz-storage-class'], 'GLACIER_IR');
});

test('a body that cannot be read fails with its own error, and creates nothing', async (t) => {
  const { store, server } = await openTestBucket(t);
  const broken = {
    ...sourceOf(Buffer.alloc(200_000)),
    async *open() {
      yield Buffer.alloc(100_000);
      throw Object.assign(new Error('EIO: the disk'), { code: 'EIO' });
    },
  };
  t.is(await rejectedCode(store.putNew('packs/1', broken)), 'EIO');
  const short = { ...sourceOf(Buffer.alloc(10)), sizeBytes: 11 };
  await t.throwsAsync(store.putNew('packs/2', short));
  t.deepEqual(server.objects.keys(), []);
});

test('a certificate must be signed by an authority that is named or trusted', async (t) => {
  const { certificate, url } = await tlsEndpoint(t);
  t.is(await codeAt(url), 'BUCKET_CERTIFICATE_REFUSED');
  const { store } = await bucketAt(url, { ...BRIEF, authorities: certificate });
  t.is(await rejectedCode(store.putOwn('nodes/a', X)), undefined);
  store.close();
});

test('an endpoint without TLS that is given as https:// is named as that', async (t) => {
  const { server } = await openTestBucket(t);
  const { store } = await bucketAt(server.url.replace('http:', 'https:'), BRIEF);
  await t.throwsAsync(store.putOwn('nodes/a', X), {
    code: 'BUCKET_CERTIFICATE_REFUSED',
    message: /does not answer by TLS.*http:/,
  });
  store.close();
});

test('the name of the bucket is in the host, or in the path', async (t) => {
  const { server } = await openTestBucket(t);
  const opened = await bucketAt('http://s3.example.org', { addressing: 'host' });
  t.is(opened.host, 'bucket.s3.example.org');
  t.false(opened.isPathStyle);
  t.true((await bucketAt(server.url)).isPathStyle);
  const { AWS_REGION, ...amazon } = { AWS_REGION: 'eu-central-1' };
  t.deepEqual(amazon, {});
  const own = await bucketAt('', { environment: { AWS_REGION } });
  t.is(own.host, 'bucket.s3.eu-central-1.amazonaws.com');
  const dotted = await bucketAt('', { bucket: 'a.b.c', region: 'us-west-2' });
  t.is(dotted.host, 's3.us-west-2.amazonaws.com');
  for (const endpoint of ['ftp://x', 'https://user:secret@x', 'https://x/path', 'x']) {
    const error = await t.throwsAsync(bucketAt(endpoint));
    t.is((error as TardisError).code, 'CONFIG_INVALID');
    t.notRegex(error.message, /secret/);
  }
});
