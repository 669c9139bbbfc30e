// Pace: slow
/** Programs that run for long and read a bucket: mounts, the page, and the store over HTTP. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { KEY_VARIABLES } from '../helpers/buckets.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, run, Running } from '../helpers/commands.js';
import { outputOf } from '../helpers/mounted-sets.js';
import { Mounts } from '../helpers/mounts.js';
import { differences, file, look, makeTree, noise, text } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';
import type { S3Fault } from '../support/s3-faults.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';
const AWAY_MS = 1500;

/** Throws if a secret of the bucket is in a text. */
function requireNoSecret(t: ExecutionContext, printed: string): void {
  for (const secret of [KEY_VARIABLES.AWS_SECRET_ACCESS_KEY, SECRET])
    t.false(printed.includes(secret), printed);
}

/**
 * Returns what rsync would change to make the tree of what is shown. This process must not read a mount itself, since it
 * is the bucket, too.
 */
function changesIn(mounts: Mounts, lab: ServedLab, shown: string): Promise<string> {
  return outputOf({ mounts }, 'rsync', '-anHAXic', '--delete', `${lab.source}/`, `${shown}/`);
}

async function isShown(mounts: Mounts, file: string): Promise<boolean> {
  return (await outputOf({ mounts }, 'ls', '-d', file)).trim() === file;
}

function argumentsOf(pid: number): string {
  return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1');
}

test('a mount of a bucket shows what another machine stores, after Refresh', (t) =>
  Mounts.during(t, async (mounts) => {
    let fault: S3Fault | undefined;
    const lab = await ServedLab.start(t, { faultAt: () => fault }, mounts.home);
    const point = mounts.directory('mount');
    lab.grow();
    await lab.backUp('one', ['--create']);
    // As mount(8) calls it for a line of fstab: the source, the directory, the options.
    const log = lab.at('log');
    const words = [STORE, point, '-f', '-o', `rw,client=me,refresh=1,log=${log}`];
    const options = { env: lab.on('two'), mountsOf: mounts.mountsOf };
    const mount = new Running('tardisfs', words, options);
    t.teardown(() => mount.signalGroup('SIGKILL'));
    const shown = path.join(point, 'Current', lab.source);
    await until(() => isShown(mounts, shown));
    t.is(await changesIn(mounts, lab, shown), '');
    requireNoSecret(t, argumentsOf(mount.pid));
    lab.change(1);
    await lab.backUp('one');
    await until(() => isShown(mounts, path.join(shown, 'new-1')));
    t.is(await changesIn(mounts, lab, shown), '');

    lab.change(2);
    await lab.backUp('one');
    await until(() => isShown(mounts, path.join(shown, 'new-2')));
    fault = 'drop';
    const reading = changesIn(mounts, lab, shown);
    t.regex(await outputOf({ mounts }, 'ls', shown), /new-2/);
    await pause(AWAY_MS);
    fault = undefined;
    t.is(await reading, '');
    lab.change(3);
    await lab.backUp('one');
    await until(() => isShown(mounts, path.join(shown, 'new-3')));
    const { stderr } = exited(t, 0, await mount.endedBy('SIGTERM'));
    requireNoSecret(t, stderr + (fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : ''));
  }));

test('a mount of an encrypted client in a bucket goes to the background with its password', (t) =>
  Mounts.during(t, async (mounts) => {
    const lab = await ServedLab.start(t, {}, mounts.home);
    const point = mounts.directory('mount');
    lab.grow();
    const given = lab.password(SECRET);
    await lab.backUp('one', [...given, '--create', '--crypt']);
    const named = `database=${STORE},client=me,pwfile=${given[1]},refresh=1`;
    const options = { env: lab.on('two'), mountsOf: mounts.mountsOf };
    const mount = new Running('tardisfs', ['-o', named, point], options);
    exited(t, 0, await mount.ended);
    const shown = path.join(point, 'Current', lab.source);
    t.is(await changesIn(mounts, lab, shown), '');
    lab.change(1);
    await lab.backUp('one', given);
    await until(() => isShown(mounts, path.join(shown, 'new-1')));
    t.is(await changesIn(mounts, lab, shown), '');
  }));

test('a client that a bucket lacks is not mounted', async (t) => {
  const lab = await ServedLab.backedUp(t);
  const words = ['-o', `database=${STORE},client=other`, lab.at('mount')];
  const { status, stderr } = await new Running('tardisfs', words, { env: lab.on('two') }).ended;
  t.is(status, 10, stderr);
  t.regex(stderr, /s3:\/\/bucket\/all has no client "other"/);
});

test('the page of a bucket shows what another machine stores, and restores it', async (t) => {
  const lab = await ServedLab.backedUp(t);
  const door = await WebDoor.during(t, STORE, ['--refresh', '1'], { env: lab.on('two') });
  const bearer = { authorization: `Bearer ${door.programKey}` };
  const api = '/api/v1/clients/me';
  const sets = async (): Promise<number> => {
    const { body } = await door.request(`${api}/sets`, bearer);
    return (JSON.parse(body) as { sets: unknown[] }).sets.length;
  };
  t.is(await sets(), 1);
  lab.change(1);
  await lab.backUp('one');
  await until(async () => (await sets()) === 2);
  const file = encodeURIComponent(path.join(lab.source, 'docs/letter'));
  const content = (set: string) => door.request(`${api}/sets/${set}/content?path=${file}`, bearer);
  t.is((await content('2')).body, text('letter 1', 5000).toString());
  t.is((await content('1')).body, text(1, 4000).toString());
  const { status, body } = await door.request('/api/v1/clients', bearer);
  t.is(status, 200);
  t.is((JSON.parse(body) as { completeSets: number }[])[0]?.completeSets, 2, body);
  requireNoSecret(t, argumentsOf(door.running.pid) + door.running.stderr);
});

interface Served {
  readonly url: string;
  readonly server: Running;
}

/** Starts tardisremote on a machine by a configuration file. */
async function serve(t: ExecutionContext, lab: ServedLab, machine: string): Promise<Served> {
  const config = lab.at('tardisremote.cfg');
  const { TARDIS_ENDPOINT: endpoint, ...env } = lab.on(machine);
  const lines = [
    `Database = ${STORE}`,
    `Endpoint = ${endpoint}`,
    'Refresh = 1',
    'Port = 0',
    'Address = 127.0.0.1',
    'SSL = yes',
    `CertFile = ${lab.at('cert.pem')}`,
    `KeyFile = ${lab.at('key.pem')}`,
    'MakeCertificate = yes',
    `LogFile = ${lab.at('remote.log')}`,
  ];
  fs.writeFileSync(config, `[Tardis]\n${lines.join('\n')}\n`);
  const server = new Running('tardisremote', ['--config', config, '--json'], { env });
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its line', () => server.stdout.includes('\n'));
  const printed = JSON.parse(server.stdout) as { ready: string; store: string };
  t.is(printed.store, STORE);
  return { url: printed.ready, server };
}

test('tardisremote serves a bucket to the tools, with what other machines store meanwhile', async (t) => {
  let fault: S3Fault | undefined;
  const lab = await ServedLab.grown(t, { faultAt: () => fault });
  const given = lab.password(SECRET);
  await lab.backUp('one', [...given, '--create', '--crypt']);
  const { url, server } = await serve(t, lab, 'two');
  const read = (tool: 'lstardis' | 'regenerate', ...words: string[]) =>
    run(tool, [...words, '--server', url, '-C', 'me', ...given], {
      env: { XDG_STATE_HOME: lab.at('three-state'), XDG_CACHE_HOME: lab.at('three-cache') },
    });
  const sets = async (): Promise<number> => {
    const { status, stdout, stderr } = await read('lstardis', '--json');
    t.is(status, 0, stderr);
    return (JSON.parse(stdout) as { sets: unknown[] }).sets.length;
  };
  t.is(await sets(), 1);
  lab.change(1);
  await lab.backUp('one', given);
  await until(async () => (await sets()) === 2); // after Refresh
  const output = lab.at('out');
  const restored = await read('regenerate', lab.source, '-o', output);
  t.is(restored.status, 0, restored.stderr);
  t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);

  const wrong = lab.at('wrong');
  fs.writeFileSync(wrong, `${SECRET}x`, { mode: 0o600 });
  for (const client of ['me', 'nobody']) {
    const words = ['--server', url, '-C', client, '--password-file', wrong];
    t.is((await run('lstardis', words)).status, 12, client);
  }

  await pause(1000); // Refresh
  fault = 'drop';
  const away = await read('lstardis');
  t.not(away.status, 0);
  t.notRegex(away.stderr, /s3:|127\.0\.0\.1:\d+\/bucket/);
  fault = undefined;
  await until(async () => (await read('lstardis')).status === 0);
  t.is(await sets(), 2);
  const { stderr } = exited(t, 0, await server.endedBy('SIGTERM'));
  const log = fs.readFileSync(lab.at('remote.log'), 'utf8');
  requireNoSecret(t, stderr + log + argumentsOf(process.pid));
});

test('tardisremote does not start without its bucket, or with a wrong key', async (t) => {
  const lab = await ServedLab.start(t);
  const refused = async (store: string, more: Readonly<Record<string, string>>) => {
    const words = ['--port', '0', '--insecure-tcp', '-D', store];
    const outcome = await new Running('tardisremote', words, { env: { ...lab.on('two'), ...more } })
      .ended;
    requireNoSecret(t, outcome.stderr);
    return codeIn(outcome);
  };
  t.is(await refused('s3://other/all', {}), 'NO_SUCH_BUCKET');
  t.is(await refused(STORE, { AWS_SECRET_ACCESS_KEY: 'wrong' }), 'CREDENTIALS_REFUSED');
});

test('a pack that vanished is looked for once, and then named', async (t) => {
  const lab = await ServedLab.backedUp(t);
  await lab.sets('two');
  const { objects } = lab.server;
  for (const name of objects.keys()) {
    if (name.includes('/packs/')) objects.versions.delete(name);
  }
  const from = lab.server.requests.length;
  const outcome = await lab.run('two', 'regenerate', [lab.source, '-o', lab.at('out')]);
  t.is(outcome.status, 3, outcome.stderr);
  t.regex(outcome.stderr, /packs\/\S* is missing/);
  const requested = lab.server.requests.slice(from).map(({ key }) => key);
  const looks = requested.filter((key) => key === 'all/c/me/client.json').length;
  t.is(looks, 2, requested.join('\n')); // of the command's start, and of the missing pack
});

test('a damaged record of a bucket costs a restore its own files only', async (t) => {
  const lab = await ServedLab.start(t);
  const files = Array.from({ length: 60 }, (_, n) => file(`f${n}`, noise(n, 40_000)));
  makeTree(lab.source, files);
  await lab.backUp('one', ['--create']);
  const { objects } = lab.server;
  const pack = objects.keys().find((name) => name.includes('/packs/'))!;
  objects.spoil(pack, (bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  });
  const args = [lab.source, '-o', lab.at('out')];
  exited(t, 3, await lab.run('two', 'regenerate', args));
  const restored = path.join(lab.at('out'), path.basename(lab.source));
  const right = fs.readdirSync(restored).filter((name) => {
    const content = fs.readFileSync(path.join(restored, name));
    return content.equals(fs.readFileSync(path.join(lab.source, name)));
  });
  t.is(right.length, fs.readdirSync(restored).length);
  t.true(right.length >= files.length / 2 && right.length < files.length);
});
