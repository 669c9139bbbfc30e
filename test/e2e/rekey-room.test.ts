// Pace: slow
/** A rewrite with new keys on a disk with too little free space, and one that finds an unfinished second generation. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeIn } from '../helpers/codes.js';
import { backup, backupsRunHere, type CommandOptions, run, succeed } from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { addTo, file, makeTree, noise } from '../helpers/tree.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();

const MIB = 1 << 20;
const SECRET = 'gravel-Otter9-lamp';
const LARGE_BYTES = 40 * MIB;

/** Creates a client with two sets. Returns the arguments that name it. */
async function twoSets(
  source: string,
  store: string,
  largeBytes: number,
  options: CommandOptions = {},
): Promise<string[]> {
  makeTree(source, [file('large', noise(1, largeBytes)), file('small', noise(2, MIB))]);
  const place = ['-D', store, '-C', 'two'];
  const local = [...place, '--local', '--compress-data', 'none'];
  await backup([...local, '--create', source], options);
  addTo(source, file('more', noise(3, MIB)));
  await backup([...local, source], options);
  return place;
}

test('new keys that are refused for space leave nothing, and name the disk and the sizes', (t) =>
  Mounts.during(t, async (mounts) => {
    const disk = mounts.mount('disk', 'tmpfs', 'tmpfs', 'size=104m');
    const options = { mountsOf: mounts.mountsOf };
    const store = path.join(disk, 'store');
    const place = await twoSets(path.join(scratchInMemory(t), 'tree'), store, LARGE_BYTES, options);
    const requested = ['encrypt', ...place, `--password=${SECRET}`, '--yes'];
    const refused = await run('sonic', requested, options);
    t.is(codeIn(refused), 'DISK_FULL', refused.stderr);
    t.true(refused.stderr.includes(store), refused.stderr);
    t.regex(refused.stderr, /takes about [\d.]+ MB/);
    t.regex(refused.stderr, /[\d.]+ MB more than are free/);
    t.deepEqual(fs.readdirSync(mounts.view(store)), ['two']);
    await succeed('sonic', ['delete', ...place, '--yes', '1'], options);
    await succeed('sonic', ['orphans', ...place], options);
  }));

test('an unfinished second generation is named where it holds up what frees space', async (t) => {
  const home = scratchInMemory(t);
  const [source, store] = [path.join(home, 'tree'), path.join(home, 'store')];
  const place = await twoSets(source, store, 2 * MIB);
  await succeed('sonic', ['setconfig', ...place, 'KeepLast', '1']);
  spoilContent(path.join(store, 'two', 'packs'), noise(1, 2 * MIB).subarray(0, 64));
  const requested = ['encrypt', ...place, `--password=${SECRET}`, '--yes'];
  t.is(codeIn(await run('sonic', requested)), 'CONTENT_DAMAGED');
  t.deepEqual(fs.readdirSync(store).toSorted(), ['.two.next', 'two'], 'the next run goes on');
  for (const held of [
    ['delete', ...place, '--yes', '1'],
    ['orphans', ...place],
    ['purge', ...place, '--keep-last', '1', '--yes'],
  ]) {
    const refused = await run('sonic', held);
    t.is(codeIn(refused), 'REKEY_UNFINISHED', `${held[0]}: ${refused.stderr}`);
    t.regex(refused.stderr, /`sonic encrypt` continues it/);
    t.regex(refused.stderr, /`sonic encrypt --abort`/);
    t.notRegex(refused.stderr, /other session/);
  }
  const { stderr } = await run('tardis', [...place, '--local', '--purge', source]);
  t.regex(stderr, /`sonic encrypt --abort`/, 'a backup that purges reports it');
  await succeed('sonic', ['encrypt', ...place, '--abort']);
  await succeed('sonic', ['delete', ...place, '--yes', '1']);
});
