// Pace: slow
/** Clients whose keys are not in the store, but in a file of their owner. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseKeyRecord } from '../../src/crypto/index.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, run, Server, succeed } from '../helpers/commands.js';
import { textOfCodes, textOfPdf } from '../helpers/paper.js';
import { readersAgree } from '../helpers/second-reader.js';
import { type Lab, lab, restoredBy } from '../helpers/lab.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const OTHER = 'kelp-Sundry7-mulch';

/** Returns the number of each key record of a client, and true if the record has keys. */
function records(store: string, client = 'me'): [number: number, hasKeys: boolean][] {
  const folder = path.join(store, client, 'keys');
  return fs
    .readdirSync(folder)
    .sort()
    .map((name) => parseKeyRecord(fs.readFileSync(path.join(folder, name))))
    .map(({ number, hasKeys }) => [number, hasKeys]);
}

interface Keyed extends Lab {
  readonly file: string;
  /** Arguments for place, password and key file. */
  readonly all: readonly string[];
  restored(name: string, args: readonly string[]): Promise<string[]>;
}

function keyed(t: ExecutionContext): Keyed {
  const made = lab(t);
  const file = made.at('key file');
  return {
    ...made,
    file,
    all: [...made.place, `--password=${SECRET}`, '--keys', file],
    async restored(name, args) {
      return restoredBy(args, made.source, made.at(name));
    },
  };
}

test('a client with a key file is created, backed up, listed and restored with that file', async (t) => {
  const { store, place, source, at, file, all, written, restored } = keyed(t);
  await succeed('sonic', ['create', ...all]);
  t.deepEqual(records(store), [[1, false]]);
  t.is(fs.statSync(file).mode & 0o777, 0o600);
  t.regex(
    fs.readFileSync(file, 'utf8'),
    /^# tardis key file 1\n[^]*\[me\]\nkeys = [0-9a-f]{32}\nrecord 1\n/,
  );
  await succeed('tardis', [...all, '--local', source]);
  await succeed('sonic', ['list', ...all]);
  await succeed('lstardis', [...all, source]);
  t.deepEqual(await restored('out', all), []);
  await readersAgree(t, source, all);
  // The same by a configuration file, and for a client that tardis creates.
  const config = written('cfg', `[Tardis]\nKeyFile = ${file}\nPassword = ${SECRET}\n`);
  await succeed('lstardis', [...place, '--config', config, source]);
  const second = ['-D', store, '-C', 'second', '--config', config];
  await succeed('tardis', [...second, '--local', '--create', source]);
  t.deepEqual(records(store, 'second'), [[1, false]]);
  t.deepEqual(await restored('second', second), []);
  await succeed('lstardis', [...all, source]);
  // Without the key file the password opens nothing, and no backup is made.
  const locked = [...place, `--password=${SECRET}`];
  const calls = [
    ['lstardis', [...locked, source]],
    ['regenerate', [...locked, '-o', at('nothing'), source]],
    ['sonic', ['list', ...locked]],
    ['tardis', [...locked, '--local', source]],
    ['sonic', ['chpass', ...locked, `--newpassword=${OTHER}`]],
    ['sonic', ['rotate', ...locked]],
  ] as const;
  for (const [tool, args] of calls) {
    const outcome = await run(tool, args);
    t.is(codeIn(outcome), 'KEYS_ELSEWHERE', `${tool} ${outcome.stderr}`);
    t.is(outcome.status, 1);
    t.regex(outcome.stderr, /--keys/);
  }
  t.false(fs.existsSync(at('nothing')));
  t.is((await run('lstardis', [...place, '--password=wrong', '--keys', file])).status, 12);
  // An attempt to create an existing client changes nothing.
  const before = fs.readFileSync(file);
  t.is(codeIn(await run('sonic', ['create', ...all])), 'CLIENT_EXISTS');
  t.is(codeIn(await run('tardis', [...all, '--local', '--create', source])), 'CLIENT_EXISTS');
  t.deepEqual(fs.readFileSync(file), before);
});

test('a server serves clients whose keys it has not', async (t) => {
  const { store, source, file, restored, at } = keyed(t);
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', `--password=${SECRET}`];
  const all = [...far, '--keys', file];
  await succeed('sonic', ['create', ...all]);
  t.deepEqual(records(store), [[1, false]]);
  await succeed('tardis', [...all, source]);
  await succeed('lstardis', [...all, source]);
  t.deepEqual(await restored('out', all), []);
  await succeed('tardis', [
    ...server.clientArgs,
    '-C',
    'two',
    `--password=${SECRET}`,
    '--keys',
    file,
    '--create',
    source,
  ]);
  t.deepEqual(records(store, 'two'), [[1, false]]);
  for (const [tool, args] of [
    ['lstardis', [...far, source]],
    ['tardis', [...far, source]],
    ['regenerate', [...far, '-o', at('nothing'), source]],
    ['sonic', ['chpass', ...far, `--newpassword=${OTHER}`]],
  ] as const) {
    t.is(codeIn(await run(tool, args)), 'KEYS_ELSEWHERE', tool);
  }
  await succeed('sonic', ['chpass', ...all, `--newpassword=${OTHER}`]);
  const next = [...server.clientArgs, '-C', 'me', `--password=${OTHER}`, '--keys', file];
  t.is((await run('lstardis', all)).status, 12);
  await succeed('sonic', ['rotate', ...next]);
  t.deepEqual(records(store), [
    [1, false],
    [2, false],
    [3, false],
  ]);
  fs.writeFileSync(path.join(source, 'new'), 'new');
  await succeed('tardis', [...next, source]);
  t.deepEqual(await restored('again', next), []);
  // Inserts and removes the keys through the server. Older records with keys can be removed on its machine only.
  await succeed('sonic', ['keys', '--insert', ...next]);
  await succeed('lstardis', [...next.slice(0, -2), source]);
  const printed = await succeed('sonic', ['keys', '--extract', '--remove', ...next]);
  t.regex(printed, /To remove older records, which have keys, run/);
  t.deepEqual(records(store).slice(3), [
    [4, true],
    [5, false],
  ]);
  t.is(codeIn(await run('lstardis', [...next.slice(0, -2), source])), 'KEYS_ELSEWHERE');
  const here = ['-D', store, ...next.slice(5)];
  const reported = await succeed('sonic', ['keys', '--extract', '--remove', '--json', ...here]);
  t.is((JSON.parse(reported) as { olderRemoved: number }).olderRemoved, 4);
  t.deepEqual(records(store), [[5, false]]);
  t.deepEqual(await restored('once more', next), []);
});

test('keys are extracted, removed from the store, and inserted again', async (t) => {
  const { store, place, source, file, all, restored, written, at } = keyed(t);
  const open = [...place, `--password=${SECRET}`];
  await succeed('tardis', [...open, '--local', '--create', source]);
  t.is(codeIn(await run('lstardis', [...all, source])), 'KEY_FILE_INVALID', 'there is none');
  const keys = (...args: string[]): Promise<Outcome> => run('sonic', ['keys', ...args]);
  for (const args of [
    all,
    ['--extract', '--insert', ...all],
    ['--insert', '--remove', ...all],
    ['--extract', ...open],
  ]) {
    t.is(codeIn(await keys(...args)), 'USAGE', args.join(' '));
  }
  t.is((await keys('--extract', ...place, '--password=wrong', '--keys', file)).status, 12);
  t.false(fs.existsSync(file));
  // Extracts a copy: the store still has the keys.
  t.is((await keys('--extract', ...all)).status, 0);
  t.deepEqual(records(store), [[1, true]]);
  t.deepEqual(await restored('copy', all), []);
  await succeed('lstardis', [...open, source]);
  // Removes the keys: no record with keys stays, and a second run changes nothing.
  for (const round of [1, 2]) {
    const printed = await keys('--extract', '--remove', ...all);
    t.is(printed.status, 0, printed.stderr);
    t.deepEqual(records(store), [[2, false]], `${round}`);
  }
  const master = fs.readFileSync(file, 'utf8');
  t.is(codeIn(await run('lstardis', [...open, source])), 'KEYS_ELSEWHERE');
  t.is(
    codeIn(await keys('--extract', ...place, `--password=${SECRET}`, '--keys', at('new'))),
    'KEY_FILE_INVALID',
  );
  fs.writeFileSync(path.join(source, 'new'), 'new');
  await succeed('tardis', [...all, '--local', source]);
  t.deepEqual(await restored('moved', all), []);
  // A key file of another client, or a damaged one, is reported as invalid.
  for (const [what, text, code] of [
    ['empty', '', 'KEY_FILE_INVALID'],
    ['another file', 'hello\n', 'KEY_FILE_INVALID'],
    ['damaged', master.replace(/^ {2}./m, '  *'), 'KEY_FILE_INVALID'],
    ['of others', master.replace(/keys = .{8}/, 'keys = 00000000'), 'KEY_FILE_INVALID'],
  ] as const) {
    const args = [...open, '--keys', written(what, text)];
    t.is(codeIn(await run('lstardis', args)), code, what);
    t.is(codeIn(await run('tardis', [...args, '--local', source])), code, what);
  }
  const back = await keys('--insert', ...all);
  t.is(back.status, 0, back.stderr);
  t.deepEqual(records(store), [
    [2, false],
    [3, true],
  ]);
  fs.rmSync(file);
  t.deepEqual(await restored('back', open), []);
});

test('a change of password or key goes into file and store, and an older copy of the file is reported', async (t) => {
  const { store, place, source, file, all, restored, at } = keyed(t);
  await succeed('tardis', [...all, '--local', '--create', source]);
  const old = at('old copy');
  fs.copyFileSync(file, old);
  await succeed('sonic', ['chpass', ...all, `--newpassword=${OTHER}`]);
  const next = [...place, `--password=${OTHER}`];
  t.is((await run('lstardis', all)).status, 12, 'the old password opens nothing');
  t.deepEqual(await restored('changed', [...next, '--keys', file]), []);
  const stale = await run('lstardis', [...next, '--keys', old]);
  t.is(codeIn(stale), 'KEY_FILE_DIFFERS');
  t.regex(stale.stderr, /has key record 1 of "me", and the store has 2/);
  fs.copyFileSync(file, old);
  await succeed('sonic', ['rotate', ...next, '--keys', file]);
  t.deepEqual(records(store), [
    [1, false],
    [2, false],
    [3, false],
  ]);
  fs.writeFileSync(path.join(source, 'new'), 'x'.repeat(1000));
  await succeed('tardis', [...next, '--keys', file, '--local', source]);
  t.deepEqual(await restored('rotated', [...next, '--keys', file]), []);
  for (const args of [['rotate'], ['chpass', '--newpassword=x'], ['keys', '--insert']]) {
    const outcome = await run('sonic', [...args, ...next, '--keys', old]);
    t.is(codeIn(outcome), 'KEY_FILE_DIFFERS', args.join(' '));
  }
  t.deepEqual(records(store).length, 3);
  // The store is rolled back: this machine has seen the newer record, and the key file has it.
  for (const folder of ['keys', 'packs/keys']) {
    fs.rmSync(path.join(store, 'me', folder, '00000003.key'));
  }
  t.is(codeIn(await run('lstardis', [...next, '--keys', file])), 'KEY_FILE_DIFFERS');
  t.is(codeIn(await run('lstardis', [...next, '--keys', old])), 'STORE_ROLLED_BACK');
  // The owner continues with the newer file, since it has all keys.
  await succeed('sonic', ['keys', '--insert', ...next, '--keys', file]);
  t.deepEqual(records(store), [
    [1, false],
    [2, false],
    [3, true],
  ]);
  t.deepEqual(await restored('put back', next), []);
  t.deepEqual(await restored('put back, by file', [...next, '--keys', file]), []);
});

test('a key file is refused where it means nothing', async (t) => {
  const { place, source, file, all } = keyed(t);
  const make = async (...args: string[]): Promise<string | undefined> =>
    codeIn(await run('sonic', ['create', ...args]));
  t.is(await make(...place, '--keys', file), 'PASSWORD_NEEDED');
  const plain = [...place.slice(0, 2), '-C', 'plain'];
  t.is(await make(...plain), undefined);
  const extract = ['keys', '--extract', ...plain, '--keys', file];
  t.is(codeIn(await run('sonic', extract)), 'PASSWORD_NOT_SET', 'before one is asked for');
  t.is(await make(...all, '--no-crypt'), 'USAGE');
  const local = ['--local', '--create', source];
  t.is(codeIn(await run('tardis', [...all, '--no-crypt', ...local])), 'USAGE');
  t.is(codeIn(await run('tardis', [...place, '--keys', file, ...local])), 'PASSWORD_NEEDED');
  t.false(fs.existsSync(file));
  await succeed('tardis', [...place, `--password=${SECRET}`, '--no-crypt', ...local]);
  fs.writeFileSync(file, '');
  t.is(codeIn(await run('sonic', ['keys', '--extract', ...all])), 'USAGE', 'it does not encrypt');
  t.is(codeIn(await run('lstardis', [...all, source])), 'KEY_FILE_INVALID');
});

test('keys are printed, and the printed text alone is enough to read the client', async (t) => {
  const { at, place, source, file, all, restored } = keyed(t);
  await succeed('sonic', ['create', ...all]);
  await succeed('tardis', [...all, '--local', source]);
  const pdf = at('keys.pdf');
  const paper = ['keys', '--pdf', pdf, ...all];
  t.is(
    codeIn(
      await run('sonic', ['keys', '--pdf', pdf, ...place, `--password=${OTHER}`, '--keys', file]),
    ),
    'LOGIN_FAILED',
  );
  t.is(codeIn(await run('sonic', [...paper, '--insert'])), 'USAGE');
  await succeed('sonic', paper);
  t.is(fs.statSync(pdf).mode & 0o077, 0, 'for nobody but its owner');
  t.is(codeIn(await run('sonic', paper)), 'USAGE', 'no paper is written over');
  const here = all.map((word) => (word === at('store') ? 'store' : word));
  const codes = await succeed('sonic', ['keys', '--qr', ...here], { cwd: at() });
  t.true(
    codes.includes(` -D ${fs.realpathSync(at('store'))} `),
    'a path that holds wherever it is typed',
  );
  const reported = JSON.parse(await succeed('sonic', ['keys', '--qr', ...all, '--json'])) as {
    qr: string[];
  };
  t.true(codes.includes(reported.qr.join('\n').trim()));
  t.regex(codes, /^Keys of the backups of "me"\. Key id: ([0-9a-f]{8} ?){4}$/m);
  const lines = textOfPdf(fs.readFileSync(pdf));
  fs.rmSync(file);
  t.not((await run('lstardis', [...all, source])).status, 0);

  const typed = lines.slice(lines.findIndex((line) => line.startsWith('# tardis key file')));
  t.true(typed.length > 4, lines.join('\n'));
  fs.writeFileSync(file, `${typed.join('\n')}\n`, { mode: 0o600 });
  t.deepEqual(await restored('typed', all), []);
  fs.writeFileSync(file, textOfCodes(codes), { mode: 0o600 });
  t.deepEqual(await restored('scanned', all), []);
  await succeed('sonic', ['keys', '--insert', ...all]);
  t.deepEqual(await restored('inserted', [...place, `--password=${SECRET}`]), []);
});

test('keys are extracted through a server into a file that is not there yet, and into one without them', async (t) => {
  const { place, source, store, at, written } = lab(t);
  const password = `--password=${SECRET}`;
  await succeed('tardis', [...place, password, '--local', '--create', source]);
  const server = await Server.during(t, store);
  const there = ['-C', 'me', password, ...server.clientArgs];
  for (const file of [at('new file'), written('empty', '')]) {
    await succeed('sonic', ['keys', '--extract', '--keys', file, ...there]);
    await succeed('lstardis', [...there, '--keys', file]);
    t.regex(fs.readFileSync(file, 'utf8'), /\[me\]/);
  }
});
