// Pace: slow
/** Users other than root see as much of a backup as they could see of its source. Reading needs no write access. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  type CommandOptions,
  jsonLines,
  poolsStayAway,
  run,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, isRoot, look, makeTree, symlink, type TreeNode } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const NOBODY = 65_534;
const ALICE = 12_345;
const nobody: CommandOptions = { uid: NOBODY };

/** True if commands can run as another user: the tests run as root, and that user can read the program. */
const canSwitch = await (async () => {
  if (!isRoot) return false;
  return (await run('lstardis', ['--version'], nobody).catch(() => undefined))?.status === 0;
})();

function asRoot(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  test(title, async (t) => {
    if (canSwitch) {
      await body(t);
      return;
    }
    t.log('skipped: commands cannot run as somebody else here');
    t.pass();
  });
}

class Lab {
  readonly home: string;
  readonly source: string;
  readonly store: string;

  private constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
    fs.chmodSync(this.home, 0o755);
    this.source = path.join(this.home, 'tree');
    this.store = path.join(this.home, 'store');
  }

  static async with(t: ExecutionContext, tree: readonly TreeNode[]): Promise<Lab> {
    const lab = new Lab(t);
    makeTree(lab.source, tree);
    await backup([...lab.place(), '--local', '--create', lab.source]);
    lab.open();
    return lab;
  }

  /** Makes the store readable for all users, as its administrator may do. */
  open(): void {
    spawnSync('chmod', ['-R', 'a+rX', this.store]);
  }

  place(store = this.store): string[] {
    return ['-D', store, '-C', 'me'];
  }

  at(...names: string[]): string {
    return path.join(this.source, ...names);
  }

  /** Creates a directory that an ordinary user may restore into. */
  output(name: string, owner = NOBODY): string {
    const out = folderIn(this.home, name);
    fs.chownSync(out, owner, owner);
    return out;
  }
}

function familyTree(): TreeNode[] {
  const alice = { uid: ALICE, gid: ALICE };
  return [
    file('for all', 'for all'),
    file('of root', 'of root', { mode: 0o600 }),
    file("nobody's", "nobody's", { uid: NOBODY, gid: 0, mode: 0o600 }),
    file("nobody's, closed to him", 'x', { uid: NOBODY, gid: NOBODY, mode: 0o044 }),
    file('of his group', 'of his group', { gid: NOBODY, mode: 0o640 }),
    dir('open', [file('in open', 'in open'), symlink('link', 'anywhere')]),
    dir("alice's", [file('letter', 'dear', alice)], { ...alice, mode: 0o700 }),
    dir('passage', [file('known', 'known'), dir('below', [file('deep', 'deep')])], { mode: 0o711 }),
    dir('shown', [file('not reached', 'x')], { mode: 0o744 }),
  ];
}

asRoot('an ordinary user restores what he might have read', async (t) => {
  const lab = await Lab.with(t, familyTree());
  const out = lab.output('out');
  const { status, stdout, stderr } = await run(
    'regenerate',
    [...lab.place(), '--json', '-o', out, lab.source],
    nobody,
  );
  t.is(status, 3, stderr);
  const { failed } = JSON.parse(stdout) as { failed: { name: string; code: string }[] };
  t.deepEqual(failed.map(({ name, code }) => `${name} ${code}`).sort(), [
    "tree/alice's NO_ACCESS",
    "tree/nobody's, closed to him NO_ACCESS",
    'tree/of root NO_ACCESS',
    'tree/passage NO_ACCESS',
    'tree/shown NO_ACCESS',
  ]);
  t.deepEqual([...look(path.join(out, 'tree')).keys()].sort(), [
    '',
    'for all',
    "nobody's",
    'of his group',
    'open',
    'open/in open',
    'open/link',
  ]);
  await succeed('regenerate', [...lab.place(), '-o', out, lab.at('passage', 'known')], nobody);
  for (const way of [
    lab.at("alice's", 'letter'),
    lab.at('shown', 'not reached'),
    lab.at('of root'),
    lab.at('passage'),
  ]) {
    for (const how of [['-o', out], ['--stdout'], ['--tar', path.join(out, 'x.tar')]]) {
      const refused = await run('regenerate', [...lab.place(), ...how, way], nobody);
      t.is(refused.status, 1, way);
      t.regex(refused.stderr, /\[NO_ACCESS\]/, way);
      t.is(refused.stdout, '');
    }
  }
  const digest = jsonLines<{ digest: string }>(
    await succeed('lstardis', [...lab.place(), '--json', lab.at('of root')]),
  )[0]!.digest;
  const byDigest = await run('regenerate', [...lab.place(), '-c', '-o', out, digest], nobody);
  t.regex(byDigest.stderr, /\[NO_ACCESS\]/);

  const alice = await run('regenerate', [...lab.place(), '--stdout', lab.at("alice's", 'letter')], {
    uid: ALICE,
  });
  t.is(alice.stdout, 'dear', alice.stderr);
  const everything = path.join(lab.home, 'everything');
  await succeed('regenerate', [...lab.place(), '-o', everything, lab.source]);
  t.is(look(everything).size, look(lab.source).size + 1, 'root sees all');
});

asRoot('an ordinary user is shown what he might have seen', async (t) => {
  const lab = await Lab.with(t, familyTree());
  const shown = async (...names: string[]): Promise<Map<string, string | undefined>> => {
    const args = [...lab.place(), '--json', lab.at(...names)];
    const lines = jsonLines<{ name: string; digest?: string }>(
      await succeed('lstardis', args, nobody),
    );
    return new Map(lines.map(({ name, digest }) => [name, digest]));
  };
  const top = await shown();
  t.is(top.size, 9, 'names are seen by who may read the directory');
  t.truthy(top.get('for all'));
  t.truthy(top.get("nobody's"));
  t.is(top.get('of root'), undefined, 'a digest tells what is in a file');
  t.is(top.get("nobody's, closed to him"), undefined);
  t.is((await shown('of root')).get('of root'), undefined);
  t.truthy((await shown('passage', 'known')).get('known'));
  for (const names of [
    ["alice's"],
    ["alice's", 'letter'],
    ['passage'],
    ['shown'],
    ['shown', 'not reached'],
  ]) {
    const { status, stderr } = await run(
      'lstardis',
      [...lab.place(), '-b', '1', lab.at(...names)],
      nobody,
    );
    t.is(status, 1, names.join('/'));
    t.regex(stderr, /\[NO_ACCESS\]/, names.join('/'));
  }
  t.is(
    (await run('lstardis', [...lab.place(), '-V', lab.at("alice's", 'letter')], nobody)).status,
    1,
  );
});

/** Mounts a store read-only at another path. Returns that path; undefined if mounting is not permitted. */
function mountedReadOnly(t: ExecutionContext, store: string): string | undefined {
  const at = `${store} read-only`;
  fs.mkdirSync(at);
  if (spawnSync('mount', ['--bind', store, at]).status !== 0) return undefined;
  t.teardown(() => void spawnSync('umount', ['-l', at]));
  if (spawnSync('mount', ['-o', 'remount,ro,bind', at]).status !== 0) return undefined;
  return at;
}

asRoot('an ordinary user reads a store on a read-only file system', async (t) => {
  const lab = await Lab.with(t, [file('a', 'a'), dir('b', [file('c', 'c')])]);
  const store = mountedReadOnly(t, lab.store);
  if (store === undefined) return leaveOut(t, 'skipped: nothing may be mounted here');
  t.throws(() => fs.writeFileSync(path.join(store, 'x'), ''), { code: 'EROFS' });
  for (const identity of [nobody, {}]) {
    const out = lab.output(`out of ${identity.uid ?? 0}`);
    t.regex(await succeed('lstardis', lab.place(store), identity), /complete/);
    t.is(await succeed('lstardis', [...lab.place(store), lab.source], identity), 'a\nb\n');
    await succeed('regenerate', [...lab.place(store), '-o', out, lab.source], identity);
    t.is(look(out).size, 5);
    t.is(
      await succeed('regenerate', [...lab.place(store), '--stdout', lab.at('b', 'c')], identity),
      'c',
    );
  }
});

/** States of a catalog after a session ended while another process was reading it, or after a session was killed. */
const LEFT_OVERS: readonly (readonly [what: string, leave: (catalog: string) => void])[] = [
  ['a session that ended while somebody read', (catalog) => setJournalBytes(catalog)],
  [
    'a log without its index',
    (catalog) => {
      setJournalBytes(catalog);
      fs.writeFileSync(`${catalog}-wal`, '');
    },
  ],
];

/** Sets bytes 18 and 19 of a database to 2: it has a write-ahead log. They are 1 if it has none. */
function setJournalBytes(catalog: string): void {
  const fd = fs.openSync(catalog, 'r+');
  fs.writeSync(fd, Buffer.of(2, 2), 0, 2, 18);
  fs.closeSync(fd);
}

for (const [what, leave] of LEFT_OVERS) {
  asRoot(`a catalog is read where nothing can be written, after ${what}`, async (t) => {
    const lab = await Lab.with(t, [file('a', 'a')]);
    leave(path.join(lab.store, 'me', 'tardis.db'));
    lab.open();
    const temporary = lab.output('tmp');
    const env = { TMPDIR: temporary };
    t.is(await succeed('lstardis', [...lab.place(), lab.source], { ...nobody, env }), 'a\n');
    const store = mountedReadOnly(t, lab.store);
    if (store === undefined) t.log('not tried read-only: nothing may be mounted here');
    else t.is(await succeed('lstardis', [...lab.place(store), lab.source], { env }), 'a\n');
    t.deepEqual(fs.readdirSync(temporary), [], 'a copy was left behind');
  });
}

asRoot(
  'a directory that was moved out of one that cannot be read now is restored in both places',
  async (t) => {
    const { home, store, source, at } = lab(t, [
      dir('left', [dir('moved', [file('one', '1')])]),
      dir('right', []),
    ]);
    const secret = at('secret');
    fs.chmodSync(home, 0o755);
    fs.writeFileSync(secret, 'words of a test');
    spawnSync('chown', ['-R', String(NOBODY), home]);
    const user = { ...nobody, env: { XDG_STATE_HOME: at('state') } };
    const place = ['-D', store, '-C', 'me', '-F', secret];
    await backup([...place, '--local', '--create', source], user);
    fs.renameSync(path.join(source, 'left', 'moved'), path.join(source, 'right', 'moved'));
    fs.chmodSync(path.join(source, 'left'), 0);
    await run('tardis', [...place, '--local', source], user);
    const isRestored = async (name: string): Promise<void> => {
      const out = at(name);
      exited(t, 3, await run('regenerate', [...place, '-o', out, source], user)); // the entries of a directory that could not be read have no proof
      for (const side of ['left', 'right']) {
        t.is(fs.readFileSync(path.join(out, 'tree', side, 'moved', 'one'), 'utf8'), '1');
      }
    };
    await isRestored('before');
    await succeed('sonic', ['rekey', ...place, '--yes'], user);
    await isRestored('after new keys');
  },
);

asRoot(
  'a directory and a file are backed up and compared below one that may be passed but not listed',
  async (t) => {
    const home = scratchInMemory(t);
    fs.chmodSync(home, 0o711);
    const above = path.join(home, 'above');
    makeTree(above, [
      dir('tree', [file('a', 'one')]),
      file('b', 'two'),
      file('c', 'x'.repeat(3 << 20)),
    ]);
    const own = folderIn(home, 'own');
    for (const place of [
      own,
      above,
      ...['tree', 'tree/a', 'b', 'c'].map((name) => path.join(above, name)),
    ]) {
      fs.chownSync(place, NOBODY, NOBODY);
    }
    fs.chmodSync(above, 0o311);
    const place = ['-D', path.join(own, 'store'), '-C', 'me'];
    for (const name of ['tree', 'b', 'c']) {
      const source = path.join(above, name);
      const create = name === 'tree' ? ['--create'] : [];
      await succeed('tardis', [...place, '--local', ...create, source], nobody);
      t.is(await succeed('tardiff', [...place, source], nobody), '');
      const checked = await succeed('sonic', ['check', ...place, '--against-source'], nobody);
      t.regex(checked, /Read 1 file of the source again.*\n.*matches the source/);
    }
    // The directory itself cannot be listed, and neither can be what is in a closed one.
    const listed = await run('tardis', [...place, '--local', above], nobody);
    t.regex(listed.stderr, /cannot open .*above: permission denied \(EACCES\) \[SOURCE_MISSING\]/);
    fs.chmodSync(above, 0o200);
    for (const name of ['tree', 'b']) {
      const closed = await run('tardiff', [...place, path.join(above, name)], nobody);
      t.regex(closed.stderr, /cannot be read: permission denied \(EACCES\) \[SOURCE_UNREADABLE\]/);
    }
  },
);

asRoot('a restore below / is continued, although its user may not write there', async (t) => {
  const lab = await Lab.with(t, [file('a', '1')]);
  const mine = lab.output('mine');
  makeTree(path.join(mine, 'tree'), [file('f', 'content')]);
  const set = spawnSync('setfattr', ['-n', 'trusted.of-root', '-v', 'x', `${mine}/tree/f`]);
  if (set.status !== 0) return leaveOut(t, 'left out: no such attributes here');
  await backup([...lab.place(), '--local', mine]);
  lab.open();
  fs.rmSync(path.join(mine, 'tree'), { recursive: true });
  const command = [...lab.place(), '-H', '-o', '/', `${mine}/tree`];
  for (const isAgain of [false, true]) {
    const { stderr } = exited(t, 3, await run('regenerate', command, nobody));
    t.regex(stderr, /trusted\.of-root/);
    t.is(stderr.includes('continued a restore'), isAgain, stderr);
    t.is(fs.readdirSync(mine).filter((name) => name.startsWith('.tardis-restore-')).length, 1);
  }
});

asRoot(
  'a user whom the system does not know, and who has no home, backs up and reads',
  async (t) => {
    const uid = 54_321;
    const names = ['HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME'];
    const stranger = { uid, env: Object.fromEntries(names.map((name) => [name, ''])) };
    const lab = await Lab.with(t, [file('a', 'x', { mode: 0o644 })]);
    t.regex(await succeed('lstardis', [...lab.place(), lab.source], stranger), /^a$/m);
    const own = lab.place(path.join(lab.output('own', uid), 'store'));
    await succeed('tardis', [...own, '--local', '--create', lab.source], stranger);
    await succeed('sonic', ['status', ...own], stranger);
    await succeed('sonic', ['check', ...own], stranger);
  },
);
