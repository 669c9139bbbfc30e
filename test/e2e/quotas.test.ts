// Pace: slow
/** Quotas of accounts: what fits is stored, the rest is refused in time, and nothing is lost. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backupsRunHere,
  type BackupReport,
  listedSets,
  run,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/lab.js';
import { differences, dir, file, look, makeTree, noise } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const KIB = 1 << 10;
const MIB = 1 << 20;
/** Bytes that the server's own records may take beyond a quota. */
const SLACK_BYTES = 256 * KIB;

interface Office extends Lab {
  readonly server: Server;
  /** Writes the configuration file of an account. */
  account(name: string, ...lines: string[]): void;
  to(client: string): string[];
  /** Returns the bytes that clients take in the store, without their catalogs. */
  storedBytes(...clients: string[]): number;
}

interface Refusal {
  readonly error: { readonly code: string; readonly message: string };
}

async function office(t: ExecutionContext, clients: readonly string[] = ['me']): Promise<Office> {
  const made = lab(t);
  const { store } = made;
  for (const client of clients) await succeed('sonic', ['create', '-D', store, '-C', client]);
  fs.mkdirSync(path.join(store, '.accounts'), { recursive: true });
  // Garbage collection follows a session after a second, and would change the bytes that are compared.
  const config = made.written('cfg', '[Tardis]\nGcInterval = 0\n');
  const server = await Server.during(t, store, ['--config', config]);
  return {
    ...made,
    server,
    account: (name, ...lines) =>
      fs.writeFileSync(path.join(store, '.accounts', name), `${lines.join('\n')}\n`),
    to: (client) => [...server.clientArgs, '-C', client, '--json'],
    storedBytes: (...names) => names.reduce((sum, name) => sum + sizeOf(path.join(store, name)), 0),
  };
}

function sizeOf(directory: string): number {
  let sum = 0;
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const isOurs =
      entry.isFile() && !/^(tardis\.db.*|format\.json|reserve|.*\.run)$/.test(entry.name);
    if (!isOurs) continue;
    const file = path.join(entry.parentPath, entry.name);
    sum += fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0; // the server may delete it meanwhile
  }
  return sum;
}

async function backedUp(args: readonly string[]): Promise<Partial<BackupReport & Space>> {
  return JSON.parse(await succeed('tardis', args)) as BackupReport & Space;
}

interface Space {
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly doubts: readonly string[];
}

async function refused(t: ExecutionContext, args: readonly string[]): Promise<Refusal['error']> {
  const { status, stdout, stderr } = await run('tardis', args);
  t.is(status, 1, stderr);
  return (JSON.parse(stdout) as Refusal).error;
}

/** Tries, and milliseconds between them, until the server has written all that a session's usage counts. */
const SETTLE_TRIES = 300;
const SETTLE_PAUSE_MS = 20;

/** Returns the bytes as soon as they are those that a backup reported: the server may write beyond its last message. */
async function settled(
  bytes: () => number,
  reported: number | undefined,
): Promise<number | undefined> {
  let found = bytes();
  for (let tries = 0; tries < SETTLE_TRIES && found !== reported; tries += 1) {
    await pause(SETTLE_PAUSE_MS);
    found = bytes(); // a second look might miss a file that gets its name meanwhile
  }
  return found;
}

async function restoresAs(
  t: ExecutionContext,
  o: Office,
  set: string,
  was: ReturnType<typeof look>,
) {
  const output = o.at(`out ${set} ${fs.readdirSync(o.home).length}`);
  await succeed('regenerate', [...o.place, '-b', set, '-o', output, o.source]);
  t.deepEqual(differences(was, look(path.join(output, path.basename(o.source)))), []);
}

test('a backup within its quota reports what is used, and warns when little is left', async (t) => {
  const { account, to, source, storedBytes } = await office(t);
  t.is((await backedUp([...to('me'), source])).quotaBytes, undefined, 'no account, no quota');
  account('a', '# roomy', 'SpaceQuota: 10M', 'Targets: me other');
  fs.writeFileSync(path.join(source, 'more'), noise('more', 300 * KIB));
  const first = await backedUp([...to('me'), source]);
  t.is(first.quotaBytes, 10 * MIB);
  t.is(await settled(() => storedBytes('me'), first.usedBytes), first.usedBytes, 'to the byte');
  t.deepEqual(first.doubts, []);
  account('a', 'SpaceQuota: 10M', 'SpaceUsed: 9M', 'Targets: me');
  const second = await backedUp([...to('me'), source]);
  t.is(await settled(() => 9 * MIB + storedBytes('me'), second.usedBytes), second.usedBytes);
  t.regex(second.doubts![0]!, /uses 9[0-9] % of its space/);
});

/** Number of files of 200 KiB each. Frames of changed files have up to 4 MiB; a frame fits as a whole or is refused. */
const COUNT = 80;

test('what goes beyond is refused, and what is there stays', async (t) => {
  const o = await office(t);
  o.account('a', 'SpaceQuota: 9M', 'Targets: me');
  await backedUp([...o.to('me'), o.source]);
  const was = look(o.source);
  const names = Array.from({ length: COUNT }, (_, at) =>
    file(`n${at}`, noise(`n${at}`, 200 * KIB)),
  );
  makeTree(path.join(o.source, 'much'), names);
  const { code, message } = await refused(t, [...o.to('me'), o.source]);
  t.is(code, 'QUOTA_EXCEEDED');
  t.regex(message, /of 9437184 bytes/);
  const stored = o.storedBytes('me');
  t.true(stored <= 9 * MIB + SLACK_BYTES, `${stored}`);
  t.true(stored > 4 * MIB, `what fitted was kept: ${stored}`);
  await restoresAs(t, o, '1', was);
  // With a larger quota the backup continues, and stored contents are not sent again.
  o.account('a', 'SpaceQuota: 40M', 'Targets: me');
  const report = await backedUp([...o.to('me'), o.source]);
  t.true(report.storedBytes! + stored < COUNT * 200 * KIB + MIB, `${report.storedBytes} more`);
  const last = (await listedSets(o.store, 'me')).at(-1)!;
  t.is(last.state, 'complete');
  await restoresAs(t, o, String(last.set), look(o.source));
  await restoresAs(t, o, '1', was);
});

test('a large file is refused while it comes, not at its end', async (t) => {
  const o = await office(t);
  o.account('a', 'SpaceQuota: 3M', 'Targets: me');
  fs.writeFileSync(path.join(o.source, 'large'), noise('large', 40 * MIB));
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, o.storedBytes('me'))), 5);
  try {
    t.is((await refused(t, [...o.to('me'), o.source])).code, 'QUOTA_EXCEEDED');
  } finally {
    clearInterval(watch);
  }
  t.true(most <= 3 * MIB + SLACK_BYTES, `${most}`);
  t.true(o.storedBytes('me') < MIB, 'what was staged is gone');
  fs.rmSync(path.join(o.source, 'large'));
  await backedUp([...o.to('me'), o.source]);
  // The failed session is discarded: the server logs no error about it when it stops.
  const { stderr } = await o.server.stop();
  t.notRegex(stderr, /INTERNAL|a bug/);
});

test('a client with nothing left is refused before anything is sent, and can still read', async (t) => {
  const o = await office(t);
  o.account('a', 'SpaceQuota: 10M', 'Targets: me');
  const { usedBytes: stored } = await backedUp([...o.to('me'), o.source]);
  const was = look(o.source);
  o.account('a', 'SpaceQuota: 1M', 'SpaceUsed: 1M', 'Targets: me');
  fs.writeFileSync(path.join(o.source, 'new'), noise('new', 900 * KIB));
  const { code, message } = await refused(t, [...o.to('me'), o.source]);
  t.is(code, 'QUOTA_EXCEEDED');
  t.regex(message, /nothing was sent/);
  t.is(await settled(() => o.storedBytes('me'), stored), stored);
  t.is((await listedSets(o.store, 'me')).length, 1);
  const local = await refused(t, ['--json', '--local', ...o.place, o.source]);
  t.is(local.code, 'QUOTA_EXCEEDED', 'a local server keeps to it too');
  await restoresAs(t, o, '1', was);
});

test('a client that encrypts goes on as well, and changes its password meanwhile', async (t) => {
  const o = await office(t, []);
  const [secret, other] = ['gravel-Otter9-lamp', 'kelp-Sundry7-mulch'];
  await succeed('sonic', ['create', ...o.place, `--password=${secret}`]);
  makeTree(path.join(o.source, 'much'), [file('large', noise('large', 3 * MIB)), file('b', 'b')]);
  o.account('a', 'SpaceQuota: 1M', 'Targets: me');
  const args = [...o.to('me'), o.source];
  t.is((await refused(t, [...args, `--password=${secret}`])).code, 'QUOTA_EXCEEDED');
  o.account('a', 'SpaceQuota: 1M', 'SpaceUsed: 2M', 'Targets: me');
  const where = [...o.server.clientArgs, '-C', 'me'];
  await succeed('sonic', ['chpass', ...where, `--password=${secret}`, `--newpassword=${other}`]);
  o.account('a', 'SpaceQuota: 9M', 'Targets: me');
  await backedUp([...args, `--password=${other}`]);
  const output = o.at('out');
  await succeed('regenerate', [...o.place, `--password=${other}`, '-o', output, o.source]);
  const restored = look(path.join(output, path.basename(o.source)));
  t.deepEqual(differences(look(o.source), restored), []);
});

test('clients of one account share what is left, also at once', async (t) => {
  const clients = ['me', 'you', 'they'];
  const o = await office(t, clients);
  o.account('a', 'SpaceQuota: 4M', `Targets: ${clients.join(' ')}`);
  const trees = clients.map((name) => {
    const tree = o.at(`tree of ${name}`);
    const files = Array.from({ length: 30 }, (_, at) =>
      file(`n${at}`, noise(name + at, 100 * KIB)),
    );
    makeTree(tree, [dir('d', files)]);
    return tree;
  });
  const ends = await Promise.all(
    clients.map((name, at) => run('tardis', [...o.to(name), trees[at]!], { isProcess: true })),
  );
  const failed = ends.filter(({ status }) => status !== 0);
  t.true(failed.length >= 2, '9 MiB do not fit');
  for (const { stdout } of failed) {
    t.is((JSON.parse(stdout) as Refusal).error.code, 'QUOTA_EXCEEDED');
  }
  const stored = o.storedBytes(...clients);
  t.true(stored <= 4 * MIB + clients.length * SLACK_BYTES, `${stored}`);
  t.true(stored > 3 * MIB, `${stored}`);
  // The quota of another account is not affected.
  await succeed('sonic', ['create', '-D', o.store, '-C', 'stranger']);
  await backedUp([...o.to('stranger'), o.source]);
});

test('files and directories cost what the account is charged', async (t) => {
  const o = await office(t);
  const files = Array.from({ length: 500 }, (_, at) => file(`empty${at}`, ''));
  makeTree(path.join(o.source, 'many'), files);
  const quota = 'SpaceQuota: 1M';
  o.account('a', quota, 'SpacePerFile: 4096', 'Targets: me');
  t.is((await refused(t, [...o.to('me'), o.source])).code, 'QUOTA_EXCEEDED');
  t.is((await refused(t, [...o.to('me'), o.source])).code, 'QUOTA_EXCEEDED', 'and stays so');
  o.account('a', quota, 'SpacePerFile: 1K', 'SpacePerDir: 2K', 'Targets: me');
  const { usedBytes } = await backedUp([...o.to('me'), o.source]);
  // Directories: the root, `a` and `many`. Files: `one`, `two` and the 500 empty ones.
  const overheadBytes = 502 * KIB + 3 * 2 * KIB;
  t.is(await settled(() => overheadBytes + o.storedBytes('me'), usedBytes), usedBytes);
  // The sum is the same, whether the session updated it or the next one counted it from the catalog.
  const again = await backedUp([...o.to('me'), o.source]);
  t.is(await settled(() => overheadBytes + o.storedBytes('me'), again.usedBytes), again.usedBytes);
  fs.renameSync(path.join(o.source, 'two'), path.join(o.source, 'three'));
  const third = await backedUp([...o.to('me'), o.source]);
  // One more version of the file (1 KiB), and one of its directory because of its new time (2 KiB).
  const withFolders = (): number => overheadBytes + 3 * KIB + o.storedBytes('me');
  t.is(await settled(withFolders, third.usedBytes), third.usedBytes);
});

test('a broken account stops its clients, and nobody else', async (t) => {
  const o = await office(t, ['me', 'you']);
  o.account('broken', 'Targets: me', 'DiskPath: /srv');
  const { code, message } = await refused(t, [...o.to('me'), o.source]);
  t.is(code, 'CONFIG_INVALID');
  t.regex(message, /\.accounts\/broken:2: leave out DiskPath/);
  await backedUp([...o.to('you'), o.source]);
  t.regex(o.server.running.stderr, /an account cannot be used/);
  o.account('second', 'Targets: you');
  o.account('broken', 'Targets: me you');
  t.regex((await refused(t, [...o.to('you'), o.source])).message, /in two accounts: .*broken:1/);
  await backedUp([...o.to('me'), o.source]);
});
