// Pace: slow
/** Settings stored with a client, the configuration that a client sends, and `sonic upgrade`. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { CATALOG_VERSION } from '../../src/store/catalog/index.js';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { bytesOfFile, filesBelow } from '../helpers/plaintext.js';

backupsRunHere();

async function shown(way: readonly string[], ...keys: string[]): Promise<unknown> {
  const [reported] = jsonLines(await succeed('sonic', ['getconfig', ...way, '--json', ...keys]));
  return (reported as { settings: unknown }).settings;
}

test('settings of a client are stored, shown and removed, in a store and through a server', async (t) => {
  const { place, store, source, written } = lab(t);
  const secret = written('secret', 'the words of the owner');
  const own = [...place, '-F', secret];
  await backup([...own, '--local', '--create', source]);
  const named = ['--newpassword-file', secret];
  await succeed('sonic', ['account', ...own, '--add', 'boss', '--rights', 'list,admin', ...named]);
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', '-F', secret];
  const boss = [...far, '--account', 'boss'];
  t.deepEqual(await shown(own), {});
  t.regex(
    await succeed('sonic', ['setconfig', ...own, 'maxdeltachain', '3']),
    /MaxDeltaChain of "me" is now 3/,
  );
  await succeed('sonic', ['setconfig', ...boss, 'KeepDaily', '14']);
  await succeed('sonic', ['setconfig', ...boss, 'Formats', 'Monthly-%Y-%m, Daily-%Y-%m-%d']);
  await succeed('sonic', ['setconfig', ...boss, '--remove', 'MaxDeltaChain']);
  await succeed('sonic', ['setconfig', ...own, 'SaveFull', 'yes', '--json']);
  const wanted = { Formats: 'Monthly-%Y-%m, Daily-%Y-%m-%d', KeepDaily: '14', SaveFull: 'yes' };
  for (const way of [own, far, boss]) t.deepEqual(await shown(way), wanted);
  t.deepEqual(await shown(far, 'savefull', 'MaxDeltaChain'), {
    SaveFull: 'yes',
    MaxDeltaChain: null,
  });
  t.regex(
    await succeed('sonic', ['getconfig', ...own, 'KeepDaily', 'KeepLast']),
    /^KeepDaily  14\nKeepLast   \(not set\)/,
  );
  for (const [way, args, code] of [
    [far, ['KeepDaily', '1'], 'NOT_PERMITTED'],
    [own, ['KeepDaly', '1'], 'CONFIG_INVALID'],
    [boss, ['MaxDeltaChain', 'x'], 'CONFIG_INVALID'],
    [own, ['KeepWithin', 'blah'], 'CONFIG_INVALID'],
    [boss, ['Priorities', 'x y'], 'CONFIG_INVALID'],
    [own, ['KeepPeriods', '-1'], 'CONFIG_INVALID'],
    [own, ['KeepPeriods', '1y'], 'CONFIG_INVALID'],
    [boss, ['Formats', 'a\u001B[31m'], 'CONFIG_INVALID'],
    [own, ['KeepDaily'], 'USAGE'],
    [own, [], 'USAGE'],
    [own, ['KeepDaily', '1', '--remove'], 'USAGE'],
    [own, ['KeepDaily', '1', '2'], 'USAGE'],
  ] as const) {
    const { stderr } = await run('sonic', ['setconfig', ...way, ...args]);
    t.regex(stderr, new RegExp(`\\[${code}\\]`));
    if (code === 'CONFIG_INVALID') t.true(stderr.includes(args[0]), stderr);
  }
  t.regex((await run('sonic', ['getconfig', ...own, 'BaseDir'])).stderr, /CONFIG_INVALID/);
  t.deepEqual(await shown(own), wanted);
});

test('settings of a client that need others to have an effect are stored, and the others are named', async (t) => {
  const { place, source } = lab(t);
  await backup([...place, '--local', '--create', source]);
  const warned = async (...args: string[]): Promise<string> => {
    const { status, stderr } = await run('sonic', ['setconfig', ...place, ...args]);
    t.is(status, 0, stderr);
    return stderr;
  };
  const first = await warned('Formats', 'Daily-%Y-%m-%d, Hourly-%Y-%m-%d-%Hh');
  t.regex(first, /Formats 2, Priorities is not set, KeepPeriods is not set/);
  t.regex(await warned('Priorities', '20, 5'), /Formats 2, Priorities 2, KeepPeriods is not set/);
  t.regex(await warned('KeepPeriods', '30'), /Formats 2, Priorities 2, KeepPeriods 1/);
  t.is(await warned('KeepPeriods', '30, 1'), '');
  t.is(await warned('KeepDaily', '7'), '');
  t.regex(await warned('--remove', 'Priorities'), /Priorities is not set/);
});

test('with a kind of its own, hourly sets are purged after a day', async (t) => {
  const { place, source } = lab(t);
  await backup([...place, '--local', '--create', source]);
  for (const [key, value] of [
    ['Formats', 'Monthly-%Y-%m, Weekly-%G-W%V, Daily-%Y-%m-%d, Hourly-%Y-%m-%d-%Hh'],
    ['Priorities', '40, 20, 10, 5'],
    ['KeepPeriods', '0, 180, 30, 1'],
  ] as const) {
    await succeed('sonic', ['setconfig', ...place, key, value]);
  }
  for (let set = 2; set <= 4; set += 1) await backup([...place, '--local', source]);
  const preview = await succeed('sonic', ['purge', ...place, '--preview']);
  t.regex(preview, /Hourly-\S+ .* keep +.*kept by its priority 1 days/);
  t.regex(preview, /Daily-\S+ .* keep +.*kept by its priority 30 days/);
});

async function configsReported(
  way: readonly string[],
): Promise<(Record<string, string> | undefined)[]> {
  const [reported] = jsonLines(await succeed('sonic', ['info', ...way, '--json', '1-9']));
  return (reported as { sets: { config?: { settings: Record<string, string> } }[] }).sets.map(
    ({ config }) => config?.settings,
  );
}

test('the settings of a client are sent, stored with the set, and shown, unless either end switches that off', async (t) => {
  const { place, source, written } = lab(t);
  const config = written('cfg', '[Tardis]\nWorkers = 1\nSendClientConfig = no\n');
  const server = written('server', '[Tardis]\nSaveConfig = no\n');
  const run = [...place, '--local', source];
  await backup([...run, '--create', '--exclude', '*.tmp']);
  await backup([...run, '--config', config]);
  await backup([...run, '--config', config, '--send-config'], { isProcess: true }); // with its threads
  await backup([...run, '--nosend-config']);
  await backup([...run, '--local-config', server]);
  const env = { TARDIS_SEND_CONFIG: 'no' };
  await succeed('tardis', run, { env });
  const [one, two, three, ...others] = await configsReported(place);
  t.like(one, { exclude: '*.tmp', client: 'me', local: 'yes' });
  t.is(two, undefined);
  t.like(three, { workers: '1', sendConfig: 'yes' });
  t.deepEqual(others, [undefined, undefined, undefined]);
});

test('the reported settings of a client have no secret, also of one that encrypts nothing', async (t) => {
  const { place, store, source, written } = lab(t);
  const secret = written('the-file', 'the words of the owner');
  const prog = `--password-prog=cat ${secret}`;
  await backup([...place, '--local', '--create', '--nocrypt', '--password=open sesame 17', source]);
  const cfg = written(
    'cfg',
    `[Tardis]\nPassword = open sesame 17\nServer = ftp://me:hidden@host\nExcludePatterns = http://me:hidden@x\nHookAfter = true hidden\n`,
  );
  await backup([...place, '--local', '--config', cfg, source]);
  const all = JSON.stringify(await configsReported([...place, '--password=open sesame 17']));
  t.notRegex(all, /sesame|hidden/);
  t.regex(all, /"password":"\(not shown\)"/);
  t.regex(all, /"exclude":"\(not shown\)"/);
  t.regex(all, /"hookAfter":"\(not shown\)"/);
  const closed = ['-D', store, '-C', 'sealed'];
  await backup([...closed, '--local', '--create', prog, '--exclude', 'very-private-name', source]);
  const [reported] = await configsReported([...closed, prog]);
  t.like(reported, { exclude: 'very-private-name', passwordProg: '(not shown)' });
  t.false(JSON.stringify(reported).includes('the-file'));
  for (const file of filesBelow(path.join(store, 'sealed'))) {
    const bytes = bytesOfFile(file);
    t.false(bytes.includes('very-private-name'));
    t.false(bytes.includes('passwordProg'));
  }
});

test('a catalog of the newest version is not upgraded, whatever AllowSchemaUpgrades is', async (t) => {
  const { place, store, source, written } = lab(t);
  const catalog = path.join(store, 'me', 'tardis.db');
  for (const [index, allowed] of ['no', 'yes'].entries()) {
    const config = written(allowed, `[Tardis]\nAllowSchemaUpgrades = ${allowed}\n`);
    const create = index === 0 ? ['--create'] : [];
    await backup([...place, '--local', ...create, '--local-config', config, source]);
  }
  const before = fs.readFileSync(catalog);
  for (const more of [[], ['--dry-run']]) {
    t.regex(await succeed('sonic', ['upgrade', ...place, ...more]), /the newest one/);
  }
  const [reported] = jsonLines(await succeed('sonic', ['upgrade', ...place, '--json']));
  t.like(reported, { client: 'me', from: CATALOG_VERSION, to: CATALOG_VERSION, upgraded: false });
  t.true(fs.readFileSync(catalog).equals(before));
  fs.rmSync(catalog);
  t.regex((await run('sonic', ['upgrade', ...place])).stderr, /is missing.*CATALOG_DAMAGED/);
  const fresh = ['-D', store, '-C', 'fresh'];
  await succeed('sonic', ['create', ...fresh]);
  t.regex(await succeed('sonic', ['upgrade', ...fresh]), /does not exist yet/);
});
