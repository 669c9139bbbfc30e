// Pace: slow
/** Commits of a bucket are deleted that are not the newest: each machine reports them before it writes anything. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { look } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const SETS = 3;

function logOf(lab: ServedLab): string[] {
  return lab.names(/\/log\//);
}

/** Backs up on the machine `one`. The machine `old` has only seen the first set. */
async function withSets(lab: ServedLab): Promise<void> {
  lab.grow();
  for (let round = 1; round <= SETS; round += 1) {
    if (round > 1) lab.change(round);
    await lab.backUp('one', round === 1 ? ['--create'] : []);
    if (round === 1) await lab.sets('old');
  }
}

/** Runs a command of each kind, and requires that it names the lost commit and writes at most a record of the run. */
async function requireNamed(
  t: ExecutionContext,
  lab: ServedLab,
  machine: string,
  lost: number,
): Promise<void> {
  const stored = lab.stored();
  const output = lab.at(`out-of-${machine}`);
  for (const [tool, args] of [
    ['tardis', ['--local', lab.source]],
    ['lstardis', []],
    ['regenerate', [lab.source, '-o', output]],
    ['sonic', ['check']],
    ['sonic', ['purge', '--keep-last', '1', '--yes']],
    ['sonic', ['tag', '1', 'kept']],
  ] as const) {
    const found = await lab.run(machine, tool, args);
    const shown = `${machine}: ${tool} ${args.join(' ')}: ${found.stdout}${found.stderr}`;
    t.is(codeIn(found), 'STORE_FORKED', shown);
    t.regex(found.stderr, new RegExp(`lacks commit ${lost}\\b`), shown);
    t.regex(found.stderr, /sonic rebuild/, shown);
  }
  t.deepEqual(lab.stored(), stored);
  t.false(fs.existsSync(output));
}

test('a commit that was deleted before later ones is named by every command on every machine, and no backup is written', async (t) => {
  const lab = await ServedLab.start(t);
  await withSets(lab);
  const before = logOf(lab);
  for (const at of [0, 2, before.length - 2]) {
    const { versions } = lab.server.objects;
    const kept = versions.get(before[at]!)!;
    versions.delete(before[at]!);
    for (const machine of [`fresh-${at}`, 'old', 'one']) {
      await requireNamed(t, lab, machine, at + 1);
    }
    versions.set(before[at]!, kept);
    for (const machine of [`fresh-${at}`, 'one']) {
      t.is((await lab.sets(machine)).length, SETS);
    }
  }
  await lab.backUp('old');
  t.deepEqual(await lab.restored('fresh-0'), []);
});

test('after a rebuild on a machine that knows a deleted commit, every machine has every set', async (t) => {
  const lab = await ServedLab.start(t);
  await withSets(lab);
  lab.server.objects.versions.delete(logOf(lab)[2]!);
  t.is(codeIn(await lab.run('fresh', 'lstardis', [])), 'STORE_FORKED');
  t.regex(exited(t, 3, await lab.run('one', 'sonic', ['rebuild'])).stdout, /commit 3: missing/);
  for (const machine of ['one', 'old', 'fresh', 'other']) {
    const sets = await lab.sets(machine);
    t.is(sets.length, SETS, machine);
    t.deepEqual(await lab.restored(machine), [], machine);
  }
  exited(t, 0, await lab.run('old', 'sonic', ['check', '--read-data']));
});

for (const [which, at] of [
  ['the first', 0],
  ['a later', 1],
] as const) {
  test(`a machine without a catalog keeps every set after ${which} commit was deleted, if the bucket has a copy of the catalog`, async (t) => {
    const lab = await ServedLab.backedUp(t);
    const first = look(lab.source);
    lab.fill('many');
    await lab.backUp('one');
    lab.change(1);
    await lab.backUp('one');
    lab.server.objects.versions.delete(logOf(lab)[at]!);
    await requireNamed(t, lab, 'fresh', at + 1);
    exited(t, 3, await lab.run('fresh', 'sonic', ['rebuild']));
    t.is((await lab.sets('other')).length, SETS);
    await lab.backUp('fresh'); // small contents were lost with their commit
    t.deepEqual(await lab.restored('other'), []);
    const check = await lab.run('other', 'sonic', ['check', '--read-data']);
    // A former version mostly lies in the second commit, and its source is gone. It is named, or it lies elsewhere.
    const isLost = at > 0 && check.status !== 0;
    exited(t, isLost ? 3 : 0, check);
    if (isLost) {
      t.regex(
        check.stdout,
        /^lost: [^\n]*letter, version 1,[^\n]*\n[^\n]*\n1 version of files cannot/,
      );
    } else t.deepEqual(await lab.restored('other', ['-b', '1'], first), []);
  });
}
