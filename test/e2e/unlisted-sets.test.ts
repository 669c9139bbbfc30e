// Pace: slow
/** Versions that began in an interrupted run: output about them names listed sets only. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, jsonLines, listedSets, run, succeed } from '../helpers/commands.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

interface Version {
  readonly firstSet: number;
  readonly lastSet?: number;
}

test('versions of a run that was broken off are shown with the listed set that has them, and its date', async (t) => {
  const { place, source, store } = lab(t);
  const [kept, gone] = [path.join(source, 'a', 'kept'), path.join(source, 'a', 'gone')];
  await succeed('tardis', [...place, '--local', '--create', source]);
  fs.writeFileSync(kept, 'kept');
  fs.writeFileSync(gone, 'gone');
  await succeed('tardis', [...place, '--local', source]);
  fs.rmSync(gone);
  await succeed('tardis', [...place, '--local', source]);
  fs.writeFileSync(kept, 'changed');
  await succeed('tardis', [...place, '--local', source]);
  // A set of an interrupted run has this state once a later run has completed.
  changeCatalog(store, (catalog) =>
    catalog.exec(`UPDATE backup_sets SET state = 'superseded' WHERE set_number = 2`),
  );
  t.deepEqual(
    (await listedSets(store, 'me')).map(({ set }) => set),
    [1, 3, 4],
  );
  const spans = async (...words: string[]): Promise<(number | undefined)[][]> =>
    jsonLines<Version>(await succeed('lstardis', [...place, '--json', ...words])).map(
      ({ firstSet, lastSet }) => [firstSet, lastSet],
    );
  t.deepEqual(await spans(kept), [
    [3, 3],
    [4, undefined],
  ]);
  t.deepEqual(await spans('--find', 'kept'), [
    [4, undefined],
    [3, 3],
  ]);
  t.regex((await run('lstardis', [...place, '--find', 'gone'])).stderr, /NO_SUCH_PATH/);
  const rows = (await succeed('lstardis', [...place, kept])).split('\n').slice(2, 4);
  for (const row of rows) t.regex(row, /^[34]\S*\s+\d{4}-\d\d-\d\d /, row);
});
