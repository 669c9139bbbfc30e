// Pace: slow
/** The explanation of a path agrees with the walk, whatever the rules, limits and marker files. */
import fs from 'node:fs';
import test from 'ava';
import {
  type ExcludeOptions,
  explainPath,
  MAX_RULE_FILE_BYTES,
  type WalkReach,
} from '../../src/excludes/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { EntryType, forEachRow, RowFlag, RowReader } from '../../src/model/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { InlineJobs } from '../../src/workers/index.js';
import { startAt, systemWith, walkedOf } from '../helpers/jobs.js';
import { bytes, Dice, makeRuleTree, pattern } from '../helpers/rule-trees.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';

const TREES = 300;
const RULE_FILE = '.rules';
const LOCAL_FILE = '.local';
const SKIP_FILE = '.skip';
const CACHE_TAG = 'CACHEDIR.TAG';
const SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';
const SIZE_BYTES = 100;
/** A directory of this name counts as another file system. */
const MOUNT = 'ab';

/** Returns a system on which some directories are on another device. */
function systemWithMounts(): System {
  const { native } = nodeSystem();
  const marked = (listing: Buffer): Buffer => {
    const rows = new RowReader(listing);
    forEachRow(rows, (at) => {
      const isMount =
        rows.type(at) === EntryType.directory && rows.name(at).toString('latin1') === MOUNT;
      if (isMount) rows.setFlags(at, rows.flags(at) | RowFlag.otherDevice);
    });
    return listing;
  };
  return systemWith({
    listDirectory: (path) => marked(native.listDirectory(path)),
    listOrHold: (path, most, identity) => {
      const listed = native.listOrHold(path, most, identity);
      return typeof listed === 'number' ? listed : marked(listed);
    },
  });
}

/** Adds marker files, large files and rule files that cannot be used to some directories. */
function decorate(dice: Dice, top: string, directories: readonly string[]): void {
  for (const directory of directories) {
    const write = (name: string, content: string): void =>
      fs.writeFileSync(bytes(`${top}/${directory}${name}`), bytes(content));
    if (dice.chance(0.1)) write(SKIP_FILE, '');
    if (dice.chance(0.1)) write(CACHE_TAG, dice.chance(0.7) ? SIGNATURE : 'something else');
    if (dice.chance(0.2)) write(LOCAL_FILE, `${pattern(dice)}\n!${pattern(dice)}\n`);
    if (dice.chance(0.2)) write('large', 'x'.repeat(SIZE_BYTES + 1));
    const rules = bytes(`${top}/${directory}${RULE_FILE}`);
    if (dice.chance(0.1)) {
      fs.rmSync(rules, { force: true });
      if (dice.chance(0.5)) fs.mkdirSync(rules);
      else fs.writeFileSync(rules, Buffer.alloc(MAX_RULE_FILE_BYTES + 1, 'a\n'));
    }
  }
}

function optionsOf(dice: Dice, top: string, directories: readonly string[]): ExcludeOptions {
  const origin = { kind: 'option', name: '--exclude' } as const;
  const out = directories.filter(() => dice.chance(0.05)).map((one) => `${top}/${one}`);
  return {
    ...NO_EXCLUDES,
    ruleFileNames: [RULE_FILE],
    localRuleFileNames: [LOCAL_FILE],
    skipFileNames: [SKIP_FILE],
    skipCaches: dice.chance(0.5),
    maxFileBytes: dice.chance(0.5) ? SIZE_BYTES : 0,
    sources: dice.chance(0.3) ? [{ origin, patterns: [pattern(dice)] }] : [],
    directories: out.map((one) => one.replace(/\/$/, '')).filter((one) => one !== top),
  };
}

/** Returns the paths of all entries below a directory, whatever the rules. */
function everythingIn(top: string): string[] {
  return fs
    .readdirSync(bytes(top), { withFileTypes: true, encoding: 'buffer' })
    .flatMap((entry) => {
      const path = `${top}/${entry.name.toString('latin1')}`;
      return [path, ...(entry.isDirectory() ? everythingIn(path) : [])];
    });
}

test(`the explanation of a path is what the walk does, on ${TREES} generated trees`, async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const dice = new Dice(seededRandom(seed));
  const system = systemWithMounts();
  const jobs = new InlineJobs(system);
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  for (let tree = 0; tree < TREES; tree += 1) {
    const top = `${home}/${tree}`;
    const { paths } = makeRuleTree(dice, top, RULE_FILE);
    const isDirectory = (path: string): boolean =>
      fs.lstatSync(bytes(`${top}/${path}`)).isDirectory();
    const directories = ['', ...paths.filter(isDirectory).map((path) => `${path}/`)];
    decorate(dice, top, directories);
    const options = optionsOf(dice, top, directories);
    const reach: WalkReach = {
      crossDevices: dice.chance(0.5),
      maxDepth: dice.chance(0.5) ? 0 : 1 + dice.below(3),
    };
    const { output } = await jobs.run('walk', {
      tasks: startAt(top),
      firstFreeSlot: 1,
      slotStride: 1,
      maxEntries: 1e6,
      excludes: options,
      ...reach,
    });
    const listed = new Map(
      walkedOf(output).map(({ path, entries }) => [
        path,
        entries.map(({ name }) => `${path}/${name.toString('latin1')}`),
      ]),
    );
    const walked = new Set([...listed.values()].flat());
    for (const path of everythingIn(top)) {
      const reported = explainPath(system, options, {
        roots: [bytes(top)],
        path: bytes(path),
        reach,
      });
      counts.set(reported.outcome, (counts.get(reported.outcome) ?? 0) + 1);
      const isKept = reported.outcome === 'kept';
      const isEmptied = reported.emptied !== undefined;
      const isRight = isKept === walked.has(path) && (!isEmptied || listed.get(path)?.length === 0);
      if (!isRight) wrong.push(`${JSON.stringify(path)}: ${reported.outcome}`);
    }
  }
  t.log({ seed, ...Object.fromEntries(counts) });
  t.deepEqual(wrong.slice(0, 10), [], `seed ${seed}: ${wrong.length} differ`);
  for (const outcome of ['kept', 'leftOut', 'otherDevice', 'tooDeep']) {
    t.true((counts.get(outcome) ?? 0) > TREES / 30, outcome);
  }
});
