// Pace: long
/** Copies of clients to another store, by the command `sonic copy`. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn } from '../helpers/codes.js';
import {
  among,
  backup,
  backupsRunHere,
  jsonLines,
  rest,
  run,
  Running,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { everyKind } from '../helpers/kinds.js';
import { Mounts } from '../helpers/mounts.js';
import { readersAgree } from '../helpers/second-reader.js';
import { seed } from '../helpers/seed.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  sizeOf,
  type Snapshot,
  text,
  type TreeNode,
} from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();

const MIB = 1 << 20;
const SECRET = 'gravel-Otter9-lamp';
const OTHER = 'kelp-Sundry7-mulch';

interface Lab {
  readonly source: string;
  readonly store: string;
  readonly copy: string;
  /** Arguments that name the client in the store and in the copy. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Trees that were restored from the store, by the numbers of their sets. */
  readonly wanted: Map<number, Snapshot>;
  at(name: string): string;
}

interface Copied {
  readonly sets: readonly number[];
  readonly deleted: readonly number[];
  readonly copiedBytes: number;
  readonly lostVersions: number;
  readonly leftSet?: number;
}

function lab(t: ExecutionContext): Lab {
  const home = scratchInMemory(t);
  const at = (name: string): string => path.join(home, name);
  const [store, copy] = [at('store'), at('copy')];
  return {
    source: at('tree'),
    store,
    copy,
    from: ['-D', store, '-C', 'me'],
    to: ['-D', copy, '-C', 'me'],
    wanted: new Map(),
    at,
  };
}

/** Makes a client with sets in which files were added, changed, moved and removed. */
async function lived(
  { source, from }: Lab,
  args: readonly string[] = [],
  largeBytes = 3 * MIB,
  kinds: readonly TreeNode[] = [],
): Promise<void> {
  makeTree(source, [
    ...kinds,
    dir('old', [file('a', text(1, 5000)), dir('deep', [file('b', 'b')])]),
    file('changes', noise(2, 3 * MIB)),
    file('large', noise('large', largeBytes)),
  ]);
  const local = [...from, '--local', '--compress-data', 'none', ...args];
  await backup([...local, '--create', '--name', 'the first', source]);
  fs.renameSync(path.join(source, 'old'), path.join(source, 'new'));
  fs.rmSync(path.join(source, 'holes', 'in parts'), { force: true }); // one set with it is enough
  fs.appendFileSync(path.join(source, 'changes'), 'a little');
  await rest();
  await backup([...local, source]);
  fs.rmSync(path.join(source, 'new', 'deep'), { recursive: true });
  fs.writeFileSync(path.join(source, 'new', 'a'), text(4, 6000));
  await rest();
  await backup([...local, source]);
}

async function copyOf({ from, copy }: Lab, ...more: string[]): Promise<Copied> {
  const create = fs.existsSync(copy) ? [] : ['--create'];
  const words = ['copy', ...from, '--to', copy, '--json', ...create, ...more];
  const stdout = await succeed('sonic', words);
  return jsonLines<{ clients: Copied[] }>(stdout)[0]!.clients[0]!;
}

async function shown(tool: Tool, words: readonly string[]): Promise<string> {
  return succeed(tool, [...words, '--json']);
}

/** Compares the lists, the entries with their digests, and the restored files of these sets in both stores. */
async function requireAlike(
  t: ExecutionContext,
  { source, from, to, wanted, at }: Lab,
  sets: readonly number[],
  args: readonly string[] = [],
): Promise<void> {
  for (const set of sets) {
    const info = async (place: readonly string[]): Promise<string> =>
      (await shown('sonic', ['info', ...place, ...args, String(set)])).replace(
        `"client":"${place.at(-1)!}"`,
        '',
      );
    t.is(await info(to), await info(from), `set ${set}`);
    const restored = async (place: readonly string[]): Promise<Snapshot> => {
      const out = at('out');
      await succeed('regenerate', [...place, ...args, '-b', String(set), '-o', out, source]);
      const found = look(path.join(out, 'tree'));
      fs.rmSync(out, { recursive: true });
      return found;
    };
    // A set never changes, so it is restored from the store only once.
    const one = wanted.get(set) ?? (await restored(from));
    wanted.set(set, one);
    t.deepEqual(differences(one, await restored(to)), [], `set ${set}`);
  }
}

/** Requires that the second reader reads the copy as the programs do. */
async function readAlike(
  t: ExecutionContext,
  { source, to, wanted }: Lab,
  args: readonly string[] = [],
): Promise<void> {
  await readersAgree(t, source, [...to, ...args], { restored: wanted });
}

test('a copy shows every set as the source does, and restores the same files', async (t) => {
  const home = lab(t);
  const { from, to, source } = home;
  await lived(home, [], 3 * MIB, everyKind());
  await succeed('sonic', ['tag', '--add', 'good', ...from, '2']);
  await succeed('sonic', ['lock', ...from, '1']);
  t.deepEqual((await copyOf(home)).sets, [1, 2, 3]);
  await requireAlike(t, home, [1, 2, 3]);
  const list = (place: readonly string[]): Promise<string> => shown('sonic', ['list', ...place]);
  t.is(await list(to), await list(from), 'numbers, names, times, tags and locks');
  await succeed('sonic', ['check', '--read-data', ...to]);
  const again = await copyOf(home);
  t.deepEqual([again.sets, again.copiedBytes], [[], 0], 'a second copy has nothing to do');
  fs.writeFileSync(path.join(source, 'more'), noise(9, MIB));
  await backup([...from, '--local', '--compress-data', 'none', source]);
  await succeed('sonic', ['tag', '--remove', 'good', ...from, '2']);
  const next = await copyOf(home);
  t.deepEqual(next.sets, [4]);
  t.true(next.copiedBytes < 2 * MIB, `${next.copiedBytes} bytes: only what is new`);
  await requireAlike(t, home, [1, 4]);
  t.is(await list(to), await list(from));
  await succeed('sonic', ['rebuild', ...to]);
  await requireAlike(t, home, [1, 2, 3, 4]);
  await readAlike(t, home);
  await backup([...to, '--local', source]);
  t.is(codeIn(await run('sonic', ['copy', ...from, '--to', home.copy])), 'COPY_DIFFERS');
});

test('a client that encrypts is copied without its password, and stays proven', async (t) => {
  const home = lab(t);
  const { from, to, source, copy } = home;
  const args = [`--password=${SECRET}`];
  await lived(home, args);
  t.deepEqual((await copyOf(home)).sets, [1, 2, 3]);
  await requireAlike(t, home, [1, 2, 3], args);
  await succeed('sonic', ['check', '--read-data', ...to, ...args]);
  t.not((await run('lstardis', [...to, '-l', source])).status, 0, 'the copy needs the password');
  await succeed('sonic', ['chpass', ...from, ...args, `--newpassword=${OTHER}`]);
  fs.writeFileSync(path.join(source, 'more'), 'more');
  await backup([...from, '--local', `--password=${OTHER}`, source]);
  t.deepEqual((await copyOf(home)).sets, [4]);
  await requireAlike(t, home, [1, 4], [`--password=${OTHER}`]);
  await succeed('sonic', ['rebuild', ...to, `--password=${OTHER}`]);
  await requireAlike(t, home, [2, 4], [`--password=${OTHER}`]);
  await readAlike(t, home, [`--password=${OTHER}`]);
  await succeed('sonic', ['rekey', ...from, `--password=${OTHER}`, '--yes']);
  t.is(codeIn(await run('sonic', ['copy', ...from, '--to', copy])), 'COPY_DIFFERS');
});

test('sets that were deleted at the source stay in the copy, unless --delete is given', async (t) => {
  const home = lab(t);
  const { from, to, source } = home;
  await lived(home);
  await copyOf(home);
  fs.writeFileSync(path.join(source, 'more'), 'more');
  const local = [...from, '--local', source];
  await backup(local);
  await succeed('sonic', ['delete', ...from, '--yes', '2', '3']);
  fs.rmSync(path.join(source, 'changes'));
  await backup(local);
  await succeed('sonic', ['delete', ...from, '--yes', '4']);
  t.deepEqual((await copyOf(home)).sets, [5], 'set 4 came and went between two copies');
  await requireAlike(t, home, [1, 5]);
  await succeed('regenerate', [...to, '-b', '3', '-o', home.at('kept'), source]);
  const kept = fs.readFileSync(path.join(home.at('kept'), 'tree', 'large'));
  t.true(kept.equals(noise('large', 3 * MIB)));
  await succeed('sonic', ['lock', ...to, '2']);
  t.deepEqual((await copyOf(home, '--delete')).deleted, [3], 'a locked set stays');
  await requireAlike(t, home, [1, 5]);
  await readAlike(t, home);
  await succeed('sonic', ['check', '--read-data', ...to]);
  await succeed('sonic', ['delete', ...to, '--yes', '1']);
  t.deepEqual((await copyOf(home)).sets, [], 'what was deleted in the copy does not come back');
});

test('a client is copied under another name, and all clients with --all', async (t) => {
  const home = lab(t);
  const { from, source, store, copy } = home;
  await lived(home);
  await backup(['-D', store, '-C', 'two', '--local', '--create', source]);
  await succeed('sonic', ['create', '-D', store, '-C', 'unused']);
  await copyOf(home, '--as', 'other');
  const other = { ...home, to: ['-D', copy, '-C', 'other'] };
  await requireAlike(t, other, [1, 3]);
  await readAlike(t, other);
  fs.writeFileSync(path.join(store, 'two', 'tardis.db'), 'no catalog');
  const all = await run('sonic', ['copy', '--all', '-D', store, '--to', copy]);
  t.is(all.status, 1, all.stderr);
  t.regex(all.stderr, /"two" was not copied: .*\[CATALOG_DAMAGED\]/);
  await requireAlike(t, home, [1, 2, 3]);
  const same = await run('sonic', ['copy', ...from, '--to', store]);
  t.is(codeIn(same), 'USAGE', same.stderr);
  t.is(codeIn(await run('sonic', ['copy', ...from])), 'USAGE');
});

test('a copy with another history is refused, and stays as it is', async (t) => {
  const home = lab(t);
  const { from, to, source, store, copy } = home;
  await lived(home);
  const older = home.at('older');
  fs.cpSync(store, older, { recursive: true });
  fs.writeFileSync(path.join(source, 'more'), 'more');
  await backup([...from, '--local', source]);
  await copyOf(home);
  const before = await shown('sonic', ['list', ...to]);
  const place = ['-D', older, '-C', 'me'];
  const refused = async (): Promise<void> => {
    t.is(codeIn(await run('sonic', ['copy', ...place, '--to', copy, '--delete'])), 'COPY_DIFFERS');
    t.is(await shown('sonic', ['list', ...to]), before);
  };
  await refused(); // it was put back to an older state
  await backup([...place, '--local', source]);
  await refused(); // and went another way
  fs.rmSync(older, { recursive: true });
  await backup([...place, '--local', '--create', source]);
  await refused(); // it is another client
});

test('damaged contents of the source are left out and named, and come when they are whole again', async (t) => {
  const home = lab(t);
  const { from, source, store, copy } = home;
  await lived(home);
  const mend = spoilContent(path.join(store, 'me'), noise('large', 3 * MIB).subarray(0, 64));
  const partly = await run('sonic', ['copy', ...from, '--to', copy, '--json', '--create']);
  t.is(partly.status, 3, partly.stderr);
  const [reported] = jsonLines<{ clients: Copied[] }>(partly.stdout);
  t.deepEqual(reported!.clients[0]!.sets, [1, 2, 3]);
  t.is(reported!.clients[0]!.lostVersions, 1);
  mend();
  t.is((await copyOf(home)).lostVersions, 0);
  await requireAlike(t, home, [1, 2, 3]);
  await readAlike(t, home);
  t.true(fs.existsSync(path.join(source, 'large')));
});

test('a copy that is killed at any moment is continued by the next run', async (t) => {
  const home = lab(t);
  const { from, to, copy } = home;
  await lived(home, [], 24 * MIB);
  const random = seededRandom(seed);
  const copiedBytes = (): number => sizeOf(copy);
  let killed = 0;
  for (let round = 0; round < 8; round += 1) {
    // The first one is killed at its first bytes: on a busy machine, it may have ended before the next look.
    const most = killed === 0 ? 0 : copiedBytes() + random.next() * 8 * MIB;
    const running = new Running('sonic', ['copy', ...from, '--to', copy, '--create']);
    await running.until('copied bytes', () => running.hasEnded || copiedBytes() > most);
    running.signalGroup('SIGKILL');
    const { status } = await running.ended;
    if (status !== 0) killed += 1;
    else if (killed > 0) break;
    else fs.rmSync(copy, { recursive: true });
  }
  t.true(killed > 0);
  t.log(`killed ${killed} times, seed ${seed}`);
  await copyOf(home); // the killed ones have created it, and it goes on without --create too
  await requireAlike(t, home, [1, 2, 3]);
  await readAlike(t, home);
  await succeed('sonic', ['check', '--read-data', ...to]);
});

test('parity that a copy was cut off before is made by the next one, with or without new sets', async (t) => {
  const home = lab(t);
  const { source, from, to, copy } = home;
  await lived(home);
  await copyOf(home);
  const parity = (): string[] =>
    fs
      .readdirSync(copy, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('/parity/') && fs.statSync(path.join(copy, name)).isFile())
      .toSorted();
  const whole = parity();
  t.true(whole.length > 0);
  const removeAll = (): void => whole.forEach((name) => fs.rmSync(path.join(copy, name)));
  removeAll();
  t.deepEqual((await copyOf(home)).sets, []);
  t.deepEqual(parity(), whole);
  removeAll();
  await rest();
  fs.writeFileSync(path.join(source, 'more'), 'more');
  await backup([...from, '--local', source]);
  t.deepEqual((await copyOf(home)).sets, [4]);
  t.deepEqual(
    whole.filter((name) => !parity().includes(name)),
    [],
  );
  t.notRegex(await succeed('sonic', ['check', ...to]), /Parity protects|No file has parity/);
});

test('a copy on a full disk keeps what fits, and goes on when there is room', (t) =>
  Mounts.during(t, async (mounts) => {
    const disk = mounts.mount('disk', 'tmpfs', 'tmpfs', 'size=24m');
    const home = lab(t);
    await lived(home, [], 30 * MIB);
    const options = { mountsOf: mounts.mountsOf };
    const words = ['copy', ...home.from, '--to', path.join(disk, 'copy'), '--create'];
    const full = await run('sonic', words, options);
    t.is(codeIn(full), 'DISK_FULL', full.stderr);
    const inside = among(mounts.mountsOf);
    const larger = ['mount', '-o', 'remount,size=120m', disk];
    const { status, stderr } = spawnSync('nsenter', [...inside, ...larger], { encoding: 'utf8' });
    t.is(status, 0, stderr);
    await succeed('sonic', words, options);
    const seen = path.join(mounts.view(disk), 'copy');
    const grown = { ...home, to: ['-D', seen, '-C', 'me'] };
    await requireAlike(t, grown, [1, 2, 3]);
    await readAlike(t, grown);
  }));

test('a copy of a copy is continued by every store with its history, and the change is named', async (t) => {
  const home = lab(t);
  const { from, to, source } = home;
  await lived(home);
  await copyOf(home);
  const third = home.at('third');
  await succeed('sonic', ['copy', ...to, '--to', third, '--create']);
  t.notRegex(await succeed('sonic', ['copy', ...to, '--to', third]), /another store/);
  await succeed('sonic', ['delete', ...from, '--yes', '1']);
  const deleting = await run('sonic', ['copy', ...from, '--to', third, '--delete']);
  t.is(codeIn(deleting), 'COPY_DIFFERS');
  t.regex(deleting.stderr, /--delete would delete 1 \(the first\)/);
  const shownLines = await succeed('sonic', ['copy', ...from, '--to', third]);
  t.regex(shownLines, /continues another store than before\. It keeps .* \(1 set\): 1$/m);
  await backup([...from, '--local', source]);
  t.deepEqual((await copyOf({ ...home, copy: third }, '--delete')).deleted, [1]);
  const older = await run('sonic', ['copy', ...to, '--to', third]);
  t.is(codeIn(older), 'COPY_DIFFERS');
  t.regex(older.stderr, /older state .* source ends at 3, and beyond it the copy has 4 \(/);
});
