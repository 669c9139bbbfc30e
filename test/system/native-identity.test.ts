// Pace: quick
/** Calls that open what was listed, and nothing else that has its name now. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  deviceOf,
  forEachRow,
  identityBelow,
  identityOf,
  MountState,
  mountState,
  RowFlag,
  RowReader,
  wasClosed,
} from '../../src/model/index.js';
import { namedDirectoryAt } from '../../src/system/index.js';
import { identityAt } from '../helpers/identities.js';
import { mountHere as mount, overlayHere } from '../helpers/mounts.js';
import { failing, isRoot, native, openFolder } from '../helpers/native.js';
import { folderIn, scratch, scratchInMemory, written } from '../helpers/scratch.js';

/** Returns the code with which a directory cannot be opened by an identity; `opened` if it can. */
function codeOf(folder: string, identity: Buffer): string | undefined {
  try {
    native.close(native.openListed(Buffer.from(folder), identity));
    return 'opened';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Returns the code with which the attributes of a name cannot be read by an identity; `opened` if they can. */
function attributesCode(fd: number, name: string, identity: Buffer): string | undefined {
  try {
    native.attributesAt(fd, Buffer.from(name), false, 4096, identity);
    return 'opened';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
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

/** Returns the rows of a directory that is opened as one that was listed, and its identity. */
function listed(folder: string): { rows: RowReader; identity: Buffer } {
  const identity = identityAt(folder);
  const rows = new RowReader(native.listOrHold(Buffer.from(folder), 100, identity) as Buffer);
  return { rows, identity };
}

/** Returns the row and the identity of an entry of a directory. */
function listedIn(folder: string, name: string): { row: RowReader; identity: Buffer } {
  const { rows, identity } = listed(folder);
  let found = -1;
  forEachRow(rows, (at) => {
    if (rows.name(at).toString() === name) found = at;
  });
  const row = new RowReader(Buffer.from(rows.row(found)));
  return { row, identity: identityBelow(row, 0, identity) };
}

test('a directory that takes the place of the listed one is taken for it if the same users may reach it', (t) => {
  const home = scratch(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  for (const name of ['a', 'b', 'c']) fs.mkdirSync(at(name, 'sub', 'deep'), { recursive: true });
  const a = listedIn(home, 'a').identity;
  native.close(native.openListed(Buffer.from(at('a')), a));
  const sub = identityBelow(new RowReader(native.listDirectory(Buffer.from(at('a')))), 0, a);
  native.close(native.openListed(Buffer.from(at('a', 'sub')), sub));
  const rows = new RowReader(native.listDirectory(Buffer.from(at('a', 'sub'))));
  const deep = identityBelow(rows, 0, sub);
  const codes = (): unknown[] => [
    codeOf(at('a'), Buffer.from(a)),
    codeOf(at('a', 'sub'), Buffer.from(sub)),
    codeOf(at('a', 'sub', 'deep'), Buffer.from(deep)),
  ];
  let turns = 0;
  const takePlace = (): void => {
    fs.renameSync(at('a'), at(`before ${(turns += 1)}`)); // if it was deleted, its inode could be used again
    fs.cpSync(at('b'), at('a'), { recursive: true });
  };
  t.deepEqual(codes(), ['opened', 'opened', 'opened']);
  takePlace();
  t.deepEqual(codes(), ['opened', 'opened', 'opened']);
  const known = Buffer.from(a);
  native.close(native.openListed(Buffer.from(at('a')), known));
  t.deepEqual(known, listedAs(at('a'), home), 'its identity is that of the new one');
  fs.chmodSync(at('a'), 0o700);
  t.deepEqual(codes(), ['EREPLACED', 'EREPLACED', 'EREPLACED'], 'another mode');
  takePlace();
  fs.chmodSync(at('a', 'sub'), 0o700);
  t.deepEqual(codes(), ['opened', 'EREPLACED', 'EREPLACED'], 'another mode between');
  t.is(codeOf(at('c', 'sub', 'deep'), Buffer.from(deep)), 'opened', 'reached in the same way');
  fs.renameSync(at('c', 'sub', 'deep'), at('deep'));
  t.is(codeOf(at('deep'), Buffer.from(deep)), 'EREPLACED', 'at another depth');
  if (!isRoot) return t.log('the rest needs root');
  takePlace();
  fs.chownSync(at('a'), 41_002, 0);
  t.deepEqual(codes(), ['EREPLACED', 'EREPLACED', 'EREPLACED'], 'another owner');
  takePlace();
  if (!mount(t, '--bind', at('b'), at('a'))) return t.log('nothing can be mounted here');
  t.deepEqual(codes(), ['EREPLACED', 'EREPLACED', 'EREPLACED'], 'a mount');
  return undefined;
});

test('where inode numbers are made up, a directory is recognised by the line of those above it, too', (t) => {
  const home = overlayHere(t);
  if (home === undefined) return t.pass();
  const at = (...names: string[]): string => path.join(home, ...names);
  for (const name of ['root/open', 'root/alike', 'root/closed', 'other/open'])
    fs.mkdirSync(at(name, 'x'), { recursive: true });
  fs.chmodSync(at('root/closed'), 0o700);
  fs.chmodSync(at('other'), 0o700);
  const below = (folder: string, above: Buffer): Buffer => {
    native.close(native.openListed(Buffer.from(folder), above));
    const rows = new RowReader(native.listDirectory(Buffer.from(folder)));
    let identity = above;
    forEachRow(rows, (row) => {
      if (['open', 'x'].includes(rows.name(row).toString()))
        identity = identityBelow(rows, row, above);
    });
    return identity;
  };
  const root = namedDirectoryAt(native, Buffer.from(at('root'))).identity;
  const open = below(at('root'), root);
  const x = below(at('root/open'), open);
  const plain = listedIn(at('root'), 'open').identity;
  const swap = (one: string, other: string): void => {
    fs.renameSync(at(one), at('third'));
    fs.renameSync(at(other), at(one));
    fs.renameSync(at('third'), at(other));
  };
  const codes = (): unknown[] => [
    codeOf(at('root/open'), Buffer.from(open)),
    codeOf(at('root/open/x'), Buffer.from(x)),
  ];
  t.deepEqual(codes(), ['opened', 'opened']);
  swap('root/open', 'root/alike');
  t.deepEqual(codes(), ['opened', 'opened'], 'the same users reach it');
  swap('root/open', 'root/closed');
  t.deepEqual(codes(), ['EREPLACED', 'EREPLACED'], 'below a closed directory');
  swap('root/open', 'root/closed');
  swap('root', 'other');
  t.deepEqual(codes(), ['EREPLACED', 'EREPLACED'], 'below another root, which is closed');
  fs.chmodSync(at('root'), 0o755);
  t.deepEqual(codes(), ['opened', 'opened'], 'below one that is open');
  t.is(codeOf(at('root/open'), plain), 'EREPLACED', 'without a line from the root of the system');
  return undefined;
});

/** Opens `a/b` below a directory as a walk does. Returns its descriptor and its identity. */
function walked(root: string, names: readonly string[]): [number, Buffer] {
  let [at, { identity }] = [root, namedDirectoryAt(native, Buffer.from(root))];
  for (const name of names) {
    const rows = new RowReader(native.listOrHold(Buffer.from(at), 100, identity) as Buffer);
    forEachRow(rows, (row) => {
      if (rows.name(row).toString() === name) identity = identityBelow(rows, row, identity);
    });
    at = path.join(at, name);
  }
  return [native.openListed(Buffer.from(at), identity), identity];
}

/** Adds an entry to an ACL that takes access from somebody who has it by the mode. */
const deny = (at: string): unknown =>
  assert.equal(spawnSync('setfacl', ['-m', 'u:41002:---', at]).status, 0);

for (const where of ['a directory', 'an overlay', 'a mount below itself'] as const) {
  test(`a directory that gives less access than it was listed with is noticed, below ${where}`, (t) => {
    const changes: Record<string, [isClosed: boolean, change: (root: string) => unknown]> = {
      nothing: [false, () => undefined],
      'new entries': [false, (root) => fs.mkdirSync(`${root}/a/b/c`)],
      'its mode': [true, (root) => fs.chmodSync(`${root}/a/b`, 0o711)],
      'a wider mode': [false, (root) => fs.chmodSync(`${root}/a/b`, 0o777)],
      'the mode above': [true, (root) => fs.chmodSync(`${root}/a`, 0o750)],
      'the mode of the root': [true, (root) => fs.chmodSync(root, 0o700)],
      'its ACL': [true, (root) => deny(`${root}/a/b`)],
      'the ACL above': [true, (root) => deny(`${root}/a`)],
      'the ACL of the root': [true, (root) => deny(root)],
      'its place': [true, (root) => fs.renameSync(`${root}/a/b`, `${root}/b`)],
      ...(isRoot ? { 'its owner': [true, (root) => fs.chownSync(`${root}/a/b`, 41_002, 0)] } : {}),
    };
    for (const [what, [isClosed, change]] of Object.entries(changes)) {
      const home = where === 'an overlay' ? overlayHere(t) : scratchInMemory(t);
      if (home === undefined) return t.pass();
      const root = path.join(home, 'root');
      fs.mkdirSync(path.join(root, 'a/b'), { recursive: true });
      fs.mkdirSync(path.join(root, 'self'));
      const isBelowItself = where === 'a mount below itself';
      if (isBelowItself && !mount(t, '--bind', root, path.join(root, 'self')))
        return t.log('nothing can be mounted here');
      const [fd, identity] = walked(root, isBelowItself ? ['self', 'a', 'b'] : ['a', 'b']);
      t.teardown(() => native.close(fd));
      change(root);
      native.noteClosing(fd, identity);
      t.is(wasClosed(identity), isClosed, what);
    }
    return undefined;
  });
}

test('where somebody else may replace a directory, none is taken for it whose ACL may make a difference', (t) => {
  const isHidden = 'EREPLACED';
  for (const [above, mode, acl, code] of [
    [0o755, 0o750, false, 'opened'],
    [0o755, 0o755, true, 'opened'],
    [0o777, 0o755, false, 'opened'],
    [0o777, 0o775, false, 'opened'],
    [0o777, 0o700, false, 'opened'],
    [0o777, 0o750, false, isHidden], // the one that was listed may have had an ACL
    [0o777, 0o755, true, isHidden],
    [0o1777, 0o750, false, 'opened'],
  ] as const) {
    const home = scratch(t);
    const at = path.join(home, 'at');
    const make = (): void => {
      fs.mkdirSync(at);
      fs.chmodSync(at, mode);
    };
    fs.chmodSync(home, above);
    make();
    const { identity } = listedIn(home, 'at');
    fs.renameSync(at, path.join(home, 'before'));
    make();
    if (acl) {
      const set = spawnSync('setfacl', ['-m', 'u:41002:---', at]);
      if (set.status !== 0) continue;
      fs.chmodSync(at, mode);
    }
    const how = [above, mode].map((bits) => bits.toString(8)).join(' ');
    const fd = openFolder(t, home);
    t.is(attributesCode(fd, 'at', identity), code, how);
    t.is(codeOf(at, identity), code, how);
  }
});

test('below a directory that somebody else may replace, none is taken for another one whose ACL may make a difference', (t) => {
  for (const [above, mode, code] of [
    [0o755, 0o750, 'opened'],
    [0o777, 0o755, 'opened'],
    [0o777, 0o750, 'EREPLACED'],
  ] as const) {
    const home = scratch(t);
    const at = (...names: string[]): string => path.join(home, ...names);
    fs.chmodSync(home, above);
    for (const name of ['p', 'q']) {
      fs.mkdirSync(at(name, 'x'), { recursive: true });
      fs.chmodSync(at(name, 'x'), mode);
    }
    const p = listedAs(at('p'), home);
    const x = identityBelow(new RowReader(native.listDirectory(Buffer.from(at('p')))), 0, p);
    fs.renameSync(at('p'), at('before'));
    fs.renameSync(at('q'), at('p'));
    t.is(attributesCode(openFolder(t, at('p')), 'x', x), code, above.toString(8));
    t.is(codeOf(at('p', 'x'), x), code, above.toString(8));
  }
});

/** Returns the identity of a directory of `home` after it was opened. */
function listedAs(folder: string, home: string): Buffer {
  const { identity } = listedIn(home, path.basename(folder));
  native.close(native.openListed(Buffer.from(folder), identity));
  return identity;
}

test('a mount point is not taken for another one', (t) => {
  const home = scratch(t);
  const at = (name: string): string => path.join(home, name);
  for (const name of ['memory', 'one', 'other']) fs.mkdirSync(at(name));
  if (!mount(t, '-t', 'tmpfs', 'tmpfs', at('memory'))) return t.log('nothing can be mounted here');
  for (const name of ['one', 'other']) {
    fs.mkdirSync(at(`memory/${name}`), { mode: name === 'one' ? 0o755 : 0o700 });
    t.true(mount(t, '--bind', at(`memory/${name}`), at(name)));
  }
  const { identity } = listedIn(home, 'one');
  t.is(codeOf(at('one'), Buffer.from(identity)), 'opened');
  // A user in another namespace, who does not see the mounts, may rename their directories.
  const renames = 'umount one other && mv one third && mv other one && mv third other';
  const done = spawnSync('unshare', ['-m', 'sh', '-c', renames], { cwd: home });
  if (done.status !== 0) return t.log('no namespace of mounts can be made here');
  t.is(codeOf(at('one'), Buffer.from(identity)), 'EREPLACED');
  t.is(codeOf(at('other'), Buffer.from(identity)), 'opened', 'its place does not matter');
  return undefined;
});

/** A daemon of a direct autofs mount, which mounts a tmpfs of a mode on request. Prints a line each time. */
const AUTOMOUNTER = `
import ctypes, fcntl, os, struct, subprocess, sys
at, mode = sys.argv[1:]
os.setsid()
libc = ctypes.CDLL(None, use_errno=True)
reader, writer = os.pipe()
options = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
if libc.mount(b"automount", at.encode(), b"autofs", 0, options.encode()) != 0:
    print("none", flush=True)
    sys.exit(0)
root = os.open(at, os.O_RDONLY)
print("ready", flush=True)
while True:
    packet = os.read(reader, 304)
    token = struct.unpack_from("I", packet, 8)[0]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode},uid=41001", "tmpfs", at], check=True)
    fcntl.ioctl(root, 0x9360, token)
    print("mounted", flush=True)
`;

for (const [what, mode, code] of [
  ['visiting it does', '0755', 'opened'],
  ['it is not entered if it is closed to users who could read the directory', '0700', 'EREPLACED'],
] as const) {
  test(`looking at a directory on which autofs mounts something does not mount it, and ${what}`, async (t) => {
    const home = scratch(t);
    const at = folderIn(home, 'auto');
    if (!isRoot) return t.log('this needs root');
    const daemon = spawn('python3', ['-c', AUTOMOUNTER, at, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => {
      spawnSync('umount', ['-l', at]);
      spawnSync('umount', ['-l', at]);
      daemon.kill('SIGKILL');
    });
    let output = '';
    daemon.stdout.on('data', (data) => (output += String(data)));
    await once(daemon.stdout, 'data');
    if (output !== 'ready\n') return t.log('there is no autofs here');
    const isMounted = (): boolean =>
      /tmpfs/.test(spawnSync('grep', [at, '/proc/mounts'], { encoding: 'utf8' }).stdout);
    const { row, identity } = listedIn(home, 'auto');
    t.is(mountState(row, 0), MountState.none);
    const fd = openFolder(t, home);
    t.is(native.attributesAt(fd, Buffer.from('auto'), false, 4096, identity).length, 0);
    t.false(isMounted());
    t.is(codeOf(at, identity), code);
    t.true(isMounted());
    t.is(codeOf(at, identity), code, 'its identity is that of what was mounted');
    const later = listedIn(home, 'auto');
    t.is(mountState(later.row, 0), MountState.memory);
    t.is(codeOf(at, later.identity), 'opened');
    return undefined;
  });
}

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
  const file = written(folder, 'leased', 'content');
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
