// Pace: long
/** A server over a bucket: clients that have no access key, with passwords and without, beside machines that have one. */
import fs from 'node:fs';
import test from 'ava';
import { NodeClient, SECRET, startNode } from '../helpers/bucket-nodes.js';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, run, Server } from '../helpers/commands.js';
import { readOpenMetrics } from '../helpers/open-metrics.js';
import { noise } from '../helpers/tree.js';
import type { S3Fault } from '../support/s3-faults.js';
import { BUCKET, KEYS } from '../support/s3-server.js';
import type { Keys } from '../support/s3-signature.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

test('clients with and without encryption back up through a server over a bucket, and read it', async (t) => {
  const lab = await ServedLab.grown(t);
  const server = await startNode(t, lab, 'node');
  const to = server.clientArgs;
  const [sealed, plain] = [new NodeClient(lab, 'sealed'), new NodeClient(lab, 'plain')];
  await sealed.succeed(to, 'tardis', ['--create', lab.source]);
  await plain.succeed(to, 'tardis', ['--create', '--no-crypt', lab.source]);
  for (const client of [sealed, plain]) {
    lab.change(1);
    await client.succeed(to, 'tardis', [lab.source]);
    t.deepEqual(await client.restored(to), [], client.name);
    t.is((await client.sets(to)).length, 2);
    await client.succeed(to, 'sonic', ['check', '--read-data']);
    const other = new NodeClient(lab, client.name, 'another secret');
    t.is(codeIn(await other.run(to, 'lstardis', [])), 'LOGIN_FAILED');
  }
  const unknown = new NodeClient(lab, 'nobody');
  t.is(codeIn(await unknown.run(to, 'lstardis', [])), 'LOGIN_FAILED');
  t.is((await server.stop()).status, 0);
});

test('what machines with the access key store, and other servers, is seen by a server', async (t) => {
  const lab = await ServedLab.grown(t);
  const config = lab.at('watch.cfg');
  fs.writeFileSync(config, `[Tardis]\nMetricsFile = ${lab.at('two.prom')}\nWatchInterval = 1\n`);
  const one = await startNode(t, lab, 'one');
  const two = await startNode(t, lab, 'two', ['--config', config]);
  const me = new NodeClient(lab, 'me');
  await me.succeed(one.clientArgs, 'tardis', ['--create', lab.source]);
  t.is((await me.sets(two.clientArgs)).length, 1);
  lab.change(1);
  await lab.backUp('laptop', ['--password-file', lab.at('me.secret')]);
  t.is((await me.sets(two.clientArgs)).length, 2);
  // The watch over the clients has them, too.
  const setsWatched = (): number | undefined =>
    readOpenMetrics(fs.readFileSync(lab.at('two.prom'), 'utf8')).get(
      'tardis_client_sets{client="me"}',
    );
  await me.succeed(one.clientArgs, 'tardis', [lab.source]);
  await until(() => setsWatched() === 3);
  lab.change(2);
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  t.is((await me.sets(one.clientArgs)).length, 4);
  t.deepEqual(await me.restored(one.clientArgs), []);
  // A password that was changed at one server counts at once at the other one.
  const next = lab.at('next');
  fs.writeFileSync(next, 'the next secret', { mode: 0o600 });
  const change = ['chpass', '--newpassword-file', next];
  await me.succeed(one.clientArgs, 'sonic', change);
  t.is(codeIn(await me.run(two.clientArgs, 'lstardis', [])), 'LOGIN_FAILED');
  const again = new NodeClient(lab, 'me', 'the next secret');
  t.is((await again.sets(two.clientArgs)).length, 4);
  // A plain client changes its password, too, since it protects against those who have no access key.
  const plain = new NodeClient(lab, 'plain');
  await plain.succeed(one.clientArgs, 'tardis', ['--create', '--no-crypt', lab.source]);
  await plain.succeed(one.clientArgs, 'sonic', change);
  t.is(codeIn(await plain.run(two.clientArgs, 'lstardis', [])), 'LOGIN_FAILED');
  const later = new NodeClient(lab, 'plain', 'the next secret');
  t.is((await later.sets(two.clientArgs)).length, 1);
});

test('a server reports that its bucket is away, and not where it is; and goes on when it is back', async (t) => {
  let fault: S3Fault | undefined;
  const lab = await ServedLab.grown(t, { faultAt: () => fault });
  const server = await startNode(t, lab, 'node', ['--metrics-port', '0']);
  const to = server.clientArgs;
  const [, port] = /"port":(\d+),"msg":"metrics/.exec(server.running.stderr)!;
  const ask = (what: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/${what}`);
  const answers = async (): Promise<number | undefined> =>
    readOpenMetrics(await (await ask('metrics')).text()).get('tardis_store_answers');
  const me = new NodeClient(lab, 'me');
  await me.succeed(to, 'tardis', ['--create', lab.source]);
  await until(async () => (await ask('health')).status === 200);
  t.is(await answers(), 1);
  fault = 'drop';
  const refused = await me.run(to, 'lstardis', []);
  t.is(codeIn(refused), 'STORE_AWAY', refused.stderr);
  t.false(/s3:|127\.0\.0\.1:/.test(refused.stderr), refused.stderr);
  await until(async () => (await ask('health')).status !== 200);
  t.is((await ask('health')).status, 503);
  t.is(await answers(), 0);
  await until(() => server.running.stderr.includes('the bucket is away'));
  fault = undefined;
  t.is((await me.sets(to)).length, 1);
  await until(async () => (await ask('health')).status === 200);
  await until(() => server.running.stderr.includes('the bucket answers again'));
});

test('a server whose bucket was deleted reports that it is away', async (t) => {
  const options = { bucket: BUCKET };
  const lab = await ServedLab.start(t, options);
  const server = await startNode(t, lab, 'node', ['--metrics-port', '0']);
  const [, port] = /"port":(\d+),"msg":"metrics/.exec(server.running.stderr)!;
  const health = async () => (await fetch(`http://127.0.0.1:${port}/health`)).status;
  const isReported = (): boolean => /NO_SUCH_BUCKET|NoSuchBucket/.test(server.running.stderr);
  await until(async () => (await health()) === 200);
  options.bucket = 'another';
  await until(async () => (await health()) === 503 && isReported());
  t.is(await health(), 503);
});

test('a server goes on after its access key was exchanged in the file of profiles', async (t) => {
  const options: { keys: Keys } = { keys: KEYS };
  const lab = await ServedLab.grown(t, options);
  const file = lab.at('credentials');
  const exchange = (keys: Keys): void => {
    const { accessKeyId, secretAccessKey } = keys;
    fs.writeFileSync(
      file,
      `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    );
    options.keys = keys;
  };
  exchange(KEYS);
  const fromFile = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
  const env = { ...lab.on('node'), ...fromFile, AWS_SHARED_CREDENTIALS_FILE: file };
  const server = await Server.during(t, STORE, [], { env });
  const me = new NodeClient(lab, 'me');
  await me.succeed(server.clientArgs, 'tardis', ['--create', lab.source]);
  exchange({ accessKeyId: 'AKNEXT', secretAccessKey: 'the next secret' });
  lab.change(1);
  const isThere = async (): Promise<boolean> =>
    (await me.run(server.clientArgs, 'tardis', [lab.source])).status === 0;
  await until(isThere); // a key that was read just now is not read again at once
  t.deepEqual(await me.restored(server.clientArgs), []);
});

test('a server does not start over a bucket that it cannot use', async (t) => {
  const lab = await ServedLab.start(t, { conditions: 'ignored' });
  const words = ['-D', STORE, '--port', '0', '--insecure-tcp'];
  const env = lab.on('node');
  t.is(codeIn(await run('tardisd', words, { env })), 'BUCKET_UNSAFE');
  const wrong = { ...env, AWS_SECRET_ACCESS_KEY: 'wrong' };
  t.is(codeIn(await run('tardisd', words, { env: wrong })), 'CREDENTIALS_REFUSED');
});

test('servers of one bucket give an unknown name one salt', async (t) => {
  const lab = await ServedLab.start(t);
  const [one, two] = [await startNode(t, lab, 'one'), await startNode(t, lab, 'two')];
  const nobody = new NodeClient(lab, 'nobody', SECRET);
  const requests: number[] = [];
  for (const server of [one, two, two]) {
    const from = lab.server.requests.length;
    t.is(codeIn(await nobody.run(server.clientArgs, 'lstardis', [])), 'LOGIN_FAILED');
    requests.push(lab.server.requests.length - from);
    await pause(2100); // a look counts for a while
  }
  t.is(requests.at(-1), 3); // the last two are sent at once
  const decoys = ['one', 'two'].map((machine) => {
    const home = `${lab.at(machine)}-cache/tardis/buckets`;
    const [store] = fs.readdirSync(home);
    return fs.readFileSync(`${home}/${store}/.login/keys/00000001.key`);
  });
  t.deepEqual(decoys[0], decoys[1]);
});

test('a server over a bucket purges sets, and frees what only they needed', async (t) => {
  const lab = await ServedLab.grown(t);
  const config = lab.at('purge.cfg');
  const rules = [
    'KeepHourly = 1',
    'LeastAge = 0',
    'RemoveAfter = 0',
    'GcInterval = 1',
    'PurgeInterval = 1',
  ];
  fs.writeFileSync(config, `[Tardis]\n${rules.join('\n')}\n`);
  const server = await startNode(t, lab, 'node', ['--config', config]);
  const to = server.clientArgs;
  const me = new NodeClient(lab, 'me');
  await me.succeed(to, 'tardis', ['--create', lab.source]);
  const isPack = (key: string): boolean => key.includes('/packs/');
  const packs = (): number => lab.server.objects.keys().filter(isPack).length;
  const made = (): number =>
    new Set(
      lab.server.requests
        .filter(({ method, key }) => method === 'PUT' && isPack(key))
        .map(({ key }) => key),
    ).size;
  for (let round = 1; round <= 3; round += 1) {
    lab.change(1);
    fs.writeFileSync(`${lab.source}/new-1`, noise(round, 2_000_000));
    await me.succeed(to, 'tardis', ['--purge', lab.source]);
  }
  await until(() => packs() + 2 <= made());
  t.true(packs() + 2 <= made(), `${packs()} of ${made()} packs`);
  t.true((await me.sets(to)).length < 4);
  t.deepEqual(await me.restored(to), []);
  await me.succeed(to, 'sonic', ['check', '--read-data']);
});

test('a backup through a server goes on after another machine has written to its client', async (t) => {
  const strike = { left: 0, isDone: false };
  const lab = await ServedLab.start(t, {
    faultAt: ({ method, key }) => {
      if (strike.left === 0 || method !== 'PUT' || !key.includes('/log/')) return undefined;
      strike.left -= 1;
      strike.isDone = strike.left === 0;
      return strike.isDone ? 'hang' : undefined;
    },
  });
  lab.grow();
  const server = await startNode(t, lab, 'node');
  const to = server.clientArgs;
  const me = new NodeClient(lab, 'me');
  await me.succeed(to, 'tardis', ['--create', lab.source]);
  lab.change(1);
  strike.left = 2;
  const running = me.start(to, [lab.source]);
  await until(() => strike.isDone);
  const secret = ['--password-file', lab.at('me.secret')];
  await lab.succeed('laptop', 'sonic', ['tag', '1', '--add', 'kept', ...secret]);
  const { status, stderr } = await running.ended;
  t.is(status, 0, stderr);
  t.true(server.running.stderr.includes('STORE_TAKEN'));
  t.deepEqual(await me.restored(to), []);
});

test('a path is forgotten in the bucket by a server when its request is due', async (t) => {
  const lab = await ServedLab.grown(t);
  const config = lab.at('node.cfg');
  fs.writeFileSync(config, '[Tardis]\nForgetAfter = 1\nLeastAge = 1\nGcInterval = 0.3\n');
  const server = await startNode(t, lab, 'node', ['--config', config]);
  const to = server.clientArgs;
  const me = new NodeClient(lab, 'me');
  await me.succeed(to, 'tardis', ['--create', '--no-crypt', lab.source]);
  const secret = `${lab.source}/docs/secret`;
  fs.writeFileSync(secret, noise('secret', 50_000));
  await me.succeed(to, 'tardis', [lab.source]);
  const request = ['forget-path', '--yes', '--undo-period', '0d', secret];
  const own = ['--password-file', lab.at('me.secret')];
  await lab.succeed('laptop', 'sonic', [...request, ...own]);
  fs.rmSync(secret);
  // The server takes up a client again that another machine has changed, once it has had a session here.
  await me.succeed(to, 'tardis', [lab.source]);
  await server.running.until('paths that were forgotten', () =>
    server.running.stderr.includes('paths were forgotten'),
  );
  const ofFirst = lab.server.objects.keys().filter((key) => key.includes('/g1/packs/'));
  t.deepEqual(ofFirst, [], 'the bytes are gone');
  t.deepEqual(await me.restored(to), []);
  t.notRegex(await me.succeed(to, 'lstardis', ['-a', `${lab.source}/docs`]), /secret/);
  await lab.succeed('laptop', 'sonic', ['check', '--read-data', ...own]);
  await me.succeed(to, 'tardis', [lab.source]);
  t.deepEqual(await me.restored(to), []);
});
