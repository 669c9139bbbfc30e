// Pace: slow
/**
 * A file of the store is lost, and a rebuild records the loss. After the file is put back, another rebuild finds it
 * again.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { addTo, differences, file, look, noise, type Snapshot } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;

/** Returns every file of a client's store that contains records. */
function recordFiles(home: string): string[] {
  const names = fs.readdirSync(home, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => /^packs\/\d+\.pack$|^[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(name))
    .sort();
}

/**
 * Creates a client with three sets. They contain small files and a large one that changes a little, which is stored as
 * an object.
 */
async function client(t: ExecutionContext, password: readonly string[]) {
  const { at, store, source } = lab(t);
  const place = ['-D', store, '-C', 'me', ...password];
  const states: Snapshot[] = [];
  const large = noise(7, 3 * MIB);
  for (const [set, more] of [
    ['1', ['--create']] as const,
    ['2', []] as const,
    ['3', []] as const,
  ]) {
    fs.rmSync(path.join(source, 'large'), { force: true });
    large.write(`of set ${set}`, MIB);
    addTo(source, file('large', large));
    addTo(source, file(`new in ${set}`, noise(Number(set), 30_000)));
    await backup([...place, '--local', ...more, source]);
    states.push(look(source));
  }
  const isWhole = async (what: string): Promise<void> => {
    for (const [index, state] of states.entries()) {
      const out = at(`${what} ${index}`);
      await succeed('regenerate', [...place, '-b', String(index + 1), '-o', out, source]);
      t.deepEqual(differences(state, look(path.join(out, path.basename(source)))), [], what);
    }
  };
  return { at, home: path.join(store, 'me'), place, isWhole };
}

for (const [what, password] of [
  ['plain', []],
  ['encrypting', ['--password=long enough for this']],
] as const) {
  test(`what a ${what} client lost is there again when it was put back, and stays`, async (t) => {
    t.timeout(10 * 60_000);
    const { at, home, place, isWhole } = await client(t, password);
    for (const [number, name] of recordFiles(home).entries()) {
      const [there, kept] = [path.join(home, name), at(`kept ${number}`)];
      fs.renameSync(there, kept);
      const noted = await run('sonic', ['rebuild', ...place]);
      t.is(noted.status, 3, `${name}: ${noted.stderr}`);
      fs.copyFileSync(kept, there);
      // A garbage collection deletes nothing of the returned file, even before a rebuild or a check has read it again.
      await succeed('sonic', ['orphans', ...place]);
      t.true(fs.existsSync(there), name);
      await run('sonic', ['rebuild', ...place]);
      await succeed('sonic', ['orphans', ...place]);
      await isWhole(`after ${number}`);
    }
  });
}
