// Pace: long
/**
 * Restores a generated tree of thousands of odd names with every kind of entry, and a tree deeper than the longest
 * path. Independent tools compare the result with the source.
 *
 * TEST_SEED replays a run.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemCode } from '../../src/errors/index.js';
import { nodeSystem, OpenKind } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { everyKind, here, leftOut } from '../helpers/kinds.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  dir,
  file,
  isRoot,
  type Metadata,
  node,
  noise,
  sparse,
  symlink,
  type TreeNode,
} from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';

backupsRunHere();

const ENTRIES = share < 1 ? 2500 : 10_000;
const MAX_DEPTH = 12;
const PRINTED = '%T@ %m %U %G %y %n %l';
const MOST_OUTPUT_BYTES = 256 << 20;
const RSYNC_TIMEOUT_MS = 240_000;

/** Returns a random integer from 0 to `bound` - 1. */
type Below = (bound: number) => number;

function oddName(below: Below, taken: Set<string>): Buffer {
  for (;;) {
    const bytes = [1, 2, 3, 8, 20, 100, 255][below(7)]!;
    const name = Buffer.alloc(bytes);
    const kind = below(3);
    for (let at = 0; at < bytes; at += 1) {
      // Three kinds of names: any bytes, letters only, or control characters and blanks, which trouble shells and
      // terminals.
      name[at] = kind === 0 ? 1 + below(255) : kind === 1 ? 97 + below(26) : below(32) + 1;
      if (name[at] === 0x2f) name[at] = 0x5c;
    }
    const text = name.toString('latin1');
    if (text === '.' || text === '..' || taken.has(text)) continue;
    taken.add(text);
    return name;
  }
}

function oddMetadata(below: Below): Metadata {
  const seconds = [0, -1, 1, 2 ** 31, -(2 ** 31), 4e9, 1.6e9][below(7)]!;
  const mtimeNs = BigInt(seconds) * 10n ** 9n + BigInt(below(1e9));
  const mode = 0o400 | below(0o10000);
  const owner = isRoot ? { uid: below(70_000), gid: below(70_000) } : {};
  const mayHave = here.attributes && below(10) === 0;
  const attributes = mayHave ? { 'user.odd': noise(below(1000), below(200)) } : undefined;
  return { mtimeNs, mode, ...owner, ...(attributes === undefined ? {} : { attributes }) };
}

function oddEntry(name: Buffer, below: Below, children: () => TreeNode[]): TreeNode {
  const meta = oddMetadata(below);
  switch (below(12)) {
    case 0:
    case 1: {
      // The user who runs the test must be able to enter the directory and delete it.
      return dir(name, children(), { ...meta, mode: (meta.mode! & 0o7777) | 0o700 });
    }
    case 2: {
      const { attributes: _, mode: __, ...rest } = meta;
      return symlink(name, oddName(below, new Set()), rest);
    }
    case 3: {
      const { attributes: _, ...rest } = meta;
      const type = (['fifo', 'socket', 'characterDevice', 'blockDevice'] as const)[
        below(isRoot ? 4 : 2)
      ]!;
      return node(name, type, rest, type.endsWith('Device') ? BigInt(below(255) * 256) : 0n);
    }
    case 4:
      return sparse(
        name,
        5000 + below(300_000),
        [[below(5000), noise(below(100), 1 + below(50))]],
        meta,
      );
    default:
      return file(name, noise(below(50), below(3) === 0 ? 0 : below(6000)), meta);
  }
}

/** Makes directories of odd entries until there are `ENTRIES` entries. */
function oddTree(random: ReturnType<typeof seededRandom>): TreeNode[] {
  const below: Below = (bound) => Math.floor(random.next() * bound);
  const wanted = { left: ENTRIES };
  const fill = (depth: number): TreeNode[] => {
    const taken = new Set<string>();
    const count = Math.min(
      wanted.left,
      depth === MAX_DEPTH ? 3 : 1 + below(depth === 0 ? 900 : 60),
    );
    wanted.left -= count;
    return Array.from({ length: count }, () =>
      oddEntry(oddName(below, taken), below, () => (depth < MAX_DEPTH ? fill(depth + 1) : [])),
    );
  };
  const tops: TreeNode[] = [];
  while (wanted.left > 0) tops.push(dir(`top ${tops.length}`, fill(0)));
  return tops;
}

/** Returns what `find` prints about each entry below a directory, sorted by path. */
function found(directory: string): string[] {
  // The size of a directory depends on the file system, so it is not printed.
  const print = [
    '-type',
    'd',
    '-printf',
    `${PRINTED}\\0%p\\0`,
    '-o',
    '-printf',
    `${PRINTED} %s\\0%p\\0`,
  ];
  const { status, stdout } = spawnSync('find', ['.', ...print], {
    cwd: directory,
    encoding: 'latin1',
    maxBuffer: MOST_OUTPUT_BYTES,
  });
  if (status !== 0) throw new Error(`find: ${status}`);
  const words = stdout.split('\0');
  const lines: string[] = [];
  for (let at = 0; at + 1 < words.length; at += 2) lines.push(`${words[at + 1]}: ${words[at]}`);
  return lines.sort();
}

/** Part of the name of a sparse file that rsync leaves out, because reading its holes would take hours. */
const TOO_SPARSE = 'of 2 TiB';

/**
 * Returns the exit status and the changes by which `rsync` would make the second directory equal the first; no change
 * if all was restored.
 */
function differencesByRsync(t: ExecutionContext, from: string, to: string): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(
    'rsync',
    ['-nHAXc', '--archive', '--delete', '-i', '--exclude', TOO_SPARSE, `${from}/`, `${to}/`],
    { encoding: 'latin1', maxBuffer: MOST_OUTPUT_BYTES, timeout: RSYNC_TIMEOUT_MS },
  );
  if (error !== undefined && systemCode(error) === 'ENOENT') {
    t.log('left out: no rsync here');
    return undefined;
  }
  return `${status}${stdout}${stderr}`;
}

test('thousands of odd names and every kind of entry come back to the last digit', async (t) => {
  t.log(`seed ${seed}`);
  for (const what of leftOut()) t.log(`left out: ${what}`);
  const { store, source, at } = lab(t, [...oddTree(seededRandom(seed)), ...everyKind(false)]);
  const before = found(source);
  t.true(before.length > ENTRIES);
  await rest();
  const place = ['-D', store, '-C', 'me'];
  const report = await backup([...place, '--local', '--create', source]);
  t.is(report.progress.entries, before.length - 1);
  const check = async (into: string): Promise<void> => {
    const out = at(into);
    await succeed('regenerate', [...place, '-o', out, source]);
    const restored = path.join(out, 'tree');
    const after = found(restored);
    t.deepEqual(after.filter((line, at) => line !== before[at]).slice(0, 5), []);
    t.is(after.length, before.length);
    t.is(differencesByRsync(t, source, restored) ?? '0', '0');
    fs.rmSync(out, { recursive: true });
  };
  await check('out');
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.sameDirectories, second.progress.directories);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  await check('rebuilt');
});

const DEPTH = 1000;
const MIB = 1 << 20;

/** Makes nested directories, with files in every hundredth. */
function makeDeep(top: string): void {
  const { native } = nodeSystem();
  fs.mkdirSync(top);
  let fd = native.openDirectory(Buffer.from(top));
  for (let depth = 1; depth <= DEPTH; depth += 1) {
    const name = Buffer.from(depth % 250 === 0 ? 'd'.repeat(255) : `deep ${depth}`);
    native.makeDirectoryAt(fd, name);
    const below = native.openBeneath(fd, name, OpenKind.directory);
    native.close(fd);
    fd = below;
    if (depth % 100 !== 0) continue;
    for (const [what, bytes] of [
      ['small', noise(depth, 100)],
      ['large', noise(depth, MIB + depth)],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      const made = native.createFileAt(fd, Buffer.from(what));
      fs.writeSync(made, bytes);
      native.close(made);
    }
    native.linkAt(fd, Buffer.from('small'), fd, Buffer.from('linked'));
  }
  native.close(fd);
}

test('directories a thousand deep, and paths longer than a path may be, come back', async (t) => {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'deep')];
  makeDeep(source);
  const before = found(source);
  t.true(before.some((line) => line.length > 8000));
  await rest();
  const place = ['-D', store, '-C', 'me'];
  const report = await backup([...place, '--local', '--create', source]);
  const { progress } = report;
  t.is(progress.unreadable + progress.vanished + progress.changed + progress.incomplete, 0);
  t.is(progress.entries, before.length - 1);
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.filesRead, 0);
  const out = path.join(home, 'out');
  await succeed('regenerate', [...place, '-o', out, source]);
  t.deepEqual(found(path.join(out, 'deep')), before);
});
