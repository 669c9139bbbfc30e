// Pace: slow
/** Ctrl-C: the first ends long work in order, with a message; the second ends it at once. Neither does any harm. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backupsRunHere,
  BIN,
  cleanEnvironment,
  poolsStayAway,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { differences, look } from '../helpers/tree.js';

// Those that are interrupted are processes.
backupsRunHere();
poolsStayAway();

const FILES = 1500;
const TIMEOUT_MS = 60_000;
const MAX_TRIES = 8;
const INTERRUPTED_STATUS = 130;

interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

/**
 * Runs a command and interrupts it as soon as it shows progress. The command is stopped while the signal is sent, so
 * that it cannot finish before.
 */
function interrupted(tool: Tool, args: readonly string[]): Promise<Ended> {
  const child = spawn(path.join(BIN, tool), [...args, '--progress'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: cleanEnvironment(),
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const isFirst = stderr === '';
    stderr += text;
    if (!isFirst) return;
    child.kill('SIGSTOP');
    child.kill('SIGINT');
    child.kill('SIGCONT');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stderr }));
  });
}

/**
 * Interrupts a command that may be repeated. On a busy machine the command may finish before it handles the signal;
 * then it is run again.
 */
async function interruptedAtWork(tool: Tool, args: readonly string[]): Promise<Ended> {
  for (let tries = 1; ; tries += 1) {
    const ended = await interrupted(tool, args);
    if (ended.status !== 0 || tries === MAX_TRIES) return ended;
  }
}

/** Makes a client with two sets of many small files, some of which are in the first set only. */
async function storeOf(t: ExecutionContext, more: readonly string[]) {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const place = ['-D', store, '-C', 'me', ...more];
  for (let n = 0; n < FILES; n += 1) {
    const directory = folderIn(source, `d${n % 30}`);
    fs.writeFileSync(path.join(directory, `f${n}`), `${n} `.repeat(200 + (n % 1700)));
  }
  await succeed('tardis', [...place, '--local', '--create', source]);
  for (let n = 0; n < 30; n += 2) fs.rmSync(path.join(source, `d${n}`), { recursive: true });
  await succeed('tardis', [...place, '--local', source]);
  return { home, source, place };
}

test.serial(
  'every long command ends in order when it is interrupted, and harms nothing',
  async (t) => {
    const { home, source, place } = await storeOf(t, []);
    for (const [name, ...args] of [['check', '--read-data'], ['rebuild']] as const) {
      const { status, stderr } = await interruptedAtWork('sonic', [name, ...place, ...args]);
      t.is(status, INTERRUPTED_STATUS, `${name}: ${stderr}`);
      t.regex(stderr, new RegExp(`^sonic ${name}: stopping cleanly`, 'm'));
      t.regex(stderr, /\[INTERRUPTED\]/);
      t.notRegex(stderr, /\n\s+at /);
    }
    t.regex(await succeed('sonic', ['check', '--read-data', ...place]), /No damage found/);
    for (let n = 0; n < FILES; n += 1) fs.writeFileSync(path.join(source, `more${n}`), `more ${n}`);
    const backup = await interrupted('tardis', [...place, '--local', source]);
    t.is(backup.status, INTERRUPTED_STATUS, backup.stderr);
    t.regex(backup.stderr, /^tardis: stopping cleanly .*the next run continues/m);
    await succeed('tardis', [...place, '--local', source]);
    const args = [...place, '-o', path.join(home, 'out'), source];
    const restore = await interrupted('regenerate', args);
    t.regex(restore.stderr, /^regenerate: stopping cleanly .*the same command continues it/m);
    const isWhole = (): boolean =>
      t.deepEqual(differences(look(source), look(path.join(home, 'out', 'tree'))), []);
    // The signal may come after the last file.
    if (restore.status === 0) isWhole();
    else t.is(restore.status, INTERRUPTED_STATUS, restore.stderr);
    await succeed('regenerate', args);
    isWhole();
  },
);

test.serial('new keys for a store are interrupted, and the same command goes on', async (t) => {
  const { place } = await storeOf(t, ['--password=of a test']);
  const { status, stderr } = await interrupted('sonic', ['rekey', ...place, '--yes']);
  t.is(status, INTERRUPTED_STATUS, stderr);
  t.regex(stderr, /^sonic rekey: stopping cleanly/m);
  t.regex(await succeed('sonic', ['rekey', ...place, '--yes']), /has new keys/);
  t.regex(await succeed('sonic', ['check', ...place]), /No damage found/);
});

test.serial('the second interrupt ends a command at once, whatever it waits for', async (t) => {
  const { source, place } = lab(t, []);
  fs.writeFileSync(path.join(source, 'large'), Buffer.alloc(4 << 20, 'x'));
  await succeed('tardis', [...place, '--local', '--create', source]);
  const args = ['--stdout', ...place, path.join(source, 'large')];
  const child = spawn(path.join(BIN, 'regenerate'), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    child.kill('SIGINT'); // the command is ending, but blocks: its output is not read
  });
  child.stdout.once('readable', () => child.kill('SIGINT'));
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  t.is(await ended, INTERRUPTED_STATUS, stderr);
  t.regex(
    stderr,
    /^regenerate: stopping cleanly \(interrupt again to stop at once\); the output will be incomplete$/m,
  );
});
