// Pace: slow
/** A local user of a machine that root restores onto changes what is there, before the restore and while it runs. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { SetNumber } from '../../src/model/index.js';
import { restoreId } from '../../src/restore/index.js';
import { type NativeCalls, nodeSystem, OpenKind } from '../../src/system/index.js';
import { backupsRunHere, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, restoreInline, withNative } from '../helpers/inline.js';
import { overlayHere } from '../helpers/mounts.js';
import { isRoot } from '../helpers/native.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import { swappedSystem, Swapper } from '../helpers/swapper.js';
import { WebDoor } from '../helpers/web-door.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();
poolsStayAway(); // in the server of the page

const [USER, OTHER] = [41_001, 41_002];
const API = '/api/v1';
const LEAST_SWAPS = 20_000;
const MOST_RUNS = 40;
const LARGE_BYTES = 3 << 20;
const SMALL_FILES = 2_000;
/** Errors of a restore whose output is exchanged. */
const ENDS = ['TARGET_UNSAFE', 'TARGET_EXISTS', 'TARGET_NOT_WRITABLE'];
const OLD = new Date('2020-01-01T00:00:00Z');

/** Returns the body of a test that needs root. */
function asRoot(body: (t: ExecutionContext) => Promise<void>) {
  return async (t: ExecutionContext): Promise<void> => {
    if (isRoot) await body(t);
    else t.log('this needs root');
    t.pass();
  };
}

interface Ground {
  readonly home: string;
  readonly store: string;
  readonly place: readonly string[];
  /** A directory of USER. */
  readonly mine: string;
  /** A directory of root that nobody else can enter. */
  readonly closed: string;
}

function makeGround(t: ExecutionContext, home = scratchInMemory(t)): Ground {
  fs.chmodSync(home, 0o755);
  const [mine, closed, store] = ['mine', 'closed', 'store'].map((name) => path.join(home, name));
  fs.mkdirSync(mine!);
  fs.chownSync(mine!, USER, USER);
  fs.mkdirSync(closed!, 0o700);
  return { home, store: store!, place: ['-D', store!, '-C', 'me'], mine: mine!, closed: closed! };
}

interface Restored {
  readonly id: string;
  readonly state: string;
  readonly failures: readonly { readonly path: string; readonly code: string }[];
}

/**
 * Opens the page of a store as root or as another user. Returns a function that restores paths of set 1 to their original places
 * by its API.
 */
async function pageOf(t: ExecutionContext, { store }: Ground, uid?: number) {
  const door = await WebDoor.start(store, [], uid === undefined ? {} : { uid });
  t.teardown(() => door.close());
  const cookie = await door.enter();
  const headers = { cookie, 'x-tardis-page': '1', 'content-type': 'application/json' };
  return async (paths: readonly string[], overwrite: string): Promise<Restored> => {
    const wanted = { client: 'me', set: 1, paths, overwrite };
    const body = JSON.stringify({ ...wanted, comparesContents: false, isPreview: false });
    const started = await door.request(`${API}/restores`, headers, { method: 'POST', body });
    let restored = JSON.parse(started.body) as Restored;
    while (restored.state === 'running') {
      const { body: state } = await door.request(`${API}/jobs/${restored.id}`, { cookie });
      restored = JSON.parse(state) as Restored;
    }
    return restored;
  };
}

test.serial(
  'a restore to the original places does not pass a link',
  asRoot(async (t) => {
    const ground = makeGround(t);
    const { place, mine, closed } = ground;
    const folder = folderIn(mine, 'profile.d');
    const [own, other] = ['own.sh', 'other.sh'].map((name) => path.join(folder, name));
    for (const name of [own!, other!]) {
      fs.writeFileSync(name, 'commands of this user');
      fs.chownSync(name, USER, USER);
    }
    await succeed('tardis', ['--local', '--create', ...place, mine]);
    fs.rmSync(folder, { recursive: true });
    fs.symlinkSync(closed, folder);
    fs.lchownSync(folder, USER, USER);
    const restoreByPage = await pageOf(t, ground);
    for (const overwrite of ['refuse', 'never', 'newer']) {
      const restored = await restoreByPage([own!, other!], overwrite);
      t.is(restored.state, 'done', JSON.stringify(restored));
      t.deepEqual(fs.readdirSync(closed), [], overwrite);
      const failed = overwrite === 'refuse' ? [other, own] : [];
      t.deepEqual(restored.failures.map((one) => one.path).toSorted(), failed);
      for (const { code } of restored.failures) t.is(code, 'TARGET_EXISTS');
    }
    // A link above what is restored stays: what it leads to is in no set.
    const refused = await restoreByPage([own!, other!], 'always');
    t.deepEqual(refused.failures.map((one) => one.path).toSorted(), [other, own]);
    for (const { code } of refused.failures) t.is(code, 'TARGET_EXISTS');
    t.true(fs.lstatSync(folder).isSymbolicLink());
    // If differing entries are replaced, the link is one of them.
    const replaced = await restoreByPage([folder], 'always');
    t.deepEqual(replaced.failures, []);
    t.deepEqual(fs.readdirSync(closed), []);
    t.false(fs.lstatSync(folder).isSymbolicLink());
    t.deepEqual(fs.readdirSync(folder).toSorted(), ['other.sh', 'own.sh']);
  }),
);

test.serial(
  'directories above what is restored stay as they are, and missing ones come back',
  asRoot(async (t) => {
    const ground = makeGround(t);
    const { home, place, mine, store } = ground;
    const [folder, lost] = [path.join(mine, 'a'), path.join(mine, 'a', 'lost')];
    fs.mkdirSync(lost, { recursive: true });
    fs.writeFileSync(path.join(lost, 'file'), 'content');
    for (const name of [folder, lost, path.join(lost, 'file')]) fs.chownSync(name, USER, USER);
    fs.chmodSync(lost, 0o750);
    fs.utimesSync(lost, OLD, OLD);
    fs.chmodSync(folder, 0o755);
    await succeed('tardis', ['--local', '--create', ...place, mine]);
    for (const uid of [undefined, USER]) {
      fs.rmSync(lost, { recursive: true });
      fs.chmodSync(folder, 0o700);
      fs.chmodSync(home, 0o711); // as many a /home: names can be looked up in it, but it cannot be listed
      spawnSync('chmod', ['-R', 'a+rX', store]);
      const before = fs.statSync(mine);
      const restoreByPage = await pageOf(t, ground, uid);
      const restored = await restoreByPage([path.join(lost, 'file')], 'always');
      t.deepEqual([restored.state, restored.failures], ['done', []], JSON.stringify(restored));
      t.is(fs.statSync(folder).mode & 0o7777, 0o700, 'this directory was there');
      t.deepEqual([fs.statSync(mine).mode, fs.statSync(mine).uid], [before.mode, before.uid]);
      const again = fs.statSync(lost);
      t.deepEqual([again.mode & 0o7777, again.uid, again.mtimeMs], [0o750, USER, OLD.getTime()]);
      t.is(fs.readFileSync(path.join(lost, 'file'), 'utf8'), 'content');
    }
  }),
);

test.serial(
  'a directory that moves while files are restored into it leads none elsewhere',
  asRoot(async (t) => {
    const { home, place, mine, closed } = makeGround(t);
    const source = folderIn(home, 'source');
    for (let each = 0; each < SMALL_FILES; each += 1)
      fs.writeFileSync(path.join(source, `${each}`), 'x');
    for (let each = 0; each < 6; each += 1) {
      fs.writeFileSync(path.join(source, `large ${each}`), Buffer.alloc(LARGE_BYTES, each));
    }
    await succeed('tardis', ['--local', '--create', ...place, source]);
    fs.mkdirSync(path.join(mine, 'x', 'out'), { recursive: true });
    fs.mkdirSync(path.join(closed, 'out'));
    fs.symlinkSync(closed, path.join(mine, 'y'));
    fs.lchownSync(path.join(mine, 'y'), USER, USER);
    const swapper = new Swapper(t, mine, ['x', 'y']);
    let [runs, refused] = [0, 0];
    for (; (swapper.swaps < LEAST_SWAPS || runs < shareOf(40, 4)) && runs < MOST_RUNS; runs += 1) {
      const workers = `--workers=${runs % 2 === 0 ? 2 : 4}`;
      const output = path.join(mine, 'x', 'out');
      const { status, stderr } = await run('regenerate', [
        ...place,
        workers,
        '-O',
        '-o',
        output,
        source,
      ]);
      t.true([0, 1, 3].includes(status!), `${status}: ${stderr}`);
      if (status !== 0) refused += 1;
      t.deepEqual(fs.readdirSync(path.join(closed, 'out')), [], stderr);
    }
    await swapper.end();
    t.log(`${swapper.swaps} swaps in ${runs} runs, of which ${refused} ended with a failure`);
    await succeed('regenerate', [...place, '-O', '-o', path.join(mine, 'x', 'out'), source]);
  }),
);

test.serial(
  'a directory that moves at any step of a restore leads it nowhere else',
  asRoot(async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const random = seededRandom(seed);
    const { home, store, mine, closed } = makeGround(t);
    const place = { store, client: 'me' };
    const source = path.join(home, 'source');
    fs.mkdirSync(path.join(source, 'below'), { recursive: true });
    for (const name of ['a', 'b', 'below/c']) fs.writeFileSync(path.join(source, name), name);
    await backupInline(inlineSystem(), place, [source], { create: true });
    const [x, y, output] = [
      path.join(mine, 'x'),
      path.join(mine, 'y'),
      path.join(mine, 'x', 'out'),
    ];
    fs.mkdirSync(output, { recursive: true });
    fs.mkdirSync(path.join(closed, 'out'));
    fs.symlinkSync(closed, y);
    fs.lchownSync(y, USER, USER);
    let whole = 0;
    for (let run = 0; run < shareOf(1000, 60); run += 1) {
      if (fs.lstatSync(x).isSymbolicLink()) {
        for (const [from, to] of [
          [x, `${x}y`],
          [y, x],
          [`${x}y`, y],
        ])
          fs.renameSync(from!, to!);
      }
      const system = swappedSystem(mine, random, 2 ** (3 + (run % 6)));
      try {
        const policy = { overwrite: 'always' } as const;
        await restoreInline(system, place, { paths: [source], output, policy });
        whole += 1;
      } catch (error) {
        const { code } = error as { code: string };
        t.true(ENDS.includes(code), code);
      }
      t.deepEqual(fs.readdirSync(path.join(closed, 'out')), [], `run ${run}`);
    }
    t.log(`${whole} restores came to their end`);
    t.true(whole > 0);
  }),
);

/** Makes a directory of another user with one below it, which nobody else can enter, in the directory of USER. */
function makeOthers(folder: string, uid = OTHER): () => unknown {
  const all = [folder, path.join(folder, 'below')];
  fs.mkdirSync(all[1]!, { recursive: true });
  for (const each of all) {
    fs.chownSync(each, uid, uid);
    fs.chmodSync(each, 0o700);
  }
  const fds = all.map((each) => fs.openSync(each, 'r'));
  return () =>
    fds.map((fd) => {
      const { uid, gid, mode } = fs.fstatSync(fd);
      return [uid, gid, mode & 0o7777];
    });
}

const OTHERS = [
  [OTHER, OTHER, 0o700],
  [OTHER, OTHER, 0o700],
];

/** Makes a backup of a directory `x` of USER, which is open to all, with another one and files in it. */
async function backUpOpen({ home, store }: Ground): Promise<string> {
  const source = path.join(home, 'source', 'x');
  fs.mkdirSync(path.join(source, 'below'), { recursive: true });
  for (const name of ['file', 'below/file']) fs.writeFileSync(path.join(source, name), name);
  for (const name of ['', 'below', 'file', 'below/file']) {
    fs.chownSync(path.join(source, name), USER, USER);
    if (!name.includes('file')) fs.chmodSync(path.join(source, name), 0o777);
  }
  await backupInline(inlineSystem(), { store, client: 'me' }, [source], { create: true });
  return source;
}

/**
 * Exchanges what a restore has made or met for a directory of a user who is `uid`. Nothing but the inode distinguishes one of
 * root from what the restore has made.
 */
async function exchangeOnce(t: ExecutionContext, uid: number, isMadeUp: boolean): Promise<void> {
  const ids = [uid, uid, 0o700];
  for (const isThere of [false, true]) {
    const ground = makeGround(t, isMadeUp ? overlayHere(t) : undefined);
    const { mine, store } = ground;
    const source = await backUpOpen(ground);
    const [x, y] = [path.join(mine, 'x'), path.join(mine, 'y')];
    const others = makeOthers(y, uid);
    if (isThere) {
      for (const each of [x, path.join(x, 'below')]) {
        fs.mkdirSync(each);
        fs.chownSync(each, USER, USER);
      }
    }
    let isDone = false;
    const exchange = (): void => {
      if (isDone || !fs.existsSync(path.join(x, 'below', 'file'))) return;
      isDone = true;
      for (const [from, to] of [
        [x, `${x}y`],
        [y, x],
        [`${x}y`, y],
      ])
        fs.renameSync(from!, to!);
    };
    const system = withNative((native) => ({
      openBeneath: (...values) => {
        exchange();
        return native.openBeneath(...values);
      },
      openListed: (...values) => {
        exchange();
        return native.openListed(...values);
      },
    }));
    const policy = { overwrite: 'always' } as const;
    const failures = await restoreInline(
      system,
      { store, client: 'me' },
      { paths: [source], output: mine, policy },
    );
    t.true(isDone);
    t.deepEqual(others(), [ids, ids], `${isThere}`);
    const reasons = failures.map(({ path: at, error }) => [at.toString(), error.context['cause']]);
    t.deepEqual(reasons, [
      ['x/below', 'EREPLACED'],
      ['x', 'EREPLACED'],
    ]);
  }
}

for (const [how, uid, isMadeUp] of [
  ['', OTHER, false],
  [', where inode numbers are made up', 0, true],
] as const) {
  test.serial(
    `a directory that takes the place of a restored one does not get its owner and permissions${how}`,
    asRoot((t) => exchangeOnce(t, uid, isMadeUp)),
  );
}

test.serial(
  'directories that are exchanged at any step of a restore do not get its owner and permissions',
  asRoot(async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const random = seededRandom(seed);
    const ground = makeGround(t);
    const { mine, store } = ground;
    const source = await backUpOpen(ground);
    const others = makeOthers(path.join(mine, 'y'));
    const known = fs.statSync(path.join(mine, 'y')).ino;
    let whole = 0;
    for (let run = 0; run < shareOf(1000, 60); run += 1) {
      // The restored directory is deleted, that of the other user becomes `y`, and has nothing but its directory.
      const names = ['x', 'y'].map((name) => path.join(mine, name));
      const isThere = (name: string): boolean =>
        fs.statSync(name, { throwIfNoEntry: false })?.ino === known;
      const other = names.find(isThere)!;
      for (const name of names)
        if (name !== other) fs.rmSync(name, { recursive: true, force: true });
      if (other !== names[1]) fs.renameSync(other, names[1]!);
      for (const name of ['file', 'below/file'])
        fs.rmSync(path.join(names[1]!, name), { force: true });
      const sometimes = { next: () => (fs.existsSync(names[0]!) ? random.next() : 1) };
      const system = swappedSystem(mine, sometimes, 2 ** (1 + (run % 6)));
      try {
        const failures = await restoreInline(
          system,
          { store, client: 'me' },
          { paths: [source], output: mine },
        );
        if (failures.length === 0) whole += 1;
      } catch (error) {
        const { code } = error as { code: string };
        t.true(ENDS.includes(code), code);
      }
      t.deepEqual(others(), OTHERS, `run ${run}`);
    }
    t.log(`${whole} restores were whole`);
  }),
);

test.serial(
  'a directory that is exchanged while it is made writable gets the permissions of no other one',
  asRoot(async (t) => {
    const { home, store, place, mine } = makeGround(t);
    const source = path.join(home, 'source');
    fs.mkdirSync(path.join(source, 'x'), { recursive: true });
    fs.writeFileSync(path.join(source, 'x', 'file'), 'content');
    await succeed('tardis', ['--local', '--create', ...place, source]);
    const out = path.join(mine, 'source');
    const [x, secret] = ['x', 'y'].map((name) => path.join(out, name)) as [string, string];
    for (const directory of [x, secret]) fs.mkdirSync(directory, { recursive: true });
    for (const name of [out, x, secret]) fs.chownSync(name, USER, USER);
    fs.chmodSync(x, 0o555);
    fs.chmodSync(secret, 0o700);
    const { native } = nodeSystem();
    let calls = 0;
    const openBeneath: NativeCalls['openBeneath'] = (above, name, kind) => {
      if (kind === OpenKind.directory && name.toString() === 'source/x') calls += 1;
      // The first call is for the descriptor by which the directory is found to be closed.
      if (calls === 2) {
        calls += 1;
        const fd = native.openDirectory(Buffer.from(out));
        native.exchangeAt(fd, Buffer.from('x'), fd, Buffer.from('y'));
        native.close(fd);
      }
      return native.openBeneath(above, name, kind);
    };
    const system = withNative(() => ({ openBeneath }));
    const { geteuid } = process;
    process.geteuid = () => USER; // as that user restores, who has to make directories writable
    try {
      await restoreInline(system, { store, client: 'me' }, { paths: [source], output: mine });
    } finally {
      process.geteuid = geteuid!;
    }
    t.true(calls > 2);
    // The closed directory has the name of the other one now.
    t.is(fs.statSync(x).mode & 0o7777, 0o700);
    t.is(fs.statSync(secret).mode & 0o7777, 0o555);
  }),
);

test.serial(
  'a journal of another user gives no file the owner and permissions of the set',
  asRoot(async (t) => {
    const { home, place, mine } = makeGround(t);
    const source = path.join(home, 'bin');
    const program = path.join(source, 'program');
    fs.mkdirSync(source);
    fs.writeFileSync(program, 'of root');
    fs.chmodSync(program, 0o4755);
    fs.utimesSync(program, OLD, OLD);
    await succeed('tardis', ['--local', '--create', ...place, source]);
    const identity = { client: 'me', set: 1 as SetNumber, hierarchy: false };
    const journal = `.tardis-restore-${restoreId({ ...identity, paths: [Buffer.from(source)] })}`;
    const text = JSON.stringify({
      version: 1,
      set: 1,
      boot: '',
      ended: true,
      first: '0',
      failed: 'all',
    });
    for (const [index, owner] of [USER, 0].entries()) {
      const out = path.join(mine, `out ${index}`);
      const planted = path.join(out, 'bin', 'program');
      fs.mkdirSync(path.dirname(planted), { recursive: true });
      fs.writeFileSync(planted, 'of user');
      fs.utimesSync(planted, OLD, OLD);
      fs.writeFileSync(path.join(out, journal), text);
      for (const name of [out, path.join(out, 'bin'), planted]) fs.chownSync(name, USER, USER);
      fs.chownSync(path.join(out, journal), owner, owner);
      await succeed('regenerate', [...place, '-o', out, source]);
      // A file of this user stays as it is, or is replaced by that of the set.
      const { uid, mode } = fs.statSync(planted);
      const isReplaced = fs.readFileSync(planted, 'utf8') === 'of root';
      t.deepEqual([uid, mode & 0o4000], isReplaced ? [0, 0o4000] : [USER, 0], `owner ${owner}`);
      t.is(isReplaced, owner === USER);
    }
  }),
);
