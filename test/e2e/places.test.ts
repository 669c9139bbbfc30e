// Pace: slow
/** Places of stores and copies: where something new is made, and where nothing is. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import {
  among,
  backup,
  backupsRunHere,
  BIN,
  jsonLines,
  type Outcome,
  run,
  Running,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree, noise, sizeOf, type TreeNode } from '../helpers/tree.js';

backupsRunHere();

async function prepared(t: ExecutionContext) {
  const { store, source, at } = lab(t, [file('a', 'a')]);
  fs.mkdirSync(at('here'));
  const own = ['-D', store, '-C', 'me'];
  await backup([...own, '--local', '--create', source]);
  return {
    source: source,
    own,
    at,
    run: (tool: Tool, ...words: readonly string[]) =>
      run(tool, words, { cwd: at('here'), isProcess: true }),
  };
}

test('an address of another kind is no directory, whichever option, variable or key has it', async (t) => {
  const { source, own, at, run: tool } = await prepared(t);
  const config = at('client.cfg');
  const withKey = (key: string, value: string): string[] => {
    fs.writeFileSync(config, `[Tardis]\nClient = me\n${key} = ${value}\n`);
    return ['--config', config];
  };
  const local = ['--local', '--create', source];
  const tries: readonly (readonly [string, () => Promise<Outcome>])[] = [
    ['-D', () => tool('tardis', '-C', 'me', '-D', 'user@host:/backup', ...local)],
    ['empty', () => tool('tardis', '-C', 'me', '-D', '', ...local)],
    ['further -D', () => tool('tardis', ...own, '-D', 'sftp:host:/x', '--local', source)],
    ['--also-to', () => tool('tardis', ...own, '--also-to', 's3:bucket/z', '--local', source)],
    ['--to', () => tool('sonic', 'copy', ...own, '--to', 'https://host/x')],
    ['--to', () => tool('sonic', 'copy', ...own, '--all', '--to', 's3//bucket/z')],
    ['Database', () => tool('tardis', ...withKey('Database', '~/st'), ...local)],
    ['AlsoTo', () => tool('tardis', ...own, ...withKey('AlsoTo', 'remote:x'), '--local', source)],
    ['relative', () => tool('tardis', ...own, ...withKey('AlsoTo', 'copy'), '--local', source)],
    ['create', () => tool('sonic', 'create', '-C', 'me', '-D', 'file:///x')],
    ['server', () => tool('tardisd', '-D', 'C:\\backup')],
  ];
  for (const [what, attempt] of tries) {
    const failed = await attempt();
    t.is(failed.status, 1, `${what}: ${failed.stderr}`);
    t.is(codeIn(failed), 'CONFIG_INVALID', what);
  }
  t.deepEqual(fs.readdirSync(at('here')), []);
});

test('a copy is made only on request, and a disk that is not mounted is named', async (t) => {
  const { source, own, at } = await prepared(t);
  fs.mkdirSync(at('disk'));
  const [copy, away] = [at('disk/copy'), at('away')];
  const ways: readonly (readonly [string, readonly string[], number])[] = [
    ['tardis', ['--local', ...own, '-D', copy, source], 3],
    ['tardis', ['--local', ...own, '--also-to', copy, source], 3],
    ['sonic', ['copy', ...own, '--to', copy], 10],
    ['sonic', ['copy', '--all', ...own.slice(0, 2), '--to', copy], 10],
  ];
  const refused = async (): Promise<void> => {
    for (const [tool, words, status] of ways) {
      const outcome = await run(tool as Tool, words);
      t.is(outcome.status, status, outcome.stderr);
      t.regex(outcome.stderr, /disk\/copy.*is its disk mounted\?.*NO_SUCH_STORE/);
      t.deepEqual(fs.readdirSync(at('disk')), []);
    }
  };
  await refused(); // there was no copy before
  const made = await succeed('sonic', ['copy', ...own, '--to', copy, '--create']);
  t.regex(made, /The copy is new: \/.*disk\/copy\/me, on \S+ \(mounted at \/.*\)/);
  t.regex(made, /the disk of \/.*\/store too: its loss would take both/);
  for (const [tool, words] of ways) await succeed(tool as Tool, words);
  fs.renameSync(at('disk'), away);
  fs.mkdirSync(at('disk'));
  await refused();
  fs.rmdirSync(at('disk'));
  fs.renameSync(away, at('disk'));
  for (const [tool, words] of ways) await succeed(tool as Tool, words);
  const again = await run('sonic', ['copy', ...own, '--to', copy, '--create']);
  t.is(codeIn(again), 'CLIENT_EXISTS', 'so that --create stays in no timer');
  const all = ['copy', '--all', ...own.slice(0, 2), '--to', copy];
  await succeed('sonic', ['create', ...own.slice(0, 2), '-C', 'second']);
  await succeed('sonic', all);
  t.regex(await succeed('sonic', ['clients', '-D', copy]), /^second /m, 'a new client of all');
});

test('--create makes one directory, and says on which disk', async (t) => {
  const { source, own, at } = await prepared(t);
  const deep = at('x/y/copy');
  const local = ['-C', 'me', '--local', '--create', source];
  const tries: readonly (readonly [Tool, ...string[]])[] = [
    ['tardis', '-D', deep, ...local],
    ['sonic', 'create', '-D', deep, '-C', 'me'],
    ['sonic', 'copy', ...own, '--to', deep, '--create'],
    ['tardisd', '-D', deep, '--create', '--insecure-tcp', '--port', '0'],
  ];
  for (const [tool, ...words] of tries) {
    const failed = exited(t, 10, await run(tool, words));
    t.regex(failed.stderr, /there is no directory \/.*x\/y; is its disk mounted.*NO_SUCH_STORE/);
    t.false(fs.existsSync(at('x')));
  }
  const made = await run('tardis', ['-D', at('new'), ...local, '--json']);
  const [{ created }] = jsonLines<{ created: Record<string, string> }>(made.stdout) as [
    { created: Record<string, string> },
  ];
  t.is(created['path'], at('new/me'));
  t.is(created['sharedWith'], source);
  t.true(at('new').startsWith(created['mountPoint']!), created['mountPoint']);
  const shown = await run('tardis', ['-D', at('other'), ...local]);
  t.regex(shown.stderr, /the client "me" is new: \/.*other\/me, on .*, the disk of .* too/);
});

/** Directories of other programs, with what they are called. */
const OTHERS: readonly (readonly [what: RegExp, nodes: readonly TreeNode[]])[] = [
  [
    /repository of restic/,
    [file('config', 'x'), dir('data', []), dir('index', []), dir('keys', []), dir('snapshots', [])],
  ],
  [/repository of borg/, [file('README', 'x'), file('config', '[repository]'), dir('data', [])]],
  [/repository of kopia/, [file('kopia.repository.f', 'x')]],
  [/backup of duplicity/, [file('duplicity-full.20260101T000000Z.manifest', 'x')]],
  [/backup of rdiff-backup/, [dir('rdiff-backup-data', [file('x', 'x')]), file('a', 'a')]],
  [/directory of rsnapshot/, [dir('daily.0', [file('a', 'a')])]],
  [/has other files \(a, b, c, …\)/, ['a', 'b', 'c', 'd'].map((name) => file(name, name))],
];

/** Returns the names below a directory with their contents and times. */
function bytesOf(directory: string): readonly string[] {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return [directory, ...names.map((name) => path.join(directory, name))].map((name) => {
    const { mtimeNs, ctimeNs, size } = fs.lstatSync(name, { bigint: true });
    const isFile = fs.lstatSync(name).isFile();
    return [name, mtimeNs, ctimeNs, size, isFile ? fs.readFileSync(name, 'hex') : ''].join(' ');
  });
}

test('a directory of another program is named for what it is, and left as it was', async (t) => {
  const { source, own, at } = await prepared(t);
  // A catalog of Tardis (Python) is an SQLite database without our application id.
  const python = Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(4080)]);
  const kinds = [
    ...OTHERS,
    [/store of Tardis \(Python\)/, [dir('me', [file('tardis.db', python)])]] as const,
    [/store of Tardis \(Python\)/, [dir('you', [file('tardis.db', python)])]] as const,
  ];
  for (const [index, [what, nodes]] of kinds.entries()) {
    const place = at(`other-${index}`);
    makeTree(place, nodes);
    const before = bytesOf(place);
    const tries: readonly (readonly [number, Tool, ...string[]])[] = [
      [1, 'sonic', 'create', '-D', place, '-C', 'me'],
      [1, 'tardis', '--local', '--create', '-D', place, '-C', 'me', source],
      [1, 'sonic', 'copy', ...own, '--to', place, '--create'],
      [1, 'tardisd', '--create', '-D', place, '--insecure-tcp', '--port', '0'],
      [10, 'tardisd', '-D', place, '--insecure-tcp', '--port', '0'],
      [10, 'tardis', '--local', '-D', place, '-C', 'me', source],
      [10, 'sonic', 'copy', ...own, '--to', place],
      [10, 'sonic', 'clients', '-D', place],
      [10, 'sonic', 'rebuild', '-D', place, '-C', 'me'],
      [10, 'lstardis', '-D', place, '-C', 'me'],
    ];
    for (const [status, tool, ...words] of tries) {
      const outcome = await run(tool, words);
      t.is(outcome.status, status, `${tool} ${words.join(' ')}: ${outcome.stderr}`);
      t.is(codeIn(outcome), status === 1 ? 'PLACE_TAKEN' : 'NO_SUCH_STORE');
      t.regex(outcome.stderr, what);
      t.deepEqual(bytesOf(place), before, `${tool} ${words.join(' ')}`);
    }
  }
});

test("a client's name that another program uses is left alone in a store of ours", async (t) => {
  const { source, own, at } = await prepared(t);
  const place = at('store/you');
  makeTree(place, [file('tardis.db', Buffer.alloc(200))]);
  const before = bytesOf(place);
  const words = [...own.slice(0, 2), '-C', 'you', '--local', source];
  const made = await run('tardis', ['--create', ...words]);
  t.is(codeIn(made), 'PLACE_TAKEN', made.stderr);
  t.regex(made.stderr, /you is in use: it is a client of Tardis \(Python\)/);
  const read = await run('tardis', words);
  t.is(codeIn(read), 'NO_SUCH_CLIENT');
  t.regex(read.stderr, /the directory of that name is a client of Tardis \(Python\)/);
  t.deepEqual(bytesOf(place), before);
});

test('a copy in the source is left out of backups, also one that an earlier release made', async (t) => {
  const { source, own, at } = await prepared(t);
  const copy = path.join(source, 'copy');
  const local = ['--local', ...own, '-D', copy, source];
  await succeed('sonic', ['copy', ...own, '--to', copy, '--create']);
  const names = async (): Promise<string> => succeed('lstardis', [...own, path.join(copy, 'me')]);
  await succeed('tardis', local);
  t.notRegex(await names(), /packs|format\.json/);
  fs.unlinkSync(path.join(copy, 'me', '.tardis-skip'));
  await succeed('tardis', local); // saves the copy, and makes the mark again
  t.regex(await names(), /format\.json/);
  await succeed('tardis', local);
  t.notRegex(await names(), /packs|format\.json/);
  t.true(fs.existsSync(at('store/me/.tardis-skip')));
});

for (const [what, below] of [
  ['a store', '.'],
  ['one client', 'me'],
] as const) {
  test(`a disk of ${what} that is pulled during a backup leaves its bare mount point empty`, (t) =>
    Mounts.during(t, async (mounts) => {
      fs.mkdirSync(path.join(mounts.home, 'store'));
      const disk = mounts.mount(path.join('store', below), 'tmpfs', 'tmpfs', 'size=200m');
      const store = path.join(mounts.home, 'store');
      const source = path.join(mounts.home, 'tree');
      // The objects of large contents are directories of their own, which a session makes late.
      makeTree(source, [file('a', noise(1, 3 << 20)), file('b', noise(2, 9 << 20))]);
      const inside = { mountsOf: mounts.mountsOf };
      const own = ['-D', store, '-C', 'me'];
      await succeed('sonic', ['create', ...own], inside);
      const pull = (): void => {
        spawnSync('nsenter', [...among(mounts.mountsOf), 'umount', '-l', disk]);
      };
      const slowly = ['--bandwidth-limit', '2M', '--compress-data', 'none'];
      const running = new Running('tardis', ['--local', ...own, ...slowly, source], inside);
      const packs = mounts.view(`${store}/me/packs`);
      await running.until('records', () => sizeOf(packs) > 1 << 20);
      pull();
      t.regex(exited(t, 10, await running.ended).stderr, /\[NO_SUCH_STORE\]/);
      t.deepEqual(fs.readdirSync(disk), []);
      const after = await run('sonic', ['check', ...own], inside);
      t.regex(String(codeIn(after)), /^NO_SUCH_(STORE|CLIENT)$/, after.stderr);
    }));
}

test('a store that goes away while it is read is named, and nothing in it is called damaged', async (t) => {
  const { at, run: tool } = await prepared(t);
  const files = Array.from({ length: 8 }, (_, number) => file(`${number}`, noise(number, 9 << 20)));
  makeTree(at('large'), files);
  const own = ['-D', at('gone'), '-C', 'me'];
  await backup([...own, '--local', '--create', at('large')]);
  const moved = at('moved');
  const archive = spawn(path.join(BIN, 'regenerate'), ['--tar', '-', ...own, '--all']);
  const printed = text(archive.stderr);
  await once(archive.stdout, 'readable'); // nothing is read from the pipe, so it is full now
  fs.renameSync(at('gone/me'), moved);
  archive.stdout.resume();
  const [status] = (await once(archive, 'close')) as [number];
  t.is(status, 10, await printed);
  t.regex(await printed, /gone\/me is gone: was its disk unmounted.*\[NO_SUCH_STORE\]/);
  t.notRegex(await printed, /DAMAGED/);
  fs.renameSync(moved, at('gone/me'));
  t.is((await tool('sonic', 'check', '--read-data', ...own)).status, 0);
});

test('a server creates a store only on request, and none in the place of a disk', async (t) => {
  const { source, at } = await prepared(t);
  const store = at('disk/served');
  const plain = ['-D', store, '--insecure-tcp', '--port', '0'];
  const refused = async (words: readonly string[], why: RegExp): Promise<void> => {
    const { status, stderr } = await run('tardisd', words);
    t.true(status === 10 || status === 1, stderr);
    t.regex(stderr, why);
  };
  fs.mkdirSync(at('disk'));
  await refused(plain, /no store at .*disk\/served: .*disk is empty; is its disk mounted/);
  await refused(['-D', at('disk'), ...plain.slice(2)], /the directory is empty/);
  t.deepEqual(fs.readdirSync(at('disk')), []);
  const server = await Server.start(store); // with --create
  t.teardown(() => server.kill());
  await refused([...plain, '--create'], /there is a store at .* already/);
  fs.renameSync(at('disk'), at('away'));
  fs.mkdirSync(at('disk'));
  const client = [...server.clientArgs, '--create', '-C', 'laptop', source];
  t.is(
    codeIn(await run('tardis', client)),
    'NO_SUCH_STORE',
    'the disk of a running server is gone',
  );
  t.deepEqual(fs.readdirSync(at('disk')), []);
  fs.rmdirSync(at('disk'));
  fs.renameSync(at('away'), at('disk'));
  await succeed('tardis', client);
  await server.stop();
  const again = await Server.start(store);
  t.is((await again.stop()).status, 0);
});
