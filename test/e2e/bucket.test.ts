// Pace: slow
/** `sonic bucket`: examines a bucket. */
import dns from 'node:dns';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KEY_VARIABLES } from '../helpers/buckets.js';
import { certificateIn } from '../helpers/certificates.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, run } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { BUCKET, type S3Options, S3Server } from '../support/s3-server.js';
import { listening } from '../helpers/listener.js';

backupsRunHere();

const AT = ['bucket', '-D', `s3://${BUCKET}/all`, '--json'];

async function started(t: ExecutionContext, options: S3Options = {}): Promise<S3Server> {
  const server = await S3Server.during(t, options);
  return server;
}

function examine(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return run('sonic', [...AT, ...args], { env: { ...KEY_VARIABLES, ...environment } });
}

test('sonic bucket finds its endpoint and region by option, variable and key', async (t) => {
  const server = await started(t);
  const config = path.join(scratchInMemory(t), 'tardis.cfg');
  fs.writeFileSync(config, `[Tardis]\nEndpoint = ${server.url}\nRegion = of-key\n`);
  for (const [args, environment, region] of [
    [['--endpoint', server.url, '--region', 'of-option'], {}, 'of-option'],
    [[], { TARDIS_ENDPOINT: server.url, TARDIS_REGION: 'of-variable' }, 'of-variable'],
    [['--config', config, '--job', 'Tardis'], {}, 'of-key'],
    [[], { AWS_ENDPOINT_URL: server.url, AWS_REGION: 'of-others' }, 'of-others'],
  ] as const) {
    const { stdout } = exited(t, 0, await examine(args, environment));
    const shown = JSON.parse(stdout) as Record<string, unknown>;
    t.is(shown['region'], region);
    t.is(shown['endpoint'], new URL(server.url).host);
    t.is(shown['writers'], 'many');
  }
  t.deepEqual(server.objects.keys(), [], 'something was left in the bucket');
});

/** Makes this thread find a name at the loopback address until the test ends; no name server knows it. */
function resolveHere(t: ExecutionContext, name: string): void {
  const { lookup } = dns;
  const find = (host: string, ...rest: unknown[]): void =>
    Reflect.apply(lookup, dns, [host === name ? '127.0.0.1' : host, ...rest]);
  Object.assign(dns, { lookup: find });
  t.teardown(() => void Object.assign(dns, { lookup }));
}

test('sonic bucket puts the name of the bucket into path or host, by --addressing', async (t) => {
  const server = await started(t);
  resolveHere(t, `${BUCKET}.localhost`);
  const { port } = new URL(server.url);
  const named = `http://localhost:${port}`;
  for (const [addressing, endpoint, host, isPathStyle] of [
    ['path', server.url, `127.0.0.1:${port}`, true],
    ['host', named, `${BUCKET}.localhost:${port}`, false],
  ] as const) {
    const earlier = server.requests.length;
    const { stdout, stderr } = await examine(['--endpoint', endpoint, '--addressing', addressing]);
    t.like(JSON.parse(stdout), { endpoint: host, isPathStyle }, stderr);
    const sent = server.requests.slice(earlier);
    t.true(sent.length > 0);
    t.deepEqual([...new Set(sent.map(({ headers }) => headers.host))], [host]);
    t.true(sent.every(({ isInHost }) => isInHost === !isPathStyle));
  }
});

test('the name of a bucket cannot precede an address', async (t) => {
  for (const endpoint of ['http://127.0.0.1:9', 'http://[::1]:9', 'https://10.1.2.3']) {
    const refused = await examine(['--endpoint', endpoint, '--addressing', 'host']);
    t.regex(refused.stdout, /"CONFIG_INVALID".*--addressing path/, endpoint);
  }
});

test('a bucket that cannot be reached is reported with the proxy that is not used', async (t) => {
  const environment = { HTTPS_PROXY: 'http://user:secret@10.0.0.1:3128', http_proxy: '' };
  for (const [endpoint, isNamed] of [
    ['https://127.0.0.1:9', true],
    ['http://127.0.0.1:9', false],
  ] as const) {
    const { stdout, stderr } = await examine(['--endpoint', endpoint], environment);
    t.is(/HTTPS_PROXY is set, but no proxy is used/.test(stdout), isNamed, stdout);
    t.notRegex(stdout + stderr, /secret/);
  }
});

test('sonic bucket trusts the given authority, and no other', async (t) => {
  const folder = scratchInMemory(t);
  const { certFile, keyFile } = await certificateIn(folder, 'localhost');
  const tls = { cert: fs.readFileSync(certFile), key: fs.readFileSync(keyFile) };
  const server = https.createServer(tls, (request, response) => {
    const error = '<Error><Code>AccessDenied</Code></Error>';
    request.resume().on('end', () => response.writeHead(403).end(error));
  });
  const port = await listening(t, server);
  const at = ['--endpoint', `https://localhost:${port}`];
  t.is(codeIn(await examineText(at)), 'BUCKET_CERTIFICATE_REFUSED');
  t.is(codeIn(await examineText([...at, '--bucket-ca', certFile])), 'BUCKET_DENIED');
  t.is(
    codeIn(await examineText([...at, '--bucket-ca', path.join(folder, 'none')])),
    'CONFIG_INVALID',
  );
});

test('sonic bucket refuses a store that does not arbitrate, unless there is a single writer', async (t) => {
  const { url } = await started(t, { conditions: 'ignored' });
  const refused = await examineText(['--endpoint', url]);
  t.is(codeIn(refused), 'BUCKET_UNSAFE');
  t.regex(refused.stderr, /it replaces an object that must not be replaced/);
  const { stdout } = exited(t, 0, await examineText(['--endpoint', url, '--single-writer']));
  t.regex(stdout, /Only one process at a time may write/);
});

test('sonic bucket reports whether objects are locked, and refuses a bucket that cannot do it', async (t) => {
  const [plain, locking] = [await started(t), await started(t, { locks: 'honoured' })];
  for (const [{ url }, args, shown, line] of [
    [plain, [], { objectLock: 'no', versioning: 'no', lockDays: 0 }, /has no Object Lock: with/],
    [locking, [], { objectLock: 'yes', versioning: 'yes', lockDays: 0 }, /nothing is locked/],
    [locking, ['--lock-days', '30'], { objectLock: 'yes', lockDays: 30 }, /locked for 30 days/],
  ] as const) {
    const { stdout, stderr } = await examine(['--endpoint', url, ...args]);
    t.like(JSON.parse(stdout), shown, stderr);
    t.regex((await examineText(['--endpoint', url, ...args])).stdout, line);
  }
  const refused = await examineText(['--endpoint', plain.url, '--lock-days', '30']);
  t.is(codeIn(refused), 'BUCKET_CANNOT_LOCK', refused.stderr);
});

test('sonic bucket reports what is wrong, and never shows a secret', async (t) => {
  const { url } = await started(t);
  const secret = 'a-wrong-secret-key';
  const at = ['--endpoint', url];
  const wrong = await examineText(at, { AWS_SECRET_ACCESS_KEY: secret });
  t.is(codeIn(wrong), 'CREDENTIALS_REFUSED');
  t.is(wrong.status, 12);
  t.false(`${wrong.stdout}${wrong.stderr}`.includes(secret));
  t.is(codeIn(await examineText(at, { AWS_ACCESS_KEY_ID: '' })), 'CREDENTIALS_MISSING');
  const directory = await run('sonic', ['bucket', '-D', '/srv/tardis']);
  t.is(codeIn(directory), 'CONFIG_INVALID');
});

function examineText(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const [, ...place] = AT;
  const text = ['bucket', ...place.filter((word) => word !== '--json'), ...args];
  return run('sonic', text, { env: { ...KEY_VARIABLES, ...environment } });
}
