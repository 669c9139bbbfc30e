// Pace: slow
/** A client that has lost its key records and their copies saves nothing in clear; the printed sheet recovers it. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  BIN,
  cleanEnvironment,
  type CommandOptions,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { textOfPdf } from '../helpers/paper.js';
import { type Lab, lab } from '../helpers/lab.js';
import { differences, look } from '../helpers/tree.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';

interface Lost extends Lab {
  /** The password option with its value. */
  readonly password: readonly string[];
  readonly passwordFile: string;
  readonly sheet: readonly string[];
}

/** Makes a client with a backup and a printed sheet, and removes its key records. */
async function lost(t: ExecutionContext): Promise<Lost> {
  const made = lab(t);
  const passwordFile = made.written('password', `${SECRET}\n`);
  const password = ['--password-file', passwordFile];
  const { place, source, store, at } = made;
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  await succeed('sonic', ['keys', '--pdf', at('sheet.pdf'), ...place, ...password]);
  loseKeys(store);
  const sheet = textOfPdf(fs.readFileSync(at('sheet.pdf')));
  return { ...made, password, passwordFile, sheet };
}

function loseKeys(store: string): void {
  for (const folder of ['keys', 'packs/keys']) {
    fs.rmSync(path.join(store, 'me', folder), { recursive: true });
  }
}

function bytesOf(store: string): Buffer {
  const files = fs.readdirSync(store, { recursive: true, encoding: 'utf8' });
  const paths = files.map((name) => path.join(store, name));
  const plain = paths.filter((one) => fs.statSync(one).isFile());
  return Buffer.concat(plain.map((one) => fs.readFileSync(one)));
}

/** Returns the commands on a sheet, with continued lines joined. */
function commandsOn(sheet: readonly string[]): string[] {
  const text = sheet.join('\n').replaceAll('\\\n', '');
  return text
    .split('\n')
    .filter((line) => /^(lstardis|regenerate|sonic|tardis) -|^sonic keys/.test(line));
}

test('nothing is backed up in clear by a client whose keys are lost, and every error leads to its sheet', async (t) => {
  const { place, source, store, password } = await lost(t);
  fs.writeFileSync(path.join(source, 'secret'), 'SECRET-CONTENT');
  const fresh = { env: { XDG_STATE_HOME: path.join(store, '..', 'another machine') } };
  const calls = [
    ['tardis', ['--local', source]],
    ['tardis', ['--local', '--trust-store', source]],
    ['lstardis', []],
    ['regenerate', ['-o', path.join(store, '..', 'out'), source]],
    ['sonic', ['setpass']],
    ['sonic', ['rekey', '--yes']],
    ['sonic', ['encrypt', '--yes']],
  ] as const;
  const refused = async (
    count: number,
    given: readonly string[],
    options: CommandOptions,
  ): Promise<void> => {
    for (const [tool, words] of calls.slice(0, count)) {
      const outcome = await run(tool, [...words, ...place, ...given], options);
      t.is(codeIn(outcome), 'KEYS_LOST', `${tool} ${words.join(' ')} ${outcome.stderr}`);
      t.is(outcome.status, 1);
      t.regex(outcome.stderr, /sonic keys --insert --keys/);
      t.notRegex(outcome.stderr, /leave the password out|--trust-store/);
    }
  };
  await refused(calls.length, [], {});
  await refused(2, password, {});
  await refused(3, [], fresh);
  t.false(bytesOf(store).includes('SECRET-CONTENT'));
  for (const given of [[], password]) {
    const checked = exited(t, 3, await run('sonic', ['check', ...place, ...given]));
    t.regex(checked.stdout, /^keys: keys, packs\/keys have no key record left/m);
  }
});

test('a client whose keys are gone, with a format file that needs none, is refused on any machine', async (t) => {
  const { place, source, store, password } = await lost(t);
  await succeed('tardis', ['-D', store, '-C', 'plain', '--local', '--create', source]);
  const format = path.join(store, 'me', 'format.json');
  fs.copyFileSync(path.join(store, 'plain', 'format.json'), format);
  fs.writeFileSync(path.join(source, 'secret'), 'SECRET-CONTENT');
  const env = { XDG_STATE_HOME: path.join(store, '..', 'another machine') };
  const server = await Server.during(t, store);
  const there = [...server.clientArgs, '-C', 'me'];
  for (const given of [[], password]) {
    for (const [tool, words] of [
      ['tardis', ['--local', '--trust-store', ...place, source]],
      ['tardis', [...there, source]],
      ['lstardis', place],
      ['lstardis', there],
      ['sonic', ['setpass', ...place]],
      ['sonic', ['encrypt', '--yes', ...place]],
    ] as const) {
      const outcome = await run(tool, [...words, ...given], { env });
      t.is(codeIn(outcome), 'KEYS_LOST', `${tool} ${words.join(' ')} ${outcome.stderr}`);
      t.notRegex(outcome.stderr, /leave the password out/);
    }
  }
  t.false(bytesOf(store).includes('SECRET-CONTENT'));
  const checked = exited(t, 3, await run('sonic', ['check', ...place], { env }));
  t.regex(checked.stdout, /^keys: keys, packs\/keys have no key record left/m);
});

test('a server lets nobody in to a client whose keys are lost, and its log has the reason', async (t) => {
  const { source, store, password } = await lost(t);
  const server = await Server.during(t, store);
  const codes = [];
  for (const given of [[], password]) {
    codes.push(codeIn(await run('tardis', [...server.clientArgs, '-C', 'me', ...given, source])));
  }
  t.deepEqual(codes, ['PASSWORD_NEEDED', 'LOGIN_FAILED']);
  await server.running.until('the reason', () => server.running.stderr.includes('KEYS_LOST'));
});

test('the words of the sheet restore on a new machine, and put the keys back', async (t) => {
  const { store, sheet, source, at, passwordFile, place, password } = await lost(t);
  const keyId = /Key id: ((?:[0-9a-f]{8} ?){4})/.exec(sheet.join('\n'))?.[1]?.trim();
  t.truthy(keyId, sheet.join('\n'));
  const work = at('work');
  fs.mkdirSync(work);
  const file = /Name it\s+([\w.-]+)\./.exec(sheet.join(' '))?.[1];
  t.truthy(file, sheet.join('\n'));
  const typed = sheet.slice(sheet.findIndex((line) => line.startsWith('# tardis key file')));
  fs.writeFileSync(path.join(work, file!), `${typed.join('\n')}\n`);
  const commands = commandsOn(sheet);
  t.deepEqual(
    commands.map((line) => line.split(' ')[0]),
    ['lstardis', 'regenerate', 'sonic'],
  );
  const { PATH } = process.env;
  const env = {
    ...cleanEnvironment(),
    PATH: `${BIN}:${PATH}`,
    HOME: at('new home'),
    XDG_STATE_HOME: at('new home', 'state'),
    TARDIS_PASSWORD_FILE: passwordFile,
  };
  const reported = [];
  for (const command of commands) {
    const { stderr } = await promisify(execFile)('bash', ['-c', command], { cwd: work, env });
    reported.push(stderr);
  }
  t.true(reported[0]!.includes(`key id ${keyId}`), reported[0]);
  t.deepEqual(differences(look(source), look(path.join(work, 'restored', source))), []);
  // The client continues as before, also on the machine that remembers it.
  await succeed('tardis', [...place, ...password, '--local', source]);
  await succeed('sonic', ['check', ...place, ...password]);
  t.deepEqual(fs.readdirSync(path.join(store, 'me', 'packs', 'keys')), ['00000001.key']);
});

test('keys of another client are not put into a store that has lost its own', async (t) => {
  const { place, store, password, at, source } = await lost(t);
  const other = ['-D', at('other store'), '-C', 'me'];
  await succeed('tardis', [...other, ...password, '--local', '--create', source]);
  const file = at('other keys');
  await succeed('sonic', ['keys', '--extract', ...other, ...password, '--keys', file]);
  const insert = ['keys', '--insert', ...place, ...password, '--keys', file];
  t.is(codeIn(await run('sonic', insert)), 'KEYS_CHANGED');
  const fresh = { env: { XDG_STATE_HOME: at('another machine') } };
  t.is(codeIn(await run('sonic', insert, fresh)), 'NOT_AUTHENTIC');
  t.false(fs.existsSync(path.join(store, 'me', 'keys')));
});

test('a rebuild after the loss of keys and format keeps the client from being taken for one without a password', async (t) => {
  const { place, store, source, password } = await lost(t);
  fs.rmSync(path.join(store, 'me', 'format.json'));
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  const rebuilt = await run('sonic', ['rebuild', ...place]);
  t.is(rebuilt.status, 3, 'the catalog is whole, and nobody can read what it names');
  t.regex(rebuilt.stdout, /keys: .* have no key record left/);
  const fresh = { env: { XDG_STATE_HOME: path.join(store, '..', 'another machine') } };
  t.is(codeIn(await run('tardis', [...place, '--local', source], fresh)), 'KEYS_LOST');
  t.is(codeIn(await run('lstardis', [...place, ...password], fresh)), 'KEYS_LOST');
});

test('a password that encrypts nothing stays needed when it is lost, and is set anew on the machine of the store', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', `${SECRET}\n`)];
  await succeed('tardis', [...place, '--local', '--create', source]);
  await succeed('sonic', ['setpass', ...place, ...password]);
  await succeed('tardis', [...place, ...password, '--local', source]);
  loseKeys(store);
  t.is(codeIn(await run('lstardis', place)), 'KEYS_LOST');
  t.is(codeIn(await run('tardis', [...place, '--local', source])), 'KEYS_LOST');
  await succeed('sonic', ['setpass', ...place, ...password]);
  t.is((await run('lstardis', [...place, source])).status, 12);
  await succeed('lstardis', [...place, ...password, source]);
});

test('a rebuild warns where the newest key record is damaged in both places', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', `${SECRET}\n`)];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  for (const folder of ['keys', 'packs/keys']) {
    fs.truncateSync(path.join(store, 'me', folder, '00000001.key'), 100);
  }
  const rebuilt = exited(t, 3, await run('sonic', ['rebuild', ...place]));
  t.regex(rebuilt.stdout, /keys: .* is damaged, and so is its copy/);
  const reported = exited(t, 3, await run('sonic', ['rebuild', '--json', ...place]));
  const { keys } = JSON.parse(reported.stdout) as { keys: unknown[] };
  t.like(keys, [{ finding: 'keys', state: 'lost' }]);
});

test('a first password that was interrupted before its key record locks nobody out', async (t) => {
  const { place, source, store } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', '--no-crypt', source]);
  const keys = path.join(store, 'me', 'keys');
  fs.mkdirSync(keys);
  fs.writeFileSync(path.join(keys, '00000001.key.new'), '');
  const server = await Server.during(t, store);
  const done = await succeed('tardis', [...server.clientArgs, '-C', 'me', source]);
  t.regex(done, /^Backup set 2 .* is complete\.$/m);
  await server.stop();
});
