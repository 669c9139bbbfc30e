/** Where a command gets its password from, without a terminal. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Found } from '../../src/config/index.js';
import { givenPassword } from '../../src/tools/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { scratchInMemory } from '../helpers/scratch.js';

type Settings = Parameters<typeof givenPassword>[0];
type Name = Exclude<keyof Settings, 'sources'>;

const PROMPT = { prompt: 'Password', isNew: false };
const NONE = { password: undefined, passwordFile: undefined, passwordProg: undefined };

/** Returns the password of settings from these sources. */
async function given(
  settings: Partial<Settings>,
  sources: Partial<Record<Name, Found['source']>> = {},
): Promise<string | undefined> {
  const found = new Map<string, Found>();
  for (const name of Object.keys(settings)) {
    const source = sources[name as Name] ?? 'command line';
    found.set(name, { value: 'x', source, where: `--${name}` });
  }
  const password = await givenPassword({ ...NONE, ...settings, sources: found }, PROMPT);
  return password?.toString();
}

function written(t: ExecutionContext, content: string | Buffer): Buffer {
  const file = path.join(scratchInMemory(t), 'secret');
  fs.writeFileSync(file, content, { mode: 0o600 });
  return Buffer.from(file);
}

test('without a setting there is no password', async (t) => {
  t.is(await given({}), undefined);
});

test('a setting of higher precedence wins, and two of one precedence are refused', async (t) => {
  const passwordFile = written(t, 'from the file\n');
  const both = { password: 'text', passwordFile };
  t.is(await rejectedCode(given(both)), 'CONFIG_INVALID');
  t.is(await given(both, { password: 'environment' }), 'from the file');
  t.is(await given(both, { passwordFile: 'configuration file' }), 'text');
  const wins = { password: 'environment', passwordFile: 'configuration file' } as const;
  t.is(await given(both, wins), 'from the file');
  const prog = { ...both, passwordProg: ['/bin/false'] };
  t.is(await given(prog, { passwordFile: 'environment', passwordProg: 'environment' }), 'text');
});

test('the password in a file is its first line, without the line end', async (t) => {
  for (const content of ['two words', 'two words\n', 'two words\r\n', 'two words\nrest\n']) {
    t.is(await given({ passwordFile: written(t, content) }), 'two words', JSON.stringify(content));
  }
  const file = written(t, 'by address\n');
  t.is(await given({ passwordFile: Buffer.from(`file://${file.toString()}`) }), 'by address');
});

test('a file without a password, or with too much, is refused', async (t) => {
  for (const [content, code] of [
    ['', 'PASSWORD_NEEDED'],
    ['\nsecond line', 'PASSWORD_NEEDED'],
    ['\r\n', 'PASSWORD_NEEDED'],
    [Buffer.alloc(4097, 'x'), 'CONFIG_INVALID'],
    [Buffer.alloc(65 << 10, 'x\n'), 'CONFIG_INVALID'],
  ] as const) {
    const passwordFile = written(t, content);
    const error = await t.throwsAsync(given({ passwordFile }));
    t.like(error, { code });
    if (content.length < 5000) t.true(error.message.includes(passwordFile.toString()));
  }
  t.is((await given({ passwordFile: written(t, Buffer.alloc(4096, 'x')) }))?.length, 4096);
  const missing = Buffer.from('/dev/shm/no such file');
  t.is(await rejectedCode(given({ passwordFile: missing })), 'CONFIG_INVALID');
});

test('a password is not fetched over a network that others can read', async (t) => {
  for (const address of [
    'http://192.0.2.1/secret',
    'HTTP://host.example/secret',
    'ftp://host.example/secret',
    'http://localhost.example/secret',
    'http://127.0.0.1.example/secret',
  ]) {
    const error = await t.throwsAsync(given({ passwordFile: Buffer.from(address) }));
    t.like(error, { code: 'CONFIG_INVALID' }, address);
    t.regex(error.message, /not fetched/, address);
    t.false(error.message.includes('/secret'), 'the path may be secret');
  }
});

test('the password of a program is the first line that it prints', async (t) => {
  t.is(await given({ passwordProg: ['/bin/echo', 'two', 'words'] }), 'two words');
  for (const [passwordProg, code] of [
    [['/bin/false'], 'CONFIG_INVALID'],
    [['/bin/true'], 'PASSWORD_NEEDED'],
    [['/no/such/program'], 'CONFIG_INVALID'],
    [[], 'CONFIG_INVALID'],
  ] as const) {
    t.is(await rejectedCode(given({ passwordProg })), code, passwordProg.join(' '));
  }
});
