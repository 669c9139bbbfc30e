/** Account files: their meaning, errors with file and line, and the account that a client belongs to. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { TardisError } from '../../src/errors/index.js';
import {
  accountOf,
  ACCOUNTS_DIRECTORY,
  addTarget,
  changeQuota,
  listClients,
  parseAccount,
  removeTarget,
  STORE_MARK,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

const WHOLE = `# of the office
SpaceQuota:   100000000
SpaceUsed:    1K
SpacePerFile: 4096

  SpacePerDir : 4K
Targets: laptop  desk\tshed
`;

function storeWith(t: ExecutionContext, accounts: Readonly<Record<string, string>>): string {
  const store = scratchInMemory(t);
  fs.mkdirSync(path.join(store, ACCOUNTS_DIRECTORY));
  for (const [name, text] of Object.entries(accounts)) {
    fs.writeFileSync(path.join(store, ACCOUNTS_DIRECTORY, name), text);
  }
  return store;
}

function ask(store: string, client: string) {
  const faults: string[] = [];
  const heard = (fault: TardisError): void => void faults.push(`${fault.code} ${fault.message}`);
  try {
    const account = accountOf(nodeSystem(), store, client, heard)?.name;
    return { account, refusal: undefined, faults };
  } catch (error) {
    const { code, message } = error as TardisError;
    return { account: undefined, refusal: `${code} ${message}`, faults };
  }
}

test('a file of an account is read as in the seed', (t) => {
  for (const text of [WHOLE, `\ufeff${WHOLE.replaceAll('\n', '\r\n')}`]) {
    const { account, fault, targetsLine } = parseAccount('office', text);
    t.is(fault, undefined);
    t.is(targetsLine, 7);
    t.deepEqual(account, {
      name: 'office',
      quotaBytes: 100_000_000,
      usedElsewhereBytes: 1024,
      perFileBytes: 4096,
      perDirectoryBytes: 4096,
      targets: ['laptop', 'desk', 'shed'],
    });
  }
  t.like(parseAccount('empty', '').account, { quotaBytes: 0, perFileBytes: 0, targets: [] });
});

test('a fault is reported with its line, and the owner of the account stays known', (t) => {
  for (const [line, printed] of [
    ['SpaceQuota: lots', /:2: SpaceQuota is "lots" but must be a size/],
    ['SpaceQuota: -1', /:2: SpaceQuota is "-1"/],
    ['SpaceQuota: 0', /:2: SpaceQuota is at least 1/],
    ['SpaceQuota: 999999999999T', /:2: SpaceQuota is too large/],
    ['SpaceQuota 5', /:2: "SpaceQuota 5" is no "Key: value"/],
    ['Spacequota: 5', /:2: there is no key "Spacequota"/],
    ['DiskPath: /home/x', /:2: leave out DiskPath: .*BaseDir.*Targets/],
    ['SpaceUsed: 1\nSpaceUsed: 2', /:3: "SpaceUsed" is there twice/],
    ['Targets: desk ../up', /:2: "\.\.\/up" is no client name/],
    ['Targets: desk desk', /:2: "desk" is there twice/],
    ['Targets: desk\nTargets: shed', /:3: "Targets" is there twice/],
    [`Targets: ${Array.from({ length: 2100 }, (_, at) => `c${at}`).join(' ')}`, /at most 2048/],
    ['\x1b[31m: 1', /:2: "\S*\[31m: 1" is no "Key: value"/],
  ] as const) {
    const { fault, account } = parseAccount('a', `# first\n${line}\nTargets: mine\n`);
    t.is(fault?.code, 'CONFIG_INVALID', line);
    t.regex(fault!.message, printed);
    t.regex(fault!.message, /account file \.accounts\/a:/);
    t.false(fault!.message.includes('\x1b'));
    if (!line.includes('c2099')) t.true(account.targets.includes('mine'), line);
  }
});

test('a client has at most one account, and a broken one is no concern of others', (t) => {
  const store = storeWith(t, {
    good: 'Targets: a\n',
    one: 'Targets: twice\n',
    two: '\nTargets: twice b\n',
    broken: 'Targets: c\nDiskPath: /x\n',
    'good~': 'Targets: a\n',
    large: `Targets: d\n${'#'.repeat(70 << 10)}\n`,
  });
  fs.mkdirSync(path.join(store, ACCOUNTS_DIRECTORY, 'directory'));
  fs.writeFileSync(path.join(store, STORE_MARK), '');
  t.deepEqual(listClients(nodeSystem(), store), [], 'accounts are no clients');
  t.like(ask(store, 'a'), { account: 'good', refusal: undefined });
  t.like(ask(store, 'b'), { account: 'two', refusal: undefined });
  t.like(ask(store, 'stranger'), { account: undefined, refusal: undefined });
  const { faults } = ask(store, 'a');
  t.is(faults.length, 3);
  for (const printed of [/broken:2/, /large has more than 64 KiB/, /directory is no file/]) {
    t.true(
      faults.some((fault) => printed.test(fault)),
      String(printed),
    );
  }
  t.regex(ask(store, 'c').refusal!, /CONFIG_INVALID .*broken:2/);
  const twice = ask(store, 'twice');
  t.regex(twice.refusal!, /CONFIG_INVALID .*"twice" is in two accounts: .*one:1, .*two:2/);
  t.true(twice.faults.includes(twice.refusal!), 'the operator hears of it too');
});

test('a store may have no accounts, and not too many', (t) => {
  t.deepEqual(ask(scratchInMemory(t), 'a'), { account: undefined, refusal: undefined, faults: [] });
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`n${at}`, '']));
  t.regex(ask(storeWith(t, many), 'a').refusal!, /more than 256 accounts/);
});

test('a quota and a client are changed in the file of their account, whose other lines stay', async (t) => {
  const text = '# ours\nTargets:  laptop desk\n  SpaceQuota : 1G\nSpaceUsed: 1K';
  const store = storeWith(t, { office: text, bare: 'Targets: phone\n', broken: 'x\n' });
  const system = nodeSystem();
  const textOf = (name: string): string =>
    fs.readFileSync(path.join(store, ACCOUNTS_DIRECTORY, name), 'utf8');
  t.deepEqual(await changeQuota(system, store, 'desk', 200 * 1024 ** 3), {
    account: 'office',
    targets: ['laptop', 'desk'],
    beforeBytes: 1024 ** 3,
  });
  t.is(textOf('office'), 'SpaceQuota: 200G\n# ours\nTargets:  laptop desk\nSpaceUsed: 1K');
  await changeQuota(system, store, 'laptop', 0);
  t.is(textOf('office'), '# ours\nTargets:  laptop desk\nSpaceUsed: 1K');
  t.is((await changeQuota(system, store, 'phone', 1001)).beforeBytes, 0);
  t.is(textOf('bare'), 'SpaceQuota: 1001\nTargets: phone\n');
  const fault = async (work: Promise<unknown>) => (await t.throwsAsync<TardisError>(work)).code;
  t.is(await fault(changeQuota(system, store, 'stranger', 1)), 'ACCOUNT_FILE_MISSING');
  t.is(await fault(changeQuota(system, store, 'desk', 1.5)), 'CONFIG_INVALID');
  t.is(await addTarget(system, store, { owned: 'desk', client: 'shed' }), 'office');
  t.is(await addTarget(system, store, { owned: 'desk', client: 'shed' }), undefined);
  await removeTarget(system, store, { account: 'bare', client: 'shed' });
  t.true(textOf('office').includes('Targets:  laptop desk shed\n'));
  await removeTarget(system, store, { account: 'office', client: 'laptop' });
  await removeTarget(system, store, { account: 'office', client: 'shed' });
  t.is(textOf('office'), '# ours\nTargets: desk\nSpaceUsed: 1K');
});
