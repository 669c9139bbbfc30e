/** Calls that open what was listed, and nothing else that has its name now. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { deviceOf, identityOf, RowFlag, RowReader } from '../../src/model/index.js';
import { identityAt } from '../helpers/identities.js';
import { failing, isRoot, native, openFolder } from '../helpers/native.js';
import { scratch } from '../helpers/scratch.js';

/** Returns the code with which a directory cannot be opened by an identity; `opened` if it can. */
function codeOf(folder: string, identity: Buffer): string | undefined {
  try {
    native.close(native.openListed(Buffer.from(folder), identity));
    return 'opened';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Mounts something until the end of the test. Returns false if that is not possible here. */
function mount(t: ExecutionContext, ...words: readonly string[]): boolean {
  if (!isRoot || spawnSync('mount', words).status !== 0) return false;
  t.teardown(() => spawnSync('umount', ['-l', words.at(-1)!]));
  return true;
}

test('a directory is opened as long as it is the one that was listed', (t) => {
  const home = scratch(t);
  const [listed, other] = ['listed', 'other'].map((name) => path.join(home, name));
  for (const folder of [listed!, other!])
    fs.mkdirSync(path.join(folder, 'sub'), { recursive: true });
  const identity = identityAt(listed!);
  const below = identityAt(path.join(listed!, 'sub'));
  t.is(codeOf(listed!, identity), 'opened');
  t.is(codeOf(path.join(listed!, 'sub'), below), 'opened');
  t.is(codeOf(other!, identity), 'EREPLACED');
  fs.renameSync(listed!, path.join(home, 'moved'));
  t.is(codeOf(listed!, identity), 'ENOENT');
  t.is(codeOf(path.join(home, 'moved'), identity), 'opened', 'its place does not matter');
  fs.symlinkSync('moved', listed!);
  t.is(codeOf(listed!, identity), 'ELOOP');
  t.is(codeOf(path.join(listed!, 'sub'), below), 'ELOOP', 'a link in any part of the path');
  fs.rmSync(listed!);
  fs.writeFileSync(listed!, '');
  t.is(codeOf(listed!, identity), 'ENOTDIR');
});

test('paths of any length are opened without following a link', (t) => {
  let folder = scratch(t);
  while (folder.length < 6000) {
    folder = path.join(folder, 'x'.repeat(200));
    const fd = native.openDirectory(Buffer.from(path.dirname(folder)));
    native.makeDirectoryAt(fd, Buffer.from(path.basename(folder)));
    native.close(fd);
  }
  const row = new RowReader(native.statRow(Buffer.from(folder), Buffer.from('x')));
  const { dev } = fs.statSync(scratch(t), { bigint: true });
  t.is(codeOf(folder, identityOf(row, 0, dev)), 'opened');
});

test('a directory on another device than the one it is in has to have its owner and mode, too', (t) => {
  const folder = scratch(t);
  const rows = new RowReader(native.statRow(Buffer.from(folder), Buffer.from('x')));
  rows.setFlags(0, RowFlag.otherDevice);
  const device = fs.statSync(folder, { bigint: true }).dev;
  const identity = identityOf(rows, 0, device);
  t.is(deviceOf(identity), 0n);
  t.is(codeOf(folder, identity), 'opened');
  t.is(deviceOf(identity), device, 'it is noted which one it was');
  fs.chmodSync(folder, 0o711);
  t.is(codeOf(folder, identityOf(rows, 0, device)), 'EREPLACED');
});

test('what is mounted over a directory meanwhile is not taken for it', (t) => {
  const [listed, other] = [scratch(t), scratch(t)];
  const identity = identityAt(listed);
  if (!mount(t, '--bind', other, listed)) return t.log('nothing can be mounted here');
  t.is(codeOf(listed, identity), 'EREPLACED');
  const memory = scratch(t);
  const before = identityAt(memory);
  t.true(mount(t, '-t', 'tmpfs', 'tmpfs', memory));
  t.is(codeOf(memory, before), 'EREPLACED');
  return undefined;
});

test('a directory that has the inode of the listed one, but another owner, is not taken for it', (t) => {
  if (!isRoot) return t.log('this needs root');
  const folder = scratch(t);
  const identity = identityAt(folder);
  fs.chownSync(folder, 41_002, 41_002);
  t.is(codeOf(folder, identity), 'EREPLACED');
  return undefined;
});

test('identities and names that are none are refused', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const identity = identityAt(folder);
  for (const call of [
    () => native.openListed(Buffer.from(folder), identity.subarray(1)),
    () => native.openListed(Buffer.from('a\0'), identity),
    () => native.openListedAt(fd, Buffer.from('..'), identity),
    () => native.listOrHold(Buffer.from(folder), 10, Buffer.alloc(0)),
  ]) {
    t.is(failing(call).code, 'EINVAL');
  }
});

test('a file is opened, and its attributes are read, as long as it is the one that was listed', (t) => {
  const folder = scratch(t);
  for (const name of ['listed', 'other']) fs.writeFileSync(path.join(folder, name), name);
  fs.symlinkSync('listed', path.join(folder, 'link'));
  const fd = openFolder(t, folder);
  const identity = identityAt(path.join(folder, 'listed'));
  native.close(native.openListedAt(fd, Buffer.from('listed'), identity));
  const attributes = (name: string): Buffer =>
    native.attributesAt(fd, Buffer.from(name), true, 4096, identity);
  t.is(attributes('listed').length, 0);
  for (const [name, code] of [
    ['other', 'EREPLACED'],
    ['link', 'ELOOP'],
    ['none', 'ENOENT'],
  ] as const) {
    t.is(failing(() => native.openListedAt(fd, Buffer.from(name), identity)).code, code);
    t.is(failing(() => attributes(name)).code, code);
  }
  const link = identityAt(path.join(folder, 'link'));
  t.is(native.attributesAt(fd, Buffer.from('link'), true, 4096, link).length, 0);
});

/** A program that holds a lease on a file, and gives it up a while after another one opens the file. */
const HOLDER = `
import fcntl, os, signal, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
def give_up(number, frame):
    time.sleep(0.1)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os._exit(0)
signal.signal(signal.SIGIO, give_up)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(60)
`;

test('a file that another program has a lease on is read once that gives it up', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'leased');
  fs.writeFileSync(file, 'content');
  const holder = spawn('python3', ['-c', HOLDER, file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(holder, 'exit');
  t.teardown(() => holder.kill('SIGKILL'));
  const first = await Promise.race([once(holder.stdout, 'data'), ended]);
  if (!String(first[0]).startsWith('held')) return t.log('this file system has no leases');
  const rows = native.listDirectory(Buffer.from(folder));
  const target = Buffer.alloc(7);
  const fd = openFolder(t, folder);
  const digest = Buffer.alloc(32);
  t.is(native.readFileAt(fd, Buffer.from('leased'), rows, 0, target, 0, 7, digest, 0), 7);
  t.is(target.toString(), 'content');
  await ended;
  return undefined;
});
