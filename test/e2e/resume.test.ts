// Pace: slow
/** Commands whose connection or server is lost midway finish without help. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  backup,
  listedSets,
  Running,
  Server,
  succeed,
  type BackupReport,
  run,
  poolsStayAway,
} from '../helpers/commands.js';
import { restoredBy } from '../helpers/lab.js';
import { Link } from '../helpers/link.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, noise, text } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const PART_BYTES = 64 * MIB;

interface Resumed extends BackupReport {
  readonly restarts: number;
  readonly replacedConnections: number;
  readonly resentBytes: number;
}

interface Lab {
  readonly store: string;
  readonly source: string;
  readonly out: string;
  server: Server;
  readonly link: Link;
  /** The arguments with which a client reaches the server over the link. */
  readonly there: readonly string[];
}

/** Option of a server that is killed. */
const MORTAL = { isProcess: true } as const;

async function linkLab(
  t: ExecutionContext,
  serverArgs: readonly string[] = [],
  options: Partial<typeof MORTAL> = {},
): Promise<Lab> {
  const home = scratchInMemory(t);
  const [store, source, out] = ['store', 'tree', 'out'].map((name) => path.join(home, name));
  const server = await Server.start(store!, serverArgs, options);
  const link: Link = await Link.start({ port: () => lab.server.port });
  const there = ['-C', 'me', '--server', '127.0.0.1', '--insecure-tcp', '--port', `${link.port}`];
  const lab: Lab = { store: store!, source: source!, out: out!, server, link, there };
  t.teardown(async () => {
    await lab.server.kill();
    await link.close();
  });
  return lab;
}

/** Options that make a backup slow enough to be interrupted. */
const SLOWLY = ['--bandwidth-limit', '3M', '--json'];

function makeSource(source: string): void {
  makeTree(source, [
    ...Array.from({ length: 20 }, (_, at) =>
      dir(
        `d${at}`,
        Array.from({ length: 20 }, (_unused, index) =>
          file(`f${index}`, text(`${at} ${index}`, 9000)),
        ),
      ),
    ),
    ...Array.from({ length: 8 }, (_, at) => file(`large ${at}`, noise(at, 2 * MIB))),
  ]);
}

async function isWhole(t: ExecutionContext, lab: Lab): Promise<void> {
  t.deepEqual(await restoredBy(['-D', lab.store, '-C', 'me'], lab.source, lab.out), []);
}

test('a server that is killed and started again: the same command finishes, from the last checkpoint', async (t) => {
  const lab = await linkLab(t, [], MORTAL);
  const { store, source, there, link } = lab;
  makeTree(source, [
    dir(
      'small',
      Array.from({ length: 50 }, (_, at) => file(`f${at}`, text(at, 9000))),
    ),
    file('huge', noise('huge', 3 * PART_BYTES)),
  ]);
  const running = new Running('tardis', ['--create', '--json', ...there, source]);
  // More than the first part and its checkpoint.
  await running.until('much sent', () => link.bytes['to-server'] > 2.5 * PART_BYTES);
  await lab.server.kill();
  await lab.server.running.ended;
  lab.server = await Server.start(store, [], MORTAL);
  const { stdout } = exited(t, 0, await running.ended);
  const report = JSON.parse(stdout) as Resumed;
  t.is(report.restarts, 1);
  t.is(report.set, 2, 'over the unfinished one');
  const all = link.bytes['to-server'];
  t.log(`${all - 3 * PART_BYTES} bytes more than there are`);
  // The limit allows for bytes in flight, bytes that no checkpoint covered, and two parts sent at once.
  t.true(all < 3 * PART_BYTES + PART_BYTES * 3, `${all} bytes sent`);
  t.deepEqual(
    (await listedSets(store, 'me')).map(({ set, state }) => [set, state]),
    [[2, 'complete']],
  );
  await isWhole(t, lab);
});

test('a cut is reported on the terminal, and Ctrl-C ends the waiting at once', async (t) => {
  const lab = await linkLab(t, [], MORTAL);
  const { source, there, link } = lab;
  makeSource(source);
  const running = new Running('tardis', ['--create', '--bandwidth-limit', '3M', ...there, source]);
  await running.until('something sent', () => link.bytes['to-server'] > 3 * MIB);
  link.cut();
  await running.until('a word of it', () => running.stderr.includes('trying again'));
  t.regex(
    running.stderr,
    /^tardis: connection lost, trying again in \d+ s, and for 10 min 0 s in all/m,
  );
  const { stdout } = exited(t, 0, await running.ended);
  t.regex(stdout, /Backup set 1 .* is complete/);
  await isWhole(t, lab);

  await lab.server.kill();
  await lab.server.running.ended;
  lab.server = await Server.start(lab.store, [], MORTAL);
  makeTree(path.join(source, 'more'), [file('more', noise('more', 20 * MIB))]);
  const second = new Running('tardis', ['--bandwidth-limit', '3M', ...there, source]);
  const before = link.bytes['to-server'];
  await second.until('something sent', () => link.bytes['to-server'] - before > 3 * MIB);
  await lab.server.kill();
  const tries = (): number => second.stderr.split('trying again').length - 1;
  await second.until('some attempts', () => tries() >= 3);
  const triesBefore = tries();
  const { status: interrupted, stderr: printed } = await second.endedBy('SIGINT');
  t.true(tries() <= triesBefore + 1, 'it waits for no further attempt');
  t.is(interrupted, 130, printed);
  t.regex(printed, /\[INTERRUPTED\]/);
});

test('Reconnect is the time for which a lost connection is retried; 0 means no retry', async (t) => {
  const lab = await linkLab(t, [], MORTAL);
  const { source, there, link } = lab;
  makeSource(source);
  for (const [seconds, expected] of [
    ['0', /^(?!.*trying again)/s],
    ['1.5', /trying again/],
  ] as const) {
    const args = [...(seconds === '0' ? ['--create'] : []), '--reconnect', seconds];
    const running = new Running('tardis', [...args, '--bandwidth-limit', '3M', ...there, source]);
    const before = link.bytes['to-server'];
    await running.until('something sent', () => link.bytes['to-server'] - before > 2 * MIB);
    await lab.server.kill();
    await lab.server.running.ended;
    t.regex(exited(t, 1, await running.ended).stderr, expected);
    lab.server = await Server.start(lab.store, [], MORTAL);
  }
});

/** Starts a backup of `client` that takes about ten seconds, and kills it midway. */
async function killedBackup(lab: Lab, client: string): Promise<void> {
  const args = ['--create', '--bandwidth-limit', '2M', ...lab.there, '-C', client, lab.source];
  const running = new Running('tardis', args);
  const before = lab.link.bytes['to-server'];
  await running.until('something sent', () => lab.link.bytes['to-server'] - before > 2 * MIB);
  running.signalGroup('SIGKILL');
  await running.ended;
}

/** Returns the times at which a server logged messages that contain `what`. */
function loggedAtMs(server: Server, what: string): number[] {
  const lines = server.running.stderr.split('\n').filter((line) => line.includes(what));
  return lines.map((line) => (JSON.parse(line) as { readonly time: number }).time);
}

test('ParkTimeout is the time for which a session waits for its client; 0 means no wait', async (t) => {
  const home = scratchInMemory(t);
  makeTree(path.join(home, 'config'), [
    file('short', '[Tardis]\nParkTimeout = 1\n'),
    file('none', '[Tardis]\nParkTimeout = 0\n'),
  ]);
  const lab = await linkLab(t, ['--config', path.join(home, 'config', 'short')]);
  makeSource(lab.source);
  await killedBackup(lab, 'me');
  const { running } = lab.server;
  await running.until('its end', () => running.stderr.includes('session over'));
  const [parkedMs, overMs] = ['session parked', 'session over'].map(
    (what) => loggedAtMs(lab.server, what)[0]!,
  );
  t.true(overMs! - parkedMs! >= 990, `${overMs! - parkedMs!} ms`);
  t.deepEqual(
    (await listedSets(lab.store, 'me')).map(({ state }) => state),
    ['unfinished'],
  );
  await lab.server.kill();
  await running.ended;
  lab.server = await Server.start(lab.store, ['--config', path.join(home, 'config', 'none')]);
  await killedBackup(lab, 'you');
  const { running: second } = lab.server;
  await second.until('its end', () => second.stderr.includes('session over'));
  t.false(second.stderr.includes('session parked'));
});

test('ParkedSessions limits the sessions that wait for their clients; the oldest ends first', async (t) => {
  const home = scratchInMemory(t);
  makeTree(path.join(home, 'config'), [file('cfg', '[Tardis]\nParkedSessions = 1\n')]);
  const lab = await linkLab(t, ['--config', path.join(home, 'config', 'cfg')]);
  makeSource(lab.source);
  const { running } = lab.server;
  for (const [at, client] of ['me', 'you'].entries()) {
    await killedBackup(lab, client);
    await running.until('one more parked', () => loggedAtMs(lab.server, 'parked"').length > at);
  }
  await running.until('an end', () => running.stderr.includes('session over'));
  const tooMany = running.stderr.split('\n').filter((line) => line.includes('too many'));
  t.is(tooMany.length, 1);
  t.regex(tooMany[0]!, /"client":"me"/);
  t.deepEqual(
    (await listedSets(lab.store, 'me')).map(({ state }) => state),
    ['unfinished'],
  );
  t.is(loggedAtMs(lab.server, 'session over').length, 1, 'the other goes on waiting');
});

test('a parked session ends when a command on the machine of the store needs the client', async (t) => {
  const lab = await linkLab(t);
  makeSource(lab.source);
  await killedBackup(lab, 'me');
  const { running } = lab.server;
  await running.until('its session parked', () => running.stderr.includes('session parked'));
  await backup(['-D', lab.store, '-C', 'me', '--local', lab.source]);
  t.true(running.stderr.includes('its parked session ends'));
});

test('a client that slept longer than its server waits for a sign of life goes on when it wakes', async (t) => {
  const home = path.join(scratchInMemory(t), 'config');
  makeTree(home, [file('cfg', '[Tardis]\nTimeout = 8\n')]);
  const lab = await linkLab(t, ['--config', path.join(home, 'cfg')]);
  makeSource(lab.source);
  const args = ['--create', '--timeout', '8', ...SLOWLY, ...lab.there, lab.source];
  const running = new Running('tardis', args);
  await running.until('something sent', () => lab.link.bytes['to-server'] > 3 * MIB);
  running.signal('SIGSTOP');
  const server = lab.server.running;
  await server.until('a parked session', () => server.stderr.includes('session parked'));
  const { stdout } = exited(t, 0, await running.endedBy('SIGCONT'));
  const report = JSON.parse(stdout) as Resumed;
  t.is(report.restarts, 0);
  t.true(report.replacedConnections > 0);
  await isWhole(t, lab);
});

test('a link that stalls is given up after Timeout, and replaced', async (t) => {
  const lab = await linkLab(t);
  makeSource(lab.source);
  const args = ['--create', '--timeout', '8', ...SLOWLY, ...lab.there, lab.source];
  const running = new Running('tardis', args);
  await running.until('something sent', () => lab.link.bytes['to-server'] > 3 * MIB);
  lab.link.stall(); // the server does not notice; the client takes its session over while the old connection seems alive
  t.is((JSON.parse(exited(t, 0, await running.ended).stdout) as Resumed).restarts, 0);
  await isWhole(t, lab);
});

test('a restore over a link that is cut gets everything', async (t) => {
  const lab = await linkLab(t);
  const { source, store, out, there, link } = lab;
  makeSource(source);
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const word = ['--password=of a test'];
  await succeed('sonic', ['setpass', '-D', store, '-C', 'me', ...word]);
  const args = ['-o', out, '--json', '--workers=2', ...word, ...there, source];
  const running = new Running('regenerate', args);
  for (const bytes of [100_000, 3 * MIB, 9 * MIB]) {
    await running.until('some of it', () => running.hasEnded || link.bytes['to-client'] > bytes);
    link.cut();
  }
  exited(t, 0, await running.ended);
  // A later cut may come after the last byte.
  t.true(link.connections >= 2, `${link.connections} connections`);
  t.deepEqual(differences(look(source), look(path.join(out, 'tree'))), []);
  const elsewhere = ['-o', `${out} again`, '--reconnect', '0', ...args.slice(2)];
  const again = new Running('regenerate', elsewhere);
  const before = link.bytes['to-client'];
  await again.until('some of it', () => link.bytes['to-client'] - before > 100_000);
  link.cut();
  const impatient = await again.ended;
  t.is(impatient.status, 3, 'each file that is lacking is named');
  t.regex(impatient.stdout, /CONNECTION_LOST/);
});

for (const [kind, word] of [
  ['plain', []],
  ['encrypting', ['--password=of a test']],
] as const) {
  test(`an unfinished set of a client (${kind}) is listed and restored, and shown as unfinished`, async (t) => {
    const lab = await linkLab(t);
    const { store, source, out, there, link } = lab;
    makeSource(source);
    const args = ['--create', '--bandwidth-limit', '3M', ...word, ...there, source];
    const running = new Running('tardis', args);
    await running.until('much of it', () => link.bytes['to-server'] > 8 * MIB);
    t.is((await running.endedBy('SIGINT')).status, 130);
    const place = ['-D', store, '-C', 'me', ...word];
    t.regex(await succeed('sonic', ['list', ...place]), /^ +1 .*unfinished\b/m);
    t.regex(await succeed('lstardis', place), /^ +1 .*unfinished\b/m);
    t.regex(await succeed('lstardis', [...place, '--json']), /"state":"unfinished"/);
    const args1 = ['-b', '1', '-o', out, '--json', ...place, source];
    const { status, stdout, stderr } = await new Running('regenerate', args1).ended;
    t.is(status, kind === 'plain' ? 0 : 3, stderr);
    t.regex(stderr, /set 1 is unfinished/);
    const reported = JSON.parse(stdout) as {
      unfinished: number[];
      doubts: string[];
      files: number;
    };
    t.deepEqual(reported.unfinished, [1]);
    t.true(reported.files > 0);
    t.is(reported.doubts.length, kind === 'plain' ? 0 : 1, 'nothing seals it');
    const strict = exited(t, 1, await run('regenerate', ['--authenticate', ...args1]));
    t.regex(strict.stderr + strict.stdout, /NOT_PROVEN/);
    // A part of the tree is restored as it was; the rest is not in the set yet.
    const restored = [...look(path.join(out, 'tree')).keys()];
    const wrong = differences(look(source), look(path.join(out, 'tree')));
    t.true(wrong.length < look(source).size, `${restored.length} of it`);
    const next = await succeed('tardis', ['--json', ...word, ...there, source]);
    t.is((JSON.parse(next) as Resumed).set, 2);
    t.notRegex(await succeed('lstardis', place), /unfinished/);
  });
}
