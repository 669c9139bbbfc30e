// Pace: slow
/** Rule files mean the same as in git: both decide about the same trees, compared rule by rule. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  type ExcludeOptions,
  type Decision,
  Excluder,
  explainPath,
  type RuleLink,
} from '../../src/excludes/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { EntryType, forEachRow, RowReader } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { InlineJobs } from '../../src/workers/index.js';
import { startAt, systemWith, walkedOf } from '../helpers/jobs.js';
import { bytes, Dice, makeRuleTree } from '../helpers/rule-trees.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { identityAt } from '../helpers/identities.js';

const TREES = 1000;
const RULE_FILE = '.gitignore';
const OPTIONS: ExcludeOptions = { ...NO_EXCLUDES, ruleFileNames: [RULE_FILE] };
const system = nodeSystem();

/** The rule that decides about each path, as `file:line` and `out` or `kept`; empty if no rule decides. */
type Answers = ReadonlyMap<string, string>;

function answer(file: string, line: number | string, isLeftOut: boolean): string {
  return `${file}:${line} ${isLeftOut ? 'out' : 'kept'}`;
}

function askGit(repository: string, paths: readonly string[]): Answers {
  const env = {
    PATH: process.env['PATH'],
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
  };
  const git = (args: readonly string[], input = ''): string => {
    const how = { cwd: repository, env, input: bytes(input), maxBuffer: 2 ** 28 };
    const { status, error, stdout, stderr } = spawnSync('git', args, how);
    if (error !== undefined) throw error;
    if (status !== 0 && status !== 1) throw new Error(`git ${args[0]}: ${stderr.toString()}`);
    return stdout.toString('latin1');
  };
  git(['init', '--quiet']);
  const requested = ['check-ignore', '--no-index', '--verbose', '--non-matching', '-z', '--stdin'];
  const fields = git(requested, paths.map((each) => `${each}\0`).join('')).split('\0');
  const answers = new Map<string, string>();
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [file, line, pattern, name] = fields.slice(at, at + 4) as [
      string,
      string,
      string,
      string,
    ];
    answers.set(name, file === '' ? '' : answer(file, line, !pattern.startsWith('!')));
  }
  return answers;
}

/** Returns the engine's decision about every entry of a tree, walking the tree as a backup does. */
function askExcluder(repository: string, tree: string): Answers {
  const excluder = new Excluder(OPTIONS, system);
  const answers = new Map<string, string>();
  const report = ({ isLeftOut, rule }: Decision): string =>
    answer(path.posix.relative(repository, rule!.origin.name), rule!.line, isLeftOut);
  const visit = (beneath: string, rules: RuleLink | undefined, above: string | undefined): void => {
    const directory = bytes(`${repository}/${beneath}`);
    const rows = new RowReader(system.native.listDirectory(directory));
    const isRoot = beneath === tree;
    const place = { path: directory, identity: identityAt(directory) };
    const decider =
      above === undefined ? excluder.enter({ ...place, isRoot, rules, rows }) : undefined;
    const decide = decider?.over(rows);
    let index = 0;
    forEachRow(rows, (at) => {
      const name = `${beneath}/${rows.name(at).toString('latin1')}`;
      const decision = decide?.(at, index);
      index += 1;
      const printed = above ?? (decision === undefined ? '' : report(decision));
      answers.set(name, printed);
      if (rows.type(at) !== EntryType.directory) return;
      visit(name, decider?.rules, printed.endsWith(' out') ? printed : undefined);
    });
  };
  visit(tree, undefined, undefined);
  return answers;
}

test(`rules equal git check-ignore on ${TREES} generated trees`, async (t) => {
  const repository = fs.realpathSync(scratchInMemory(t));
  const dice = new Dice(seededRandom(seed));
  const trees = new Map<string, readonly string[]>();
  for (let index = 0; index < TREES; index += 1) {
    const { paths } = makeRuleTree(dice, `${repository}/${index}`, RULE_FILE);
    trees.set(String(index), paths);
  }
  const all = [...trees].flatMap(([tree, paths]) => paths.map((each) => `${tree}/${each}`));
  const wanted = askGit(repository, all);
  t.is(wanted.size, all.length, 'git answers for every path');
  const counts = { out: 0, kept: 0, silent: 0 };
  const wrong: string[] = [];
  const jobs = new InlineJobs(systemWith());
  for (const [tree, paths] of trees) {
    const found = askExcluder(repository, tree);
    const input = { firstFreeSlot: 1, slotStride: 1, maxEntries: 100_000, excludes: OPTIONS };
    const { output } = await jobs.run('walk', {
      tasks: startAt(`${repository}/${tree}`),
      ...input,
    });
    const walked = new Set(
      walkedOf(output).flatMap(({ path: directory, entries }) =>
        entries.map(({ name }) => `${directory}/${name.toString('latin1')}`),
      ),
    );
    for (const each of paths) {
      const name = `${tree}/${each}`;
      const printed = wanted.get(name)!;
      const isOut = printed.endsWith(' out');
      counts[printed === '' ? 'silent' : isOut ? 'out' : 'kept'] += 1;
      if (found.get(name) !== printed || walked.has(`${repository}/${name}`) === isOut) {
        wrong.push(`${JSON.stringify(name)}: git "${printed}", here "${found.get(name)}"`);
      }
    }
    // The explanation for users must agree too. It is compared for one path of each tree.
    const one = `${tree}/${dice.of(paths)}`;
    const reported = explainPath(system, OPTIONS, {
      roots: [bytes(`${repository}/${tree}`)],
      path: bytes(`${repository}/${one}`),
    });
    const { rule } = reported.decision ?? {};
    const file = rule === undefined ? '' : path.posix.relative(repository, rule.origin.name);
    t.is(
      rule === undefined ? '' : answer(file, rule.line, reported.outcome === 'leftOut'),
      wanted.get(one)!,
    );
  }
  t.log({ seed: seed, paths: all.length, ...counts });
  t.deepEqual(wrong.slice(0, 10), [], `seed ${seed}: ${wrong.length} of ${all.length} differ`);
  // The generator must produce enough of every kind.
  t.true(Math.min(...Object.values(counts)) > TREES / 2);
});
