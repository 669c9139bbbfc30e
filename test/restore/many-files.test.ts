// Pace: slow
/** A restore that writes many files in one call gives the same tree and the same failures as one file after another. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type NativeCalls, RestoreCount } from '../../src/system/index.js';
import { leavesFiles } from '../support/leaves-all.js';
import { backupInline, inlineSystem, type Place, restoreInline } from '../helpers/inline.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { differences, dir, file, look, makeTree, symlink, text } from '../helpers/tree.js';
import { withoutMoments } from '../helpers/without-moments.js';

type World = (native: NativeCalls) => Partial<NativeCalls>;

interface Outcome {
  readonly tree: ReturnType<typeof look>;
  readonly failures: readonly string[];
  /** Number of files that the addon wrote by its call for many. */
  readonly inOneCall: number;
}

/** Restores with the call for many files, or with those for single files if `isEach`. */
async function restored(
  place: Place,
  source: string,
  output: string,
  { isEach, world = () => ({}) }: { readonly isEach: boolean; readonly world?: World | undefined },
): Promise<Outcome> {
  const base = inlineSystem();
  const { native } = base;
  let inOneCall = 0;
  const restoreFiles: NativeCalls['restoreFiles'] = (...values) => {
    if (isEach) return leavesFiles(...values);
    const refused = native.restoreFiles(...values);
    inOneCall += new Float64Array(values[12].buffer)[RestoreCount.files]!;
    return refused;
  };
  const calls = { ...native, ...world(native), restoreFiles };
  const failures = await restoreInline({ ...base, native: calls }, place, {
    paths: [source],
    output,
  });
  const reported = failures.map(
    (one) => `${one.path.toString('latin1')}: ${JSON.stringify(one.error)}`,
  );
  return { tree: withoutMoments(look(output)), failures: reported.sort(), inOneCall };
}

/** Restores twice to directories that `prepare` makes, and compares. Returns the outcome. */
async function compareBoth(
  t: ExecutionContext,
  place: Place,
  source: string,
  prepare: (output: string) => World | undefined,
): Promise<Outcome> {
  const home = scratch(t);
  const outcomes: Outcome[] = [];
  for (const isEach of [true, false]) {
    const output = path.join(home, isEach ? 'each' : 'many');
    const world = prepare(output);
    outcomes.push(await restored(place, source, output, { isEach, world }));
  }
  const [each, many] = outcomes as [Outcome, Outcome];
  t.deepEqual(differences(each.tree, many.tree), []);
  t.deepEqual(many.failures, each.failures);
  t.is(each.inOneCall, 0);
  return many;
}

async function backedUp(t: ExecutionContext, make: (source: string) => void) {
  const home = scratch(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  make(source);
  await backupInline(inlineSystem(), place, [source], { create: true });
  return { place, source };
}

test('of random trees', async (t) => {
  t.log(`TEST_SEED=${seed}`);
  for (let run = 0; run < 3; run += 1) {
    const choose = chooser(seed + run);
    const { place, source } = await backedUp(t, (at) => makeTree(at, randomTree(choose, 150)));
    const many = await compareBoth(t, place, source, () => undefined);
    t.true(many.inOneCall > 20);
  }
});

const files = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => file(`f${from + index}`, text(from + index, 700)));

const HOSTILE = [
  ['a file of another content', (at: string) => fs.writeFileSync(path.join(at, 'f3'), 'mine')],
  ['a link in place of a file', (at: string) => fs.symlinkSync('../../b', path.join(at, 'f4'))],
  ['a directory in place of a file', (at: string) => fs.mkdirSync(path.join(at, 'f5'))],
] as const;

async function plainTree(t: ExecutionContext) {
  return backedUp(t, (at) =>
    makeTree(at, [
      dir('a', [...files(0, 20), file('empty'), symlink('link', 'f1')]),
      dir('b', [...files(100, 20), dir('deep', files(200, 20))]),
    ]),
  );
}

test('into a directory where other things have some of the names', async (t) => {
  const { place, source } = await plainTree(t);
  const many = await compareBoth(t, place, source, (output) => {
    const at = path.join(output, 'tree', 'a');
    fs.mkdirSync(at, { recursive: true });
    for (const [, make] of HOSTILE) make(at);
    return undefined;
  });
  t.is(many.failures.length, HOSTILE.length);
  t.true(many.inOneCall > 40);
});

test('while others put things in the way after everything was looked at', async (t) => {
  const { place, source } = await plainTree(t);
  const outside = scratch(t);
  const many = await compareBoth(t, place, source, (output) => {
    let isFirst = true;
    return (native) => ({
      // Each job opens the target when it begins to write.
      openListed: (given, identity) => {
        const fd = native.openListed(given, identity);
        const tree = path.join(output, 'tree');
        if (isFirst && fs.existsSync(path.join(tree, 'b', 'deep'))) {
          isFirst = false;
          for (const [, make] of HOSTILE) make(path.join(tree, 'a'));
          fs.rmdirSync(path.join(tree, 'b', 'deep'));
          fs.symlinkSync(outside, path.join(tree, 'b', 'deep'));
        }
        return fd;
      },
    });
  });
  t.deepEqual(fs.readdirSync(outside), []);
  t.true(many.failures.length >= HOSTILE.length + 20);
  t.true(many.inOneCall > 30);
});
