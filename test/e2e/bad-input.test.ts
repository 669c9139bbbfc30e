// Pace: slow
/** Wrong input and a hostile environment: each gives a clear error with code and exit status, and loses nothing. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import { helloBytes } from '../helpers/greetings.js';
import {
  backup,
  backupsRunHere,
  type CommandOptions,
  listedSets,
  run,
  runWhenFree,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { restoredBy } from '../helpers/lab.js';
import { makeScratch, removeScratch, scratchInMemory, written } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree, noise, text } from '../helpers/tree.js';

backupsRunHere();

const NOBODY = 65_534;
const MIB = 1 << 20;

interface Wanted {
  readonly status?: number;
  readonly code: string;
}

/** Pairs of tool and code whose JSON was checked already. Once is enough, since each run takes time. */
const seenAsJson = new Set<string>();

/** Checks that a command fails with one line with the code, one line of advice and no stack; also as JSON. */
async function refused(
  t: ExecutionContext,
  tool: Tool,
  args: readonly string[],
  { status = 1, code }: Wanted,
  options: CommandOptions = {},
): Promise<void> {
  const what = `${tool} ${args.join(' ')}`;
  const plain = await run(tool, args, options);
  t.is(plain.status, status, `${what}\n${plain.stderr}`);
  const own = plain.stderr.split('\n').filter((line) => line.startsWith(`${tool}: `));
  t.regex(own[0] ?? '', new RegExp(`^${tool}: .+ \\[${code}\\]$`), `${what}\n${plain.stderr}`);
  t.is(own.length, 2, `${what}: no advice`);
  t.notRegex(plain.stderr, /^\s+at /m, `${what}: a stack`);
  t.is(plain.stdout, '', what);
  if (tool === 'tardisd' || seenAsJson.has(`${tool} ${code}`)) return; // tardisd prints nothing to stdout
  seenAsJson.add(`${tool} ${code}`);
  const json = await run(tool, [...args, '--json'], options);
  t.is(json.status, status, `${what} --json\n${json.stdout}`);
  const { version, error } = JSON.parse(json.stdout) as {
    version: number;
    error: Record<string, unknown>;
  };
  t.is(version, 1);
  t.is(error['code'], code);
  t.is(typeof error['message'], 'string');
  t.true(String(error['guidance']).length > 10);
}

// The tests below only read this store.
const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
const place = ['-D', store, '-C', 'me'];
const notThere = path.join(home, 'not there');

test.before(async () => {
  makeTree(source, [dir('a', [file('one', 'one'), file('two', text(2, 9000))]), file('b', 'b')]);
  await backup([...place, '--local', '--create', source]);
});
test.after.always(() => removeScratch(home));

const REFUSED: readonly [what: string, tool: Tool, args: readonly string[], wanted: Wanted][] = [
  ['a missing directory', 'tardis', [...place, '--local', notThere], { code: 'SOURCE_MISSING' }],
  [
    'two directories missing',
    'tardis',
    [...place, '--local', `${notThere} either`, notThere],
    { code: 'SOURCE_MISSING' },
  ],
  [
    'no such store',
    'tardis',
    ['-D', notThere, '-C', 'me', '--local', source],
    { code: 'NO_SUCH_STORE', status: 10 },
  ],
  [
    'no such client',
    'tardis',
    ['-D', store, '-C', 'who', '--local', source],
    { code: 'NO_SUCH_CLIENT', status: 10 },
  ],
  [
    'a client that exists',
    'tardis',
    [...place, '--local', '--create', source],
    { code: 'CLIENT_EXISTS' },
  ],
  [
    'a client name that leads elsewhere',
    'tardis',
    ['-D', store, '-C', '../you', '--local', '--create', source],
    { code: 'CLIENT_NAME_INVALID' },
  ],
  [
    'no such store to restore from',
    'regenerate',
    ['-D', notThere, '-C', 'me', source],
    { code: 'NO_SUCH_STORE', status: 10 },
  ],
  [
    'no such client to restore',
    'regenerate',
    ['-D', store, '-C', 'who', source],
    { code: 'NO_SUCH_CLIENT', status: 10 },
  ],
  ['no such set', 'regenerate', [...place, '-b', '99', source], { code: 'NO_SUCH_SET' }],
  ['no set of this name', 'regenerate', [...place, '-b', 'x', source], { code: 'NO_SUCH_SET' }],
  [
    'no such path',
    'regenerate',
    [...place, '-o', path.join(home, 'never'), path.join(source, 'c')],
    { code: 'NO_SUCH_PATH' },
  ],
  [
    'a file where the output is to be',
    'regenerate',
    [...place, '-o', path.join(source, 'b'), source],
    { code: 'USAGE' },
  ],
  ['nothing to restore', 'regenerate', place, { code: 'USAGE' }],
  [
    'no such store to list',
    'lstardis',
    ['-D', notThere, '-C', 'me'],
    { code: 'NO_SUCH_STORE', status: 10 },
  ],
  [
    'no such client to list',
    'lstardis',
    ['-D', store, '-C', 'who'],
    { code: 'NO_SUCH_CLIENT', status: 10 },
  ],
  ['no such path to list', 'lstardis', [...place, notThere], { code: 'NO_SUCH_PATH' }],
  [
    'no such client to rebuild',
    'sonic',
    ['rebuild', '-D', store, '-C', 'who'],
    { code: 'NO_SUCH_CLIENT', status: 10 },
  ],
  ['a file for a store', 'lstardis', ['-D', `${source}/b`], { code: 'NO_SUCH_STORE', status: 10 }],
  ['an unknown option', 'tardis', [...place, '--nonsense', source], { code: 'USAGE' }],
  ['an unknown option', 'regenerate', [...place, '--nonsense', source], { code: 'USAGE' }],
  ['an unknown option', 'lstardis', [...place, '--nonsense'], { code: 'USAGE' }],
  ['an unknown option', 'sonic', ['list', ...place, '--nonsense'], { code: 'USAGE' }],
  ['an unknown option', 'tardisd', ['-D', store, '--nonsense'], { code: 'USAGE' }],
  ['an unknown command', 'sonic', ['teleport', ...place], { code: 'USAGE' }],
  ['help of an unknown command', 'sonic', ['help', 'teleport'], { code: 'USAGE' }],
  ...[
    ['--budget', '12X'],
    ['--budget', '1K'],
    ['--budget', '-5M'],
    ['--budget-items', 'many'],
    ['--workers', '65'],
    ['--compress-data', 'lzma'],
    ['--compress-level', '99'],
    ['--config', notThere],
  ].map(
    (more) =>
      [
        `a bad value, ${more[0]} ${more[1] === notThere ? 'FILE' : more[1]}`,
        'tardis',
        [...place, '--local', ...more, source],
        { code: 'CONFIG_INVALID' },
      ] as [string, Tool, string[], Wanted],
  ),
  [
    'a bad time-out',
    'tardis',
    [...place, '--local', '--timeout', '0', source],
    { code: 'CONFIG_INVALID' },
  ],
  [
    'a bad port',
    'tardis',
    ['-C', 'me', '--insecure-tcp', '--port', '70000', source],
    { code: 'CONFIG_INVALID' },
  ],
  [
    'plain TCP without leave',
    'tardis',
    ['-C', 'me', '--no-ssl', source],
    { code: 'INSECURE_TCP_REFUSED' },
  ],
  [
    'plain TCP to elsewhere',
    'tardis',
    ['-C', 'me', '--insecure-tcp', '--server', '192.0.2.1', source],
    { code: 'INSECURE_TCP_REFUSED' },
  ],
  [
    'a server that is not there',
    'tardis',
    ['-C', 'me', '--insecure-tcp', '--port', '1', source],
    { code: 'SERVER_UNREACHABLE' },
  ],
  [
    'plain TCP without leave',
    'tardisd',
    ['-D', store, '--no-ssl'],
    { code: 'INSECURE_TCP_REFUSED' },
  ],
  [
    'a bad configuration',
    'tardisd',
    ['-D', store, '--config', notThere],
    { code: 'CONFIG_INVALID' },
  ],
  [
    'a socket that cannot be',
    'tardisd',
    ['-D', store, '--local', path.join(notThere, 'socket')],
    { code: 'LISTEN_FAILED' },
  ],
];

for (const [what, tool, args, wanted] of REFUSED) {
  test(`${tool}: ${what}: ${wanted.code}`, async (t) => {
    await refused(t, tool, args, wanted);
  });
}

test('a missing directory is the only thing that is reported', async (t) => {
  const { stderr } = await run('tardis', [...place, '--local', notThere]);
  t.is(stderr.trim().split('\n').length, 2, stderr);
  t.false(fs.existsSync(path.join(home, 'never')), 'a failed restore made its output');
});

test('unknown keys of a configuration are refused', async (t) => {
  const config = written(scratchInMemory(t), 'config', '[Pipeline]\nWorkrs = 2\n');
  await refused(t, 'tardis', [...place, '--local', '--config', config, source], {
    code: 'CONFIG_INVALID',
  });
  fs.writeFileSync(config, '[Tardis]\nBaseDir = /srv\nPort = high\n');
  await refused(t, 'tardisd', ['--config', config, '--insecure-tcp'], { code: 'CONFIG_INVALID' });
});

async function ownStore(
  t: ExecutionContext,
): Promise<{ readonly top: string; readonly own: string[]; readonly catalog: string }> {
  const top = scratchInMemory(t);
  const own = ['-D', path.join(top, 'store'), '-C', 'me'];
  await backup([...own, '--local', '--create', source]);
  return { top, own, catalog: path.join(top, 'store', 'me', 'tardis.db') };
}

async function restores(t: ExecutionContext, own: readonly string[], top: string): Promise<void> {
  t.deepEqual(await restoredBy(own, source, path.join(top, `out ${Math.random()}`)), []);
}

test('a catalog of a newer version is not touched', async (t) => {
  const { top, own, catalog } = await ownStore(t);
  const database = nodeSystem().openDatabase(catalog, { readonly: false });
  database.pragma('user_version = 99');
  database.close();
  const before = fs.readFileSync(catalog);
  const wanted = { code: 'CATALOG_NEWER' };
  await refused(t, 'tardis', [...own, '--local', source], wanted);
  await refused(t, 'lstardis', own, wanted);
  await refused(t, 'regenerate', [...own, '-o', path.join(top, 'out'), source], wanted);
  t.true(fs.readFileSync(catalog).equals(before));
});

test('a store of a newer format is not touched', async (t) => {
  const { top, own } = await ownStore(t);
  const format = path.join(top, 'store', 'me', 'format.json');
  const text = fs.readFileSync(format, 'utf8');
  const { clientId } = JSON.parse(text) as { clientId: string };
  const newer = { format: 99, clientId };
  const sum = crc32(JSON.stringify(newer)).toString(16).padStart(8, '0');
  fs.writeFileSync(format, JSON.stringify({ ...newer, sum }));
  const wanted = { code: 'STORE_NEWER' };
  await refused(t, 'tardis', [...own, '--local', source], wanted);
  await refused(t, 'lstardis', own, wanted);
  await refused(t, 'regenerate', [...own, '-o', path.join(top, 'out'), source], wanted);
  await refused(t, 'sonic', ['rebuild', ...own], wanted);
  fs.writeFileSync(format, text);
  await restores(t, own, top);
});

for (const [what, atCreation, spoil] of [
  ['missing', 'FORMAT_DAMAGED', (format: string) => fs.rmSync(format)],
  ['noise', 'CLIENT_EXISTS', (format: string) => fs.writeFileSync(format, noise(1, 99))],
] as const) {
  test(`a format file that is ${what} is reported, and made anew`, async (t) => {
    const { top, own } = await ownStore(t);
    spoil(path.join(top, 'store', 'me', 'format.json'));
    const wanted = { code: 'FORMAT_DAMAGED' };
    await refused(t, 'lstardis', own, wanted);
    await refused(t, 'tardis', [...own, '--local', source], wanted);
    await refused(t, 'tardis', [...own, '--local', '--create', source], { code: atCreation });
    await succeed('sonic', ['rebuild', ...own]);
    await restores(t, own, top);
    t.is((await backup([...own, '--local', source])).progress.contentsSent, 0);
  });
}

for (const [what, spoil] of [
  ['bytes of something else', (catalog: string) => fs.writeFileSync(catalog, noise(1, 40_000))],
  ['nothing', (catalog: string) => fs.rmSync(catalog)],
  ['an empty file', (catalog: string) => fs.truncateSync(catalog, 0)],
] as const) {
  test(`a catalog that is ${what} is reported, and made anew`, async (t) => {
    const { top, own, catalog } = await ownStore(t);
    spoil(catalog);
    await refused(t, 'lstardis', own, { code: 'CATALOG_DAMAGED' });
    await refused(t, 'regenerate', [...own, '-o', top, source], { code: 'CATALOG_DAMAGED' });
    await succeed('sonic', ['rebuild', ...own]);
    await restores(t, own, top);
    t.is((await backup([...own, '--local', source])).progress.contentsSent, 0);
  });
}

test('a catalog of something else stops a backup, and nothing is lost', async (t) => {
  const { top, own, catalog } = await ownStore(t);
  fs.writeFileSync(catalog, noise(1, 40_000));
  await refused(t, 'tardis', [...own, '--local', source], { code: 'CATALOG_DAMAGED' });
  await succeed('sonic', ['rebuild', ...own]);
  await restores(t, own, top);
});

test('a file in the place of the store', async (t) => {
  const taken = written(scratchInMemory(t), 'taken', 'mine');
  const args = ['-D', taken, '-C', 'me', '--local', source];
  await refused(t, 'tardis', args, { code: 'NO_SUCH_STORE', status: 10 });
  await refused(t, 'tardis', ['--create', ...args], { code: 'STORE_NOT_WRITABLE' });
  await refused(t, 'sonic', ['create', '-D', taken], { code: 'STORE_NOT_WRITABLE' });
  t.is(fs.readFileSync(taken, 'utf8'), 'mine');
});

/** True if an unprivileged user can run the commands of this checkout; logs it if not. */
async function canNobodyRun(t: ExecutionContext): Promise<boolean> {
  const { status } = await run('lstardis', ['--version'], { uid: NOBODY });
  if (status !== 0) t.log('left out: the checkout cannot be read by others');
  else t.pass();
  return status === 0;
}

if (isRoot) {
  test('a store that is not ours to write', async (t) => {
    if (!(await canNobodyRun(t))) return;
    const { top, own } = await ownStore(t);
    fs.chmodSync(top, 0o755);
    const open = path.join(top, 'open');
    makeTree(open, [file('a', 'a')]);
    const nobody = { uid: NOBODY };
    const wanted = { code: 'STORE_NOT_WRITABLE' };
    spawnSync('chmod', ['-R', 'a+rX', path.join(top, 'store')]);
    await refused(t, 'tardis', [...own, '--local', open], wanted, nobody);
    const args = ['-D', path.join(top, 'store'), '-C', 'other', '--local', '--create', open];
    await refused(t, 'tardis', args, wanted, nobody);
    await refused(t, 'sonic', ['rebuild', ...own], wanted, nobody);
    // Readers need no write permission.
    t.regex(await succeed('lstardis', own, nobody), /complete/);
    await restores(t, own, top);
    fs.chmodSync(path.join(top, 'store'), 0o700);
    await refused(t, 'lstardis', own, { code: 'STORE_NOT_READABLE' }, nobody);
  });

  test('files that may not be read: exit 3, and they are saved when they may', async (t) => {
    if (!(await canNobodyRun(t))) return;
    const top = scratchInMemory(t);
    fs.chownSync(top, NOBODY, NOBODY);
    const tree = path.join(top, 'tree');
    makeTree(tree, [
      file('open', 'open'),
      file('closed', 'closed', { mode: 0o600 }),
      dir('closed directory', [file('inside', 'inside')], { mode: 0o700 }),
      dir('open directory', [file('large', noise(1, 2 * MIB), { mode: 0o600 })]),
    ]);
    const own = ['-D', path.join(top, 'store'), '-C', 'me'];
    const nobody = { uid: NOBODY };
    const partly = exited(t, 3, await run('tardis', [...own, '--local', '--create', tree], nobody));
    for (const name of ['closed', 'closed directory', 'open directory/large']) {
      t.regex(
        partly.stderr,
        new RegExp(`tree/${name}: unreadable: permission denied \\(EACCES\\)`),
      );
    }
    t.regex(partly.stdout, /3 could not be read/);
    for (const name of ['closed', 'open directory/large']) fs.chmodSync(`${tree}/${name}`, 0o644);
    fs.chmodSync(path.join(tree, 'closed directory'), 0o755);
    const whole = await backup([...own, '--local', tree], nobody);
    t.like(whole.progress, { unreadable: 0, contentsSent: 3 });
    t.deepEqual(await restoredBy(own, tree, path.join(top, 'out')), []);
  });
}

/** Opens a session that does nothing until its socket is closed. */
async function holdSession(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(socket, 'open');
  socket.send(helloBytes('me'));
  await once(socket, 'message');
  return socket;
}

test('a second session, and a tool, while a session runs', async (t) => {
  const { top, own } = await ownStore(t);
  const server = await Server.during(t, path.join(top, 'store'));
  const remote = ['-C', 'me', ...server.clientArgs];
  const held = await holdSession(server.port);
  const busy = { code: 'CLIENT_BUSY', status: 11 };
  await Promise.all([
    refused(t, 'tardis', [...remote, source], busy),
    refused(t, 'tardis', [...own, '--local', source], busy),
    refused(t, 'sonic', ['rebuild', ...own], busy),
  ]);
  await restores(t, own, top); // a session does not block readers
  held.close();
  exited(t, 0, await runWhenFree('tardis', [...remote, source]));
  const states = (await listedSets(path.join(top, 'store'), 'me')).map(({ state }) => state);
  t.deepEqual(states, ['complete', 'complete']);
});
