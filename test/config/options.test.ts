import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  PIPELINE_OPTIONS,
  parseValue,
  resolveOptions,
  SERVER_OPTIONS,
  type OptionTable,
  type ValueSources,
} from '../../src/config/index.js';
import { TardisError } from '../../src/errors/index.js';
import { scratch } from '../helpers/scratch.js';

const TABLE = {
  port: {
    key: 'Port',
    section: 'Tardis',
    env: 'TEST_PORT',
    type: 'int',
    min: 0,
    max: 65_535,
    default: 7420,
    help: '',
  },
  baseDir: { key: 'BaseDir', section: 'Tardis', type: 'text', default: '/srv', help: '' },
  single: { key: 'Single', section: 'Tardis', type: 'bool', default: false, help: '' },
  budget: { key: 'Budget', section: 'Pipeline', type: 'size', default: 1024, help: '' },
  codec: {
    key: 'Codec',
    section: 'Pipeline',
    type: 'choice',
    choices: ['zstd', 'none'],
    default: 'zstd',
    help: '',
  },
} as const satisfies OptionTable;

function configFile(t: ExecutionContext, text: string): string {
  const file = path.join(scratch(t), 'tardis.conf');
  fs.writeFileSync(file, text);
  return file;
}

function resolve(sources: Partial<ValueSources>) {
  return resolveOptions(TABLE, { environment: {}, commandLine: {}, ...sources });
}

/** The message of a CONFIG_INVALID that these sources give. */
function refusal(t: ExecutionContext, sources: Partial<ValueSources>): string {
  const error = t.throws(() => resolve(sources), { instanceOf: TardisError });
  t.is(error.code, 'CONFIG_INVALID', error.message);
  return error.message;
}

test('without anything there are the defaults', (t) => {
  t.deepEqual(resolve({}), {
    port: 7420,
    baseDir: '/srv',
    single: false,
    budget: 1024,
    codec: 'zstd',
  });
});

test('the command line comes before the file, the file before the environment', (t) => {
  const environment = { TEST_PORT: '1' };
  const file = configFile(t, '[Tardis]\nPort = 2\n');
  const commandLine = { port: '3' };
  t.is(resolve({ environment }).port, 1);
  t.is(resolve({ environment, configFile: file }).port, 2);
  t.is(resolve({ configFile: file }).port, 2);
  t.is(resolve({ environment, configFile: file, commandLine }).port, 3);
  t.is(resolve({ environment, commandLine }).port, 3);
  t.is(resolve({ commandLine: { port: undefined }, configFile: file }).port, 2);
});

test('a file sets values of all types, whatever the case of its keys', (t) => {
  const file = configFile(
    t,
    [
      '; a comment',
      '# another',
      '[Tardis]',
      'PORT=0',
      'BaseDir = /with some spaces/and=signs ',
      'single = yes',
      '',
      '[pipeline]',
      'Budget = 16M',
      'codec = none',
    ].join('\n'),
  );
  t.deepEqual(resolve({ configFile: file }), {
    port: 0,
    baseDir: '/with some spaces/and=signs',
    single: true,
    budget: 16 << 20,
    codec: 'none',
  });
});

test('flags without a value are taken as they are', (t) => {
  t.is(resolve({ commandLine: { single: true } }).single, true);
  const file = configFile(t, '[Tardis]\nSingle = yes\n');
  t.is(resolve({ configFile: file, commandLine: { single: false } }).single, false);
});

test('a bad value is refused with its file and key, variable or option', (t) => {
  const file = configFile(t, '[Tardis]\nPort = many\n');
  const inFile = refusal(t, { configFile: file });
  t.true(inFile.includes(file) && inFile.includes('Port') && inFile.includes('"many"'), inFile);
  const inVariable = refusal(t, { environment: { TEST_PORT: '70000' } });
  t.true(inVariable.includes('TEST_PORT') && inVariable.includes('"70000"'), inVariable);
  const inOption = refusal(t, { commandLine: { codec: 'lzma' } });
  t.true(inOption.includes('Codec') && inOption.includes('"lzma"'), inOption);
});

test('a bad value is refused also where a better one would win', (t) => {
  const file = configFile(t, '[Tardis]\nPort = many\n');
  refusal(t, { configFile: file, commandLine: { port: '3' } });
});

test('an unknown key is refused with its file and name', (t) => {
  const wrongs: [string, string][] = [
    ['[Tardis]\nPrt = 1\n', 'Prt'],
    ['[Pipeline]\nPort = 1\n', 'Port'],
    ['[Other]\nPort = 1\n', 'Port'],
    ['Port = 1\n', 'Port'],
    ['[Tardis]\nconstructor = 1\n', 'constructor'],
  ];
  for (const [text, name] of wrongs) {
    const file = configFile(t, text);
    const message = refusal(t, { configFile: file });
    t.true(message.includes(file) && message.includes(name), message);
  }
});

test('a key that is there twice, or is a section, is refused', (t) => {
  for (const text of [
    '[Tardis]\nBaseDir = /a\nBaseDir = /b\n',
    '[Tardis]\nPort = 1\nPort = 1\n',
    '[Tardis.BaseDir]\nx = 1\n',
  ]) {
    const file = configFile(t, text);
    const message = refusal(t, { configFile: file });
    t.true(message.includes(file) && /BaseDir|Port/.test(message), message);
  }
});

test('a file that cannot be read is refused with its name and the reason', (t) => {
  const folder = scratch(t);
  const missing = path.join(folder, 'none.conf');
  t.regex(refusal(t, { configFile: missing }), /none\.conf.*ENOENT/);
  t.regex(refusal(t, { configFile: folder }), /EISDIR/);
});

test('an empty file, and an empty section, set nothing', (t) => {
  for (const text of ['', '\n\n', '[Tardis]\n', '[Tardis]\n; Port = 1\n']) {
    t.is(resolve({ configFile: configFile(t, text) }).port, 7420);
  }
});

for (const [name, table] of Object.entries({ PIPELINE_OPTIONS, SERVER_OPTIONS })) {
  test(`every default of ${name} could be written as a value`, (t) => {
    const keys = new Set<string>();
    for (const spec of Object.values<OptionTable[string]>(table)) {
      const value = parseValue(String(spec.default), spec, spec.key);
      t.is(value, spec.default, spec.key);
      t.true(spec.help.length > 5, spec.key);
      const key = `${spec.section}.${spec.key}`.toLowerCase();
      t.false(keys.has(key), `${key} is there twice`);
      keys.add(key);
    }
    t.true(keys.size > 5);
  });
}
