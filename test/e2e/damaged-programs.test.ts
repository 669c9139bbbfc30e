// Pace: slow
/** A program reports what happened if its native code is damaged, or if its server process dies. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn } from '../helpers/codes.js';
import { run, Running } from '../helpers/commands.js';
import { folderIn, scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { SEPARATE_SERVER } from '../helpers/separate-server.js';
import { ofThisRun, partOf, share } from '../helpers/share.js';
import { seededRandom } from '../support/seeded-random.js';
import { listening } from '../helpers/listener.js';

/** Nothing listens there: the address is of no machine (RFC 5737). */
const NO_ADDRESS = '192.0.2.1';
/** A command that runs for so long does not end by itself. */
const TIMEOUT_MS = 120_000;
const NATIVE = /\.node$|\.so(?:\.\d+)*$/;

/** An installed copy of all programs, a tree, and commands of that copy. */
interface Installed {
  readonly top: string;
  readonly source: string;
  /** The folder of the programs. */
  readonly program: string;
  readonly tool: (name: string, args: readonly string[]) => SpawnSyncReturns<string>;
}

function install(t: ExecutionContext): Installed {
  const top = scratch(t);
  const env = { ...process.env, DESTDIR: path.join(top, 'root'), PREFIX: '/usr', SYSCONFDIR: '' };
  const installed = spawnSync(process.execPath, ['scripts/install-system.mjs'], { env });
  t.is(installed.status, 0, installed.stderr.toString());
  const source = folderIn(top, 'source');
  fs.writeFileSync(path.join(source, 'file'), 'content '.repeat(1000));
  const place = ['-D', path.join(top, 'store'), '-C', 'me'];
  const tool = (name: string, args: readonly string[]) =>
    spawnSync(path.join(top, 'root/usr/bin', name), [...place, ...args], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
  return { top, source, program: path.join(top, 'root/usr/lib/tardis'), tool };
}

test('a script that cannot be loaded ends a backup with its error, though a local server runs already', (t) => {
  const { source, program, tool } = install(t);
  const scripts = path.join(program, 'dist/bundle');
  const backUp = fs
    .readdirSync(scripts)
    .filter((name) => name.endsWith('.cjs'))
    .map((name) => path.join(scripts, name))
    .find((file) => /\bbackUp:\(\)=>backUp\b/.test(fs.readFileSync(file, 'utf8')));
  const whole = fs.readFileSync(backUp!);
  const broken = "throw new Error('broken on purpose');";
  for (const more of [['--create'], []]) {
    // The server of a new client has threads, if there are processors for them; that of a small one has none.
    for (const script of [broken, 'not a script(']) {
      fs.writeFileSync(backUp!, script);
      const { status, signal, stderr } = tool('tardis', ['--local', ...more, source]);
      t.is(signal, null, stderr);
      t.is(status, 1, stderr);
      t.regex(
        stderr,
        script === broken ? /^tardis: broken on purpose \[INTERNAL\]/ : /SyntaxError/,
      );
    }
    fs.writeFileSync(backUp!, whole);
    const { status, stderr } = tool('tardis', ['--local', ...more, source]);
    t.is(status, 0, stderr);
  }
});

test('native code that is cut short is reported by each command, and never ends one by a signal', async (t) => {
  const { top, source, program, tool } = install(t);
  const backUp = ['--local', '--compress-msgs', 'snappy', '--compress-data', 'snappy'];
  t.is(tool('tardis', [...backUp, '--create', source]).status, 0);

  const remote = ['-D', path.join(top, 'store'), '--address', NO_ADDRESS, '--insecure-network'];
  const taken = await listening(t, net.createServer());
  t.regex(tool('tardis-web', ['--web-port', String(taken)]).stderr, /is in use/);
  const files = fs
    .readdirSync(program, { recursive: true, encoding: 'utf8' })
    .filter((file) => NATIVE.test(file) && !file.includes('musl'));
  t.true(files.length > 2, files.join(' '));
  const refused = new Set<string>();
  const random = seededRandom(seed);
  for (const file of files) {
    const full = path.join(program, file);
    const bytes = fs.readFileSync(full);
    const lengths = [1000, bytes.length >> 1, bytes.length - 100];
    for (const keptBytes of partOf(lengths, share, random)) {
      fs.writeFileSync(full, bytes.subarray(0, keptBytes));
      fs.writeFileSync(path.join(source, 'file'), `${file} ${keptBytes} `.repeat(100)); // so that the backup has something to send
      for (const { status, signal, stderr } of [
        tool('tardis', [...backUp, source]),
        tool('lstardis', []),
        // These two stop where they would listen.
        tool('tardis-web', ['--no-browser', '--web-port', String(taken)]),
        spawnSync(path.join(top, 'root/usr/bin/tardisremote'), remote, { encoding: 'utf8' }),
      ]) {
        t.is(signal, null, `${file} with ${keptBytes} bytes: ${stderr}`);
        if (status === 0 || /LISTEN_FAILED|is in use/.test(stderr)) continue; // not all native code is needed
        t.is(status, 1, stderr);
        t.regex(stderr, /cannot be loaded.*\[NATIVE_MISSING\]\n[\w-]+: Run `npm run setup`/);
        t.notRegex(stderr, /bug/);
        refused.add(path.basename(file));
      }
    }
    fs.writeFileSync(full, bytes);
  }
  t.log([...refused].join(' '));
  for (const needed of ['tardis_native.node', `linux-${process.arch}.node`])
    t.true(refused.has(needed), needed);
  t.is(tool('tardis', [...backUp, source]).status, 0);
});

const SIGNALS = ['SIGSEGV', 'SIGBUS', 'SIGKILL'] as const;
for (const signal of ofThisRun(SIGNALS)) {
  test(`a local server that is ended by ${signal} is reported with the signal's name`, async (t) => {
    const top = scratch(t);
    const source = folderIn(top, 'source');
    fs.writeFileSync(path.join(source, 'file'), Buffer.alloc(4 << 20, 'abcdefgh'));
    const place = ['-D', path.join(top, 'store'), '-C', 'me', '--create', '--local'];
    const requireMessage = (stderr: string, when: string): void => {
      t.is(codeIn({ stderr }), 'SERVER_DIED', stderr);
      t.regex(stderr, new RegExp(`the local server process was killed by ${signal}\\b`), when);
      t.regex(stderr, /\ntardis: Run again; /);
    };

    const broken = path.join(top, 'broken');
    fs.writeFileSync(broken, `#!/bin/sh\nkill -${signal.slice(3)} $$\n`, { mode: 0o755 });
    const early = await run('tardis', [...place, '--local-server-cmd', broken, source]);
    t.is(early.status, 1);
    requireMessage(early.stderr, 'as it starts');

    const slowly = ['--bandwidth-limit', '1K', '--compress-data', 'none'];
    const running = new Running('tardis', [...place, ...SEPARATE_SERVER, ...slowly, source]);
    const catalog = path.join(top, 'store/me/tardis.db');
    await running.until('the session has begun', () => fs.existsSync(catalog));
    running.signalChildren(signal);
    const { status, stderr } = await running.ended;
    t.is(status, 1);
    requireMessage(stderr, 'in a session');
  });
}
