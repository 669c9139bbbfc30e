// Pace: long
/** Inode flags (chattr): saved, listed, restored last by root; and the errors for an immutable target. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  jsonLines,
  run,
  Running,
  Server,
  succeed,
} from '../helpers/commands.js';
import { faultySystem } from '../support/faults.js';
import { type NativeCalls, type System } from '../../src/system/index.js';
import { codeIn, exited } from '../helpers/codes.js';
import { killWhen, Ledger } from '../helpers/faults.js';
import { backupInline, inlineSystem, restoreInline } from '../helpers/inline.js';
import { scratch } from '../helpers/scratch.js';
import { dir, file, look, makeTree, noise, symlink } from '../helpers/tree.js';

backupsRunHere();

const OLD = new Date('2020-02-03T04:05:06.789Z');
const PASSWORD = '--password=of these flags';
const LARGE_BYTES = 3 << 20;

function chattr(change: string, ...files: string[]): boolean {
  return spawnSync('chattr', [change, ...files]).status === 0;
}

/** Returns the letters that lsattr prints for the flags that are backed up, of each of these files. */
function flagsOf(...names: string[]): string[] {
  const { stdout } = spawnSync('lsattr', ['-d', ...names], { encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  return lines.map((line) => line.split(' ')[0]!.replace(/[^SDiadA]/g, ''));
}

/** Makes a tree with flags. If none can be set here, logs that, passes the test and returns undefined. */
function lab(t: ExecutionContext) {
  const home = scratch(t);
  t.teardown(() => void spawnSync('chattr', ['-R', '-i', '-a', home]));
  const at = (...names: string[]): string => path.join(home, ...names);
  makeTree(at('tree'), [
    dir('d', [file('immutable', 'i'), file('log', 'a'), file('plain', 'p')]),
    dir('closed', [file('in', 'in'), dir('deep', [file('er', 'er')])]),
    file('large', noise(1, LARGE_BYTES)),
    file('empty'),
    symlink('link', 'large'),
  ]);
  fs.linkSync(at('tree', 'd', 'immutable'), at('tree', 'second'));
  for (const name of ['closed/deep', 'closed', 'd', '.']) fs.utimesSync(at('tree', name), OLD, OLD);
  for (const [change, ...names] of [
    ['+i', 'd/immutable', 'large', 'empty', 'closed/deep', 'closed'],
    ['+a', 'd/log'],
    ['+d', 'd/plain', 'd/log'],
    ['+A', 'd/plain'],
    ['+D', 'd'],
    ['+S', 'd/plain'],
  ] as const) {
    if (chattr(change, ...names.map((name) => at('tree', name)))) continue;
    t.log(`left out: chattr ${change} does nothing here`);
    t.pass();
    return undefined;
  }
  return { at, source: at('tree'), place: ['-D', at('store'), '-C', 'me'] };
}

const FLAGS: Readonly<Record<string, string>> = {
  'd/immutable': 'i',
  second: 'i',
  large: 'i',
  empty: 'i',
  closed: 'i',
  'closed/deep': 'i',
  'closed/deep/er': '',
  'd/log': 'ad',
  'd/plain': 'SdA',
  d: 'D',
};

const NO_FLAGS = Object.fromEntries(Object.keys(FLAGS).map((name) => [name, '']));

function check(
  t: ExecutionContext,
  out: string,
  wanted: Readonly<Record<string, string>> = FLAGS,
): void {
  const names = Object.keys(wanted);
  const found = flagsOf(...names.map((name) => path.join(out, name)));
  t.deepEqual(Object.fromEntries(names.map((name, at) => [name, found[at]])), wanted);
}

for (const isRemote of [false, true]) {
  const where = isRemote ? 'a server, of a client that encrypts' : 'a store';
  test(`flags of files and directories come back from ${where}`, async (t) => {
    const made = lab(t);
    if (made === undefined) return;
    const { at, source, place } = made;
    check(t, source);
    const server = isRemote ? await Server.start(at('store')) : undefined;
    t.teardown(() => server?.kill());
    const from = server === undefined ? place : [...server.clientArgs, '-C', 'me', PASSWORD];
    await succeed('tardis', [...from, ...(isRemote ? [] : ['--local']), '--create', source]);
    await succeed('regenerate', [...from, '-o', at('out'), source]);
    check(t, at('out', 'tree'));
    t.deepEqual(look(at('out', 'tree')), look(source));
    await succeed('tardiff', [...from, '--metadata', '-r', source]);
    // A change of flags alone is backed up.
    chattr('-i', at('tree', 'large'));
    const way = isRemote ? [] : ['--local'];
    await backup([...from, ...way, source]);
    await succeed('regenerate', [...from, '-o', at('later'), source]);
    check(t, at('later', 'tree'), { ...FLAGS, large: '' });
    const shown = jsonLines(await succeed('lstardis', [...from, '--json', '-l', at('tree', 'd')]));
    const flags = shown
      .filter((line) => 'flags' in line)
      .map((line) => [line['name'], line['flags']]);
    t.deepEqual(flags, [
      ['immutable', 'i'],
      ['log', 'ad'],
      ['plain', 'SdA'],
    ]);
    t.regex(await succeed('lstardis', [...from, '-l', at('tree', 'd')]), /^-rw\S+ +SdA .* plain$/m);
  });
}

test('inode flags are restored last, unless an option switches that off', async (t) => {
  const made = lab(t);
  if (made === undefined) return;
  const { at, source, place } = made;
  await succeed('tardis', [...place, '--local', '--create', source]);
  for (const [index, option] of ['--no-set-flags', '--no-set-attrs'].entries()) {
    const out = at(`out ${index}`);
    await succeed('regenerate', [...place, '-o', out, option, source]);
    check(t, path.join(out, 'tree'), NO_FLAGS);
    fs.rmSync(out, { recursive: true });
  }
  // The archive has the flags as pax records of libarchive.
  await succeed('regenerate', [...place, '--tar', at('tar'), source]);
  const tar = fs.readFileSync(at('tar'), 'latin1');
  for (const flags of ['schg', 'sappnd,nodump', 'sync,nodump,noatime', 'dirsync']) {
    t.true(tar.includes(`SCHILY.fflags=${flags}\n`), flags);
  }
  await succeed('regenerate', [...place, '--tar', at('bare'), '--no-set-flags', source]);
  t.false(fs.readFileSync(at('bare'), 'latin1').includes('fflags'));
});

test('what is immutable at the target is named, and the same command goes on when it is not', async (t) => {
  const made = lab(t);
  if (made === undefined) return;
  const { at, source, place } = made;
  await succeed('tardis', [...place, '--local', '--create', source]);
  const mine = at('out', 'tree', 'd', 'plain');
  fs.mkdirSync(path.dirname(mine), { recursive: true });
  fs.writeFileSync(mine, 'mine');
  fs.mkdirSync(at('out', 'tree', 'closed'));
  chattr('+i', mine, at('out', 'tree', 'closed'));
  const command = [...place, '-O', '-o', at('out'), source];
  const outcome = exited(t, 3, await run('regenerate', command));
  t.regex(outcome.stderr, /tree\/d\/plain: what is there is immutable \[TARGET_IMMUTABLE\]/);
  t.regex(
    outcome.stderr,
    /tree\/closed\/in: the directory it is in is immutable \[TARGET_IMMUTABLE\]/,
  );
  t.is(fs.readFileSync(mine, 'utf8'), 'mine');
  t.deepEqual(flagsOf(at('out', 'tree', 'large')), ['i'], 'the others have theirs');
  chattr('-i', mine, at('out', 'tree', 'closed'));
  // Files that the first run made immutable are already correct, so they cause no error.
  await succeed('regenerate', command);
  check(t, at('out', 'tree'));
  t.deepEqual(look(at('out', 'tree')), look(source));
});

test('a restore that is killed before the flags gives them in its next run', async (t) => {
  const made = lab(t);
  if (made === undefined) return;
  const { at, source, place } = made;
  chattr('-i', at('tree', 'closed'));
  makeTree(at('tree', 'closed', 'more'), [file('x', noise(2, 20 * LARGE_BYTES))]);
  chattr('+i', at('tree', 'closed'));
  await succeed('tardis', [...place, '--local', '--create', source]);
  const command = [...place, '-o', at('out'), source];
  const running = new Running('regenerate', command);
  const made1 = at('out', 'tree', 'd', 'plain');
  await running.until('some files', () => fs.existsSync(made1));
  running.signalGroup('SIGKILL');
  await running.ended;
  t.is(codeIn(exited(t, 0, await run('regenerate', command))), undefined);
  check(t, at('out', 'tree'));
  t.deepEqual(look(at('out', 'tree')), look(source));
});

/** Systems that are killed at the n-th flag, or cannot set it. */
const TROUBLES: Readonly<Record<string, (base: System, n: number) => System>> = {
  killed: (base, n) =>
    faultySystem(
      base,
      killWhen(
        (operation, plan) => plan.times('native.setFlagsAt') >= n && /setFlags/.test(operation),
      ),
    ),
  'an error': (base, n) => {
    let count = 0;
    const setFlagsAt: NativeCalls['setFlagsAt'] = (...args) => {
      count += 1;
      if (count === n) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
      base.native.setFlagsAt(...args);
    };
    return { ...base, clock: base.clock, native: { ...base.native, setFlagsAt } };
  },
};

for (const [what, world] of Object.entries(TROUBLES)) {
  test(`whatever flag is met by trouble, the same command sets all: ${what}`, async (t) => {
    const made = lab(t);
    if (made === undefined) return;
    const { at, source } = made;
    const place = { store: at('store'), client: 'me' };
    await backupInline(inlineSystem(), place, [source], { create: true });
    for (let n = 1; n <= Object.values(FLAGS).filter((flags) => flags !== '').length - 1; n += 1) {
      const output = at(`out ${n}`);
      const request = { paths: [source], output };
      const ledger = new Ledger(inlineSystem());
      try {
        const failures = await restoreInline(world(ledger.system, n), place, request);
        t.true(failures.length > 0, `flag ${n} is not told`);
      } catch (error) {
        t.is(what, 'killed', String(error));
      } finally {
        ledger.closeAll();
      }
      t.deepEqual(await restoreInline(inlineSystem(), place, request), [], `${what} at flag ${n}`);
      check(t, path.join(output, 'tree'));
      t.deepEqual(look(path.join(output, 'tree')), look(source));
      t.deepEqual(fs.readdirSync(output), ['tree']);
    }
  });
}
