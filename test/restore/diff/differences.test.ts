// Pace: slow
/** Differences between sets, and between a set and the disk, against a naive comparison of what was stored. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type History, openLocalHistory, unsealedHistory } from '../../../src/history/index.js';
import {
  type Compared,
  compareTrees,
  Contents,
  DiskSide,
  isDifference,
  lineDifference,
  SetSide,
  type Side,
} from '../../../src/restore/diff/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { keyringOfPlace } from '../../helpers/damage.js';
import { backupInline, inlineLab, inlineSystem, type Place } from '../../helpers/inline.js';
import { PASSWORD } from '../../helpers/rewrites.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { dir, file, makeTree, sparse, symlink } from '../../helpers/tree.js';

const system = nodeSystem();

/** Type and content of the entry at each path. */
type Shape = Map<string, string>;

function shapeOf(top: string, at = top, shape: Shape = new Map()): Shape {
  const status = fs.lstatSync(at);
  if (status.isDirectory()) {
    shape.set(at, 'directory');
    for (const name of fs.readdirSync(at)) shapeOf(top, path.join(at, name), shape);
  } else if (status.isSymbolicLink()) shape.set(at, `link ${fs.readlinkSync(at)}`);
  else shape.set(at, `file ${fs.readFileSync(at, 'latin1')}`);
  return shape;
}

/** Returns one line for each path that differs: `+ path`, `- path`, `M path`, `T path`. */
function naive(before: Shape, after: Shape): string[] {
  const lines: string[] = [];
  for (const [at, was] of before) {
    const is = after.get(at);
    if (is === undefined) lines.push(`- ${at}`);
    else if (is !== was) lines.push(`${is.split(' ')[0] === was.split(' ')[0] ? 'M' : 'T'} ${at}`);
  }
  for (const at of after.keys()) if (!before.has(at)) lines.push(`+ ${at}`);
  return lines.sort();
}

function reported({ path: at, ...one }: Compared): string {
  if (!('aspects' in one)) return `! ${at.toString()} ${one.error.code}`;
  const letter = one.before === undefined ? '+' : one.after === undefined ? '-' : undefined;
  return `${letter ?? (one.aspects.includes('type') ? 'T' : 'M')} ${at.toString()}`;
}

async function compared(
  history: History,
  before: Side,
  after: Side,
  at: string,
  more: { readsAll?: boolean; metadata?: boolean } = {},
): Promise<Compared[]> {
  const contents = new Contents(system, history, more.readsAll === true);
  const paths = [{ before: Buffer.from(at), after: Buffer.from(at) }];
  const { metadata = false } = more;
  const options = { recurse: true, entersOnly: true, metadata };
  const found: Compared[] = [];
  const request = { system, before, after, contents, paths, ...options };
  for await (const one of compareTrees(request)) found.push(one);
  contents.close();
  return found;
}

function isDirectory(at: string): boolean {
  return fs.existsSync(at) && fs.lstatSync(at).isDirectory();
}

/** Makes seeded random changes of every kind: new, deleted, other content, moved directories, another type. */
function change(top: string, random: () => number): void {
  const directories = [...shapeOf(top)].filter(([, what]) => what === 'directory');
  const anywhere = (): string => directories[Math.floor(random() * directories.length)]![0];
  for (let count = 0; count < 6; count += 1) {
    const target = path.join(anywhere(), `n${Math.floor(random() * 4)}`);
    if (!isDirectory(path.dirname(target))) continue;
    const kind = Math.floor(random() * 5);
    if (kind === 4) {
      const from = anywhere();
      if (from === top || !isDirectory(from) || `${target}/`.startsWith(`${from}/`)) continue;
      if (fs.readdirSync(path.dirname(target)).includes(path.basename(target))) continue;
      fs.renameSync(from, target);
      continue;
    }
    fs.rmSync(target, { recursive: true, force: true });
    if (kind === 0) fs.writeFileSync(target, String(random()));
    if (kind === 1) fs.mkdirSync(target);
    if (kind === 2) fs.symlinkSync(String(random()), target);
  }
}

async function openOf(place: Place, isSealed: boolean): Promise<History> {
  const history = openLocalHistory(system, place);
  if (!isSealed) return history;
  const keyring = await keyringOfPlace(place);
  return unsealedHistory(history, keyring!, system.native);
}

const SETS = 4;

async function makeSets(t: ExecutionContext, seed: number, isSealed: boolean): Promise<void> {
  process.env['XDG_STATE_HOME'] = scratchInMemory(t);
  const random = seededRandom(seed);
  const number = (): number => random.bytes(4).readUInt32LE() / 2 ** 32;
  const {
    place,
    source: top,
    backup,
  } = inlineLab(t, [
    dir('a', [dir('b', [file('n1', 'x')]), file('n2', 'y')]),
    dir('c'),
    file('n0'),
  ]);
  const shapes: Shape[] = [];
  for (let set = 1; set <= SETS; set += 1) {
    shapes.push(shapeOf(top));
    const options = { create: set === 1, ...(isSealed ? { password: PASSWORD } : {}) };
    await backup(options);
    change(top, number);
  }
  const history = await openOf(place, isSealed);
  try {
    for (let before = 1; before <= SETS; before += 1) {
      for (let after = 1; after <= SETS; after += 1) {
        const one = new SetSide({ history, set: before, other: after });
        const other = new SetSide({ history, set: after, other: before });
        const found = await compared(history, one, other, '/');
        const wanted = naive(shapes[before - 1]!, shapes[after - 1]!);
        t.deepEqual(found.map(reported).sort(), wanted, `seed ${seed}: ${before} and ${after}`);
      }
      const set = new SetSide({ history, set: before, other: undefined });
      const found = await compared(history, set, new DiskSide(system), top);
      const wanted = naive(shapes[before - 1]!, shapeOf(top));
      t.deepEqual(found.map(reported).sort(), wanted, `seed ${seed}: ${before} and the disk`);
    }
  } finally {
    history.close();
  }
}

for (const seed of [1, 2, 3, 4]) {
  test.serial(`sets and the disk differ as in a naive comparison (seed ${seed})`, (t) =>
    makeSets(t, seed, false),
  );
}
test.serial('sets of an encrypting client differ as in a naive comparison', (t) =>
  makeSets(t, 5, true),
);

test.serial(
  'contents are compared where size and times show nothing, holes wherever they are',
  async (t) => {
    const {
      place,
      source: top,
      backup,
    } = inlineLab(t, [
      file('same', 'one'),
      file('other', 'one'),
      sparse('holes', 1 << 20, [[500_000, Buffer.from('data')]]),
      symlink('link', 'here'),
    ]);
    await backup();
    const { atimeMs, mtimeMs } = fs.statSync(path.join(top, 'other'));
    fs.writeFileSync(path.join(top, 'other'), 'two');
    fs.utimesSync(path.join(top, 'other'), atimeMs / 1000, mtimeMs / 1000);
    const holes = path.join(top, 'holes');
    fs.writeFileSync(holes, fs.readFileSync(holes)); // the same bytes, without holes
    fs.writeFileSync(path.join(top, 'same'), 'one');
    const history = openLocalHistory(system, place);
    t.teardown(() => history.close());
    const set = new SetSide({ history, set: 1, other: undefined });
    const found = await compared(history, set, new DiskSide(system), top);
    t.deepEqual(found.map(reported), [`M ${path.join(top, 'other')}`]);
    fs.writeFileSync(holes, Buffer.concat([Buffer.from('x'), fs.readFileSync(holes).subarray(1)]));
    const again = await compared(history, set, new DiskSide(system), top, { readsAll: true });
    t.deepEqual(again.map(reported).sort(), [`M ${holes}`, `M ${path.join(top, 'other')}`].sort());
  },
);

test.serial('a directory of which little differs is looked through in pieces', async (t) => {
  const home = scratchInMemory(t);
  const top = path.join(home, 'tree');
  const name = (index: number): string => `f${String(index).padStart(6, '0')}`;
  makeTree(top, []);
  for (let index = 0; index < 17_000; index += 1) fs.writeFileSync(path.join(top, name(index)), '');
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [top], { create: true });
  fs.writeFileSync(path.join(top, name(3)), 'x');
  fs.rmSync(path.join(top, name(16_999)));
  await backupInline(inlineSystem(), place, [top]);
  const history = openLocalHistory(system, place);
  t.teardown(() => history.close());
  const root = (await history.find(Buffer.from(top), 2))!;
  const page = { directory: root.childId!, after: Buffer.alloc(0), limit: 100, withDigests: false };
  const names = async (set: number, unlike: number): Promise<string[]> =>
    (await history.list({ ...page, set, unlike })).map((entry) => entry.name.toString());
  t.deepEqual(await names(2, 1), [name(3)]);
  t.deepEqual(await names(1, 2), [name(3), name(16_999)]);
  const [one, other] = [1, 2].map((set) => new SetSide({ history, set, other: 3 - set }));
  const found = await compared(history, one!, other!, top);
  t.true(found.every(isDifference));
  t.deepEqual(found.map(reported), [
    `M ${path.join(top, name(3))}`,
    `- ${path.join(top, name(16_999))}`,
  ]);
});

test.serial('texts that take too long to compare are reported to differ', async (t) => {
  const lines = (seed: number): string =>
    Array.from({ length: 20_000 }, (_, index) => (index * 7919 * seed) % 99_991).join('\n');
  const {
    place,
    source: top,
    backup,
  } = inlineLab(t, [file('one', lines(1)), file('other', lines(2))]);
  await backup();
  const history = openLocalHistory(system, place);
  t.teardown(() => history.close());
  const contents = new Contents(system, history, false);
  t.teardown(() => contents.close());
  const set = new SetSide({ history, set: 1, other: undefined });
  const disk = new DiskSide(system);
  const one = await set.find(Buffer.from(path.join(top, 'one')));
  const other = await disk.find(Buffer.from(path.join(top, 'other')));
  const options = { context: 3, mostBytes: 1 << 20, showsBinary: false, timeoutMs: 1 };
  t.deepEqual(await lineDifference(contents, one, other, options), { why: 'too different' });
  const found = await lineDifference(contents, one, one, { ...options, timeoutMs: 60_000 });
  t.deepEqual(found, { hunks: [] });
});
