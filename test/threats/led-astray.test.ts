// Pace: slow
/**
 * Another user of the machine puts links where root, or an ordinary user, reads a source or writes an output, a store, state or
 * a temporary file. Nothing behind the links is read or written, and what is refused is named.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { readRoots } from '../../src/client/index.js';
import { changeQuota, makeJoinCode, requestBackup } from '../../src/store/index.js';
import {
  foreignHand,
  nodeSystem,
  outputPath,
  pathWithoutLinks,
  textBytes,
} from '../../src/system/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { codeIn, rejectedCode } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { shareOf } from '../helpers/share.js';
import { Swapper } from '../helpers/swapper.js';
import { isRoot } from '../helpers/tree.js';

backupsRunHere();

const BOB = 1234;
/** Number of readings beside swaps, of which some meet the link. */
const MOST_ROUNDS = 1_000_000;
const ALICE = 1235;
const SECRET = 'what only alice may read';
const ALICES = 'Documents';
const ACCOUNT = 'Targets: me\n';

/** A place with a plain directory, one of bob's with data, a closed one of alice's, and an empty one. */
function labOf(t: ExecutionContext) {
  const home = scratchInMemory(t);
  fs.chmodSync(home, 0o755);
  const at = (...names: string[]): string => path.join(home, ...names);
  written(folderIn(home, 'plain'), 'f', 'plain');
  written(folderIn(folderIn(home, 'bob'), 'data'), 'b', 'of bob');
  written(folderIn(folderIn(home, 'alice'), ALICES), 's', SECRET);
  folderIn(home, 'behind');
  for (const one of ['bob', 'bob/data', 'bob/data/b']) fs.lchownSync(at(one), BOB, BOB);
  for (const one of ['alice', `alice/${ALICES}`, `alice/${ALICES}/s`])
    fs.lchownSync(at(one), ALICE, ALICE);
  fs.chmodSync(at('alice', ALICES), 0o700);
  const link = (name: string, target: string): string => {
    fs.symlinkSync(target, at('bob', name));
    fs.lchownSync(at('bob', name), BOB, BOB);
    return at('bob', name);
  };
  const [store, behind] = [at('store'), at('behind')];
  const place = ['-D', store, '-C', 'me', '--local'];
  const client = ['-D', store, '-C', 'me'];
  return { at, link, store, behind, place, client };
}

const asRoot = test.macro({
  exec: async (t, body: (t: ExecutionContext, lab: ReturnType<typeof labOf>) => Promise<void>) =>
    isRoot ? body(t, labOf(t)) : t.pass('only root can be another user'),
  title: (name) => name!,
});

test(
  'a link of another user is not followed to a source: it is named, and the earlier version stays',
  asRoot,
  async (t, lab) => {
    const { at, link, place, client } = lab;
    const sources = [at('plain'), at('bob', 'data')];
    await succeed('tardis', [...place, '--create', ...sources]);
    fs.renameSync(at('bob', 'data'), at('bob', 'old'));
    link('data', at('alice', ALICES));
    const { status, stderr } = await run('tardis', [...place, ...sources]);
    t.is(status, 3);
    t.regex(stderr, /bob\/data: unreadable .* is a link of others: user 1234 owns .*bob\)/);
    t.is(codeIn(await run('tardis', [...place, at('bob', 'data')])), 'SOURCE_UNSAFE');
    const compared = await run('tardiff', [...client, at('bob', 'data', 's')]);
    t.is(codeIn(compared), 'SOURCE_UNSAFE', compared.stdout);
    const out = at('out');
    await run('regenerate', [...client, '--all', '--last', '-H', '-o', out]);
    const found = spawnSync('grep', ['-r', SECRET, out, lab.store]);
    t.is(found.status, 1, 'nothing of alice is in a set');
    t.is(fs.readFileSync(path.join(out, at('plain', 'f')), 'utf8'), 'plain');
    const listed = await succeed('lstardis', [
      ...client,
      '-V',
      'all',
      '--json',
      at('bob', 'data', 'b'),
    ]);
    t.regex(listed, /"firstSet":1/);
  },
);

test(
  'a directory on the way is no link of another user',
  asRoot,
  async (t, { at, link, place }) => {
    link('way', at('alice'));
    const deep = at('bob', 'way', ALICES);
    t.is(codeIn(await run('tardis', [...place, '--create', deep])), 'SOURCE_UNSAFE');
    t.is(
      codeIn(await run('tardis', [...place, '--create', path.join(deep, 's')])),
      'SOURCE_UNSAFE',
    );
  },
);

test(
  'links that root or the user alone could put there are followed',
  asRoot,
  async (t, { at }) => {
    const way = (target: string, name: string): string => {
      fs.symlinkSync(target, at(name));
      return pathWithoutLinks(textBytes(at(name)), 'SOURCE_UNSAFE').toString();
    };
    t.is(way('plain', 'near'), at('plain'));
    t.is(way(at('near'), 'far'), at('plain'));
    t.is(way('plain/none/x', 'dangling'), at('plain', 'none', 'x'));
    fs.mkdirSync(at('tmp'));
    fs.chmodSync(at('tmp'), 0o1777);
    t.is(
      way(at('plain'), 'tmp/own'),
      at('plain'),
      'in a sticky directory, what root has put there',
    );
    fs.symlinkSync(at('plain'), at('tmp', 'of bob'));
    fs.lchownSync(at('tmp', 'of bob'), BOB, BOB);
    const refused = (name: string, why: RegExp): void => {
      const thrown = t.throws(() => pathWithoutLinks(textBytes(at(name)), 'SOURCE_UNSAFE'));
      t.regex(thrown.message, why);
    };
    refused('tmp/of bob', /every user may write to .*tmp \(1777\)/);
    fs.mkdirSync(at('group'));
    fs.chownSync(at('group'), 0, 50);
    fs.chmodSync(at('group'), 0o775);
    fs.symlinkSync(at('plain'), at('group', 'x'));
    refused('group/x', /group 50 may write/);
    fs.symlinkSync('round', at('round'));
    refused('round', /ELOOP/);
  },
);

test(
  'a user or group that an ACL lets write to a directory or a file is one that could change it',
  asRoot,
  async (t, { at }) => {
    const rules: readonly [rule: string, ...why: RegExp[]][] = [
      [`u:${BOB}:rwx`, /user 1234 may write to .*acl.* \(by an ACL\)/],
      ['g:50:rwx', /group 50 may write to .*acl/],
      [`u:${BOB}:rx`],
      [`u:${BOB}:rwx,m:rx`],
      ['u:0:rwx,g:0:rwx'],
    ];
    const folder = folderIn(at(), 'acl');
    const change = (rule: string, file: string): boolean =>
      spawnSync('setfacl', ['-b', '-m', rule, file]).status === 0;
    if (!change('u:0:rx', folder)) {
      t.pass('no setfacl, or no ACLs here');
      return;
    }
    fs.symlinkSync(at('plain'), at('acl', 'x'));
    const followed = (): string =>
      pathWithoutLinks(textBytes(at('acl', 'x')), 'SOURCE_UNSAFE').toString();
    for (const [rule, why] of rules) {
      change(rule, folder);
      if (why === undefined) t.is(followed(), at('plain'), rule);
      else t.regex(t.throws(followed).message, why, rule);
      const file = written(at('plain'), 'acl', rule);
      change(rule, file);
      if (why === undefined) t.is(foreignHand(textBytes(file)), undefined, rule);
      else t.regex(foreignHand(textBytes(file)) ?? '', why, rule);
    }
    fs.chmodSync(folder, 0o1777);
    change(`u:${BOB}:rwx`, folder);
    t.is(followed(), at('plain'), 'in a sticky directory, what root has put there');
  },
);

test(
  'a source that is exchanged again and again shows nothing of another user',
  asRoot,
  async (t, { at, link }) => {
    link('x', at('alice', ALICES));
    const swapper = new Swapper(t, at('bob'), ['x', 'data']);
    const [alices, system] = [fs.statSync(at('alice', ALICES)).ino, nodeSystem()];
    let refused = 0;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      if (swapper.swaps >= shareOf(100_000, 3000) && refused > 0) break;
      const { roots } = readRoots(system, [textBytes(at('bob', 'data')), textBytes(at('plain'))]);
      for (const { identity } of roots)
        if (identity.inode === BigInt(alices)) t.fail('the directory of alice is read');
      refused += 2 - roots.length;
      await setImmediate();
    }
    await swapper.end();
    t.log(`${swapper.swaps} swaps; ${refused} times the source was refused`);
    t.true(refused > 0);
  },
);

test('what a command writes goes through no link of another user', asRoot, async (t, lab) => {
  const { at, link, store, place, client, behind } = lab;
  await succeed('tardis', [...place, '--create', at('plain')]);
  const t1 = link('t', behind);
  const refused: readonly [Parameters<typeof run>[0], readonly string[]][] = [
    ['regenerate', [...client, '--all', '--tar', path.join(t1, 'x.tar')]],
    ['regenerate', [...client, '--all', '--zip', path.join(t1, 'x.zip')]],
    ['regenerate', [...client, '--all', '-o', path.join(t1, 'x')]],
    ['tardis', [...place, '--logfile', path.join(t1, 'log'), at('plain')]],
    ['tardis', ['-D', path.join(t1, 'S'), '-C', 'me', '--local', '--create', at('plain')]],
    ['sonic', ['copy', ...client, '--create', '--to', path.join(t1, 'S')]],
    ['sonic', ['export', ...client, '--to', path.join(t1, 'e')]],
    ['sonic', ['export', ...client, '--to', path.join(t1, 'e'), '--tar']],
    ['tardisd', ['-D', store, '--pidfile', path.join(t1, 'pid'), '--port', '0']],
    ['tardisfs', [...client, path.join(t1, 'mnt')]],
  ];
  folderIn(behind, 'mnt');
  for (const [tool, words] of refused)
    t.is(codeIn(await run(tool, words)), 'TARGET_UNSAFE', words.join(' '));
  fs.writeFileSync(path.join(behind, 'log'), '');
  fs.lchownSync(link('log', path.join(behind, 'log')), BOB, BOB);
  const words = [...place, '--logfile', at('bob', 'log'), at('plain')];
  t.is(codeIn(await run('tardis', words)), 'TARGET_UNSAFE');
  fs.unlinkSync(at('bob', 'log'));
  fs.linkSync(path.join(behind, 'log'), at('bob', 'log')); // as a kernel without protected_hardlinks lets bob do
  t.is(codeIn(await run('tardis', words)), 'TARGET_UNSAFE');
  t.deepEqual(fs.readdirSync(behind).sort(), ['log', 'mnt']);
  t.is(fs.readFileSync(path.join(behind, 'log'), 'utf8'), '');
});

test(
  'a directory on the way to an output that becomes a link is not passed',
  asRoot,
  async (t, { at, link, behind }) => {
    fs.mkdirSync(at('bob', 'dir'));
    const file = outputPath(textBytes(at('bob', 'dir', 'x')));
    fs.rmdirSync(at('bob', 'dir'));
    link('dir', behind);
    const thrown = t.throws(() => nodeSystem().files.open(file, 'create'));
    t.is((thrown as { code?: string }).code, 'TARGET_UNSAFE');
    t.deepEqual(fs.readdirSync(behind), []);
  },
);

test(
  'own links beside an output lead where they did',
  asRoot,
  async (t, { at, store, place, client }) => {
    await succeed('tardis', [...place, '--create', at('plain')]);
    fs.symlinkSync(store, at('mine'));
    const mine = ['-D', at('mine'), ...place.slice(2)];
    await succeed('tardis', [...mine, '--logfile', at('log'), at('plain')]);
    t.regex(fs.readFileSync(at('log'), 'utf8'), /is complete/);
    await succeed('regenerate', [
      '-D',
      at('mine'),
      ...client.slice(2),
      '--all',
      '--tar',
      at('x.tar'),
    ]);
    await succeed('sonic', ['export', '-D', at('mine'), ...client.slice(2), '--to', at('e')]);
    t.is(codeIn(await run('regenerate', [...client, '--all', '--tar', '/dev/stdout'])), 'USAGE');
  },
);

test(
  'the owner of a store leads root nowhere by a link in place of what is beside the clients',
  asRoot,
  async (t, lab) => {
    const { at, store, behind, place } = lab;
    await succeed('tardis', [...place, '--create', at('plain')]);
    fs.writeFileSync(path.join(behind, 'passwd'), ACCOUNT);
    fs.chownSync(store, BOB, BOB);
    const system = nodeSystem();
    const { cert: certificate } = await certificateIn(at());
    written(folderIn(store, '.accounts'), 'mine', ACCOUNT);
    const acts: Readonly<Record<string, () => Promise<unknown>>> = {
      '.joins': () =>
        makeJoinCode(system, store, { client: 'passwd', server: 'host', certificate }),
      '.requests': () => requestBackup(system, store, { client: 'passwd', by: 'me/' }),
      '.accounts.lock': () => changeQuota(system, store, 'me', 1),
      '.accounts': () => changeQuota(system, store, 'me', 1),
      '.requests.lock': () => requestBackup(system, store, { client: 'x', by: 'me/' }),
    };
    for (const [name, act] of Object.entries(acts)) {
      fs.rmSync(path.join(store, name), { recursive: true, force: true });
      fs.symlinkSync(
        name.endsWith('.lock') ? path.join(behind, 'new') : behind,
        path.join(store, name),
      );
      fs.lchownSync(path.join(store, name), BOB, BOB);
      t.true(
        ['STORE_UNSAFE', 'STORE_NOT_WRITABLE'].includes((await rejectedCode(act())) ?? ''),
        name,
      );
      fs.unlinkSync(path.join(store, name));
    }
    t.deepEqual(fs.readdirSync(behind), ['passwd']);
    t.is(fs.readFileSync(path.join(behind, 'passwd'), 'utf8'), ACCOUNT);
  },
);

test(
  'root keeps no state and no temporary file in a directory of another user',
  asRoot,
  async (t, lab) => {
    const { at, place, client } = lab;
    const names = [
      'XDG_STATE_HOME',
      'XDG_CONFIG_HOME',
      'XDG_CACHE_HOME',
      'XDG_RUNTIME_DIR',
      'TMPDIR',
    ];
    const env = Object.fromEntries(names.map((name) => [name, folderIn(at('bob'), name)]));
    for (const folder of Object.values(env)) {
      fs.chownSync(folder, BOB, BOB);
      fs.utimesSync(folder, 1, 1);
    }
    const home = { ...env, HOME: folderIn(at(), 'home') };
    await succeed('tardis', [...place, '--create', at('plain')], { env: home });
    const tar = at('one.tar');
    await succeed('regenerate', [...client, '--all', '--tar', tar], { env: home });
    const sets = ['--sets', at('%Y-%m-%d.tar'), '--kept-as', '/x'];
    fs.renameSync(tar, at('2020-01-02.tar'));
    await succeed('tardis-import', ['-D', at('other'), '-C', 'me', '--create', ...sets], {
      env: home,
    });
    await succeed('sonic', ['export', ...client, '--to', at('e')], { env: home });
    for (const folder of Object.values(env)) t.is(fs.statSync(folder).mtimeMs, 1000, folder);
  },
);
