/** A store of Tardis (Python) whose owner has put one value or one file in the place of another. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { OriginalStore, Staging } from '../../../src/import/python/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { CLIENT, DATA, PASSWORD } from '../../helpers/python-stores.js';
import { magnitude, must, refusal, type Target } from '../engine/target.js';
import { columnsOf, type Column, setColumn } from '../samples/columns.js';
import { scratchFolder } from '../samples/scratch.js';

const HEAD_BYTES = 3;
const home = scratchFolder();
const at = (...names: string[]): string => path.join(home, ...names);
const system = nodeSystem();
const [database, untouched] = [at(CLIENT, 'tardis.db'), at('untouched.db')];
let columns: Column[] = [];
let contents: string[] = [];

/** Puts the rest of an input into a column of all rows, or into a file of a content. Returns what was changed. */
function change(data: Buffer): string {
  const [kind = 0, which = 0, type = 0] = data;
  const rest = data.subarray(HEAD_BYTES);
  if (kind % 2 === 0)
    return setColumn(system, database, columns[which % columns.length]!, type, rest);
  const file = contents[which % contents.length]!;
  copyFileSync(file, at('kept'));
  writeFileSync(file, rest);
  return file;
}

/** Shows the newest set of the store. */
async function shown(): Promise<string> {
  using store = await OriginalStore.open(system, {
    directory: at(CLIENT),
    password: () => Promise.resolve(Buffer.from(PASSWORD)),
  });
  const sets = store.catalog.sets();
  const set = sets.at(-1);
  if (set === undefined) return 'no set';
  rmSync(at('shown'), { recursive: true, force: true });
  for (const name of ['shown', 'scratch']) mkdirSync(at(name), { recursive: true });
  using staging = new Staging(system, store, { directory: at('shown'), scratch: at('scratch') });
  const { problemCount } = await staging.show(set);
  return `${sets.length} sets, problems ${magnitude(problemCount)}`;
}

export const target: Target = {
  about: 'a changed store of Tardis (Python): shown, with what is wrong named, or refused',
  seeds: () => {
    const archive = path.join(DATA, '1.7.2-plain.tar.gz');
    execFileSync('tar', ['-xzf', archive, '-C', home, '--no-same-owner']);
    copyFileSync(database, untouched);
    columns = columnsOf(system, database);
    contents = readdirSync(at(CLIENT), { recursive: true, encoding: 'utf8' })
      .map((name) => at(CLIENT, name))
      .filter((full) => /[0-9a-f]{32}$/.test(full) && statSync(full).isFile());
    const values = columns.flatMap((_, index) => [0, 1, 2, 3, 4].map((type) => [0, index, type]));
    const files = contents.map((_, index) => [1, index, 0]);
    return [...values, ...files].map((head) => Buffer.from([...head, 0, 0x7b, 0x7d]));
  },
  fuzz: async (data) => {
    const changed = change(data);
    let outcome: string;
    try {
      outcome = await shown();
    } catch (error) {
      outcome = refusal(error, ['IMPORT_SOURCE_DAMAGED', 'IMPORT_SOURCE_UNKNOWN', 'LOGIN_FAILED']);
    } finally {
      if (data[0]! % 2 === 0 || data.length === 0) copyFileSync(untouched, database);
      else copyFileSync(at('kept'), changed);
    }
    must(readdirSync(home).length <= 6, 'nothing is written beside the set');
    return `${path.basename(changed)} ${outcome}`;
  },
  tokens: [
    '..',
    '/',
    '../../x',
    '{}',
    '1e999',
    Buffer.alloc(16),
    Buffer.from('rs\x026'),
    Buffer.alloc(8, 0xff),
  ],
  maxBytes: 256,
};
