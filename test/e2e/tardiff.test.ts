// Pace: slow
/** `tardiff`, which is `tardis diff` and `sonic diff` too: its output for a local store and through a server, and its exit status. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, jsonLines, run, Server } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { makeScratch, removeScratch, written } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree, noise, symlink } from '../helpers/tree.js';

backupsRunHere();

const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
const password = path.join(home, 'password');
const near = ['-D', store, '-C', 'me', '-F', password];
let server: Server;
let far: string[];

function at(...names: string[]): string {
  return path.join(source, ...names);
}

const OLD = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', ''].join('\n');
const NEW = OLD.replace('two', 'TWO').replace('eight', 'eight\nnine');

test.before(async () => {
  fs.writeFileSync(password, 'a password of the tests\n');
  makeTree(source, [
    file('text', OLD),
    file('binary', noise(1, 2000)),
    file('gone', 'gone\n'),
    dir('sub', [file('deep', 'deep\n'), dir('below', [file('x', 'x')])]),
    symlink('link', 'here'),
    file(Buffer.from([0x66, 0xff, 0x0a]), 'odd\n'),
  ]);
  await backup([...near, '--local', '--create', '--no-crypt', '--name', 'first', source]);
  fs.writeFileSync(at('text'), NEW);
  fs.writeFileSync(at('binary'), noise(2, 2000));
  fs.rmSync(at('gone'));
  fs.writeFileSync(at('new'), 'new\n');
  fs.writeFileSync(at('sub', 'deep'), 'deeper\n');
  fs.chmodSync(at('sub', 'below', 'x'), 0o600);
  fs.rmSync(at('link'));
  fs.symlinkSync('there', at('link'));
  fs.writeFileSync(
    Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0x66, 0xff, 0x0a])]),
    'o\n',
  );
  await backup([...near, '--local', source]);
  server = await Server.start(store);
  far = [...server.clientArgs, '-C', 'me', '-F', password];
});
test.after.always(async () => {
  await server.kill();
  removeScratch(home);
});

/** Runs tardiff; returns its lines and its exit status. */
async function diff(...args: string[]): Promise<{ lines: string[]; status: number | null }> {
  const { stdout, status } = await run('tardiff', [...near, ...args]);
  return { lines: stdout.split('\n').slice(0, -1), status };
}

test.serial(
  'versions are compared with the disk and with each other, by set and by date',
  async (t) => {
    t.deepEqual(await diff('-r', source), { lines: [], status: 0 });
    const wanted = ['-two', '+TWO', '+nine'];
    const changed = (lines: string[]): string[] => lines.filter((line) => /^[-+]\w/.test(line));
    for (const args of [
      ['-b', '1'],
      ['-b', 'first'],
      ['-b', '1', '-b', '2'],
      ['-b', '1', '-d', 'now'],
    ]) {
      const { lines, status } = await diff(...args, at('text'));
      t.deepEqual(changed(lines), wanted, args.join(' '));
      t.is(status, 1);
    }
    const back = await diff('-b', 'Current', '-b', '1', at('text'));
    t.deepEqual(changed(back.lines), ['-TWO', '+two', '-nine']);
    for (const [args, code] of [
      [['-b', '1', '-b', '2', '-d', 'now', source], 'USAGE'],
      [['-d', 'once upon a time', source], 'BAD_DATE'],
      [['-b', '7', source], 'NO_SUCH_SET'],
      [['-d', '2001-01-01', source], 'NO_SUCH_SET'],
      [[at('never')], 'NO_SUCH_PATH'],
      [['1', 'never'], 'NO_SUCH_PATH'],
      [['1', '9'], 'NO_SUCH_SET'],
      [['2001-01-01'], 'NO_SUCH_SET'],
      [['-u', '-n', at('text')], 'USAGE'],
      [['--no-such'], 'USAGE'],
    ] as const) {
      const failed = await run('tardiff', [...near, ...args]);
      t.is(failed.status, 2, code); // status 1 would mean a difference
      t.true(failed.stderr.includes(`[${code}]`), failed.stderr);
    }
    t.is((await run('tardiff', ['-D', at('never'), source])).status, 10);
  },
);

test.serial(
  'differences are printed in unified or context form, side by side, or in full',
  async (t) => {
    const unified = await succeedWith(1, '-b', '1', '-b', '2', '-u', '1', at('text'));
    const [head, headAfter, ...rest] = unified.split('\n');
    t.regex(head!, /^--- \/.*\/text\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(set 1\)$/);
    t.regex(headAfter!, /^\+\+\+ \/.*\/text\t.* \(set 2\)$/);
    t.deepEqual(rest, [
      '@@ -1,3 +1,3 @@',
      ' one',
      '-two',
      '+TWO',
      ' three',
      '@@ -8 +8,2 @@',
      ' eight',
      '+nine',
      '',
    ]);
    const patched = written(home, 'patched', OLD);
    t.is(spawnSync('patch', [patched], { input: unified }).status, 0);
    t.is(fs.readFileSync(patched, 'utf8'), NEW);
    const context = await succeedWith(1, '-b', '1', '-b', '2', '-c', '1', at('text'));
    t.deepEqual(context.split('\n').slice(2, 10), [
      '***************',
      '*** 1,3 ****',
      '  one',
      '! two',
      '  three',
      '--- 1,3 ----',
      '  one',
      '! TWO',
    ]);
    fs.writeFileSync(patched, OLD);
    t.is(spawnSync('patch', [patched], { input: context }).status, 0);
    t.is(fs.readFileSync(patched, 'utf8'), NEW);
    const whole = await diff('-b', '1', '-n', at('sub', 'deep'));
    t.deepEqual(whole.lines.slice(2), ['- deep', '+ deeper', '?     ++']);
    const beside = await diff('-b', '1', '-y', '--width', '23', at('text'));
    t.deepEqual(beside.lines.slice(1, 4), [
      'one          one',
      'two        | TWO',
      'three        three',
    ]);
    t.is(beside.lines.at(-1), '           > nine');
  },
);

async function succeedWith(wanted: number, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run('tardiff', [...near, ...args]);
  if (status !== wanted) throw new Error(`${args.join(' ')}: ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

const DIFFERENCES = [
  `M  ${at('binary')}  2.0 kB → 2.0 kB`,
  `M  ${at('f')}\\xff\\x0a  4 B → 2 B`,
  `-  ${at('gone')}  5 B`,
  `M  ${at('link')}  target here → there`,
  `+  ${at('new')}  4 B`,
  `M  ${at('text')}  40 B → 45 B`,
  `M  ${at('sub', 'deep')}  5 B → 7 B`,
];
const TOTALS =
  'set 1 → set 2: 1 entry added (4 B), 1 entry removed (5 B), 5 entries changed (2.0 kB → 2.1 kB)';

test.serial('directories are compared: new, deleted and changed entries', async (t) => {
  const listed = await diff('-b', '1', '-l', source);
  t.deepEqual(listed.lines, [...DIFFERENCES, TOTALS.replace('set 2', 'disk')]);
  const flat = await diff('-b', '1', '-b', '2', '-l', '--no-recurse', source);
  t.deepEqual(flat.lines.slice(0, -1), DIFFERENCES.slice(0, -1));
  const whole = await succeedWith(1, '-b', '1', '-b', '2', '-N', source);
  t.true(whole.includes('@@ -1 +0,0 @@\n-gone\n'), whole);
  t.true(whole.includes('@@ -0,0 +1 @@\n+new\n'), whole);
  const reported = jsonLines<{ name: string; nameBytes?: string; kind: string; hunks?: unknown[] }>(
    await succeedWith(1, '-b', '1', '--json', source),
  );
  const odd = reported.find(({ nameBytes }) => nameBytes !== undefined)!;
  t.deepEqual(Buffer.from(odd.nameBytes!, 'base64').subarray(-3), Buffer.from([0x66, 0xff, 0x0a]));
  t.is(reported.find(({ name }) => name === at('text'))?.hunks?.length, 1);
  t.is(reported.find(({ name }) => name === at('new'))?.kind, 'added');
});

test.serial('metadata that differs is reported with --metadata', async (t) => {
  const below = at('sub', 'below');
  t.deepEqual(await diff('-b', '1', '-r', below), { lines: [], status: 0 });
  const reported = await diff('-b', '1', '-r', '-M', below);
  t.deepEqual(reported.lines, [`U  ${path.join(below, 'x')}  permissions 0644 → 0600`]);
  t.is(reported.status, 1);
});

test.serial('attributes that differ are named, of a set and of the disk', async (t) => {
  const [tree, place] = [
    path.join(home, 'with attributes'),
    ['-D', path.join(home, 'other'), '-C', 'me'],
  ];
  makeTree(tree, [file('acl', 'x'), file('changed', 'x'), file('gone', 'x'), file('same', 'x')]);
  const call = (program: string, ...words: string[]): boolean =>
    spawnSync(program, words, { cwd: tree }).status === 0;
  const set = (name: string, value: string): boolean =>
    call('setfattr', '-n', 'user.z', '-v', value, name);
  if (!set('changed', 'one') || !call('setfacl', '-m', 'u:7:r', 'acl')) {
    return leaveOut(t, 'left out: no such attributes here');
  }
  call('setfacl', '-b', 'acl');
  for (const name of ['gone', 'same']) set(name, 'one');
  await backup([...place, '--local', '--create', tree]);
  set('changed', 'two');
  call('setfattr', '-x', 'user.z', 'gone');
  call('setfacl', '-m', 'u:7:r', 'acl');
  const { stdout, status } = await run('tardiff', [...place, '-r', '-M', tree]);
  t.is(status, 1);
  const differences = stdout.split('\n').map((line) => line.replace(`U  ${tree}/`, ''));
  const acl = /^acl {2}(permissions 0644 → 06\d0, )?attributes none → system\.posix_acl_access$/;
  t.regex(differences[0]!, acl);
  t.deepEqual(differences.slice(1), [
    'changed  attributes user.z',
    'gone  attributes user.z → none',
    '',
  ]);
  // The same between two sets.
  await backup([...place, '--local', tree]);
  const sets = await run('tardiff', [...place, '-b', '1', '-b', '2', '-r', '-M', tree]);
  t.deepEqual(sets.stdout.replaceAll(`U  ${tree}/`, '').split('\n').slice(1), differences.slice(1));
});

test.serial('binary and large files are only reported to differ', async (t) => {
  t.deepEqual((await diff('-b', '1', at('binary'))).lines, [
    `M  ${at('binary')}  2.0 kB → 2.0 kB (binary)`,
  ]);
  t.deepEqual((await diff('-b', '1', '--max-size', '40', at('text'))).lines, [
    `M  ${at('text')}  40 B → 45 B (too large)`,
  ]);
  const forced = await run('tardiff', [...near, '-b', '1', '-B', at('binary')]);
  t.true(forced.stdout.includes('@@'));
  const [reported] = jsonLines<{ notShown: string }>(
    await succeedWith(1, '-b', '1', '--json', at('binary')),
  );
  t.is(reported!.notShown, 'binary');
});

test.serial('a copy at another place is compared by a reduced path', async (t) => {
  const copy = path.join(home, 'mounted', source);
  fs.mkdirSync(copy, { recursive: true });
  fs.copyFileSync(at('text'), path.join(copy, 'text'));
  const above = path.join(home, 'mounted').split('/').length - 1;
  for (const how of ['--reduce-path', `--reduce-path=${above}`]) {
    const { lines, status } = await diff(how, '-l', '-b', '1', path.join(copy, 'text'));
    t.is(lines[0], `M  ${at('text')}  40 B → 45 B`, how);
    t.is(status, 1);
  }
  t.is((await diff('--reduce-path', path.join(copy, 'text'))).status, 0);
  t.is((await diff('--reduce-path=x', at('text'))).status, 2);
});

test.serial('sets are named by words, and everything in them is compared', async (t) => {
  const whole = { lines: [...DIFFERENCES, TOTALS], status: 1 };
  for (const words of [
    ['1', '2'],
    ['first', 'Current'],
    ['1', 'now', source],
    ['-b', '1', '2', '-l'],
  ]) {
    const isListed = words.includes(source) ? [...words, '--list'] : words;
    t.deepEqual(await diff(...isListed), whole, words.join(' '));
  }
  for (const [program, ...words] of [['sonic', 'diff'], ['tardiff']] as const) {
    const { stdout, status } = await run(program, [...words, ...far, '1', '2']);
    t.deepEqual({ lines: stdout.split('\n').slice(0, -1), status }, whole, program);
  }
  t.is((await run('sonic', ['diff', '--no-such'])).status, 2);
  const back = jsonLines(await succeedWith(1, '--json', '2', '1', at('sub')));
  t.is(back.length, 2);
  t.like(back[0], { kind: 'changed', from: 2, to: 1 });
  t.deepEqual(back[1]!['changed'], { entries: 1, bytesBefore: 7, bytesAfter: 5 });
  t.regex(await succeedWith(0, '2', '2'), /0 entries added .* 0 entries changed\n$/);
  t.regex(await succeedWith(0), /^set 2 → disk: 0 entries added/);
  const here = written(home, '1', 'a file of the name of a set');
  const both = await run('tardiff', [...near, '1', '2'], { cwd: home });
  t.regex(both.stderr, /"1" is a backup set, and a file here: give -b 1, or \.\/1 \[USAGE\]/);
  fs.rmSync(here);
});

test.serial('tardiff shows the same from a server as from a store', async (t) => {
  for (const args of [
    ['-r', source],
    ['-r', '-b', '1', source],
    ['-r', '-M', '--json', '-b', '1', '-b', '2', source, at('text')],
    ['-b', '1', at('never')],
  ]) {
    const [here, there] = await Promise.all([
      run('tardiff', [...near, ...args]),
      run('tardiff', [...far, ...args]),
    ]);
    t.deepEqual(
      [there.stdout, there.stderr, there.status],
      [here.stdout, here.stderr, here.status],
    );
  }
});

test.serial(
  'a terminal gets colors and no control characters, unless NO_COLOR is set',
  async (t) => {
    const nasty = at('nasty');
    fs.writeFileSync(nasty, 'bell \u0007\tand \u001b[2J\n');
    const args = [...near, '-b', '2', '-N', nasty];
    const { shown, status } = await runOnTerminal('tardiff', args, []);
    t.is(status, 1);
    t.true(shown.includes('\u001b[32m+bell \\x07\tand \\x1b[2J'), JSON.stringify(shown));
    const before = process.env['NO_COLOR'];
    process.env['NO_COLOR'] = '1';
    t.teardown(() => {
      if (before === undefined) delete process.env['NO_COLOR'];
      else process.env['NO_COLOR'] = before;
      fs.rmSync(nasty);
    });
    t.false((await runOnTerminal('tardiff', args, [])).shown.includes('\u001b'));
    const piped = await run('tardiff', args);
    t.true(piped.stdout.includes('+bell \u0007\tand \u001b[2J\n'), 'a pipe gets the bytes');
    t.true((await run('tardiff', [...args, '--color'])).stdout.includes('\u001b[32m'));
  },
);

test.serial('what cannot be compared is reported, and the rest is', async (t) => {
  if (!isRoot) return leaveOut(t, 'left out: needs root');
  const closed = path.join(home, 'closed');
  makeTree(closed, [dir('shut', [file('x')], { mode: 0o700 }), file('open', 'a\n')], {
    mode: 0o755,
  });
  const plain = path.join(home, 'plain');
  const place = ['-D', plain, '-C', 'me'];
  await backup([...place, '--local', '--create', closed]);
  spawnSync('chmod', ['-R', 'o+rX', plain, home]);
  fs.writeFileSync(path.join(closed, 'open'), 'b\n');
  const { status, stdout, stderr } = await run('tardiff', [...place, '-r', '-l', closed], {
    uid: 65534,
  });
  t.is(status, 2);
  t.regex(stderr, /\[NO_ACCESS\]/);
  t.regex(stdout, /M {2}.*open/);
});
