// Pace: long
/**
 * A local user of a machine that root backs up exchanges files and directories while the backup walks. Nothing that is hidden
 * from this user comes under an entry that is not.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import type { Failure } from '../../src/workers/index.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, restoreInline } from '../helpers/inline.js';
import { leavesAll } from '../support/leaves-all.js';
import { overlayHere } from '../helpers/mounts.js';
import { isRoot } from '../helpers/native.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun, share, shareOf } from '../helpers/share.js';
import { swappedSystem, Swapper } from '../helpers/swapper.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();

const [USER, OTHER] = [41_001, 41_002];
const SECRET = 'SECRET of another user';
/** A directory that belongs to OTHER and is open to all, below one of either user. */
const SHARED = 'shared';
/** More than one part of a large file. */
const LARGE_BYTES = (64 << 20) + 5;
/** Directories before the one that moves, so that it is listed long before it is visited. */
const SIBLINGS = 150;
const LEAST_SWAPS = share < 1 ? 2000 : 10_000;
const MOST_RUNS = 20;

/**
 * Makes a directory of a user, with files, a directory, and a large file. All such directories have the same names; that of
 * OTHER has others beside them.
 */
function makeOwned(folder: string, uid: number, mode: number, largeBytes: number): void {
  fs.mkdirSync(path.join(folder, 'sub', 'deep'), { recursive: true });
  fs.mkdirSync(path.join(folder, SHARED));
  const text = uid === OTHER ? SECRET : 'own';
  for (const name of ['a', 'b', 'sub/c', 'sub/deep/d', `${SHARED}/e`]) {
    fs.writeFileSync(path.join(folder, name), `${text} ${name}`);
  }
  for (const below of uid === OTHER ? ['', 'sub', 'sub/deep', SHARED] : []) {
    fs.writeFileSync(path.join(folder, below, 'secret name'), SECRET);
  }
  const large = fs.openSync(path.join(folder, 'large'), 'w');
  for (let at = 0; at < largeBytes; at += 4 << 20) fs.writeSync(large, text, at);
  fs.ftruncateSync(large, largeBytes);
  fs.closeSync(large);
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const name of [...names, '']) {
    const at = path.join(folder, name);
    fs.chownSync(at, uid, uid);
    const isFile = fs.statSync(at).isFile();
    fs.chmodSync(at, isFile ? mode & 0o666 : mode);
  }
  for (const name of [
    SHARED,
    ...fs.readdirSync(path.join(folder, SHARED)).map((each) => `${SHARED}/${each}`),
  ]) {
    fs.chownSync(path.join(folder, name), OTHER, OTHER);
    fs.chmodSync(path.join(folder, name), name === SHARED ? 0o755 : 0o644);
  }
}

interface Ground {
  readonly home: string;
  /** The directory that is backed up. It belongs to USER. */
  readonly mine: string;
}

/**
 * Makes `mine/x`, which USER owns, and `theirs` beside `mine`, which is closed to this user. `mine/y` is a link to it, or
 * another such directory.
 */
function makeGround(
  t: ExecutionContext,
  { isLink, siblings, largeBytes }: { isLink: boolean; siblings: number; largeBytes: number },
  home = scratchInMemory(t),
): Ground {
  const mine = folderIn(home, 'mine');
  for (let index = 0; index < siblings; index += 1) {
    const sibling = folderIn(mine, `before ${index}`);
    for (let each = 0; each < 8; each += 1) fs.writeFileSync(path.join(sibling, `${each}`), 'x');
  }
  fs.chownSync(mine, USER, USER);
  makeOwned(path.join(mine, 'x'), USER, 0o755, largeBytes);
  makeOwned(path.join(home, 'theirs'), OTHER, 0o700, largeBytes);
  if (isLink) fs.symlinkSync(path.join(home, 'theirs'), path.join(mine, 'y'));
  else makeOwned(path.join(mine, 'y'), OTHER, 0o700, largeBytes);
  return { home, mine };
}

/**
 * Returns the entries of a restored tree that show a secret to more users than its owner, or to this one if nothing of OTHER
 * may be there at all.
 */
function shown(folder: string, mayBeThere: boolean, isClosed = false): string[] {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(folder, entry.name);
    const { uid, mode } = fs.lstatSync(at);
    const isTheirs = mayBeThere && uid === OTHER && (mode & 0o077) === 0;
    if (entry.isDirectory()) return shown(at, mayBeThere, isClosed || isTheirs);
    if (isClosed) return [];
    const isNamed = entry.name.startsWith('secret');
    const isSecret = entry.isFile() && !isTheirs && fs.readFileSync(at).includes(SECRET);
    return isNamed || isSecret ? [at] : [];
  });
}

/** Returns the contents of all files of a tree, by their paths. */
function contentsOf(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
  const files = names.filter((name) => fs.statSync(path.join(folder, name)).isFile());
  return Object.fromEntries(
    files.map((name) => [name, fs.readFileSync(path.join(folder, name), 'utf8')]),
  );
}

const ENDS = [0, 3];

/** Backs `mine` up, and compares it, while two names in it are swapped, and restores each set. */
async function attack(
  t: ExecutionContext,
  options: readonly string[],
  isLink: boolean,
): Promise<void> {
  const sizes = { siblings: SIBLINGS, largeBytes: LARGE_BYTES };
  const { home, mine } = makeGround(t, { isLink, ...sizes });
  const place = ['-D', path.join(home, 'store'), '-C', 'me', ...options];
  const workers = options.filter((word) => !word.startsWith('--workers'));
  const reader = ['-D', path.join(home, 'store'), '-C', 'me', ...workers];
  const swapper = new Swapper(t, mine, ['x', 'y']);
  let runs = 0;
  while ((swapper.swaps < LEAST_SWAPS || runs < shareOf(20, 2)) && runs < MOST_RUNS) {
    const create = runs === 0 ? ['--create'] : [];
    const backup = await run('tardis', ['--local', ...create, ...place, mine]);
    t.true(ENDS.includes(backup.status!), `${backup.status}: ${backup.stderr}`);
    runs += 1;
    const compared = await run('tardiff', [...reader, mine]);
    if (isLink) t.notRegex(compared.stdout, /secret/i);
  }
  await swapper.end();
  t.true(swapper.swaps >= LEAST_SWAPS, `${swapper.swaps} swaps in ${runs} runs`);
  t.log(`${swapper.swaps} swaps in ${runs} runs`);
  for (let set = 1; set <= runs; set += 1) {
    const out = path.join(home, 'out');
    const restored = await run('regenerate', [...reader, '-b', `${set}`, '-o', out, mine]);
    t.true(ENDS.includes(restored.status!), restored.stderr);
    t.deepEqual(shown(out, !isLink), [], `set ${set}`);
    fs.rmSync(out, { recursive: true });
  }
  // Once nothing moves any more, everything is there again.
  await succeed('tardis', ['--local', ...place, mine]);
  const compared = await run('tardiff', [...reader, mine]);
  t.is(compared.stdout, '');
}

/** Backs up, in many sets, while each call of the addon may find the names exchanged, and restores each set. */
async function attackSteps(t: ExecutionContext, isLink: boolean, home?: string): Promise<void> {
  t.log(`TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const ground = makeGround(t, { isLink, siblings: 1, largeBytes: 2 << 20 }, home);
  const place = { store: path.join(ground.home, 'store'), client: 'me' };
  const sets = shareOf(1000, 20);
  for (let set = 1; set <= sets; set += 1) {
    const system = swappedSystem(ground.mine, random, 2 ** (1 + (set % 4)));
    await backupInline(system, place, [ground.mine], { create: set === 1 });
    const output = path.join(ground.home, 'out');
    await restoreInline(inlineSystem(), place, { paths: [ground.mine], output, set: `${set}` });
    t.deepEqual(shown(output, !isLink), [], `set ${set}`);
    fs.rmSync(output, { recursive: true });
  }
}

const ACL_NAME = 'system.posix_acl_access';

/** Returns the entries of a restored directory that show more than their owner gave: an ACL is lost, or on an entry of USER. */
function openedBy(folder: string): string[] {
  const { native } = nodeSystem();
  const fd = native.openDirectory(Buffer.from(folder));
  try {
    return fs.readdirSync(folder).filter((name) => {
      const { uid, mode } = fs.lstatSync(path.join(folder, name));
      const hasAcl = native.attributesAt(fd, Buffer.from(name), false, 4096).includes(ACL_NAME);
      return uid === OTHER ? (mode & 0o070) !== 0 && !hasAcl : hasAcl;
    });
  } finally {
    native.close(fd);
  }
}

/**
 * Backs up a file or a directory of OTHER, closed but for an ACL, while each call of the addon may find it exchanged for one of
 * USER. The entries are read one by one if `isEach`.
 */
async function attackAcls(t: ExecutionContext, isFile: boolean, isEach: boolean): Promise<void> {
  t.log(`TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const home = scratchInMemory(t);
  const mine = folderIn(home, 'mine');
  fs.chownSync(mine, USER, USER);
  for (const [name, uid] of [
    ['x', OTHER],
    ['y', USER],
  ] as const) {
    const at = path.join(mine, name);
    if (isFile) fs.writeFileSync(at, name === 'x' ? SECRET : 'own');
    else fs.mkdirSync(at);
    fs.chownSync(at, uid, uid);
    fs.chmodSync(at, isFile ? 0o600 : 0o700);
  }
  execFileSync('setfacl', ['-m', 'u:4321:rx', path.join(mine, 'x')]);
  execFileSync('setfattr', ['-n', 'user.a', '-v', 'b', path.join(mine, 'y')]);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const sets = shareOf(400, 15);
  for (let set = 1; set <= sets; set += 1) {
    const swapped = swappedSystem(mine, random, 2 ** (1 + (set % 3)));
    const { readParcel } = nodeSystem().native;
    const native = isEach ? swapped.native : { ...swapped.native, readParcel };
    await backupInline({ ...swapped, native }, place, [mine], { create: set === 1 });
    const output = path.join(home, 'out');
    await restoreInline(inlineSystem(), place, { paths: [mine], output, set: `${set}` });
    t.deepEqual(openedBy(path.join(output, 'mine')), [], `set ${set}`);
    fs.rmSync(output, { recursive: true });
  }
}

/** The tree that a build makes again and again: the names of directories, from the source down. */
const BUILT = ['modules', 'lib', 'deep'];

/** Makes such a tree. Each turn has files of its own beside those that all have. */
function build(folder: string, turn: string): void {
  let here = folder;
  for (const name of BUILT) {
    here = path.join(here, name);
    fs.mkdirSync(here);
    for (const file of ['same', turn]) fs.writeFileSync(path.join(here, file), `${file} ${turn}`);
  }
}

/** When a directory is built again: before the backup visits it, or before it reads what is in it, in one call or in many. */
const MOMENTS = ['visited', 'read', 'read one by one'] as const;

/** Returns a system in which a directory is built again, once, at a moment of the backup of another one. */
function rebuiltSystem(
  home: string,
  [built, visited]: [string, string],
  moment: (typeof MOMENTS)[number],
): System {
  const { native } = nodeSystem();
  let isDone = false;
  const rebuild = (when: (typeof MOMENTS)[number], isMet: boolean): void => {
    if (isDone || !isMet || when !== moment) return;
    isDone = true;
    const other = folderIn(home, 'other');
    build(other, 'new');
    fs.rmSync(built, { recursive: true });
    fs.renameSync(path.join(other, path.relative(path.join(home, 'source'), built)), built);
  };
  const place = Buffer.from(visited);
  const calls: Partial<NativeCalls> = {
    listOrHold: (at, ...more) => {
      rebuild('visited', at.equals(place));
      return native.listOrHold(at, ...more);
    },
    openListed: (at, identity) => {
      rebuild('read one by one', at.equals(place));
      return native.openListed(at, identity);
    },
    readParcel: (paths, ...more) => {
      rebuild('read', Buffer.from(paths).includes(place));
      return (moment === 'read one by one' ? leavesAll : native.readParcel)(paths, ...more);
    },
  };
  return inlineSystem({ native: { ...native, ...calls } });
}

/** How an owner closes a directory to those who could pass it before. */
const CLOSINGS: Readonly<Record<string, (folder: string) => void>> = {
  'by its mode': (folder) => fs.chmodSync(folder, 0o700),
  'by its owner': (folder) => fs.chownSync(folder, OTHER, OTHER),
  'by an ACL': (folder) => execFileSync('setfacl', ['-m', `u:${USER}:---`, folder]),
};

/** When a directory is closed: before its files are read in one call, or one by one, or before a large file is. */
const READINGS = ['together', 'one by one', 'large'] as const;

/** Returns a system in which a directory is closed, once, and then gets a secret, before those in `inner` are read. */
function closedSystem(close: () => void, inner: string, moment: (typeof READINGS)[number]): System {
  const { native } = nodeSystem();
  let isDone = false;
  const reach = (when: (typeof READINGS)[number], isMet: boolean): void => {
    if (isDone || !isMet || when !== moment) return;
    isDone = true;
    close();
    for (const name of ['file', 'large'])
      fs.writeFileSync(path.join(inner, name), SECRET, { flag: 'r+' });
  };
  const calls: Partial<NativeCalls> = {
    openListed: (at, identity) => {
      reach('one by one', at.equals(Buffer.from(inner)));
      return native.openListed(at, identity);
    },
    openListedAt: (fd, name, identity) => {
      reach('large', name.equals(Buffer.from('large')));
      return native.openListedAt(fd, name, identity);
    },
    readParcel: (paths, ...more) => {
      reach('together', Buffer.from(paths).includes(inner));
      return (moment === 'one by one' ? leavesAll : native.readParcel)(paths, ...more);
    },
  };
  return inlineSystem({ native: { ...native, ...calls } });
}

/** Returns the permissions of all files of a tree, by their paths. */
function modesOf(folder: string): Record<string, number> {
  const names = Object.keys(contentsOf(folder));
  return Object.fromEntries(
    names.map((name) => [name, fs.statSync(path.join(folder, name)).mode & 0o777]),
  );
}

/** Backs up while a directory is closed, in the first set or in a later one, and again. Restores both sets. */
async function attackByClosing(
  t: ExecutionContext,
  closing: string,
  closed: string,
  options: { readonly moment: (typeof READINGS)[number]; readonly isLater: boolean },
): Promise<void> {
  const { moment, isLater } = options;
  const how = `${closing}, ${closed}, ${moment}, ${isLater ? 'later' : 'first'}`;
  const home = scratchInMemory(t);
  const source = path.join(home, 'source');
  const [inner, beside] = [path.join(source, 'a/b/c'), path.join(source, 'beside')];
  for (const folder of [inner, beside]) {
    fs.mkdirSync(folder, { recursive: true });
    for (const name of ['file', 'other']) fs.writeFileSync(path.join(folder, name), name);
  }
  execFileSync('setfacl', ['-m', `u:${USER}:r`, path.join(inner, 'file')]);
  fs.writeFileSync(path.join(inner, 'large'), 'large');
  fs.truncateSync(path.join(inner, 'large'), 2 << 20);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const output = path.join(home, 'out');
  const restore = async (): Promise<string> => {
    fs.rmSync(output, { recursive: true, force: true });
    await restoreInline(inlineSystem(), place, { paths: [source], output });
    return path.join(output, 'source');
  };
  if (isLater) {
    await backupInline(inlineSystem(), place, [source], { create: true });
    for (const name of ['file', 'large']) fs.appendFileSync(path.join(inner, name), 'more');
  }
  const system = closedSystem(() => CLOSINGS[closing]!(path.join(source, closed)), inner, moment);
  await backupInline(system, place, [source], { create: !isLater });
  const modes = modesOf(await restore());
  const contents = contentsOf(path.join(output, 'source'));
  const shown = Object.keys(modes).filter(
    (name) => contents[name]!.includes(SECRET) && (modes[name]! & 0o077) !== 0,
  );
  t.deepEqual(shown, [], how);
  // A directory of another owner is not the listed one, and may be read no more.
  if (closing !== 'by its owner' || closed !== 'a/b/c')
    t.true(
      Object.values(contents).some((text) => text.includes(SECRET)),
      how,
    );
  t.is(modes['beside/file'], 0o644, how);
  // The next backup finds what the owner gave.
  await backupInline(inlineSystem(), place, [source]);
  t.deepEqual(modesOf(await restore()), modesOf(source), how);
  t.deepEqual(contentsOf(path.join(output, 'source/a')), contentsOf(path.join(source, 'a')), how);
  fs.rmSync(home, { recursive: true });
}

/** Runs an attack, which needs root. */
async function asRoot(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  if (isRoot) await work();
  else t.log('this needs root');
  t.pass();
}

const ENCRYPTED = '--password=a password of four words';

/** Ways of a backup. */
const WAYS: readonly (readonly [how: string, ...options: string[]])[] = [
  ['by two workers', '--workers=2'],
  ['by two workers, encrypted', '--workers=2', ENCRYPTED],
  ['by four workers', '--workers=4'],
  ['by four workers, encrypted', '--workers=4', ENCRYPTED],
];

/** A run has a client that encrypts against one of the two kinds of names, and one that does not against the other. */
const ATTACKS = [true, false].flatMap((isLink) =>
  WAYS.map(([how, ...options]) => ({ isLink, how, options })),
);
for (const { isLink, how, options } of ATTACKS.filter(
  (_, at) => share === 1 || (seed + (at >> 2)) % 4 === at % 4,
)) {
  const title = isLink
    ? 'a link in place of a directory leads no backup astray'
    : 'two exchanged directories are not mixed up';
  test.serial(`${title}, ${how}`, (t) => asRoot(t, () => attack(t, options, isLink)));
}

test.serial('a link in place of a directory leads no step astray', (t) =>
  asRoot(t, () => attackSteps(t, true)),
);

test.serial('two exchanged directories are not mixed up by any step', (t) =>
  asRoot(t, () => attackSteps(t, false)),
);

test.serial('two exchanged directories are not mixed up where inode numbers are made up', (t) =>
  asRoot(t, async () => {
    const home = overlayHere(t);
    if (home !== undefined) await attackSteps(t, false, home);
  }),
);

for (const isFile of [true, false]) {
  for (const isEach of [true, false]) {
    const how = `${isFile ? 'a file' : 'a directory'}, read ${isEach ? 'by itself' : 'with others'}`;
    test.serial(`an ACL is neither lost nor shown on an entry of somebody else: ${how}`, (t) =>
      asRoot(t, () => attackAcls(t, isFile, isEach)),
    );
  }
}

for (const [how, ...options] of WAYS.filter((_, at) => share === 1 || at === seed % 4)) {
  test.serial(
    `directories of one owner that are exchanged all the time are backed up, ${how}`,
    async (t) => {
      const home = scratchInMemory(t);
      const source = path.join(home, 'source');
      for (const name of ['x', 'y']) {
        fs.mkdirSync(path.join(source, name), { recursive: true });
        build(path.join(source, name), 'always'); // a name that vanished would make a directory incomplete
      }
      for (let index = 0; index < SIBLINGS; index += 1) fs.mkdirSync(path.join(source, `${index}`));
      const place = ['-D', path.join(home, 'store'), '-C', 'me', ...options];
      const swapper = new Swapper(t, source, ['x', 'y']);
      for (let set = 1; set <= 5; set += 1) {
        const create = set === 1 ? ['--create'] : [];
        await succeed('tardis', ['--local', ...create, ...place, source]);
        const out = path.join(home, `out ${set}`);
        await succeed('regenerate', [...place, '--no-set-owner', '-o', out, source]);
        for (const name of ['x', 'y']) {
          const restored = contentsOf(path.join(out, 'source', name));
          t.deepEqual(restored, contentsOf(path.join(source, name)));
        }
      }
      await swapper.end();
      t.true(swapper.swaps > 100, `${swapper.swaps} swaps`);
    },
  );
}

test.serial(
  'a directory that is built again while the backup walks is backed up as it is then',
  async (t) => {
    const paths = BUILT.map((_name, index) => BUILT.slice(0, index + 1).join('/'));
    for (const [index, built] of paths.entries()) {
      for (const visited of paths.slice(index)) {
        for (const moment of MOMENTS) {
          const home = scratchInMemory(t);
          const source = folderIn(home, 'source');
          build(source, 'old');
          const place = { store: path.join(home, 'store'), client: 'me' };
          const failures: string[] = [];
          const ways: [string, string] = [path.join(source, built), path.join(source, visited)];
          const system = rebuiltSystem(home, ways, moment);
          const onFailures = (some: readonly Failure[]): void => {
            // Files of the old turn are gone, which is no failure.
            for (const { what, path: at, reason } of some)
              if (what !== 'vanished') failures.push(`${what} ${at.toString()} ${reason}`);
          };
          await backupInline(system, place, [source], { create: true, onFailures });
          const output = path.join(home, 'out');
          await restoreInline(inlineSystem(), place, { paths: [source], output });
          const how = `${built}, ${visited}, ${moment}`;
          const restored = contentsOf(path.join(output, 'source', visited));
          t.deepEqual(failures, [], how);
          const expected = contentsOf(path.join(source, visited));
          if (moment !== 'visited') {
            t.is(restored['same'], 'same new', how); // new names come with the next backup
          } else t.deepEqual(restored, expected, how);
        }
      }
    }
  },
);

for (const password of [undefined, 'a password of four words']) {
  const how = password === undefined ? 'plain' : 'encrypted';
  test.serial(
    `a directory that shows what is in another one while it is listed takes nothing from that one, ${how}`,
    async (t) => {
      const home = scratchInMemory(t);
      const source = path.join(home, 'source');
      for (const name of ['x', 'y']) {
        fs.mkdirSync(path.join(source, name, 'sub'), { recursive: true });
        fs.writeFileSync(path.join(source, name, 'sub', `in ${name}`), name);
      }
      const { native } = nodeSystem();
      const exchange = (): void => {
        const fd = native.openDirectory(Buffer.from(source));
        native.exchangeAt(fd, Buffer.from('x'), fd, Buffer.from('y'));
        native.close(fd);
      };
      const exchanged = inlineSystem({
        native: {
          ...native,
          listOrHold: (at, ...more) => {
            if (!at.equals(Buffer.from(path.join(source, 'x'))))
              return native.listOrHold(at, ...more);
            exchange();
            const listed = native.listOrHold(at, ...more);
            exchange();
            return listed;
          },
        },
      });
      const place = { store: path.join(home, 'store'), client: 'me' };
      const secret = password === undefined ? {} : { password };
      await backupInline(inlineSystem(), place, [source], { create: true, ...secret });
      await backupInline(exchanged, place, [source], secret);
      const reader = ['-D', place.store, '-C', place.client];
      if (password !== undefined) reader.push(`--password=${password}`);
      const out = path.join(home, 'out');
      await succeed('regenerate', [...reader, '-o', out, source]);
      t.deepEqual(contentsOf(path.join(out, 'source/y')), contentsOf(path.join(source, 'y')));
      await backupInline(inlineSystem(), place, [source], secret);
      t.is((await run('tardiff', [...reader, source])).stdout, '');
    },
  );
}

const ATTACKS_BY_CLOSING = Object.keys(CLOSINGS).flatMap((closing) =>
  ['a', 'a/b', 'a/b/c'].flatMap((closed) =>
    READINGS.flatMap((moment) =>
      [false, true].map((isLater) => ({ closing, closed, moment, isLater })),
    ),
  ),
);

test.serial(
  'what is put into a directory that its owner closes while a backup walks is shown to nobody',
  (t) =>
    asRoot(t, async () => {
      t.log(`TEST_SEED=${seed}`);
      const chosen = ofThisRun(ATTACKS_BY_CLOSING, (one) => [
        `${one.closing} ${one.closed}`,
        `${one.moment} ${one.isLater}`,
      ]);
      for (const { closing, closed, ...options } of chosen)
        await attackByClosing(t, closing, closed, options);
    }),
);
