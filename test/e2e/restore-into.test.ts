// Pace: slow
/** Restores to a directory that is not empty, and restores that set only a part of the metadata. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, run, succeed } from '../helpers/commands.js';
import { everyKind, here, leftOut } from '../helpers/kinds.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  hardlink,
  isRoot,
  look,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
  type TreeNode,
} from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
const LATER = new Date(2030, 0, 1);
const EARLIER = new Date(1990, 0, 1);

interface Restored {
  readonly status: number | null;
  readonly stderr: string;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  readonly unchanged: number;
  readonly kept: number;
  readonly leftOut: number;
  readonly failed: readonly { readonly name: string; readonly code: string }[];
}

class Lab {
  readonly source: string;
  readonly out: string;
  readonly place: readonly string[];

  private constructor(home: string) {
    this.source = path.join(home, 'tree');
    this.out = path.join(home, 'out');
    this.place = ['-D', path.join(home, 'store'), '-C', 'me'];
  }

  static async with(home: string, tree: readonly TreeNode[]): Promise<Lab> {
    const lab = new Lab(home);
    makeTree(lab.source, tree);
    await backup([...lab.place, '--local', '--create', lab.source]);
    return lab;
  }

  at(...names: string[]): string {
    return path.join(this.out, 'tree', ...names);
  }

  async restore(...args: string[]): Promise<Restored> {
    const all = [...this.place, '--json', '-o', this.out, ...args, this.source];
    const { status, stdout, stderr } = await run('regenerate', all);
    return { status, stderr, ...(JSON.parse(stdout) as object) } as Restored;
  }

  differences(): string[] {
    return differences(look(this.source), look(path.join(this.out, 'tree')));
  }
}

function someTree(): TreeNode[] {
  return [
    dir('a', [file('one', text(1, 3000)), file('two', text(2, 4000)), file('empty')]),
    dir('b', [file('large', noise(3, 3 * MIB)), dir('c', [file('four', text(4, 100))])]),
    symlink('link', 'a/one'),
    hardlink('second', 'a', 'one'),
  ];
}

test('names of a file that are missing become links to those that are there, whichever and how many', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const others = names.slice(1).map((name) => hardlink(name, 'a'));
  const lab = await Lab.with(scratchInMemory(t), [file('a', text(1, 3000)), ...others]);
  t.is((await lab.restore()).status, 0);
  for (let bits = 1; bits < 1 << names.length; bits += 1) {
    const missing = names.filter((_, at) => (bits & (1 << at)) !== 0);
    for (const name of missing) fs.rmSync(lab.at(name));
    t.like(await lab.restore('-n'), { status: 0, files: missing.length });
    t.like(await lab.restore(), { status: 0, files: missing.length });
    const inodes = new Set(names.map((name) => fs.statSync(lab.at(name)).ino));
    t.is(inodes.size, 1, missing.join());
  }
});

test('what is there already and is the same is not written again', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), someTree());
  t.like(await lab.restore(), { status: 0, files: 6, directories: 4, links: 1, unchanged: 0 });
  const inodes = (): bigint[] =>
    ['a/one', 'b/large', 'link'].map((name) => fs.lstatSync(lab.at(name), { bigint: true }).ino);
  const before = inodes();
  const nothing = { status: 0, files: 0, directories: 0, links: 0, bytes: 0, unchanged: 7 };
  t.like(await lab.restore(), nothing);
  t.like(await lab.restore('--overwrite'), nothing);
  t.deepEqual(inodes(), before);
  fs.rmSync(lab.at('a', 'two'));
  fs.rmSync(lab.at('a', 'one'));
  t.like(await lab.restore(), { status: 0, files: 2, unchanged: 5, bytes: 4000 });
  t.is(lab.differences().length, 1, 'a directory that was there keeps its time');
  t.like(await lab.restore('-O'), { status: 0, files: 0 });
  t.deepEqual(lab.differences(), []);
  // Whichever name of a file with several is missing, it is linked again to the others.
  for (const name of [lab.at('second'), lab.at('a', 'one')]) {
    fs.rmSync(name);
    t.like(await lab.restore(), { status: 0, files: 1, unchanged: 6 });
    t.is(fs.statSync(name).nlink, 2, name);
  }
  t.like(await lab.restore('-O'), { status: 0, files: 0, unchanged: 7 });
  t.deepEqual(lab.differences(), []);
});

test('what is the same stays, of every kind', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), everyKind(false));
  for (const reason of leftOut()) t.log(`left out: ${reason}`);
  t.is((await lab.restore()).status, 0);
  t.deepEqual(lab.differences(), []);
  t.like(await lab.restore(), { status: 0, files: 0, links: 0, bytes: 0 });
  t.like(await lab.restore('-O'), { status: 0, files: 0, links: 0, bytes: 0 });
  for (const name of ['special/fifo', 'special/socket', 'holes/several']) fs.rmSync(lab.at(name));
  fs.writeFileSync(lab.at('special', 'fifo'), 'a file for a fifo');
  t.like(await lab.restore(), { status: 3 });
  t.like(await lab.restore('-O'), { status: 0 });
  t.deepEqual(lab.differences(), []);
});

test('existing files that differ are replaced as --overwrite allows', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), someTree());
  await lab.restore();
  const spoil = (): void => {
    fs.writeFileSync(lab.at('a', 'two'), 'newer');
    fs.utimesSync(lab.at('a', 'two'), LATER, LATER);
    fs.writeFileSync(lab.at('b', 'large'), 'older');
    fs.utimesSync(lab.at('b', 'large'), EARLIER, EARLIER);
    fs.writeFileSync(lab.at('a', 'not in the set'), 'mine');
  };
  const held = (...names: string[]): boolean => fs.statSync(lab.at(...names)).size === 5;
  spoil();
  const refused = await lab.restore();
  t.like(refused, { status: 3, files: 0, kept: 0 });
  t.deepEqual(
    refused.failed.map(({ name, code }) => [name, code]),
    [
      ['tree/a/two', 'TARGET_EXISTS'],
      ['tree/b/large', 'TARGET_EXISTS'],
    ],
  );
  t.like(await lab.restore('--overwrite=never'), { status: 0, files: 0, kept: 2, unchanged: 5 });
  t.true(held('a', 'two') && held('b', 'large'));
  t.like(await lab.restore('-O', 'newer'), { status: 0, files: 1, kept: 1 });
  t.true(held('a', 'two') && !held('b', 'large'));
  spoil();
  t.like(await lab.restore('-O', 'older'), { status: 0, files: 1, kept: 1 });
  t.true(!held('a', 'two') && held('b', 'large'));
  spoil();
  t.like(await lab.restore('--overwrite'), { status: 0, files: 2, kept: 0, bytes: 4000 + 3 * MIB });
  t.is(fs.readFileSync(lab.at('a', 'not in the set'), 'utf8'), 'mine');
  fs.rmSync(lab.at('a', 'not in the set'));
  await lab.restore('--overwrite');
  t.deepEqual(lab.differences(), []);
});

test('other kinds of things make way, but never a directory', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), someTree());
  await lab.restore();
  fs.rmSync(lab.at('b'), { recursive: true });
  fs.writeFileSync(lab.at('b'), 'a file for a directory');
  fs.rmSync(lab.at('link'));
  fs.writeFileSync(lab.at('link'), 'a file for a link');
  fs.rmSync(lab.at('second'));
  fs.symlinkSync('/etc', lab.at('second'));
  const refused = await lab.restore();
  t.is(refused.status, 3);
  t.deepEqual(refused.failed.map(({ name }) => name).sort(), [
    'tree/b',
    'tree/link',
    'tree/second',
  ]);
  t.is(fs.readFileSync(lab.at('b'), 'utf8'), 'a file for a directory');
  t.like(await lab.restore('-O'), { status: 0 });
  t.deepEqual(lab.differences(), []);

  fs.rmSync(lab.at('a', 'two'));
  fs.mkdirSync(lab.at('a', 'two'));
  fs.writeFileSync(lab.at('a', 'two', 'precious'), 'precious');
  const inTheWay = await lab.restore('-O');
  t.like(inTheWay, { status: 3 });
  t.deepEqual(
    inTheWay.failed.map(({ code }) => code),
    ['TARGET_EXISTS'],
  );
  t.is(fs.readFileSync(lab.at('a', 'two', 'precious'), 'utf8'), 'precious');
});

test('a link in the target is never followed', async (t) => {
  const home = scratchInMemory(t);
  const lab = await Lab.with(home, someTree());
  await lab.restore();
  const outside = folderIn(home, 'outside');
  fs.rmSync(lab.at('a'), { recursive: true });
  fs.symlinkSync(outside, lab.at('a'));
  for (const mode of ['never', 'newer', 'always']) {
    await lab.restore('-O', mode);
    t.deepEqual(fs.readdirSync(outside), [], mode);
  }
  t.deepEqual(lab.differences(), [], 'the link made way for the directory');
});

test('a file that is replaced stays whole if the new one is damaged', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), [
    file('small', text(1, 9000)),
    file('big', noise(2, 5 * MIB)),
  ]);
  await lab.restore();
  for (const name of ['small', 'big']) fs.writeFileSync(lab.at(name), `my ${name}`);
  const objects = fs.readdirSync(path.join(lab.place[1]!, 'me', 'packs'), { withFileTypes: true });
  for (const { name, parentPath } of objects) {
    const full = path.join(parentPath, name);
    const bytes = fs.readFileSync(full);
    // XOR changes every byte of the pack, whatever its value.
    fs.writeFileSync(
      full,
      bytes.map((byte) => byte ^ 0x55),
    );
  }
  const result = await lab.restore('-O');
  t.is(result.status, 3);
  t.is(result.files, 0);
  for (const name of ['small', 'big']) t.is(fs.readFileSync(lab.at(name), 'utf8'), `my ${name}`);
  t.deepEqual(fs.readdirSync(lab.at()).sort(), ['big', 'small']);
});

test('--compare-contents finds a different content even if size and time are equal', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), [
    file('same', text(1, 9000)),
    file('other', text(2, 9000)),
    file('in parts', Buffer.alloc(65 * MIB, 'a part')),
  ]);
  await lab.restore();
  const stamp = fs.statSync(lab.at('other'), { bigint: true }).mtimeNs;
  const fd = fs.openSync(lab.at('other'), 'r+');
  fs.writeSync(fd, 'X', 4321);
  fs.closeSync(fd);
  spawnSync('touch', ['-r', path.join(lab.source, 'other'), lab.at('other')]);
  t.is(fs.statSync(lab.at('other'), { bigint: true }).mtimeNs, stamp);
  t.like(await lab.restore('-O'), { status: 0, files: 0, unchanged: 3 });
  t.like(await lab.restore('-O', '--compare-contents', '-n'), { files: 1, unchanged: 2 });
  const reported = await lab.restore('--compare-contents');
  t.like(reported, { status: 3, files: 0, unchanged: 2 });
  t.deepEqual(
    reported.failed.map(({ name }) => name),
    ['tree/other'],
  );
  t.like(await lab.restore('-O', 'never', '--compare-contents'), { status: 0, kept: 1 });
  t.like(await lab.restore('-O', '--compare-contents'), { status: 0, files: 1, unchanged: 2 });
  t.deepEqual(lab.differences(), []);
});

test('--compare-contents compares a sparse file by its bytes, whatever its blocks are', async (t) => {
  const size = 3 * MIB;
  const lab = await Lab.with(scratchInMemory(t), [
    sparse('holes', size, [[MIB, text(1, 9000)]]),
    sparse('hole', size, []),
    sparse('in parts', 70 * MIB, [[2 * MIB, Buffer.alloc(66 * MIB, 'a part')]]),
  ]);
  await lab.restore();
  t.like(await lab.restore('--compare-contents'), { status: 0, unchanged: 3 });
  const put = (name: string, at: number, bytes: Buffer): void => {
    const fd = fs.openSync(lab.at(name), 'r+');
    fs.writeSync(fd, bytes, 0, bytes.length, at);
    fs.closeSync(fd);
    spawnSync('touch', ['-r', path.join(lab.source, name), lab.at(name)]);
  };
  put('holes', 0, Buffer.alloc(MIB));
  put('hole', 0, Buffer.alloc(size));
  t.like(await lab.restore('--compare-contents'), { status: 0, unchanged: 3 });
  for (const [name, at] of [
    ['holes', size - 1],
    ['hole', 12_345],
    ['in parts', 69 * MIB],
    ['holes', MIB + 5],
  ] as const) {
    put(name, at, Buffer.from('X'));
    const reported = await lab.restore('--compare-contents');
    t.like(reported, { status: 3, unchanged: 2 }, `${name} ${at}`);
    t.like(await lab.restore('-O', '--compare-contents'), { status: 0, files: 1, unchanged: 2 });
  }
  t.deepEqual(lab.differences(), []);
});

test('a dry run shows what would be done, and does nothing', async (t) => {
  const lab = await Lab.with(scratchInMemory(t), someTree());
  const dry = await lab.restore('--dry-run');
  t.like(dry, { status: 0, dryRun: true });
  t.false(fs.existsSync(lab.out));
  const counts = ({ files, directories, links, bytes, unchanged, kept }: Restored) => {
    return { files, directories, links, bytes, unchanged, kept };
  };
  t.deepEqual(counts(dry), counts(await lab.restore()));
  fs.writeFileSync(lab.at('a', 'two'), 'changed');
  fs.rmSync(lab.at('b'), { recursive: true });
  const before = look(lab.out);
  const planned = await lab.restore('-n', '-O', 'always');
  t.deepEqual(differences(before, look(lab.out)), []);
  t.like(await lab.restore('-n'), { status: 3, failed: [{ code: 'TARGET_EXISTS' }] });
  const done = await lab.restore('-O', 'always');
  t.deepEqual(counts(planned), counts(done));
  t.like(done, { files: 3, directories: 2, unchanged: 4 });
});

test('times, permissions, owners and hard links are restored unless an option switches that off', async (t) => {
  const meta = { mode: 0o4751, ...(isRoot ? { uid: 1234, gid: 4321 } : {}) };
  const lab = await Lab.with(scratchInMemory(t), [
    dir('d', [file('f', 'content', meta), hardlink('g', 'd', 'f')], { mode: 0o700 }),
  ]);
  const started = Date.now() - 10_000;
  const umask = Number(/Umask:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))![1]);
  const open = 0o666 & ~Number.parseInt(String(umask), 8);
  const seen = async (...args: string[]): Promise<fs.Stats> => {
    fs.rmSync(lab.out, { recursive: true, force: true });
    t.is((await lab.restore(...args)).status, 0);
    return fs.statSync(lab.at('d', 'f'));
  };
  const all = await seen();
  t.is(all.mode & 0o7777, 0o4751);
  t.is(all.nlink, 2);
  t.true(all.mtimeMs < started);
  t.is(fs.statSync(lab.at('d')).mode & 0o777, 0o700);
  const now = await seen('--no-set-times');
  t.true(now.mtimeMs > started);
  t.true(fs.statSync(lab.at('d')).mtimeMs > started);
  t.is(now.mode & 0o7777, 0o4751);
  t.is((await seen('--no-set-perms')).mode & 0o7777, open);
  const own = await seen('--no-set-owner');
  t.is(own.uid, process.getuid!());
  t.is(own.mode & 0o7777, 0o751, 'it must not run as the user who restores it');
  if (isRoot) t.is(all.uid, 1234);
  t.is((await seen('--no-hardlinks')).nlink, 1);
  t.is(fs.readFileSync(lab.at('d', 'g'), 'utf8'), 'content');

  // A file that differs only in what the options leave unset is not written again.
  await seen('--no-set-times');
  t.like(await lab.restore('--no-set-times'), { status: 0, files: 0, unchanged: 2 });
  await succeed('regenerate', [...lab.place, '-o', lab.out, '-O', '--no-set-perms', lab.source]);
});

test('attributes and ACLs are set unless that is switched off', async (t) => {
  const attributes: Record<string, string> = here.attributes ? { 'user.color': 'blue' } : {};
  const lab = await Lab.with(scratchInMemory(t), [
    file('f', 'content', { attributes }),
    dir('d', [file('g', 'g')], { attributes }),
  ]);
  for (const reason of leftOut()) t.log(`left out: ${reason}`);
  await lab.restore();
  t.deepEqual(lab.differences(), []);
  fs.rmSync(lab.out, { recursive: true });
  t.is((await lab.restore('--no-set-attrs')).status, 0);
  t.is(lab.differences().length, here.attributes ? 2 : 0);
  for (const [name, seen] of look(lab.out)) t.notRegex(seen, /attributes/, name);
  t.is(
    fs.statSync(lab.at('f'), { bigint: true }).mtimeNs,
    fs.statSync(path.join(lab.source, 'f'), { bigint: true }).mtimeNs,
  );
});
