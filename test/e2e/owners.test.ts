// Pace: slow
/** Owners and groups by number and name, through backup, catalog, rebuild and restore. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, jsonLines, succeed } from '../helpers/commands.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  rebuildInline,
  restoreInline,
  withHistory,
  withNative,
} from '../helpers/inline.js';
import { ACL, here } from '../helpers/kinds.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree, node, symlink } from '../helpers/tree.js';

backupsRunHere();

/** Users and groups of the backed-up machine, by number. */
const USERS: Readonly<Record<number, string>> = { 1001: 'anna', 1002: 'bert', 4321: 'carl' };
const GROUPS: Readonly<Record<number, string>> = { 2001: 'anglers', 2002: 'bakers' };
/** Numbers of users and groups on the machine that is restored to, by name. */
const LOCAL_USERS: Readonly<Record<string, number>> = { anna: 7001, carl: 7003, bert: 1002 };
const LOCAL_GROUPS: Readonly<Record<string, number>> = { anglers: 8001 };

const named = (name: string | undefined): Buffer | undefined =>
  name === undefined ? undefined : Buffer.from(name);

function sourceMachine(
  users: Readonly<Record<number, string>> = USERS,
): ReturnType<typeof inlineSystem> {
  return withNative(() => ({
    userName: (id) => named(users[id]),
    groupName: (id) => named(GROUPS[id]),
  }));
}

const targetMachine = withNative(() => ({
  userId: (name) => LOCAL_USERS[name.toString()],
  groupId: (name) => LOCAL_GROUPS[name.toString()],
}));

async function reported(place: Place, set: number): Promise<string[]> {
  const owners = await withHistory(place, (history) => history.owners(set));
  return owners.map(({ isGroup, id, name }) => `${isGroup ? 'g' : 'u'}${id}=${name.toString()}`);
}

function skipUnlessRoot(t: ExecutionContext): boolean {
  if (isRoot) return false;
  t.log('left out: only root can give files away');
  t.pass();
  return true;
}

test('owners are restored by name, or by number with --numeric-ids', async (t) => {
  if (skipUnlessRoot(t)) return;
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const acl = here.acls ? { attributes: { 'system.posix_acl_access': ACL } } : {};
  makeTree(
    source,
    [
      file('file', 'x', { uid: 1001, gid: 2001 }),
      file('large', Buffer.alloc(2 << 20, 'x'), { uid: 1002, gid: 2002 }),
      dir('directory', [], { uid: 1001, gid: 2002 }),
      symlink('link', 'file', { uid: 1001, gid: 2001 }),
      node('fifo', 'fifo', { uid: 9999, gid: 9999 }),
      file('acl', 'x', { uid: 1002, gid: 2001, mode: 0o755, ...acl }),
    ],
    { uid: 1001, gid: 0 },
  );
  const place = { store, client: 'me' };
  await backupInline(sourceMachine(), place, [source], { create: true });
  const names = ['u1001=anna', 'u1002=bert', 'g2001=anglers', 'g2002=bakers'];
  if (here.acls) names.splice(2, 0, 'u4321=carl');
  t.deepEqual(await reported(place, 1), names);
  await rebuildInline(place);
  t.deepEqual(await reported(place, 1), names);

  const owners = async (numericIds: boolean): Promise<Record<string, string>> => {
    const output = path.join(home, numericIds ? 'numbers' : 'names');
    const request = { paths: [source], output, numericIds };
    t.deepEqual(await restoreInline(targetMachine, place, request), []);
    const top = path.join(output, 'tree');
    return Object.fromEntries(
      ['.', ...fs.readdirSync(top)].map((name) => {
        const { uid, gid } = fs.lstatSync(path.join(top, name));
        return [name, `${uid}:${gid}`];
      }),
    );
  };
  t.deepEqual(await owners(false), {
    '.': '7001:0',
    acl: '1002:8001',
    directory: '7001:2002',
    fifo: '9999:9999',
    file: '7001:8001',
    large: '1002:2002',
    link: '7001:8001',
  });
  t.deepEqual(await owners(true), {
    '.': '1001:0',
    acl: '1002:2001',
    directory: '1001:2002',
    fifo: '9999:9999',
    file: '1001:2001',
    large: '1002:2002',
    link: '1001:2001',
  });
  if (!here.acls) return;
  const aclOf = (output: string): Buffer => {
    const { native } = inlineSystem();
    const fd = native.openDirectory(Buffer.from(path.join(home, output, 'tree')));
    const packed = native.attributesAt(fd, Buffer.from('acl'), false, 4096);
    native.close(fd);
    return packed.subarray(-ACL.length);
  };
  t.deepEqual(aclOf('numbers'), ACL);
  const mapped = Buffer.from(ACL);
  mapped.writeUInt32LE(7003, mapped.indexOf(Buffer.from('e1100000', 'hex')));
  t.deepEqual(aclOf('names'), mapped);
});

test('each set keeps the names of its time', async (t) => {
  if (skipUnlessRoot(t)) return;
  const { store, source } = lab(t, [
    file('a', 'a', { uid: 1001, gid: 2001 }),
    file('b', 'b', { uid: 1002 }),
  ]);
  const place = { store, client: 'me' };
  const machines = [
    USERS,
    USERS,
    { 1001: 'renamed', 1002: 'bert' },
    { 1001: 'renamed' },
    { 1001: 'anna', 1002: 'new' },
  ];
  const wanted = [
    ['anna', 'bert'],
    ['anna', 'bert'],
    ['renamed', 'bert'],
    ['renamed', undefined],
    ['anna', 'new'],
  ];
  for (const [index, users] of machines.entries()) {
    await backupInline(sourceMachine(users), place, [source], { create: index === 0 });
  }
  const check = async (): Promise<void> => {
    for (const [index, [first, second]] of wanted.entries()) {
      const names = [`u1001=${first}`, ...(second === undefined ? [] : [`u1002=${second}`])];
      const found = (await reported(place, index + 1)).filter((name) => name.startsWith('u'));
      t.deepEqual(found, names, `set ${index + 1}`);
    }
  };
  await check();
  await rebuildInline(place);
  await check();
});

test('a service that does not answer loses no name that was known', async (t) => {
  const { store, source } = lab(t, [file('a', 'a')]);
  const place = { store, client: 'me' };
  const { uid, gid } = fs.statSync(source);
  const answers = withNative(() => ({ userName: () => named('me'), groupName: () => named('us') }));
  await backupInline(answers, place, [source], { create: true });
  const silent = (): never => {
    throw Object.assign(new Error('no answer'), { code: 'EIO' });
  };
  const fails = withNative(() => ({ userName: silent, groupName: silent }));
  await backupInline(fails, place, [source]);
  t.deepEqual(await reported(place, 2), [`u${uid}=me`, `g${gid}=us`]);
});

test('lstardis shows names of owners, and numbers on request', async (t) => {
  const { source, place } = lab(t, [
    file('mine', 'a'),
    ...(isRoot ? [file('nobody’s', 'b', { uid: 3_999_999_999, gid: 3_999_999_998 })] : []),
  ]);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const { native } = inlineSystem();
  const [user, group] = [process.getuid!(), process.getgid!()];
  const names = [native.userName(user)?.toString(), native.groupName(group)?.toString()];
  const entries = jsonLines(await succeed('lstardis', [...place, '--json', source]));
  t.like(entries[0], { name: 'mine', uid: user, gid: group });
  t.deepEqual([entries[0]!['owner'], entries[0]!['group']], names);
  const shown = await succeed('lstardis', [...place, '-l', source]);
  t.regex(shown, new RegExp(`${names[0] ?? user} +${names[1] ?? group} +1 .* mine`));
  if (isRoot) t.regex(shown, /3999999999 +3999999998 /);
  const numbers = await succeed('lstardis', [...place, '-l', '--numeric-ids', source]);
  t.regex(numbers, new RegExp(` ${user} +${group} +1 .* mine`));
});
