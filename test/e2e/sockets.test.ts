/** Where client and server meet: paths that are too long, addresses with colons, and what a killed run leaves. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { listedSets, pause, run, Running, succeed } from '../helpers/commands.js';
import { dir, file, makeTree, noise, scratch } from '../helpers/tree.js';

interface Place {
  readonly home: string;
  readonly source: string;
  readonly temporary: string;
  readonly store: string[];
}

function place(t: ExecutionContext): Place {
  const home = scratch(t);
  const source = path.join(home, 'tree');
  makeTree(source, [dir('d', [file('large', noise(1, 4 << 20))])]);
  const temporary = path.join(home, 'tmp');
  fs.mkdirSync(temporary);
  return { home, source, temporary, store: ['-D', path.join(home, 'store'), '-C', 'me'] };
}

test('a socket whose path is too long is refused before anything is made', async (t) => {
  const { home, store } = place(t);
  const socket = path.join(home, 'x'.repeat(120));
  const pidFile = path.join(home, 'pid');
  const before = fs.readdirSync(home);
  fs.mkdirSync(store[1]!);
  const args = ['-D', store[1]!, '--pidfile', pidFile, '--local', socket];
  const { status, stderr } = await run('tardisd', args);
  t.is(status, 1);
  t.regex(stderr, /has \d+ bytes, and may have 107.*\[CONFIG_INVALID\]/);
  t.notRegex(stderr, /^\s+at /m);
  t.deepEqual(fs.readdirSync(home).sort(), [...before, 'store'].sort());
});

test('a local backup needs no short TMPDIR, but one that is there', async (t) => {
  const { home, source, store } = place(t);
  const long = path.join(home, 'l'.repeat(100));
  fs.mkdirSync(long);
  const args = [...store, '--local', '--create', source];
  await succeed('tardis', args, { env: { TMPDIR: long } });
  t.deepEqual(fs.readdirSync(long), []);

  const missing = path.join(home, 'missing');
  const { status, stderr } = await run('tardis', args, { env: { TMPDIR: missing } });
  t.is(status, 1);
  t.regex(stderr, /missing \(TMPDIR\): ENOENT \[CONFIG_INVALID\]/);
});

test('an address with colons is an address', async (t) => {
  const { source, store } = place(t);
  for (const host of ['::1', '[::1]']) {
    const args = ['--server', host, '--port', '1', '--insecure-tcp', ...store.slice(2), source];
    const { status, stderr } = await run('tardis', args);
    t.is(status, 1);
    t.regex(stderr, /cannot reach the server at \[::1\]:1: .*\[SERVER_UNREACHABLE\]/);
  }
});

/** A backup that is in the middle of its large file, and stays there for long. */
async function slowBackup(t: ExecutionContext, { source, store, temporary }: Place) {
  const slowly = ['--bandwidth-limit', '16K', '--progress'];
  const args = [...store, '--local', '--create', ...slowly, source];
  const running = new Running('tardis', args, { env: { TMPDIR: temporary } });
  t.teardown(() => running.signalGroup('SIGKILL'));
  await running.until('reading', () => /sent [1-9]/.test(running.stderr));
  t.is(fs.readdirSync(temporary).length, 1);
  return running;
}

test('a terminal that closes ends a backup in order', async (t) => {
  const its = place(t);
  const running = await slowBackup(t, its);
  running.signal('SIGHUP');
  const { status, stderr } = await running.ended;
  t.is(status, 130, stderr);
  t.regex(stderr, /\[INTERRUPTED\]/);
  t.deepEqual(
    (await listedSets(its.store[1]!, 'me')).map(({ state }) => state),
    ['unfinished'],
  );
  t.deepEqual(fs.readdirSync(its.temporary), []);
});

test('a killed backup leaves no directory of its socket', async (t) => {
  const its = place(t);
  const running = await slowBackup(t, its);
  running.signal('SIGKILL');
  await running.ended;
  while (fs.readdirSync(its.temporary).length > 0) await pause(20); // until its server has seen it
  t.pass();
});
