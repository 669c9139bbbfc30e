/** The settings of a run that are stored with its set: never a secret. */
import test from 'ava';
import { resolveSettings, rowsOf } from '../../src/config/index.js';
import { configBytes } from '../../src/model/index.js';
import { runningConfig } from '../../src/tools/index.js';

type Texts = Readonly<Record<string, string | readonly string[]>>;

function configOf(options: Texts): ReturnType<typeof runningConfig> {
  const commandLine = new Map(
    Object.entries(options).map(([name, texts]) => [name, [texts].flat()] as const),
  );
  const environment = { TARDIS_DEFAULTS: '' };
  const settings = resolveSettings('tardis', { commandLine, environment });
  // Without what depends on the machine: its profile, and the environment of this test.
  const own = [...settings.sources].filter(
    ([, { source }]) => source === 'command line' || source === 'built-in',
  );
  return runningConfig({ ...settings, sources: new Map(own) });
}

function valuesOf(options: Texts): Record<string, string> {
  return Object.fromEntries(configOf(options).settings.map(({ name, value }) => [name, value]));
}

const HIDDEN = '(not shown)';

test('only settings that were given are stored', (t) => {
  t.deepEqual(configOf({}).settings, []);
  t.deepEqual(valuesOf({ client: 'me', port: '7000', workers: '3' }), {
    client: 'me',
    port: '7000',
    workers: '3',
  });
});

test('a password and all that may contain one is hidden', (t) => {
  const secret = 'hunter2';
  const values = valuesOf({
    password: secret,
    hookBefore: `curl -u me:${secret} host`,
    urlSuccess: `https://host/${secret}`,
    mailCommand: `send --token ${secret}`,
  });
  t.false(JSON.stringify(values).includes(secret), JSON.stringify(values));
  t.deepEqual(new Set(Object.values(values)), new Set([HIDDEN]));
});

test('an address with a login is hidden in a text that is otherwise shown', (t) => {
  t.is(valuesOf({ server: 'host.example' })['server'], 'host.example');
  for (const server of ['https://me:secret@host', 'me@host']) {
    t.is(valuesOf({ server })['server'], HIDDEN, server);
  }
});

test('a setting is hidden until it is listed, whatever its name', (t) => {
  const texts = rowsOf('tardis').filter(([, row]) => row.type === 'text' || row.type === 'command');
  t.true(texts.length > 5);
  const found = new Map(
    texts.map(([name]) => [name, { value: 'x', source: 'command line', where: '' } as const]),
  );
  const settings = resolveSettings('tardis', {
    commandLine: new Map(),
    environment: { TARDIS_DEFAULTS: '' },
  });
  const shown = runningConfig({ ...settings, sources: found })
    .settings.filter(({ value }) => value !== HIDDEN)
    .map(({ name }) => name);
  t.deepEqual(shown.sort(), SHOWN);
});

/** The texts that a set may show. A name that is added here must never hold a secret. */
const SHOWN: readonly string[] = ['account', 'client', 'job', 'server', 'setName'];

test('long values are counted, and a configuration that is too long has none', (t) => {
  const long = 'x'.repeat(2000);
  t.is(valuesOf({ exclude: long })['exclude'], '(2000 characters)');
  const whole = configOf({ exclude: Array(200).fill('y'.repeat(4)) });
  t.true(configBytes(whole) <= 24 << 10);
});
