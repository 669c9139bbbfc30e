// Pace: long
/**
 * A local user of a machine that root backs up exchanges files and directories while the backup walks. Nothing that is hidden
 * from this user comes under an entry that is not.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, restoreInline } from '../helpers/inline.js';
import { isRoot } from '../helpers/native.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import { swappedSystem, Swapper } from '../helpers/swapper.js';
import { seededRandom } from '../support/seeded-random.js';

const [USER, OTHER] = [41_001, 41_002];
const SECRET = 'SECRET of another user';
/** More than one part of a large file. */
const LARGE_BYTES = (64 << 20) + 5;
/** Directories before the one that moves, so that it is listed long before it is visited. */
const SIBLINGS = 150;
const LEAST_SWAPS = 10_000;
const MOST_RUNS = 20;

/**
 * Makes a directory of a user, with files, a directory, and a large file. All such directories have the same names; that of
 * OTHER has others beside them.
 */
function makeOwned(folder: string, uid: number, mode: number, largeBytes: number): void {
  fs.mkdirSync(path.join(folder, 'sub', 'deep'), { recursive: true });
  const text = uid === OTHER ? SECRET : 'own';
  for (const name of ['a', 'b', 'sub/c', 'sub/deep/d']) {
    fs.writeFileSync(path.join(folder, name), `${text} ${name}`);
  }
  for (const below of uid === OTHER ? ['', 'sub', 'sub/deep'] : []) {
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
): Ground {
  const home = scratchInMemory(t);
  const mine = path.join(home, 'mine');
  fs.mkdirSync(mine);
  for (let index = 0; index < siblings; index += 1) {
    const sibling = path.join(mine, `before ${index}`);
    fs.mkdirSync(sibling);
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
async function attackSteps(t: ExecutionContext, isLink: boolean): Promise<void> {
  t.log(`TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const ground = makeGround(t, { isLink, siblings: 1, largeBytes: 2 << 20 });
  const place = { store: path.join(ground.home, 'store'), client: 'me' };
  const sets = shareOf(1000, 50);
  for (let set = 1; set <= sets; set += 1) {
    const system = swappedSystem(ground.mine, random, 2 ** (1 + (set % 4)));
    await backupInline(system, place, [ground.mine], { create: set === 1 });
    const output = path.join(ground.home, 'out');
    await restoreInline(inlineSystem(), place, { paths: [ground.mine], output, set: `${set}` });
    t.deepEqual(shown(output, !isLink), [], `set ${set}`);
    fs.rmSync(output, { recursive: true });
  }
}

/** Runs an attack, which needs root. */
async function asRoot(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  if (isRoot) await work();
  else t.log('this needs root');
  t.pass();
}

const ENCRYPTED = '--password=a password of four words';

for (const [how, ...options] of [
  ['by two workers', '--workers=2'],
  ['by two workers, encrypted', '--workers=2', ENCRYPTED],
  ['by four workers', '--workers=4'],
  ['by four workers, encrypted', '--workers=4', ENCRYPTED],
]) {
  test.serial(`a link in place of a directory leads no backup astray, ${how}`, (t) =>
    asRoot(t, () => attack(t, options, true)),
  );
  test.serial(`two exchanged directories are not mixed up, ${how}`, (t) =>
    asRoot(t, () => attack(t, options, false)),
  );
}

test.serial('a link in place of a directory leads no step astray', (t) =>
  asRoot(t, () => attackSteps(t, true)),
);

test.serial('two exchanged directories are not mixed up by any step', (t) =>
  asRoot(t, () => attackSteps(t, false)),
);
