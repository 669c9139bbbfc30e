// Pace: long
/** Sub-accounts of a client: each has exactly the rights it was given, even if its program is malicious. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Login } from '../../src/transport/login/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  connect,
  DEFAULT_LINK,
  encodeMessage,
  type MessageName,
  MESSAGES,
  Purpose,
  type PlainKind,
  type PurposeName,
} from '../../src/transport/index.js';
import { exited } from '../helpers/codes.js';
import { valueOfKind, valuesOfFields } from '../helpers/field-values.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  type Outcome,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';

backupsRunHere();

const system = nodeSystem();
const OWN_PASSWORD = 'the words of the account';

interface Lab {
  readonly store: string;
  readonly source: string;
  readonly owner: readonly string[];
  at(name: string): string;
  /** Returns the arguments with which an account logs in to a server. */
  as(account: string, server: Server): string[];
  sonic(...args: string[]): Promise<Outcome>;
}

async function labWith(t: ExecutionContext, accounts: Record<string, string>): Promise<Lab> {
  const { store, source, place, at } = lab(t, [
    dir('below', [file('name', noise(1, 5000))]),
    file('other', 'x'),
  ]);
  fs.writeFileSync(at('owner'), 'the words of the owner');
  fs.writeFileSync(at('own'), OWN_PASSWORD);
  const owner = [...place, '-F', at('owner')];
  await backup([...owner, '--local', '--create', source]);
  const sonic = (...args: string[]): Promise<Outcome> =>
    run('sonic', ['account', ...owner, ...args, '--newpassword-file', at('own')]);
  for (const [name, rights] of Object.entries(accounts)) {
    t.is((await sonic('--add', name, '--rights', rights)).status, 0);
  }
  const as = (account: string, server: Server): string[] => [
    ...server.clientArgs,
    '-C',
    'me',
    '-F',
    at('own'),
    '--account',
    account,
  ];
  return { store, source, owner, at, as, sonic };
}

test('accounts are created, changed, listed and removed', async (t) => {
  const { owner, sonic, store, at } = await labWith(t, { phone: 'list,add' });
  const listed = async (): Promise<unknown> => {
    const [line] = jsonLines(await succeed('sonic', ['account', ...owner, '--json']));
    return (line as { accounts: unknown }).accounts;
  };
  t.deepEqual(await listed(), [{ name: 'phone', rights: ['add', 'list'] }]);
  t.regex((await sonic('--add', 'phone', '--rights', 'read')).stderr, /has an account "phone"/);
  t.is((await sonic('--change', 'phone', '--rights', 'read,list,purge')).status, 0);
  t.deepEqual(await listed(), [{ name: 'phone', rights: ['read', 'list', 'purge'] }]);
  for (const [args, code] of [
    [['--add', '../x', '--rights', 'add'], 'ACCOUNT_INVALID'],
    [['--add', 'x', '--rights', 'all'], 'ACCOUNT_INVALID'],
    [['--add', 'x', '--rights', ','], 'ACCOUNT_INVALID'],
    [['--change', 'x', '--rights', 'add'], 'NO_SUCH_ACCOUNT'],
    [['--remove', 'x'], 'NO_SUCH_ACCOUNT'],
    [['--add', 'x'], 'USAGE'],
    [['--rights', 'add'], 'USAGE'],
    [['--remove', 'phone', '--add', 'x', '--rights', 'add'], 'USAGE'],
  ] as const) {
    t.regex((await sonic(...args)).stderr, new RegExp(code), args.join(' '));
  }
  const asPhone = ['-D', store, '-C', 'me', '-F', at('own'), '--account', 'phone'];
  await succeed('lstardis', asPhone);
  t.is((await sonic('--remove', 'phone')).status, 0);
  t.deepEqual(await listed(), []);
  t.regex((await run('lstardis', asPhone)).stderr, /NO_SUCH_ACCOUNT/);
  // An incomplete account, left by a machine that crashed, does not block a new one of the same name.
  fs.mkdirSync(path.join(store, 'me', 'accounts', 'phone', 'keys'), { recursive: true });
  fs.writeFileSync(path.join(store, 'me', 'accounts', 'phone', 'keys', '00000001.key'), 'half');
  t.deepEqual(await listed(), []);
  t.is((await sonic('--add', 'phone', '--rights', 'list')).status, 0);
  await succeed('lstardis', asPhone);
});

test('a check names accounts whose rights are damaged or gone, on the machine and through a server', async (t) => {
  const { owner, sonic, store, at } = await labWith(t, { phone: 'list', tablet: 'read,list' });
  const check = ['check', ...owner, '--json'];
  const found = async (args: readonly string[]): Promise<unknown[]> => {
    const { status, stdout } = await run('sonic', args);
    const lines = jsonLines<{ finding: string; account?: string; state?: string }>(stdout);
    const faults = lines.filter(({ finding }) => finding === 'account');
    t.is(status, faults.length > 0 ? 3 : 0, stdout);
    t.like(lines.at(-1), { finding: 'end', isClean: faults.length === 0 });
    return faults.map(({ account, state }) => [account, state]);
  };
  t.deepEqual(await found(check), []);
  const rights = (name: string): string => path.join(store, 'me', 'accounts', name, 'rights');
  fs.writeFileSync(rights('phone'), '');
  fs.rmSync(rights('tablet'));
  const faults = [
    ['phone', 'senseless'],
    ['tablet', 'gone'],
  ];
  t.deepEqual(await found(check), faults);
  const { stdout } = exited(t, 3, await run('sonic', ['check', ...owner]));
  t.regex(stdout, /^account: "phone" has no rights, since its file is invalid/m);
  t.notRegex(stdout, /No damage found/);
  const server = await Server.during(t, store);
  const far = ['-C', 'me', '-F', at('owner'), ...server.clientArgs];
  t.deepEqual(await found(['check', ...far, '--json']), faults);
  fs.writeFileSync(rights('phone'), 'everything\n');
  t.deepEqual(await found(check), faults);
  t.is((await sonic('--change', 'phone', '--rights', 'list')).status, 0);
  t.is((await sonic('--add', 'tablet', '--rights', 'read')).status, 0);
  t.deepEqual(await found(check), []);
});

test('an account may do what its rights allow, and no more', async (t) => {
  const lab = await labWith(t, { adder: 'add', looker: 'list', reader: 'list,read' });
  const { source, at, as, store } = lab;
  const server = await Server.during(t, store);
  const refused = async (...[tool, args]: Parameters<typeof run>): Promise<void> => {
    const { status, stderr } = await run(tool, args);
    t.not(status, 0);
    t.regex(stderr, /NOT_PERMITTED/);
    t.regex(stderr, /sonic account/);
  };
  fs.writeFileSync(path.join(source, 'new'), 'new');
  t.is((await backup([...as('adder', server), source])).progress.contentsSent, 1);
  await refused('lstardis', [...as('adder', server), source]);
  await refused('regenerate', [...as('adder', server), '-o', at('none'), source]);
  t.regex(await succeed('lstardis', [...as('looker', server), source]), /below/);
  await refused('regenerate', [...as('looker', server), '-o', at('none'), source]);
  await refused('tardis', [...as('looker', server), source]);
  await refused('tardis', [...as('reader', server), source]);
  t.deepEqual(await restoredBy([...as('reader', server)], source, at('out')), []);
  // The owner's password opens no account, and an account's password opens no other name.
  const wrong = [...server.clientArgs, '-C', 'me', '-F', at('owner'), '--account', 'reader'];
  t.is((await run('lstardis', [...wrong, source])).status, 12);
  t.is((await run('lstardis', [...as('nobody', server), source])).status, 12);
  t.is((await run('lstardis', [...as('', server), source])).status, 12);
  // A change of rights applies to the next session.
  await lab.sonic('--change', 'looker', '--rights', 'read,list');
  await succeed('regenerate', [...as('looker', server), '-o', at('later'), source]);
});

const BLANK: Readonly<Record<PlainKind, () => unknown>> = {
  uint: () => 1,
  int: () => 1,
  number: () => 1,
  line: () => '',
  text: () => '',
  bytes: () => Buffer.alloc(0),
  bool: () => false,
  uints: () => [],
  ints: () => [],
  texts: () => [],
  byteses: () => [],
  counts: () => ({}),
  figures: () => ({}),
};

/** Returns a message with placeholder values in all fields, as a malicious program could send it. */
function blank(name: MessageName): Buffer {
  const head = valuesOfFields(MESSAGES[name].fields, (kind) =>
    valueOfKind(
      kind,
      (plain) => BLANK[plain](),
      () => 0,
    ),
  );
  return encodeMessage(name, head).head;
}

test('every message is refused if its sender lacks the right, whatever program sends it', async (t) => {
  const rights = ['add', 'read', 'list', 'purge', 'admin'] as const;
  const lab = await labWith(t, { adder: 'add,purge,admin', reader: 'list,purge,admin' });
  const server = await Server.during(t, lab.store);
  const send = async (account: string, purpose: PurposeName, name: MessageName) => {
    const target = { client: 'me', create: false, purpose };
    const password = Buffer.from(OWN_PASSWORD);
    const ask = () => Promise.resolve(password);
    const login = await Login.prepare(system, target, { password, ask, account });
    const address = { kind: 'tcp', host: '127.0.0.1', port: server.port } as const;
    const connection = await connect(system, address, DEFAULT_LINK);
    connection.onMessage((reported, bytes) => {
      if (reported === 'loginChallenge') {
        login.answer(connection, bytes).catch((error: unknown) => connection.fail(error));
      }
      if (reported === 'welcome') connection.sendBytes(blank(name));
    });
    login.greet(connection);
    return (await connection.closed)?.code;
  };
  const names = Object.keys(MESSAGES) as MessageName[];
  const needing = (right: string): MessageName[] =>
    names.filter((name) => MESSAGES[name].right === right);
  t.true(rights.filter((right) => needing(right).length > 0).length >= 3);
  const forAdder = [...needing('list'), ...needing('read')];
  for (const name of forAdder)
    t.is(await send('adder', Purpose.backup, name), 'NOT_PERMITTED', name);
  for (const name of [...needing('add'), ...needing('read')]) {
    t.is(await send('reader', Purpose.read, name), 'NOT_PERMITTED', name);
  }
  t.is(await send('adder', Purpose.backup, 'setKeys'), 'NOT_PERMITTED', 'keys are the owner’s');
  const before = fs.readdirSync(path.join(lab.store, 'me', 'keys'));
  t.deepEqual(before, ['00000001.key']);
});

test('what is taken from an account counts in sessions that are under way', async (t) => {
  const lab = await labWith(t, { adder: 'add', reader: 'list,read' });
  const { at, as, sonic, source, store } = lab;
  const server = await Server.during(t, store);
  makeTree(at('more'), [file('large', noise(2, 40 << 20))]);
  // The slow link makes the session last longer than the server's interval between checks of rights (2 s).
  const args = [...as('adder', server), '--bandwidth-limit', '1M', at('more')];
  const adding = run('tardis', [...args, source], { isProcess: true });
  await server.running.until('session', () => server.running.stderr.includes('"session begins"'));
  t.is((await sonic('--remove', 'adder')).status, 0, 'no session holds that up');
  const { status, stderr } = await adding;
  t.not(status, 0);
  t.regex(stderr, /NO_SUCH_ACCOUNT|NOT_PERMITTED/);
  await succeed('lstardis', [...as('reader', server), source]);
});

test('an account lacks the keys that came after it, which is no damage', async (t) => {
  const { owner, at, source, store } = await labWith(t, { reader: 'list,read' });
  await succeed('sonic', ['rotate', ...owner]);
  fs.writeFileSync(path.join(source, 'later'), noise(3, 5000));
  await backup([...owner, '--local', source]);
  const reader = ['-D', store, '-C', 'me', '-F', at('own'), '--account', 'reader'];
  const { stderr } = exited(t, 3, await run('regenerate', [...reader, '-o', at('out'), source]));
  t.regex(stderr, /no key of epoch 2/);
  t.notRegex(stderr, /damage/);
  t.true(fs.existsSync(path.join(at('out'), 'tree', 'other')), 'the rest is there');
  t.is((await backup([...owner, '--local', source])).progress.contentsSent, 0);
});

test('an account whose file makes no sense has no rights, and can be mended', async (t) => {
  const { owner, sonic, store } = await labWith(t, { phone: 'list' });
  fs.writeFileSync(path.join(store, 'me', 'accounts', 'phone', 'rights'), 'list bogus');
  const [line] = jsonLines(await succeed('sonic', ['account', ...owner, '--json']));
  t.deepEqual((line as { accounts: unknown }).accounts, [{ name: 'phone', rights: [] }]);
  t.is((await sonic('--change', 'phone', '--rights', 'list')).status, 0);
  t.is((await sonic('--remove', 'phone')).status, 0);
});

test('keys that are in a file stay there: no account has them in the store', async (t) => {
  const { owner, sonic, at } = await labWith(t, { phone: 'list' });
  const keys = ['keys', ...owner, '--extract', '--remove', '--keys', at('keys')];
  t.regex((await run('sonic', keys)).stderr, /NOT_PERMITTED/);
  t.is((await sonic('--remove', 'phone')).status, 0);
  await succeed('sonic', keys);
  t.regex((await sonic('--add', 'phone', '--rights', 'list')).stderr, /KEYS_ELSEWHERE/);
});
