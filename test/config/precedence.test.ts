import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  allRows,
  explain,
  formatValue,
  parseGiven,
  resolveSettings,
  type Settings,
  type Tool,
} from '../../src/config/index.js';
import { type ErrorCode, TardisError } from '../../src/errors/index.js';
import { scratch } from '../helpers/scratch.js';

type Texts = Readonly<Record<string, string | readonly string[]>>;

/** Reads no defaults file of the machine on which the tests run. */
const ALONE = { TARDIS_DEFAULTS: '' };

function resolve<T extends Tool>(
  tool: T,
  options: Texts,
  environment: Record<string, string> = {},
) {
  const commandLine = new Map(
    Object.entries(options).map(([name, texts]) => [name, [texts].flat()] as const),
  );
  return resolveSettings(tool, { commandLine, environment: { ...ALONE, ...environment } });
}

function settingsOf<T extends Tool>(
  tool: T,
  options: Texts,
  environment: Record<string, string> = {},
): Settings<T> {
  return resolve(tool, options, environment);
}

function written(t: ExecutionContext, text: string, name = 'tardis.cfg'): string {
  const file = path.join(scratch(t), name);
  fs.writeFileSync(file, text);
  return file;
}

/** Returns the message of the error with which `act` must fail. */
function refusal(
  t: ExecutionContext,
  act: () => unknown,
  code: ErrorCode = 'CONFIG_INVALID',
): string {
  const error = t.throws(act, { instanceOf: TardisError });
  t.is(error.code, code, error.message);
  return error.message;
}

test('without anything there are the defaults', (t) => {
  const settings = settingsOf('tardis', {});
  t.like(settings, { port: 7420, server: 'localhost', codec: 'zstd' });
  t.is(settings.database.toString(), '/srv/tardis');
  t.is(settings.localConfig, undefined);
  t.deepEqual(settings.directories, [Buffer.from('.')]);
});

test('built in < system.defaults < environment < configuration file < command line', (t) => {
  const environment: Record<string, string> = {};
  const options: Record<string, string> = {};
  const port = (): number => settingsOf('tardis', options, environment).port;
  const source = (): string => resolve('tardis', options, environment).sources.get('port')!.source;
  t.deepEqual([port(), source()], [7420, 'built-in']);
  environment['TARDIS_DEFAULTS'] = written(t, '[Tardis]\nTARDIS_PORT = 1\n');
  t.deepEqual([port(), source()], [1, 'system defaults']);
  environment['TARDIS_PORT'] = '2';
  t.deepEqual([port(), source()], [2, 'environment']);
  options['configFiles'] = written(t, '[Tardis]\nPort = 3\n');
  t.deepEqual([port(), source()], [3, 'configuration file']);
  options['port'] = '4';
  t.deepEqual([port(), source()], [4, 'command line']);
});

test('the server takes its settings in the same order', (t) => {
  const environment = {
    TARDIS_DEFAULTS: written(t, '[Tardis]\nTARDIS_DB = /1\nTARDIS_PORT = 1\n'),
  };
  const daemonConfig = written(t, '[Tardis]\nBaseDir: /3\nSingle = yes\n[Pipeline]\nPackSize=2M\n');
  const storeOf = (options: Texts, env: Record<string, string>): string =>
    settingsOf('tardisd', options, env).database.toString();
  t.is(storeOf({}, environment), '/1');
  t.like(settingsOf('tardisd', {}, environment), { port: 1, single: false });
  t.like(settingsOf('tardisd', { daemonConfig, single: 'false' }, environment), {
    port: 1,
    single: false,
    packBytes: 2 << 20,
  });
  const named = { ...environment, TARDIS_DAEMON_CONFIG: daemonConfig };
  t.like(settingsOf('tardisd', {}, named), { single: true });
  t.is(storeOf({}, named), '/3');
  t.is(storeOf({ daemonConfig: '' }, named), '/1', 'an empty name stands for no file');
});

test('a job reads its own section only', (t) => {
  const configFiles = written(
    t,
    '[Tardis]\nServer = main\nPort = 1\n[Laptop]\nPort = 2\n[Pipeline]\nWorkers = 3\nBudget = 2M\n' +
      '[other]\nBudget = 4M\n',
  );
  t.like(settingsOf('tardis', { configFiles }), { server: 'main', port: 1, workers: 3 });
  t.like(settingsOf('tardis', { configFiles, job: 'laptop' }), { server: 'localhost', port: 2 });
  t.is(settingsOf('tardis', { configFiles, job: 'laptop' }).budgetBytes, 2 << 20);
  t.is(settingsOf('tardis', { configFiles, job: 'other' }).budgetBytes, 4 << 20);
  const message = refusal(t, () => resolve('tardis', { configFiles, job: 'labtop' }));
  t.regex(message, /no section \[labtop\].*"Laptop"/);
  refusal(t, () => resolve('tardis', { job: 'laptop' }), 'USAGE');
  const jobs = written(t, '[one]\nPort = 1\n');
  t.regex(
    refusal(t, () => resolve('tardis', { configFiles: jobs })),
    /no section \[Tardis\].*--job/,
  );
});

test('of several configuration files the later ones take precedence', (t) => {
  const first = written(t, '[Tardis]\nPort = 1\nServer = first\n[home]\nPort = 5\n');
  const second = written(t, '[Tardis]\nPort = 2\n');
  const configFiles = [first, second];
  t.like(settingsOf('tardis', { configFiles }), { port: 2, server: 'first' });
  t.is(settingsOf('tardis', { configFiles, job: 'home' }).port, 5);
});

test('every section is checked, whichever is read', (t) => {
  const configFiles = written(t, '[Tardis]\nPort = 1\n[later]\nPort = high\n');
  const message = refusal(t, () => resolve('lstardis', { configFiles }));
  t.regex(message, /tardis\.cfg:4: Port is "high"/);
  // A key for another tool is checked, and then ignored.
  const others = written(t, '[Tardis]\nClient = me\nVerbosity = 2\n');
  t.is(settingsOf('lstardis', { configFiles: others }).client, 'me');
  t.false('verbosity' in settingsOf('lstardis', { configFiles: others }));
});

test('an unknown key is refused with its line and the nearest one', (t) => {
  const client: readonly [text: string, message: RegExp][] = [
    ['[Tardis]\n\nPrt = 1\n', /cfg:3: \[Tardis\] has no key "Prt" .*"Port"/],
    ['[Pipeline]\nWorkrs = 1\n', /"Workrs" .*"Workers"/],
    ['[Pipeline]\nPort = 1\n', /\[Pipeline\] has no key "Port"/],
    ['[Tardis]\nconstructor = 1\n', /no key "constructor"/],
    ['[Tardis]\n__proto__ = 1\n', /no key "__proto__"/],
    ['[DEFAULT]\nPort = 1\n', /\[DEFAULT\] is not supported/],
    ['[Tardis]\nBaseDir = /srv\n', /no key "BaseDir"/],
  ];
  for (const [text, wanted] of client) {
    const configFiles = written(t, text);
    t.regex(
      refusal(t, () => resolve('tardis', { configFiles })),
      wanted,
    );
  }
  const daemonConfig = written(t, '[Tardis]\nBaseDri = /srv\n');
  t.regex(
    refusal(t, () => resolve('tardisd', { daemonConfig })),
    /"BaseDri" .*"BaseDir"/,
  );
  const section = written(t, '[Tradis]\nBaseDir = /srv\n');
  t.regex(
    refusal(t, () => resolve('tardisd', { daemonConfig: section })),
    /\[Tradis\].*"Tardis"/,
  );
  t.regex(
    refusal(t, () => resolve('tardis', {}, { TARDIS_CLEINT: 'me' })),
    /"TARDIS_CLEINT".*"TARDIS_CLIENT"/,
  );
  const defaults = { TARDIS_DEFAULTS: written(t, '[Tardis]\nTARDIS_PRT = 1\n') };
  t.regex(
    refusal(t, () => resolve('tardis', {}, defaults)),
    /"TARDIS_PRT".*"TARDIS_PORT"/,
  );
  const circle = { TARDIS_DEFAULTS: written(t, '[Tardis]\nTARDIS_DEFAULTS = x\n') };
  refusal(t, () => resolve('tardis', {}, circle));
});

test('a bad value is refused with its file and line, variable or option, also where a better one would win', (t) => {
  const configFiles = written(t, '[Tardis]\nPort = many\n');
  const inFile = refusal(t, () => resolve('tardis', { configFiles, port: '3' }));
  t.true(inFile.includes(`${configFiles}:2: Port is "many"`), inFile);
  const inVariable = refusal(t, () => resolve('tardis', { port: '3' }, { TARDIS_PORT: '70000' }));
  t.true(inVariable.includes('TARDIS_PORT is "70000"'), inVariable);
  const inOption = refusal(t, () => resolve('tardis', { codec: 'lz4' }));
  t.true(inOption.includes('--compress-data is "lz4"'), inOption);
});

test('a file that cannot be read is refused with its name and the reason', (t) => {
  const folder = scratch(t);
  const missing = path.join(folder, 'none.cfg');
  t.regex(
    refusal(t, () => resolve('tardis', { configFiles: missing })),
    /none\.cfg.*ENOENT/,
  );
  t.regex(
    refusal(t, () => resolve('tardisd', { daemonConfig: folder })),
    /EISDIR/,
  );
  t.regex(
    refusal(t, () => resolve('tardis', {}, { TARDIS_DEFAULTS: missing })),
    /none\.cfg.*ENOENT/,
  );
  t.regex(
    refusal(t, () => resolve('tardisd', {}, { TARDIS_DAEMON_CONFIG: missing })),
    /none\.cfg.*ENOENT/,
  );
});

test('the explanation shows each value and where it was given', (t) => {
  const configFiles = written(t, '[Tardis]\nServer = there\n\nTimeout = 7\n');
  const resolved = resolve(
    'tardis',
    { configFiles, codec: 'zlib', profile: 'desktop', directories: ['/a b', '/c'] },
    { TARDIS_CLIENT: 'me' },
  );
  const rows = new Map(explain('tardis', resolved).map((row) => [row.name, row]));
  t.like(rows.get('server'), { shown: 'there', where: `${configFiles}:2` });
  t.like(rows.get('timeoutSeconds'), { value: 7, where: `${configFiles}:4` });
  t.like(rows.get('codec'), { source: 'command line', where: '--compress-data' });
  t.like(rows.get('client'), { source: 'environment', where: 'TARDIS_CLIENT', value: 'me' });
  t.like(rows.get('budgetBytes'), { shown: '12M', value: 12 << 20 });
  t.like(rows.get('port'), { shown: '7420', source: 'built-in', where: '' });
  t.like(rows.get('directories'), { shown: '"/a b" /c' });
  t.like(rows.get('localConfig'), { shown: undefined, value: null });
});

test('bytes that are no UTF-8 stay as they are in paths, and are refused in texts', (t) => {
  const folder = scratch(t);
  const configFiles = path.join(folder, 'bytes.cfg');
  fs.writeFileSync(
    configFiles,
    Buffer.from('[Tardis]\nDirectories = /a\xff/b "/\xe4 c" /ü\n', 'latin1'),
  );
  const { directories } = settingsOf('tardis', { configFiles });
  const wanted = ['/a\xff/b', '/\xe4 c', '/\xfc'].map((text) => Buffer.from(text, 'latin1'));
  t.deepEqual(directories, wanted);
  fs.writeFileSync(configFiles, Buffer.from('[Tardis]\nClient = \xff\n', 'latin1'));
  t.regex(
    refusal(t, () => resolve('tardis', { configFiles })),
    /bytes\.cfg:2: Client must be UTF-8/,
  );
});

test('every default could be written as a value', (t) => {
  for (const [name, row] of allRows()) {
    const given = typeof row.default === 'function' ? row.default() : row.default;
    t.true(row.help.length > 5, name);
    if (given === undefined) continue;
    const isList = typeof given === 'object' && row.type !== 'command'; // the words of a command are one text
    const texts = isList ? given : [formatValue(given, row)];
    const value = parseGiven(texts, row, name);
    const isPath = /^(?:path|place)s?$/.test(row.type);
    const wanted = isPath ? [given].flat().map((text) => Buffer.from(String(text))) : given;
    t.deepEqual(isPath ? [value].flat() : value, wanted, name);
  }
});

test('a repository of later releases names the store or the server, and the client', (t) => {
  t.like(settingsOf('tardis', { repository: '/srv/b/me/' }), { client: 'me', local: true });
  for (const text of ['/srv/b/me', 'file:///srv/b/me', 'file:/srv/b/me']) {
    const { database, client } = settingsOf('lstardis', {}, { TARDIS_REPO: text });
    t.deepEqual([database.toString(), client], ['/srv/b', 'me']);
  }
  const file = written(t, '[Tardis]\nServer = old\nClient = old\n');
  const far = { repo: 'tardis://host:7/me', configFiles: file };
  t.like(settingsOf('tardis', far), { server: 'host:7', client: 'me', local: false });
  t.like(settingsOf('sonic info', far), { throughServer: 'host:7', client: 'me' });
  const bySsh = { repository: 'ssh://ann@nas:22/srv/b/me' };
  t.like(settingsOf('tardis', bySsh), { server: 'ssh://ann@nas:22/srv/b', client: 'me' });
  t.is(settingsOf('lstardis', { repository: 'ssh://nas/me/' }).server, 'ssh://nas');
  const inFile = written(t, '[Tardis]\nRepository = /srv/b/me\n', 'repository.cfg');
  t.is(settingsOf('regenerate', { configFiles: inFile }).client, 'me');
  for (const [options, part] of [
    [{ repository: 'tardis://host' }, 'DIRECTORY/CLIENT'],
    [{ repository: '/srv/..' }, 'DIRECTORY/CLIENT'],
    [{ repository: 's3://bucket/' }, 's3://BUCKET/CLIENT'],
    [{ repository: 'ssh://nas' }, 'ssh://HOST/PLACE/CLIENT'],
    [{ repository: 'https://host/me' }, '--server'],
    [{ repository: 'ann@host:/b/me' }, '--server ssh://USER@HOST/PLACE'],
    [{ repository: '/srv/b/me', client: 'me' }, 'leave out --client'],
    [{ configFiles: written(t, '[Tardis]\nRepository = b/me\n', 'bad.cfg') }, 'absolute'],
  ] as const) {
    t.true(refusal(t, () => settingsOf('tardis', options)).includes(part), part);
  }
  const rebuild = { repository: 'tardis://host/me' };
  t.regex(
    refusal(t, () => settingsOf('sonic rebuild', rebuild)),
    /works on the store itself/,
  );
});

test('variables of later releases are other names of settings', (t) => {
  const later = { TARDIS_PWFILE: '/a', TARDIS_KEYFILE: '/k', TARDIS_JOB: 'none' };
  const { passwordFile, keysFile } = settingsOf('lstardis', { database: '/s' }, later);
  t.deepEqual([passwordFile?.toString(), keysFile?.toString()], ['/a', '/k']);
  const both = { ...later, TARDIS_PASSWORD_FILE: '/b' };
  t.is(settingsOf('lstardis', {}, both).passwordFile?.toString(), '/b');
  t.is(settingsOf('tardisd', {}, { TARDIS_BASEDIR: '/srv/b' }).database.toString(), '/srv/b');
});

test('no tool has a flag, key or variable twice', (t) => {
  const seen = new Set<string>();
  const add = (what: string): void => {
    t.false(seen.has(what), what);
    seen.add(what);
  };
  for (const [, row] of allRows()) {
    for (const tool of row.tools) {
      for (const flag of row.flags?.match(/-[\w-]+/g) ?? []) add(`${tool} ${flag}`);
      if (row.variable !== undefined) add(`${tool} ${row.variable}`);
      if (row.clientKey !== undefined) add(`${tool}: client key ${row.clientKey.toLowerCase()}`);
    }
    if (row.serverKey !== undefined) add(`server ${row.serverKey.toLowerCase()}`);
    t.true(row.isTuning !== true || (row.clientKey ?? row.serverKey) !== undefined);
  }
});
