// Pace: slow
/** Sets leave a store as trees with shared files, as archives, and into a repository of restic. TEST_SEED replays a run. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, run, Running, succeed } from '../helpers/commands.js';
import { editAtRandom } from '../helpers/random-edits.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import {
  differences,
  dir,
  file,
  isRoot,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
} from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();

const ENTRIES = 150;
const SETS = 4;
const RECORD = '.tardis-export';

const PAST_S = 1_500_000_000;
const PAST = { mtimeNs: BigInt(PAST_S) * 1_000_000_000n };

/** A store with some sets of a tree, and the tree as it was in each. */
type Lab = Awaited<ReturnType<typeof labWith>>;

async function labWith(
  t: ExecutionContext,
  {
    make,
    edit,
    sets = SETS,
    words = [],
  }: {
    readonly make: (source: string) => void;
    readonly edit: (source: string, index: number) => void;
    readonly sets?: number;
    readonly words?: readonly string[];
  },
) {
  const home = scratchInMemory(t);
  const at = (part: string): string => path.join(home, part);
  const source = at('tree');
  fs.writeFileSync(at('password'), 'correct horse\n');
  const secret = words.map((word) => (word === 'PASSWORD' ? at('password') : word));
  const client = ['-D', at('store'), '-C', 'me', ...secret];
  make(source);
  const states: Snapshot[] = [];
  for (let index = 0; index < sets; index += 1) {
    if (index > 0) edit(source, index);
    states.push(look(source));
    const create = index === 0 ? ['--create'] : [];
    await succeed('tardis', ['--local', ...create, ...client, '--name', `set ${index}`, source]);
  }
  return { client, source, states, at };
}

/** Asserts that a directory has the trees of all sets, and that equal files of following ones are shared. */
function assertTrees(t: ExecutionContext, { source, states }: Lab, out: string): void {
  const trees = states.map((_, index) => path.join(out, `set ${index}`, source));
  for (const [index, tree] of trees.entries()) {
    t.deepEqual(differences(states[index]!, look(tree)), [], `set ${index}`);
  }
  let shared = 0;
  for (const [index, state] of states.entries()) {
    const next = states[index + 1];
    if (next === undefined) break;
    for (const [name, words] of state) {
      const isAlike = next.get(name) === words && !words.startsWith('directory');
      if (!isAlike || / linked to /.test(words)) continue;
      const [one, other] = [trees[index]!, trees[index + 1]!].map((tree) =>
        fs.lstatSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(name, 'latin1')])),
      );
      t.is(one!.ino, other!.ino, `${index}: ${name}`);
      shared += 1;
    }
  }
  t.true(shared > 0);
}

for (const [kind, words] of [
  ['in clear', []],
  ['encrypted', ['--password-file', 'PASSWORD']],
] as const) {
  test(`trees are those of the sets, whatever changed between them, and equal files are shared: ${kind}`, async (t) => {
    const choose = chooser(seed);
    const make = (source: string): void => {
      makeTree(source, randomTree(choose, ENTRIES));
      // Names of one file which later sets have as two files, and the other way round.
      makeTree(`${source}/pair`, [file('a', 'pair', PAST), file('b', 'pair', PAST)]);
    };
    const edit = (source: string, index: number): void => {
      editAtRandom(choose, source, index);
      const b = `${source}/pair/b`;
      fs.rmSync(b);
      if (index % 2 === 1) return fs.linkSync(`${source}/pair/a`, b);
      fs.writeFileSync(b, 'pair');
      fs.utimesSync(b, PAST_S, PAST_S);
    };
    const lab = await labWith(t, { make, edit, words });
    const out = lab.at('out');
    const shown = await succeed('sonic', ['export', ...lab.client, '--to', out, '--dry-run']);
    t.is(shown.match(/ new /g)?.length, SETS, shown);
    t.false(fs.existsSync(out));
    await succeed('sonic', ['export', ...lab.client, '--to', out, '1']);
    const report = await succeed('sonic', ['export', ...lab.client, '--to', out, '--json']);
    const { written, there } = JSON.parse(report) as {
      written: { set: number; unchanged: number }[];
      there: number[];
    };
    t.deepEqual(there, [1]);
    t.deepEqual(
      written.map(({ set }) => set),
      [2, 3, 4],
    );
    t.true(written.every(({ unchanged }) => unchanged > 0));
    assertTrees(t, lab, out);
    t.deepEqual(fs.readdirSync(out).sort(), [RECORD, 'set 0', 'set 1', 'set 2', 'set 3']);
    t.is(fs.statSync(out).mode & 0o777, 0o700);
    const before = look(out);
    t.regex(await succeed('sonic', ['export', ...lab.client, '--to', out]), /^Exported 0 sets/);
    t.deepEqual(differences(before, look(out)), []);
  });
}

/** A small tree, of which one file changes from set to set. */
const SMALL = {
  make: (source: string): void =>
    makeTree(source, [
      dir('kept', [file('same', noise('same', 9000)), symlink('link', 'same')]),
      file('changes', 'state 0'),
    ]),
  edit: (source: string, index: number): void =>
    fs.writeFileSync(`${source}/changes`, `state ${index}`),
};

test('a killed export leaves only complete trees under the names of sets, and goes on', async (t) => {
  const many = Array.from({ length: 2000 }, (_, index) => file(`${index}`, noise(index, 3000)));
  const lab = await labWith(t, {
    make: (source) => makeTree(source, [dir('many', many), file('changes', 'state 0')]),
    edit: SMALL.edit,
  });
  const out = lab.at('out');
  const words = ['export', ...lab.client, '--to', out];
  const names = (): string[] => (fs.existsSync(out) ? fs.readdirSync(out) : []);
  // The first run dies in the first set, the second one in a later set, unless it is faster than a look.
  for (const begun of [`${RECORD}-1-`, 'set 0']) {
    const running = new Running('sonic', words);
    await until(() => names().some((name) => name.startsWith(begun) || name === 'set 0'));
    running.signalGroup('SIGKILL');
    await running.ended;
    for (const [index, state] of lab.states.entries()) {
      if (!names().includes(`set ${index}`)) continue;
      t.deepEqual(differences(state, look(path.join(out, `set ${index}`, lab.source))), []);
    }
  }
  await succeed('sonic', words);
  assertTrees(t, lab, out);
  t.deepEqual(
    names().filter((name) => name.startsWith(`${RECORD}-`)),
    [],
  );
});

test('a file of an earlier tree that somebody changed is not taken over', async (t) => {
  const lab = await labWith(t, { ...SMALL, sets: 2 });
  const out = lab.at('out');
  await succeed('sonic', ['export', ...lab.client, '--to', out, '1']);
  const kept = path.join(out, 'set 0', lab.source, 'kept');
  fs.writeFileSync(`${kept}/same`, 'changed');
  fs.rmSync(`${kept}/link`);
  fs.symlinkSync('elsewhere', `${kept}/link`);
  await succeed('sonic', ['export', ...lab.client, '--to', out]);
  t.deepEqual(differences(lab.states[1]!, look(path.join(out, 'set 1', lab.source))), []);
  t.is(fs.readFileSync(`${kept}/same`, 'utf8'), 'changed');
});

test('what is in the way, another client, and options that do not fit are refused', async (t) => {
  const lab = await labWith(t, { ...SMALL, sets: 2 });
  const out = lab.at('out');
  const refused = async (...words: string[]): Promise<string | undefined> => {
    const { stderr } = exited(t, 1, await run('sonic', ['export', ...lab.client, ...words]));
    return codeIn({ stderr });
  };
  t.is(await refused(), 'USAGE');
  t.is(await refused('--tar', '--restic', 'x'), 'USAGE');
  t.is(await refused('--to', out, '--restic', 'x'), 'USAGE');
  t.is(await refused('--to', path.join(out, 'nothing')), 'TARGET_NOT_WRITABLE');
  fs.mkdirSync(path.join(out, 'set 0'), { recursive: true });
  t.is(await refused('--to', out), 'TARGET_EXISTS');
  t.deepEqual(fs.readdirSync(out), ['set 0']);
  fs.rmdirSync(path.join(out, 'set 0'));
  await succeed('sonic', ['export', ...lab.client, '--to', out, '1']);
  t.is(await refused('--to', out, '--tar'), 'TARGET_EXISTS');
  await succeed('sonic', [
    'copy',
    ...lab.client,
    '--to',
    lab.at('other'),
    '--as',
    'you',
    '--create',
  ]);
  const you = ['export', '-D', lab.at('other'), '-C', 'you', '--to', out];
  t.is(codeIn(await run('sonic', you)), 'TARGET_EXISTS');
  fs.writeFileSync(path.join(out, RECORD), '{"version":1,"sets":[{"name":"../x"}]}');
  t.is(await refused('--to', out), 'TARGET_EXISTS');
});

test('another user cannot choose where an export writes', async (t) => {
  if (!isRoot) return t.pass('only root can be another user');
  const lab = await labWith(t, { ...SMALL, sets: 1 });
  const [out, elsewhere] = [lab.at('out'), lab.at('elsewhere')];
  fs.mkdirSync(out);
  fs.chmodSync(out, 0o1777);
  fs.mkdirSync(elsewhere);
  const report = await succeed('sonic', ['list', ...lab.client, '--json']);
  const { sets } = JSON.parse(report) as { sets: { openedAtMs: number }[] };
  const unfinished = path.join(out, `${RECORD}-1-${sets[0]!.openedAtMs}`);
  const words = ['export', ...lab.client, '--to', out];
  fs.symlinkSync(elsewhere, unfinished);
  fs.lchownSync(unfinished, 1234, 1234);
  t.is(codeIn(await run('sonic', words)), 'TARGET_UNSAFE');
  fs.unlinkSync(unfinished);
  fs.mkdirSync(unfinished);
  fs.chownSync(unfinished, 1234, 1234);
  t.is(codeIn(await run('sonic', words)), 'TARGET_UNSAFE');
  t.deepEqual(fs.readdirSync(elsewhere), []);
});

test('a content that is damaged is named, and the tree has all else', async (t) => {
  const lab = await labWith(t, {
    ...SMALL,
    make: (source) => makeTree(source, [file('lost', noise('lost', 9000)), file('changes', '0')]),
    sets: 2,
  });
  spoilContent(lab.at('store/me/packs'), noise('lost', 9000).subarray(100, 120));
  const out = lab.at('out');
  const { stderr } = exited(t, 3, await run('sonic', ['export', ...lab.client, '--to', out]));
  t.regex(stderr, /tree\/lost: .*\[CONTENT_DAMAGED\]/);
  for (const index of [0, 1]) {
    const tree = path.join(out, `set ${index}`, lab.source);
    t.deepEqual(fs.readdirSync(tree), ['changes']);
  }
});

test('archives have the sets, and a name appears when its archive is complete', async (t) => {
  const lab = await labWith(t, { ...SMALL, sets: 2 });
  const out = lab.at('out');
  const words = ['export', ...lab.client, '--to', out, '--tar'];
  await succeed('sonic', words);
  t.deepEqual(fs.readdirSync(out).sort(), [RECORD, 'set 0.tar', 'set 1.tar']);
  for (const [index, state] of lab.states.entries()) {
    const into = lab.at(`into ${index}`);
    fs.mkdirSync(into);
    execFileSync('tar', ['-C', into, '-xpf', path.join(out, `set ${index}.tar`)]);
    t.deepEqual(differences(state, look(path.join(into, lab.source))), []);
  }
  // A run that was killed before the second archive got its name.
  fs.rmSync(path.join(out, 'set 1.tar'));
  t.regex(await succeed('sonic', words), /^Exported 1 set of "me"; 1 was there before\.$/m);
});

test('a repository of restic gets a snapshot of each set, and gives the history back', async (t) => {
  if (spawnSync('restic', ['version']).status !== 0) return t.pass('restic is not installed');
  const home = scratchInMemory(t);
  const at = (part: string): string => path.join(home, part);
  const dates = ['2024-05-01', '2024-06-01'];
  const states = dates.map((date, index) => {
    fs.mkdirSync(at('past'), { recursive: true });
    SMALL.make(at(`past/${date}`));
    SMALL.edit(at(`past/${date}`), index);
    return look(at(`past/${date}`));
  });
  const client = ['-D', at('store'), '-C', 'me'];
  const past = ['--sets', at('past/%Y-%m-%d'), '--kept-as', '/the/tree'];
  await succeed('tardis-import', [...client, '--create', ...past]);
  const repository = at('repository');
  const env = {
    HOME: at('home'),
    RESTIC_CACHE_DIR: at('cache'),
    RESTIC_PASSWORD: 'of restic',
    TMPDIR: home,
  };
  const restic = (...words: string[]): string =>
    execFileSync('restic', ['-r', repository, ...words], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
  restic('init', '-q');
  const words = ['export', ...client, '--restic', repository];
  await succeed('sonic', [...words, '1'], { env });
  const report = await succeed('sonic', words, { env });
  t.regex(report, /^Exported 1 set of "me"; 1 was there before\.$/m);
  t.regex(await succeed('sonic', words, { env }), /^Exported 0 sets/);
  const snapshots = JSON.parse(restic('snapshots', '--json')) as {
    id: string;
    time: string;
    hostname: string;
    tags: string[];
  }[];
  t.is(snapshots.length, 2);
  for (const [index, { id, time, hostname, tags }] of snapshots.entries()) {
    const into = at(`into ${index}`);
    restic('restore', '-q', id, '--target', into);
    t.deepEqual(differences(states[index]!, look(path.join(into, 'the/tree'))), []);
    t.deepEqual([hostname, tags[0]], ['me', `set=${index + 1}`]);
    t.is(Date.parse(time), new Date(`${dates[index]!}T00:00:00`).getTime());
  }
  t.deepEqual(
    fs.readdirSync(home).filter((name) => name.startsWith('tardis-')),
    [],
  );
  const back = ['-D', at('back'), '-C', 'me'];
  const imported = await run('tardis-import', [...back, '--create', repository], { env });
  if (/unknown flag/.test(imported.stderr)) return; // restic before 0.17
  t.is(imported.status, 0, imported.stderr);
  await succeed('regenerate', [...back, '--all', '-o', at('again')]);
  t.deepEqual(differences(states[1]!, look(at('again/the/tree'))), []);
});
