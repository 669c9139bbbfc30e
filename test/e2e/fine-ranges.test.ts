// Pace: long
/** Large files are compared with their bases in short blocks around the place of each part, and beyond it if they moved. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { decodeMessage, type MessageName } from '../../src/transport/index.js';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, tapped } from '../helpers/inline.js';
import { lab } from '../helpers/lab.js';
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
  /** Backs up the content and checks that it is restored. Returns the number of bytes that the set stores, by so many deltas. */
  const save = async (deltas: number): Promise<number> => {
    fs.writeFileSync(file, content);
    await rest();
    const first = sets === 0 ? ['--create'] : [];
    const { progress, storedBytes } = await backup([...place, '--local', ...first, source]);
    const out = at(`out ${sets}`);
    await succeed('regenerate', [...place, '-o', out, file]);
    t.true(fs.readFileSync(path.join(out, 'dump')).equals(content), `set ${sets}`);
    fs.rmSync(out, { recursive: true });
    sets += 1;
    t.is(progress.deltasSent, deltas);
    return storedBytes;
  };
  const edit = (seed: number): void => {
    const step = Math.floor(content.length / EDITS);
    for (let n = 0; n < EDITS; n += 1)
      noise(`${seed} ${n}`, 60).copy(content, n * step + seed * 77);
  };
  await save(0);
  edit(1);
  const edited = await save(2);
  t.true(edited < EDITS * MOST_BYTES_OF_EDIT, `edited: ${edited}`);
  const middle = 20 * MIB;
  const insertion = noise('inserted', 3 * MIB);
  content = Buffer.concat([content.subarray(0, middle), insertion, content.subarray(middle)]);
  edit(2);
  const inserted = await save(2);
  t.true(inserted < 3.1 * MIB + EDITS * MOST_BYTES_OF_EDIT, `inserted: ${inserted}`);
  // The whole basis is searched for data that moved further, in its longer blocks.
  content = Buffer.concat([content.subarray(40 * MIB), content.subarray(0, 40 * MIB)]);
  const moved = await save(2);
  t.true(moved < 100_000, `moved: ${moved}`);
  content = Buffer.concat([content, noise('end', 20 * MIB)]);
  const appended = await save(1);
  t.true(appended < 20.5 * MIB, `appended: ${appended}`);
});

test('no sum of a block is fetched twice for the parts of a file', async (t) => {
  const { store, source } = lab(t, []);
  const place = { store: store, client: 'me' };
  const ranges: [number, number][] = [];
  const message = (name: MessageName, encoded: Buffer): void => {
    if (name !== 'rangeWish') return;
    const { from, bytes } = decodeMessage(name, encoded).head;
    ranges.push([from, from + bytes]);
  };
  const save = (create: boolean) =>
    backupInline(inlineSystem(), place, [source], {
      create,
      wrapHost: tapped(() => ({ message })),
    });
  const content = noise('dump', 140 * MIB);
  fs.writeFileSync(path.join(source, 'dump'), content);
  await save(true);
  for (let at = 0; at < content.length; at += 10 * MIB) content.write('changed', at);
  fs.writeFileSync(path.join(source, 'dump'), content);
  const { progress } = await save(false);
  t.like(progress, { contentsSent: 3, deltasSent: 3 });
  t.true(progress.sentBytes < MIB);
  ranges.sort(([a], [b]) => a - b);
  t.deepEqual(ranges, [
    [0, 72 * MIB],
    [72 * MIB, 136 * MIB],
    [136 * MIB, 140 * MIB],
  ]);
});

test('no sums are fetched for parts that are unchanged', async (t) => {
  const { store, source } = lab(t, []);
  const place = { store: store, client: 'me' };
  const wishes: MessageName[] = [];
  const message = (name: MessageName): void => {
    if (name === 'rangeWish') wishes.push(name);
  };
  const save = (create: boolean) =>
    backupInline(inlineSystem(), place, [source], {
      create,
      wrapHost: tapped(() => ({ message })),
    });
  fs.writeFileSync(path.join(source, 'box'), noise('box', SIZE));
  await save(true);
  fs.appendFileSync(path.join(source, 'box'), noise('tree', 5000));
  const { progress } = await save(false);
  t.like(progress, { contentsSent: 1, deltasSent: 1 });
  t.deepEqual(wishes, ['rangeWish']);
});
