// Pace: slow
/**
 * Restores where the system refuses owners, permissions or times: contents are kept, and each kind that could not be set
 * is named once. Restored entries inherit nothing from the directory that they are put into.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, BIN, cleanEnvironment, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree, symlink } from '../helpers/tree.js';

backupsRunHere();

const NOBODY = 65_534;
const MANY = 40;

class Lab {
  readonly home: string;
  readonly source: string;
  readonly out: string;
  readonly args: readonly string[];

  private constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
    fs.chmodSync(this.home, 0o755);
    this.source = path.join(this.home, 'tree');
    this.out = path.join(this.home, 'out');
    this.args = ['-D', path.join(this.home, 'store'), '-C', 'me', '-o', this.out, this.source];
  }

  /** Backs up a directory of many files, and one of each other kind, which belong to somebody. */
  static async with(t: ExecutionContext, owner = 1000): Promise<Lab> {
    const lab = new Lab(t);
    const files = Array.from({ length: MANY }, (_, n) => file(`f${n}`, `content ${n}`));
    makeTree(lab.source, [dir('d', [...files, symlink('link', 'f1')], { mode: 0o750 })]);
    spawnSync('mkfifo', [path.join(lab.source, 'd', 'fifo')]);
    if (isRoot) spawnSync('chown', ['-Rh', `${owner}:${owner}`, lab.source]);
    fs.chmodSync(path.join(lab.source, 'd', 'f0'), 0o4755); // a change of the owner would take the bit
    await backup([...lab.args.slice(0, 4), '--local', '--create', lab.source]);
    if (isRoot) spawnSync('chmod', ['-R', 'a+rX', path.join(lab.home, 'store')]);
    return lab;
  }

  at(...names: string[]): string {
    return path.join(this.out, 'tree', ...names);
  }

  /** Runs the restore below another program. Returns its status and its error output. */
  below(words: readonly string[], ...options: readonly string[]) {
    const [program, ...rest] = words;
    const args = [...rest, path.join(BIN, 'regenerate'), ...options, ...this.args];
    const { status, stderr } = spawnSync(program!, args, {
      env: { ...cleanEnvironment(), HOME: this.home },
      encoding: 'utf8',
    });
    return { status, stderr };
  }
}

/** True if a program can run another one below itself here. */
function canRun(...words: readonly string[]): boolean {
  const [program, ...rest] = words;
  return isRoot && spawnSync(program!, [...rest, 'true']).status === 0;
}

const AS_ROOT_OF_A_CONTAINER = ['unshare', '-Ur'];
const WITHOUT_FOWNER = ['setpriv', '--bounding-set=-fowner'];

test('root that may not change owners gets all contents, and each kind is named once', async (t) => {
  if (!canRun(...AS_ROOT_OF_A_CONTAINER)) {
    return leaveOut(t, 'left out: no user namespaces, or no root');
  }
  const lab = await Lab.with(t);
  for (const what of ['first', 'again']) {
    const { status, stderr } = lab.below(AS_ROOT_OF_A_CONTAINER);
    t.is(status, 3, `${what}: ${stderr}`);
    t.regex(stderr, /tree\/d\/[a-z0-9]+ and \d+ more: its owner could not be set: .* \(EINVAL\)/);
    t.regex(stderr, /--no-set-owner/);
    t.is(stderr.split('could not be set').length, 2, stderr);
    for (let n = 0; n < MANY; n += 1) {
      t.is(fs.readFileSync(lab.at('d', `f${n}`), 'utf8'), `content ${n}`);
    }
    t.is(fs.statSync(lab.at('d', 'f0')).mode & 0o7777, 0o755, 'no set-id bit without its owner');
    t.is(fs.statSync(lab.at('d')).mode & 0o7777, 0o750);
    t.true(fs.lstatSync(lab.at('d', 'fifo')).isFIFO());
    t.is(fs.readlinkSync(lab.at('d', 'link')), 'f1');
  }
  const left = lab.below(AS_ROOT_OF_A_CONTAINER, '--no-set-owner');
  t.is(left.status, 0, left.stderr);
  t.deepEqual(fs.readdirSync(lab.out), ['tree']);
});

test('a program has the capabilities of the set only with its owner', async (t) => {
  if (!canRun(...AS_ROOT_OF_A_CONTAINER)) {
    return leaveOut(t, 'left out: no user namespaces, or no root');
  }
  const name = 'security.capability';
  const lab = await Lab.with(t);
  const program = path.join(lab.source, 'd', 'f2');
  const value = '0x0100000200200000000000000000000000000000'; // cap_net_raw
  const { status: failed } = spawnSync('setfattr', ['-n', name, '-v', value, program]);
  if (failed !== 0) return leaveOut(t, 'left out: no capabilities here');
  await backup([...lab.args.slice(0, 4), '--local', lab.source]);
  const restored = (words: readonly string[], ...options: readonly string[]): string => {
    fs.rmSync(lab.out, { recursive: true, force: true });
    lab.below(words, ...options);
    t.is(fs.readFileSync(lab.at('d', 'f2'), 'utf8'), 'content 2');
    const found = spawnSync('getfattr', ['-e', 'hex', '-n', name, lab.at('d', 'f2')]);
    return `${found.stdout.includes(value) ? 'with' : 'without'}, status ${found.status}`;
  };
  t.is(restored(['env']), 'with, status 0');
  t.is(restored(['env'], '--no-set-owner'), 'without, status 1');
  t.is(restored(AS_ROOT_OF_A_CONTAINER), 'without, status 1');
  t.is(restored(AS_ROOT_OF_A_CONTAINER, '--no-set-owner'), 'without, status 1');
  return undefined;
});

test('refused permissions and times are named, unless they are left out', async (t) => {
  if (!canRun(...WITHOUT_FOWNER)) return leaveOut(t, 'left out: no setpriv, or no root');
  const lab = await Lab.with(t);
  const { status, stderr } = lab.below(WITHOUT_FOWNER); // a file of another owner may not be changed
  t.is(status, 3, stderr);
  t.regex(stderr, /its permissions could not be set: .* \(EPERM\)/);
  t.regex(stderr, /its times could not be set: .* \(EPERM\)/);
  t.regex(stderr, /--no-set-perms/);
  for (let n = 0; n < MANY; n += 1) {
    t.is(fs.readFileSync(lab.at('d', `f${n}`), 'utf8'), `content ${n}`);
  }
  t.is(fs.statSync(lab.at('d', 'f1')).mode & 0o7777, 0o600, 'only its owner may read it');
  for (const options of [['--no-set-owner'], ['--no-set-perms', '--no-set-times']]) {
    fs.rmSync(lab.out, { recursive: true });
    const left = lab.below(WITHOUT_FOWNER, ...options);
    t.is(left.status, 0, left.stderr);
  }
});

test('what is restored inherits neither ACLs nor flags of the directory that is there', async (t) => {
  const lab = await Lab.with(t);
  fs.mkdirSync(lab.at('d'), { recursive: true });
  const isAcl =
    spawnSync('setfacl', ['-d', '-m', 'u:4321:rwx', lab.at(), lab.at('d')]).status === 0;
  const hasFlags = spawnSync('chattr', ['+d', lab.at(), lab.at('d')]).status === 0;
  if (!isAcl && !hasFlags) return leaveOut(t, 'left out: no ACLs and no flags here');
  fs.writeFileSync(lab.at('d', 'mine'), '');
  const sub = path.join(lab.source, 'd', 'sub');
  makeTree(sub, [file('below', 'content', { mode: 0o640 })]);
  await backup([...lab.args.slice(0, 4), '--local', lab.source]);
  await succeed('regenerate', lab.args);
  const plain = ['f1', 'fifo', 'sub', 'sub/below'].map((name) => lab.at('d', name));
  if (isAcl) {
    const acls = spawnSync('getfacl', ['-p', ...plain], { encoding: 'utf8' }).stdout;
    t.notRegex(acls, /4321|mask|default/);
    const mine = spawnSync('getfacl', ['-p', lab.at('d', 'mine')], { encoding: 'utf8' }).stdout;
    t.regex(mine, /4321/, 'what the user makes there inherits as before');
  }
  if (hasFlags) {
    const flags = spawnSync('lsattr', ['-d', ...plain.filter((name) => !name.endsWith('fifo'))], {
      encoding: 'utf8',
    }).stdout;
    for (const line of flags.trim().split('\n')) t.notRegex(line.split(' ')[0]!, /d/, line);
  }
});

test('an ordinary user restores into a directory of their own that nobody may write', async (t) => {
  const lab = await Lab.with(t, NOBODY);
  fs.mkdirSync(lab.out);
  if (isRoot) fs.chownSync(lab.out, NOBODY, NOBODY);
  const as = isRoot ? { uid: NOBODY } : {};
  await succeed('regenerate', lab.args, as);
  for (const option of [[], ['-O']]) {
    fs.chmodSync(lab.at('d'), 0o755);
    fs.rmSync(lab.at('d', 'f1'));
    fs.rmSync(lab.at('d', 'link'));
    fs.chmodSync(lab.at('d'), 0o555);
    await succeed('regenerate', [...option, ...lab.args], as);
    t.is(fs.readFileSync(lab.at('d', 'f1'), 'utf8'), 'content 1');
    t.is(fs.statSync(lab.at('d')).mode & 0o7777, option.length === 0 ? 0o555 : 0o750);
  }
});

test('links and fifos get their owner and permissions by descriptors, never by their names', async (t) => {
  const log = path.join(scratchInMemory(t), 'calls');
  const traced = ['strace', '-f', '-o', log];
  if (!canRun(...traced)) return leaveOut(t, 'left out: no strace, or no root');
  const lab = await Lab.with(t);
  const { status, stderr } = lab.below(traced);
  t.is(status, 0, stderr);
  const calls = fs.readFileSync(log, 'latin1').split('\n');
  t.true(calls.some((call) => /symlinkat\(.*"link"/.test(call)));
  t.true(calls.some((call) => /mknodat\(.*"fifo"/.test(call)));
  const byName = /(chown|chmod|utimens|xattr)\w*\([^"]*"[^"]*(link|fifo)"/;
  t.deepEqual(
    calls.filter((call) => byName.test(call)),
    [],
  );
  for (const name of ['link', 'fifo']) t.is(fs.lstatSync(lab.at('d', name)).uid, 1000);
});
