// Pace: long
/** Effects of the settings that several tools share, wherever they are given, tested with the commands. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { TOOLS } from '../../src/config/index.js';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  run,
  Running,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { explained, lab, restoredBy } from '../helpers/lab.js';
import { SEPARATE_SERVER } from '../helpers/separate-server.js';
import { addTo, differences, dir, file, look, makeTree, noise } from '../helpers/tree.js';
import { ROOT } from '../tidy/house.js';

backupsRunHere();

const LATIN1 = (text: string): Buffer => Buffer.from(text, 'latin1');

test('the store comes from option, key, variable and system.defaults', async (t) => {
  const { at, written } = lab(t);
  const defaults = written('defaults', `[Tardis]\nTARDIS_DB = ${at('by defaults')}\n`);
  const ways: readonly [store: string, args: string[], env: Record<string, string>][] = [
    ['by option', ['-D', at('by option')], {}],
    ['by key', ['--config', written('cfg', `[Tardis]\nDatabase = ${at('by key')}\n`)], {}],
    ['by variable', [], { TARDIS_DB: at('by variable') }],
    ['by defaults', [], { TARDIS_DEFAULTS: defaults }],
  ];
  for (const [store, args, env] of ways) {
    await succeed('sonic', ['create', '-C', 'me', ...args], { env });
    t.true(fs.existsSync(at(store, 'me', 'format.json')), store);
    const shown = await succeed('sonic', ['list', '-C', 'me', ...args], { env });
    t.regex(shown, /No backup sets/, store);
  }
});

test('the client comes from option, key and variable', async (t) => {
  const { store, written } = lab(t);
  const config = written('cfg', '[Tardis]\nClient = by-key\n');
  await succeed('sonic', ['create', '-D', store, '-C', 'by-option']);
  await succeed('sonic', ['create', '-D', store, '--config', config]);
  await succeed('sonic', ['create', '-D', store], { env: { TARDIS_CLIENT: 'by-variable' } });
  t.deepEqual(fs.readdirSync(store).sort(), ['by-key', 'by-option', 'by-variable']);
});

test('the port comes from option, key and variable, at both ends', async (t) => {
  const { store, source, written } = lab(t);
  const server = await Server.start(store); // the server got its port by --port
  t.teardown(() => server.kill());
  const port = String(server.port);
  const args = ['-C', 'me', '--insecure-tcp', source];
  await backup(['--create', '--port', port, ...args]);
  await backup(['--config', written('cfg', `[Tardis]\nPort = ${port}\n`), ...args]);
  await backup(args, { env: { TARDIS_PORT: port } });
  const wrong = await run('tardis', args, { env: { TARDIS_PORT: '1' } });
  t.regex(wrong.stderr, /SERVER_UNREACHABLE/);
  // With port 0 the system chooses a port, so it is not the default one.
  for (const [more, env] of [
    [['--config', written('server', '[Tardis]\nPort = 0\n')], {}],
    [[], { TARDIS_PORT: '0' }],
  ] as const) {
    const running = new Running('tardisd', ['-D', store, '--insecure-tcp', '-v', ...more], { env });
    t.teardown(() => running.signalGroup('SIGKILL'));
    await running.until('listening', () => running.stderr.includes('listening'));
    const reported = JSON.parse(running.stderr) as { address: string };
    t.notRegex(reported.address, /:7420$/);
    t.is((await running.endedBy('SIGTERM')).status, 0);
  }
});

test('plain TCP is refused unless an option allows it', async (t) => {
  const { store, source } = lab(t);
  for (const [tool, args] of [
    ['tardis', ['-C', 'me', '--no-ssl', source]],
    ['tardis', ['-C', 'me', '--insecure-tcp', '--server', '192.0.2.1', source]],
    ['sonic', ['setpass', '-C', 'me', '--no-ssl', '--server', 'localhost', '--password=x']],
    ['tardisd', ['-D', store, '--port', '0', '--no-ssl']],
    ['tardisd', ['-D', store, '--port', '0', '--insecure-tcp', '--address', '0.0.0.0']],
  ] as const) {
    t.regex(exited(t, 1, await run(tool, args)).stderr, /INSECURE_TCP_REFUSED/);
  }
  const server = await Server.start(store); // started with --insecure-tcp
  t.teardown(() => server.kill());
  await backup(['-C', 'me', '--create', ...server.clientArgs, source]);
  const open = await Server.during(t, store, ['--insecure-network', '--address', '127.0.0.1']);
  // The host name is not a loopback name, so it counts as beyond loopback although it is this machine.
  const host = os.hostname();
  const args = ['-C', 'me', '--insecure-network', '--port', String(open.port), source];
  await backup(args);
  const away = ['--server', host, '--timeout', '5', ...args];
  t.regex((await run('tardis', away)).stderr, /warning: the connection is plain TCP/);
});

/** Starts a server that accepts connections and never sends a byte. */
async function silentServer(): Promise<{ port: number; close(): void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as net.AddressInfo).port, close };
}

test('a connection to a silent peer is closed after Timeout, at both ends', async (t) => {
  const { store, source, written } = lab(t);
  const silent = await silentServer();
  t.teardown(() => silent.close());
  const to = ['-C', 'me', '--insecure-tcp', '--port', String(silent.port), source];
  const config = written('cfg', '[Tardis]\nTimeout = 0.5\n');
  for (const more of [
    ['--timeout', '0.5'],
    ['--config', config],
  ]) {
    const { stderr } = exited(t, 1, await run('tardis', [...more, ...to]));
    t.regex(stderr, /no answer .* in 0\.5 s \[TIMED_OUT\]/);
  }
  const server = await Server.during(t, store, [
    '--config',
    written('server', '[Tardis]\nTimeout=1\n'),
  ]);
  const socket = net.connect(server.port, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  // Without the key, the server would wait for five minutes.
  await new Promise<void>((resolve) => socket.resume().on('error', resolve).on('close', resolve));
  t.pass();
});

test('the catalog has the name of DBName and TARDIS_DBNAME', async (t) => {
  const { store, source, place, at, written } = lab(t);
  const env = { TARDIS_DBNAME: 'my.db' };
  await backup([...place, '--local', '--create', source], { env });
  t.true(fs.existsSync(at('store', 'me', 'my.db')));
  t.regex(await succeed('lstardis', place, { env }), /complete/);
  t.regex(
    (await run('lstardis', place)).stderr,
    /there is no catalog "tardis.db".*look at DBName.*\[CONFIG_INVALID\]/,
  );
  const config = written('server', '[Tardis]\nDBName = its.db\n');
  const mine = ['-D', store, '-C', 'you', '--local', '--local-config', config, '--create'];
  await backup([...mine, source]);
  t.true(fs.existsSync(at('store', 'you', 'its.db')));
  const { stderr } = await run('lstardis', place, { env: { TARDIS_DBNAME: '../x' } });
  t.regex(stderr, /TARDIS_DBNAME is "\.\.\/x" but must be a file name/);
});

test('--progress shows progress in a pipe too', async (t) => {
  const { source, place, at } = lab(t);
  const shown = await run('tardis', [...place, '--local', '--create', '--progress', source]);
  t.regex(shown.stderr, /scanned \d+ entries/);
  const hidden = await run('tardis', [...place, '--local', '--no-progress', source]);
  t.is(hidden.stderr, '');
  const restored = await run('regenerate', [...place, '--progress', '-o', at('out'), source]);
  t.regex(restored.stderr, /restored \d+ files/);
  for (const [command, shown] of [
    ['check', /^checking records$/m],
    ['rebuild', /^looking for lost data$/m],
    ['orphans', /^looking for unneeded contents$/m],
  ] as const) {
    const requested = await run('sonic', [command, ...place, '--progress']);
    t.regex(requested.stderr, shown, command);
    const quiet = await run('sonic', [command, ...place]);
    t.is(quiet.stderr, '', `${command} in a pipe`);
  }
  const secret = [...place, '--password=of a test'];
  for (const command of ['encrypt', 'rekey']) {
    const requested = await run('sonic', [command, ...secret, '--yes', '--progress']);
    t.regex(requested.stderr, /^writing contents/m, command);
  }
  await backup([...secret, '--local', source]);
  const deleted = await run('sonic', ['delete', ...secret, '--yes', '1', '--progress']);
  t.regex(deleted.stderr, /^looking for versions that no set uses$/m);
  await backup([...secret, '--local', source]);
  const rules = ['--keep-last', '1', '--yes', '--progress'];
  const purged = await run('sonic', ['purge', ...secret, ...rules]);
  t.regex(purged.stderr, /^looking for versions that no set uses$/m);
});

test('every tool explains its settings, as text and as JSON', async (t) => {
  const { written } = lab(t);
  const config = written('client', '[Tardis]\nTimeout = 7\n');
  const server = written('server', '[Tardis]\nTimeout = 8\n');
  const env = { TARDIS_DB: '/by variable' };
  for (const tool of TOOLS) {
    const [name, ...command] = tool.split(' ') as [Tool, ...string[]];
    const file = tool === 'tardisd' ? server : config;
    const args = [...command, '--explain-config', '--config', file];
    const text = await succeed(name, args, { env });
    t.regex(text, /^database +\/by variable +environment: TARDIS_DB$/m, tool);
    const rows = explained(await succeed(name, [...args, '--json'], { env }));
    t.like(rows.get('database'), { value: { name: '/by variable' }, where: 'TARDIS_DB' }, tool);
    t.like(rows.get('json'), { value: true, where: '--json' }, tool);
    if (tool !== 'tardisd' && tool !== 'tardis') continue;
    t.like(rows.get('timeoutSeconds'), {
      value: tool === 'tardisd' ? 8 : 7,
      source: 'configuration file',
      where: `${file}:2`,
    });
  }
});

test('what belongs to later releases is refused as such', async (t) => {
  const { source, written } = lab(t);
  const refusals: readonly [Tool, string[], Record<string, string>, RegExp][] = [
    ['tardis', [source], { TARDIS_SCHEMA: '1' }, /"TARDIS_SCHEMA" /],
    [
      'tardis',
      ['--config', written('a', '[Tardis]\nPassswordProg = secret\n')],
      {},
      /PasswordProg \[/,
    ],
    [
      'tardisd',
      ['--config', written('b', '[Tardis]\nJournalFile = x\n')],
      {},
      /b:2: "JournalFile" is not supported/,
    ],
    ['tardisd', ['--config', written('c', '[Tardis]\nSchema = x\n')], {}, /is part of the program/],
  ];
  for (const [tool, args, env, wanted] of refusals) {
    const { stderr, stdout } = exited(t, 1, await run(tool, args, { env }));
    t.regex(stderr, wanted);
    t.regex(stderr, /\[CAPABILITY_MISSING\]/);
    t.false(`${stderr}${stdout}`.includes('secret'), 'a password was shown');
  }
  const { stderr } = await run('tardis', ['--compress-data', 'lzma', source]);
  t.regex(stderr, /lzma.*zstd/);
});

test('a mistyped option, variable or key names the nearest one', async (t) => {
  const { source, written } = lab(t);
  const option = await run('tardis', ['--workrs', '1', source]);
  t.regex(option.stderr, /--workrs.*--workers.*\[USAGE\]/);
  const variable = await run('lstardis', [], { env: { TARDIS_CLEINT: 'me' } });
  t.regex(variable.stderr, /"TARDIS_CLEINT" .*"TARDIS_CLIENT"\) \[CONFIG_INVALID\]/);
  const key = await run('tardisd', ['--config', written('cfg', '[Tardis]\nBasDir = x\n')]);
  t.regex(key.stderr, /cfg:2: .*"BasDir" .*"BaseDir"\) \[CONFIG_INVALID\]/);
});

test('@file stands for the arguments in it', async (t) => {
  const { source, place, written, at } = lab(t);
  const more = written('more', '--create # a comment\n--name "by file"\n');
  const args = written('args', `${place.join(' ')}\n--local @${more}\n`);
  await backup([`@${args}`, source]);
  t.regex(await succeed('lstardis', place), /by file/);
  fs.mkdirSync(at('@odd'));
  const odd = await run('tardis', [...place, '--local', '@odd'], { cwd: at('.') });
  t.regex(odd.stderr, /arguments in @odd \(.*\.\/@odd\): no such file or directory \(ENOENT\)/);
  for (const literal of [['./@odd'], ['--', '@odd']]) {
    await backup([...place, '--local', ...literal], { cwd: at('.') });
  }
});

test('names that are not UTF-8 can be arguments, and are restored', async (t) => {
  const { home, source, place, at } = lab(t);
  const odd = Buffer.concat([Buffer.from(`${source}/`), LATIN1('d\xff\xfer')]);
  const children = [file(LATIN1('n\xe4me'), 'odd'), dir(LATIN1('\x80'), [file('in', 'side')])];
  makeTree(odd, children);
  const wanted = look(odd);
  const place8 = place.map((word) => `'${word}'`).join(' ');
  const script = Buffer.concat([
    Buffer.from(`set -e\ncd '${source}'\nPATH='${ROOT}/bin':$PATH\n`),
    Buffer.from(`tardis ${place8} --local --create `),
    LATIN1("'d\xff\xfer' >/dev/null\n"),
    Buffer.from(`lstardis ${place8} --json `),
    LATIN1("'d\xff\xfer'\n"),
    LATIN1("cd 'd\xff\xfer'\n"),
    Buffer.from(`tardis ${place8} --local . >/dev/null\n`),
    Buffer.from(`regenerate ${place8} -o '${home}`),
    LATIN1("/o\xfft' ../'d\xff\xfer'/. >/dev/null\n"),
  ]);
  fs.writeFileSync(at('script'), script);
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('TARDIS_')),
  );
  const { stdout } = await promisify(execFile)('sh', [at('script')], { env, timeout: 240_000 });
  const names = jsonLines<{ nameBytes: string }>(stdout).map(({ nameBytes }) => nameBytes);
  t.deepEqual(
    names.sort(),
    [LATIN1('n\xe4me'), LATIN1('\x80')].map((n) => n.toString('base64')).sort(),
  );
  const back = Buffer.concat([Buffer.from(`${home}/`), LATIN1('o\xfft/d\xff\xfer')]);
  t.deepEqual(differences(wanted, look(back)), []);

  // The same paths through @file and through a configuration file.
  fs.writeFileSync(at('args'), Buffer.concat([LATIN1('"'), odd, LATIN1('"\n')]));
  t.is((await backup([...place, '--local', `@${at('args')}`])).progress.contentsSent, 0);
  const key = Buffer.concat([Buffer.from('[Tardis]\nDirectories = '), odd, Buffer.from('\n')]);
  fs.writeFileSync(at('cfg'), key);
  const sets = await backup([...place, '--local', '--config', at('cfg')]);
  t.like(sets.progress, { contentsSent: 0, entries: wanted.size - 1 });
  t.is(path.basename(home), path.basename(at('.')));
});

test('variables that are no UTF-8 keep their bytes', async (t) => {
  const { at } = lab(t);
  const line = `' '${ROOT}/bin/tardis' --explain-config --json\n`;
  const script = Buffer.concat([LATIN1("TARDIS_NOCOMPRESS='/t\xffpes"), Buffer.from(line)]);
  fs.writeFileSync(at('script'), script);
  const { stdout } = await promisify(execFile)('sh', [at('script')], { timeout: 240_000 });
  const { value, where } = explained(stdout).get('noCompressFile')!;
  t.is(where, 'TARDIS_NOCOMPRESS');
  const nameBytes = LATIN1('/t\xffpes').toString('base64');
  t.deepEqual(value, { name: '/t\\xffpes', nameBytes });
});

test('a store may have any name, and so may its configuration', async (t) => {
  const { source, at, home } = lab(t);
  const store = Buffer.concat([Buffer.from(`${home}/`), LATIN1('st\xf6re \xff')]);
  const config = Buffer.concat([Buffer.from(`${home}/`), LATIN1('c\xe9 fg')]);
  fs.writeFileSync(config, '[Pipeline]\nPackSize = 1M\n');
  const quoted = (bytes: Buffer): Buffer => Buffer.concat([LATIN1('"'), bytes, LATIN1('"')]);
  const place = Buffer.concat([Buffer.from('-C me -D '), quoted(store)]);
  fs.writeFileSync(at('args'), place);
  const local = Buffer.concat([place, Buffer.from(' --local --local-config '), quoted(config)]);
  fs.writeFileSync(at('local'), local);
  const [args, localArgs] = [`@${at('args')}`, `@${at('local')}`];
  addTo(source, file('large', noise(1, 3 << 20)));
  await backup([localArgs, '--create', source]);
  t.deepEqual(fs.readdirSync(store), ['me']);
  const packs = fs.readdirSync(Buffer.concat([store, Buffer.from('/me/packs')]));
  t.true(packs.length > 1, 'the configuration was not read');
  t.is((await backup([localArgs, source])).progress.contentsSent, 0);
  t.is((await backup([localArgs, ...SEPARATE_SERVER, source])).progress.contentsSent, 0);
  t.regex(await succeed('lstardis', [args]), /complete/);
  await succeed('sonic', ['rebuild', args]);
  t.deepEqual(await restoredBy([args], source, at('out')), []);
  t.deepEqual(fs.readdirSync(home).length, 6, 'something was made beside');
});

test('Current, or the name in TARDIS_RECENT_SET, is the newest complete set', async (t) => {
  const { source, place, at } = lab(t);
  await backup([...place, '--local', '--create', '--name', 'first', source]);
  fs.writeFileSync(at('tree', 'two'), 'newer');
  await backup([...place, '--local', '--name', 'second', source]);
  const firstOf = async (args: string[], env: Record<string, string> = {}): Promise<unknown> => {
    const shown = await succeed('lstardis', [...place, '--json', ...args], { env });
    return (JSON.parse(shown) as { sets: { name: string }[] }).sets.map(({ name }) => name);
  };
  t.deepEqual(await firstOf(['-b', 'first']), ['first']);
  t.deepEqual(await firstOf(['-b', 'Current']), ['second']);
  t.deepEqual(await firstOf(['-b', 'now'], { TARDIS_RECENT_SET: 'now' }), ['second']);
  const env = { TARDIS_RECENT_SET: 'now' };
  t.regex((await run('lstardis', [...place, '-b', 'Current'], { env })).stderr, /NO_SUCH_SET/);
  await succeed('regenerate', [...place, '-b', 'Current', '-o', at('out'), source]);
  t.is(fs.readFileSync(at('out', 'tree', 'two'), 'utf8'), 'newer');
});
