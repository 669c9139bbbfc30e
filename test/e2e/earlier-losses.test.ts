// Pace: slow
/** A loss that a rebuild has found is reported by each later rebuild, until the affected sets are deleted. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, listedSets, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { ownState } from '../helpers/scratch.js';

backupsRunHere();

ownState(test);

const SETS = 4;
const FOUND = 3;
const MOST_MS = 120_000;

test.serial('a second rebuild reports what the first one could not make anew', async (t) => {
  t.timeout(MOST_MS);
  const { store, source } = lab(t, []);
  const words = ['-D', store, '-C', 'c'];
  const backUp = async (set: number) => {
    fs.writeFileSync(path.join(source, `file ${set}`), `text ${set}`);
    return run('tardis', [...words, ...(set === 1 ? ['--create'] : []), '--local', source]);
  };
  for (let set = 1; set <= SETS; set += 1) t.is((await backUp(set)).status, 0);
  for (const name of fs.readdirSync(path.join(store, 'c'))) {
    if (name.startsWith('tardis.db')) fs.rmSync(path.join(store, 'c', name));
  }
  fs.rmSync(path.join(store, 'c', 'packs', '00000003.pack'));

  const doubtful = async () =>
    (await listedSets(store, 'c')).filter(({ isDoubtful }) => isDoubtful).map(({ set }) => set);
  exited(t, FOUND, await run('sonic', ['rebuild', ...words, '--json']));
  const sets = await doubtful();
  t.true(sets.length > 0);
  for (const more of [[], [], ['--packs-only'], ['--quick']]) {
    const again = exited(t, FOUND, await run('sonic', ['rebuild', ...words, '--json', ...more]));
    t.true((JSON.parse(again.stdout) as { isDoubtful: boolean }).isDoubtful);
    t.deepEqual(await doubtful(), sets);
  }
  t.regex(exited(t, FOUND, await run('sonic', ['rebuild', ...words])).stdout, /^doubtful: sets? /m);

  t.is((await backUp(SETS + 1)).status, 0);
  for (const set of sets) await run('sonic', ['delete', ...words, String(set), '--yes']);
  t.deepEqual(await doubtful(), []);
  await succeed('sonic', ['rebuild', ...words]);
});
