/** The target of a restore: what it creates, what it refuses, and that it never leaves its directory. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemCode } from '../../src/errors/index.js';
import { decodeRow, type Entry, EntryType, RowReader } from '../../src/model/index.js';
import { RestoreTarget } from '../../src/restore/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { withNative } from '../helpers/inline.js';
import { rowOf } from '../helpers/rows.js';
import { folderIn, scratch, written } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';

const PREFIX = '.tardis-test-';
const bytes = (text: string): Buffer => Buffer.from(text);
const at = (directory: string, name: string) => ({
  directory: bytes(directory),
  name: bytes(name),
});

interface Made {
  readonly target: RestoreTarget;
  /** Path of the target. */
  readonly home: string;
}

function newTarget(
  t: ExecutionContext,
  { system = nodeSystem(), isDry = false }: { system?: System; isDry?: boolean } = {},
): Made {
  const home = path.join(scratch(t), 'out');
  const options = { metadataOptions: 0, prefix: PREFIX, isDry };
  const target = new RestoreTarget(system, bytes(home), options);
  t.teardown(() => target.close());
  return { target, home };
}

function failureOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return systemCode(error);
  }
}

function rowAt(target: RestoreTarget, directory: string, name: string): Entry | undefined {
  const row = target.look(at(directory, name));
  return row && decodeRow(new RowReader(row), 0);
}

const linkRow = rowOf('x', { type: EntryType.symlink, linkTarget: bytes('there') });
const fifoRow = rowOf('x', { type: EntryType.fifo, permissions: 0o640 });

/** Calls of the target that create `in/new`, each in its own way. */
const CREATE: Readonly<Record<string, (target: RestoreTarget, directory: string) => unknown>> = {
  directory: (target, directory) => target.makeDirectory(at(directory, 'new')),
  symlink: (target, directory) =>
    target.makeSymlink(at(directory, 'new'), bytes('there'), linkRow, true),
  fifo: (target, directory) => target.makeNode(at(directory, 'new'), fifoRow, true),
  link: (target, directory) => target.makeLink(at(directory, 'new'), at('', 'file'), true),
};

test('a target is created with the directories above it, and known by its real path', (t) => {
  const top = scratch(t);
  fs.mkdirSync(path.join(top, 'real'));
  fs.symlinkSync('real', path.join(top, 'link'));
  const output = bytes(path.join(top, 'link', 'a', 'b'));
  const options = { metadataOptions: 0, prefix: PREFIX, isDry: false };
  for (const isNew of [true, false]) {
    const target = new RestoreTarget(nodeSystem(), output, options);
    t.is(target.isNew, isNew);
    t.is(target.path.toString(), path.join(fs.realpathSync(top), 'real', 'a', 'b'));
    target.close();
  }
});

test('a dry run creates nothing, and finds nothing in a target that is not there', (t) => {
  const { target, home } = newTarget(t, { isDry: true });
  t.false(fs.existsSync(home));
  t.true(target.isNew);
  t.is(target.existingFd, undefined);
  t.is(target.look(at('', 'a')), undefined);
  t.throws(() => target.rootFd, { message: /dry run/ });
  t.is(
    target.explain(bytes('a'), Object.assign(new Error('no'), { code: 'EPERM' })).code,
    'TARGET_NOT_WRITABLE',
  );
});

test('a target that cannot be one is refused, with its descriptor closed', (t) => {
  const top = scratch(t);
  const file = written(top, 'file', 'mine');
  const options = { metadataOptions: 0, prefix: PREFIX, isDry: false };
  for (const [output, code] of [
    [file, 'USAGE'],
    [path.join(file, 'below'), 'USAGE'],
    ['/proc/none/x', 'TARGET_NOT_WRITABLE'],
    [path.join(top, 'a\0b'), 'TARGET_NOT_WRITABLE'],
  ] as const) {
    const made = thrownCode(() => new RestoreTarget(nodeSystem(), bytes(output), options));
    t.is(made, code, output);
  }
  t.is(fs.readFileSync(file, 'utf8'), 'mine');
  const closed: number[] = [];
  const system = withNative((real) => ({
    openListed: () => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    },
    close: (fd) => {
      closed.push(fd);
      real.close(fd);
    },
  }));
  t.is(
    thrownCode(() => new RestoreTarget(system, bytes(top), options)),
    'IO_FAILED',
  );
  t.is(closed.length, 0);
});

test('entries are created, looked up and replaced, and nothing temporary stays', (t) => {
  const { target, home } = newTarget(t);
  fs.writeFileSync(path.join(home, 'file'), 'content');
  t.true(target.makeDirectory(at('', 'in')));
  t.false(target.makeDirectory(at('', 'in')), 'it is there');
  t.is(target.look(at('in', 'new')), undefined);
  const types = { symlink: EntryType.symlink, fifo: EntryType.fifo, link: EntryType.file } as const;
  for (const [kind, type] of Object.entries(types)) {
    t.deepEqual(CREATE[kind]!(target, 'in') ?? [], [], kind); // each replaces the one before
    t.is(rowAt(target, 'in', 'new')?.type, type, kind);
    t.deepEqual(fs.readdirSync(path.join(home, 'in')), ['new'], kind);
  }
  t.is(fs.readFileSync(path.join(home, 'in/new'), 'utf8'), 'content');
  target.replaceByDirectory(at('in', 'new'));
  t.is(rowAt(target, 'in', 'new')?.type, EntryType.directory);
  t.is(fs.readFileSync(path.join(home, 'file'), 'utf8'), 'content');
});

test('what is there stays, unless it may be replaced', (t) => {
  const { target, home } = newTarget(t);
  fs.writeFileSync(path.join(home, 'file'), 'other');
  fs.writeFileSync(path.join(home, 'new'), 'mine');
  const calls: Readonly<Record<string, () => unknown>> = {
    symlink: () => target.makeSymlink(at('', 'new'), bytes('there'), linkRow, false),
    fifo: () => target.makeNode(at('', 'new'), fifoRow, false),
    link: () => target.makeLink(at('', 'new'), at('', 'file'), false),
  };
  for (const [kind, work] of Object.entries(calls)) t.is(failureOf(work), 'EEXIST', kind);
  // A directory is never replaced by another kind of entry, and its content stays.
  fs.mkdirSync(path.join(home, 'full'));
  fs.writeFileSync(path.join(home, 'full', 'kept'), '');
  t.is(
    failureOf(() => target.makeSymlink(at('', 'full'), bytes('there'), linkRow, true)),
    'EISDIR',
  );
  t.is(fs.readFileSync(path.join(home, 'new'), 'utf8'), 'mine');
  t.deepEqual(fs.readdirSync(home).sort(), ['file', 'full', 'new'], 'nothing temporary is left');
  t.deepEqual(fs.readdirSync(path.join(home, 'full')), ['kept']);
});

test('no link in the target leads out of it, however the entry is created', (t) => {
  const { target, home } = newTarget(t);
  const outside = folderIn(path.dirname(home), 'outside');
  fs.writeFileSync(path.join(home, 'file'), '');
  fs.symlinkSync(outside, path.join(home, 'out'));
  fs.mkdirSync(path.join(home, 'deep'));
  fs.symlinkSync('..', path.join(home, 'deep', 'up'));
  for (const [kind, create] of Object.entries(CREATE)) {
    for (const directory of ['out', 'deep/up', 'deep/up/out', '..', '../outside', 'deep/../..']) {
      const code = failureOf(() => create(target, directory));
      t.true(code === 'ELOOP' || code === 'EXDEV', `${kind} in ${directory}: ${code}`);
    }
  }
  const others: Readonly<Record<string, () => unknown>> = {
    look: () => target.look(at('out', 'x')),
    finish: () =>
      target.finishDirectory(bytes('out'), rowOf('x', { type: EntryType.directory }), false),
    replace: () => target.replaceByDirectory(at('out', 'x')),
    temporaries: () => target.removeTemporaries(bytes('out')),
    flags: () => target.flagsOf(bytes('out/x')),
    'flags to set': () => target.setFlags(bytes('out/x'), 0),
    link: () => target.makeLink(at('', 'y'), at('out', 'x'), true),
  };
  for (const [what, work] of Object.entries(others)) t.is(failureOf(work), 'ELOOP', what);
  t.deepEqual(fs.readdirSync(outside), []);
});

test('a directory that is exchanged for a link while it is open is not left', (t) => {
  const { target, home } = newTarget(t);
  const outside = folderIn(path.dirname(home), 'outside');
  target.makeDirectory(at('', 'in'));
  target.makeDirectory(at('in', 'one')); // the directory is open from now on
  fs.renameSync(path.join(home, 'in'), path.join(home, 'moved'));
  fs.symlinkSync(outside, path.join(home, 'in'));
  target.makeDirectory(at('in', 'two'));
  t.deepEqual(fs.readdirSync(outside), []);
  t.deepEqual(fs.readdirSync(path.join(home, 'moved')).sort(), ['one', 'two']);
});

test('temporary files of an earlier run are removed, and nothing else', (t) => {
  const { target, home } = newTarget(t);
  const inside = folderIn(home, 'in');
  for (const name of [`${PREFIX}1`, `${PREFIX}2`, 'mine', `x${PREFIX}1`, '.tardis-other-1']) {
    fs.writeFileSync(path.join(inside, name), '');
  }
  fs.mkdirSync(path.join(inside, `${PREFIX}directory`));
  fs.symlinkSync('mine', path.join(inside, `${PREFIX}link`));
  target.removeTemporaries(bytes('in'));
  t.deepEqual(
    fs.readdirSync(inside).sort(),
    ['mine', `x${PREFIX}1`, '.tardis-other-1', `${PREFIX}directory`].sort(),
  );
});

test('a directory gets its metadata at the end', (t) => {
  const { target, home } = newTarget(t);
  target.makeDirectory(at('', 'in'));
  const row = rowOf('in', { type: EntryType.directory, permissions: 0o750, mtimeNs: 7n });
  t.deepEqual(target.finishDirectory(bytes('in'), row, false), []);
  const { mode, mtimeNs } = fs.statSync(path.join(home, 'in'), { bigint: true });
  t.is(mode & 0o7777n, 0o750n);
  t.is(mtimeNs, 7n);
});

test('a device node that may not be made is an entry of its own kind of failure', (t) => {
  const refuse = (code: string) => (): never => {
    throw Object.assign(new Error(code), { code });
  };
  const codeFor = (code: string): unknown => {
    const { target } = newTarget(t, { system: withNative(() => ({ makeNodeAt: refuse(code) })) });
    const row = rowOf('x', { type: EntryType.blockDevice, device: 1n });
    try {
      target.makeNode(at('', 'x'), row, true);
      return undefined;
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  };
  t.is(codeFor('EPERM'), 'SPECIAL_FILE');
  t.is(codeFor('EROFS'), 'EROFS', 'other errors stay');
});

test('a failed write is an error of the target, which it names if it is refused', (t) => {
  const { target } = newTarget(t);
  const explained = (code: string) =>
    target.explain(bytes('a'), Object.assign(new Error(`${code}: failed`), { code }));
  for (const code of ['EACCES', 'EROFS', 'EPERM']) {
    const { code: ours, message, context } = explained(code);
    t.is(ours, 'TARGET_NOT_WRITABLE', code);
    t.true(message.includes(target.path.toString()), code);
    t.deepEqual(context, { cause: code });
  }
  for (const [code, ours] of [
    ['ENOTDIR', 'TARGET_NOT_WRITABLE'],
    ['ELOOP', 'TARGET_NOT_WRITABLE'],
    ['ENOSPC', 'TARGET_FULL'],
    ['EIO', 'IO_FAILED'],
  ] as const) {
    t.is(explained(code).code, ours, code);
  }
});

test('a failed sync is an error of the target: a full one, or a failing disk', async (t) => {
  for (const [code, ours] of [
    ['ENOSPC', 'TARGET_FULL'],
    ['EDQUOT', 'TARGET_FULL'],
    ['EIO', 'IO_FAILED'],
    ['EROFS', 'TARGET_NOT_WRITABLE'],
  ] as const) {
    const syncfs = (): Promise<never> =>
      Promise.reject(Object.assign(new Error(`${code}: failed`), { code }));
    const { target } = newTarget(t, { system: withNative(() => ({ syncfs })) });
    t.is(await rejectedCode(target.sync()), ours, code);
  }
  await t.notThrowsAsync(newTarget(t).target.sync());
});

if (isRoot) {
  test('an immutable file or directory is the reason of a refused write', (t) => {
    const { target, home } = newTarget(t);
    fs.mkdirSync(path.join(home, 'in'));
    const file = path.join(home, 'in', 'file');
    fs.writeFileSync(file, '');
    const refused = Object.assign(new Error('EPERM'), { code: 'EPERM' });
    for (const [flag, place, reason] of [
      ['i', file, 'what is there is immutable'],
      ['a', file, 'what is there is append-only'],
      ['i', path.join(home, 'in'), 'the directory it is in is immutable'],
    ] as const) {
      if (spawnSync('chattr', [`+${flag}`, place]).status !== 0) {
        t.log('left out: the file system has no flags');
        return t.pass();
      }
      const error = target.explain(bytes('in/file'), refused);
      spawnSync('chattr', [`-${flag}`, place]);
      t.is(error.code, 'TARGET_IMMUTABLE');
      t.is(error.message, reason);
    }
    t.is(target.explain(bytes('in/file'), refused).code, 'TARGET_NOT_WRITABLE');
  });
}
