// Pace: long
/** Large files are compared with their bases in short blocks around the place of each part, and beyond it if they moved. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/settings.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
/** More than a part of a file, and than a part with what is looked at around it. */
const SIZE = 100 * MIB;
const EDITS = 1000;
/** A block of the whole signature has 2 KiB, and one around a part 512 bytes. */
const MOST_BYTES_OF_EDIT = 900;

test('scattered edits cost short blocks, also behind what was inserted, moved or appended', async (t) => {
  const { source, place, at } = lab(t);
  const file = path.join(source, 'dump');
  let content = noise('dump', SIZE);
  let sets = 0;
  /** Backs up the content and checks that it is restored. Returns the number of bytes that the set stores. */
  const save = async (): Promise<number> => {
    fs.writeFileSync(file, content);
    await rest();
    const first = sets === 0 ? ['--create'] : [];
    const { progress, storedBytes } = await backup([...place, '--local', ...first, source]);
    const out = at(`out ${sets}`);
    await succeed('regenerate', [...place, '-o', out, file]);
    t.true(fs.readFileSync(path.join(out, 'dump')).equals(content), `set ${sets}`);
    fs.rmSync(out, { recursive: true });
    sets += 1;
    t.is(progress.deltasSent, sets === 1 ? 0 : Math.ceil(content.length / (64 * MIB)));
    return storedBytes;
  };
  const edit = (seed: number): void => {
    const step = Math.floor(content.length / EDITS);
    for (let n = 0; n < EDITS; n += 1)
      noise(`${seed} ${n}`, 60).copy(content, n * step + seed * 77);
  };
  await save();
  edit(1);
  const edited = await save();
  t.true(edited < EDITS * MOST_BYTES_OF_EDIT, `edited: ${edited}`);
  const middle = 20 * MIB;
  const insertion = noise('inserted', 3 * MIB);
  content = Buffer.concat([content.subarray(0, middle), insertion, content.subarray(middle)]);
  edit(2);
  const inserted = await save();
  t.true(inserted < 3.1 * MIB + EDITS * MOST_BYTES_OF_EDIT, `inserted: ${inserted}`);
  // The whole basis is searched for data that moved further, in its longer blocks.
  content = Buffer.concat([content.subarray(40 * MIB), content.subarray(0, 40 * MIB)]);
  const moved = await save();
  t.true(moved < 100_000, `moved: ${moved}`);
  content = Buffer.concat([content, noise('end', 20 * MIB)]);
  const appended = await save();
  t.true(appended < 20.5 * MIB, `appended: ${appended}`);
});
