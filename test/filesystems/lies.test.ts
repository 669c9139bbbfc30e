// Pace: slow
/**
 * A FUSE file system that misreports sizes, blocks, times, types, inodes, links and offsets. The bytes that its files
 * return are saved exactly, or the run reports the files.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  type BackupReport,
  run,
  succeed,
  commandsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { patterns, wrongPatterns, writePatterns } from '../helpers/extents.js';
import { ALL_KINDS } from '../helpers/file-systems.js';
import { Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun } from '../helpers/share.js';
import { addTo, look } from '../helpers/tree.js';
import { folderIn } from '../helpers/scratch.js';

commandsRunHere();
poolsStayAway();

const RANDOM_FILES = 6;
const HOLES = 'holes';
const files = patterns(seed, RANDOM_FILES);

interface Lie {
  readonly lies: Readonly<Record<string, string>>;
  /** The report about files; with `inconsistent` the exit status is 3. */
  readonly reports?: 'changed' | 'inconsistent';
}

const LIES: readonly Lie[] = [
  { lies: { blocks: 'none' } },
  { lies: { blocks: 'many' } },
  { lies: { types: 'unknown' } },
  { lies: { types: 'wrong' } },
  { lies: { sizes: 'none' }, reports: 'inconsistent' },
  { lies: { sizes: 'less' }, reports: 'inconsistent' },
  { lies: { sizes: 'more' }, reports: 'inconsistent' },
  { lies: { times: 'changing' }, reports: 'changed' },
  { lies: { times: 'zero' } },
  { lies: { times: 'far' } },
  { lies: { inodes: 'equal' } },
  { lies: { inodes: 'none' } },
  { lies: { inodes: 'high' } },
  { lies: { inodes: 'changing' }, reports: 'changed' },
  { lies: { links: 'none' } },
  { lies: { links: 'many' } },
  { lies: { inodes: 'equal', links: 'many' } },
  ...['backwards', 'hole', 'data', 'beyond', 'refused', 'empty'].map((offsets) => ({
    lies: { offsets, blocks: 'none' },
  })),
  { lies: { reads: 'short', blocks: 'none' } },
  { lies: { names: 'twice' } },
];

/** Returns the names and types of all entries; file contents are compared separately. */
function shape(directory: string): string[] {
  return [...look(directory)].map(([name, words]) => `${name} ${words.split(' ')[0]}`);
}

async function thereAndBack(t: ExecutionContext, { lies, reports }: Lie): Promise<void> {
  const mounts = await Mounts.open(t);
  const { home, mountsOf } = mounts;
  const real = folderIn(mounts.directory('real'), 'files');
  for (const one of ALL_KINDS) addTo(real, one);
  fs.mkdirSync(path.join(real, HOLES));
  writePatterns(path.join(real, HOLES), files);
  const root = path.join(await mounts.lie('lying', path.dirname(real), lies), 'files');
  const place = ['-D', path.join(home, 'store'), '-C', 'me'];
  const first = ['--json', ...place, '--local', '--create', root];
  const { status, stdout, stderr } = await run('tardis', first, { mountsOf });
  t.is(status, reports === 'inconsistent' ? 3 : 0, stderr);
  const { failed } = JSON.parse(stdout) as BackupReport;
  t.deepEqual([...new Set(failed.map(({ what }) => what))], reports === undefined ? [] : [reports]);
  const out = path.join(home, 'out');
  const back = await run('regenerate', [...place, '-o', out, root]);
  t.is(back.status, status, back.stderr);
  t.is(back.stderr.includes('[UNREAD_AT_BACKUP]'), status === 3, back.stderr);
  const restored = path.join(out, 'files');
  t.deepEqual(wrongPatterns(path.join(restored, HOLES), files), [], `TEST_SEED=${seed}`);
  t.deepEqual(shape(restored), shape(real));
  for (const name of ['small', 'large', 'nothing', 'deep/er/est/bottom']) {
    const [wanted, found] = [real, restored].map((at) =>
      fs.readFileSync(path.join(at, 'kinds', name)),
    );
    t.true(found!.equals(wanted!), name);
  }
}

/** Returns the properties that a lie is about, and its report. */
function kindsOf({ lies, reports }: Lie): string[] {
  return [...Object.keys(lies), `reports ${reports ?? 'nothing'}`];
}

for (const lie of ofThisRun(LIES, kindsOf)) {
  const what = Object.entries(lie.lies).map(([name, value]) => `${name}: ${value}`);
  test(`what a file system that lies about ${what.join(', ')} gives is saved`, (t) =>
    unlessLeftOut(t, () => thereAndBack(t, lie)));
}

test('files are restored onto a file system that lies about them', (t) =>
  Mounts.during(t, async (mounts) => {
    const { home, mountsOf } = mounts;
    const source = folderIn(mounts.directory('source'), 'files');
    for (const one of ALL_KINDS) addTo(source, one);
    writePatterns(source, files);
    const place = ['-D', path.join(home, 'store'), '-C', 'me'];
    await succeed('tardis', [...place, '--local', '--create', source]);
    const real = mounts.directory('real');
    const lies = { types: 'unknown', blocks: 'none', links: 'many', offsets: 'backwards' };
    const onto = await mounts.lie('lying', real, { ...lies, reads: 'short' });
    await succeed('regenerate', [...place, '-o', path.join(onto, 'out'), source], { mountsOf });
    const restored = path.join(real, 'out', 'files');
    t.deepEqual(wrongPatterns(restored, files), [], `TEST_SEED=${seed}`);
    t.deepEqual(shape(restored), shape(source));
  }));
