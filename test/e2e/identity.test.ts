// Pace: slow
/** The identity of a client: its encryption and its keys, as this machine remembers them for each place. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { decodeMessage, encodeMessage } from '../../src/transport/index.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, run, Server, succeed } from '../helpers/commands.js';
import { lyingServer } from '../helpers/lying-server.js';
import { type Lab, lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';

backupsRunHere();

function refusedWith(outcome: Outcome): string | undefined {
  return /\[([A-Z_]+)\]/.exec(outcome.stderr)?.[1];
}

function bytesOf(store: string): Buffer {
  const files = fs.readdirSync(store, { recursive: true, encoding: 'utf8' });
  const paths = files.map((name) => path.join(store, name));
  return Buffer.concat(
    paths.filter((one) => fs.statSync(one).isFile()).map((one) => fs.readFileSync(one)),
  );
}

test('a server that leaves the key record out is refused, and nothing is stored in clear', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  fs.writeFileSync(path.join(source, 'secret'), 'SECRET-CONTENT');
  const server = await Server.start(store);
  try {
    const there = await lyingServer(t, server, (name, bytes) => {
      if (name !== 'welcome') return [bytes];
      const { head } = decodeMessage(name, bytes);
      return [encodeMessage(name, { ...head, keys: Buffer.alloc(0) }).head];
    });
    const login = ['-C', 'me', ...password, ...there];
    t.is(refusedWith(await run('tardis', [...login, source])), 'NOT_AUTHENTIC');
    const restore = await run('regenerate', [...login, '-o', at('out'), source]);
    t.is(refusedWith(restore), 'NOT_AUTHENTIC');
  } finally {
    await server.stop();
  }
  // Until it has ended, the server works on the store.
  t.false(bytesOf(store).includes('SECRET-CONTENT'));
});

test('a server that needs no password is refused by a machine that knows the client encrypts', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  const [honest, liar] = [at('stores'), at('planted')];
  fs.renameSync(store, honest);
  await succeed('tardis', ['-D', liar, '-C', 'me', '--local', '--create', source]);
  fs.symlinkSync(honest, store);
  const server = await Server.during(t, store);
  const there = ['-C', 'me', ...server.clientArgs];
  await succeed('tardis', [...there, ...password, source]);
  fs.rmSync(store);
  fs.symlinkSync(liar, store);
  const unattended = await run('tardis', [...there, '--reconnect', '0', source]);
  t.is(refusedWith(unattended), 'ENCRYPTION_GONE', unattended.stderr);
  for (const reader of [
    await run('lstardis', there),
    await run('regenerate', [...there, '-o', at('out'), source]),
    await run('sonic', ['list', ...there]),
  ]) {
    t.is(refusedWith(reader), 'ENCRYPTION_GONE', reader.stderr);
  }
});

test('without the password too, tools report that an encrypting client is another one', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  await succeed('tardis', ['-D', store, '-C', 'other', ...password, '--local', '--create', source]);
  const tools = [['check'], ['upgrade'], ['account'], ['rebuild']];
  for (const tool of tools) {
    const { stderr } = exited(t, 0, await run('sonic', [...tool, ...place]));
    t.false(stderr.includes('KEYS_CHANGED'), stderr);
  }
  fs.renameSync(path.join(store, 'me'), at('mine'));
  fs.cpSync(path.join(store, 'other'), path.join(store, 'me'), { recursive: true });
  for (const tool of tools) {
    const { status, stderr } = await run('sonic', [...tool, ...place]);
    t.is(status, 3, `${tool.join(' ')}: ${stderr}`);
    t.regex(stderr, /warning: .*"me".* has other keys \(key id .*\[KEYS_CHANGED\]/);
    await succeed('sonic', [...tool, ...place, '--trust-store']);
  }
  t.is(refusedWith(await run('sonic', ['check', ...place, ...password])), 'KEYS_CHANGED');
});

test('a server is remembered whether its name is given in capitals or not', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  const server = await Server.during(t, store);
  for (const [host, isFirst] of [
    ['localhost', true],
    ['LocalHost', false],
  ] as const) {
    const there = server.clientArgs.with(server.clientArgs.indexOf('--server') + 1, host);
    const { stderr } = exited(t, 0, await run('lstardis', ['-C', 'me', ...password, ...there]));
    t.is(/first time on this machine/.test(stderr), isFirst, stderr);
  }
  await server.stop();
});

test('a client that no longer encrypts is refused until the user trusts it', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  const made = await run('tardis', [...place, ...password, '--local', '--create', source]);
  t.regex(
    made.stderr,
    /created with the key id ([0-9a-f]{8} ?){4}.*Without the password nobody can restore it/,
  );
  const planted = at('planted');
  await succeed('tardis', ['-D', planted, '-C', 'me', '--local', '--create', source]);
  fs.renameSync(path.join(store, 'me'), at('stolen'));
  fs.cpSync(path.join(planted, 'me'), path.join(store, 'me'), { recursive: true });

  const restore = ['-o', at('out'), source];
  for (const given of [[], password]) {
    const codes = [
      await run('regenerate', [...place, ...given, ...restore]),
      await run('lstardis', [...place, ...given]),
      await run('tardis', [...place, ...given, '--local', source]),
    ].map(refusedWith);
    t.deepEqual(codes, Array(3).fill('ENCRYPTION_GONE'));
  }
  t.false(fs.existsSync(at('out')));
  await succeed('tardis', [...place, '--local', '--trust-store', source]);
  await succeed('lstardis', place);
});

test('the directory of another client is not taken for this one, though the password fits', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  const other = ['-D', store, '-C', 'other'];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  await succeed('tardis', [...other, ...password, '--local', '--create', source]);
  fs.renameSync(path.join(store, 'me'), at('mine'));
  fs.cpSync(path.join(store, 'other'), path.join(store, 'me'), { recursive: true });
  const codes = [
    await run('regenerate', [...place, ...password, '-o', at('out'), source]),
    await run('tardis', [...place, ...password, '--local', source]),
  ].map(refusedWith);
  t.deepEqual(codes, ['KEYS_CHANGED', 'KEYS_CHANGED']);
  await succeed('tardis', [...other, ...password, '--local', source]);
});

test('new keys that name the remembered ones are accepted, and so is a client that is made again', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  const away = { env: { XDG_STATE_HOME: path.join(store, '..', 'state of another machine') } };
  await succeed('sonic', ['rekey', '--yes', ...place, ...password], away);
  const next = exited(t, 0, await run('tardis', [...place, ...password, '--local', source]));
  t.regex(next.stderr, /new keys, with the key id .*, in place of those .*print the keys/);
  fs.rmSync(path.join(store, 'me'), { recursive: true });
  const again = await run('tardis', [...place, ...password, '--local', '--create', source]);
  t.is(again.status, 0, again.stderr);
  t.regex(again.stderr, /remembered another client here \([0-9a-f ]{35}\): .* exchange the disk/);
  await succeed('lstardis', [...place, ...password]);
});

test('disks in turns at one place are each remembered once they are accepted, and no other store is', async (t) => {
  const home = lab(t);
  const { place, source, store, written, at } = home;
  const password = ['--password-file', written('password', 'word of pass\n')];
  const backup = () => run('tardis', [...place, ...password, '--local', source]);
  const inTurns = async (disks: readonly string[]): Promise<void> => {
    for (const disk of [...disks, ...disks]) {
      fs.renameSync(disk, store); // as mounted there
      const { stderr } = exited(t, 0, await backup());
      t.notRegex(stderr, /key id|warning/);
      t.is((await run('sonic', ['check', ...place])).status, 0);
      fs.renameSync(store, disk);
    }
  };
  const disks = [at('first disk'), at('second disk')];
  for (const disk of disks) {
    const made = exited(
      t,
      0,
      await run('tardis', [...place, ...password, '--local', '--create', source]),
    );
    t.is(/remembered another client here/.test(made.stderr), disk === disks[1], made.stderr);
    fs.renameSync(store, disk);
  }
  await inTurns(disks);
  const [third, thief] = [await planted(home, 'me', password), await planted(home, 'me', [])];
  fs.renameSync(third, store);
  const refused = await backup();
  t.is(refusedWith(refused), 'KEYS_CHANGED');
  t.regex(refused.stderr, /remembers \([0-9a-f ]{35}, [0-9a-f ]{35}\)/);
  const prompted = await runOnTerminal('lstardis', [...place, source], ['word of pass\r']);
  t.regex(prompted.shown, /warning: [^]* has other keys [^]*Password of me: [^]*KEYS_CHANGED/);
  const listed = exited(t, 3, await run('lstardis', place));
  t.regex(listed.stderr, /warning: .* has other keys .*\[KEYS_CHANGED\]/);
  const accepted = await run('tardis', [...place, ...password, '--local', '--trust-store', source]);
  t.regex(accepted.stderr, /accepted with the key id .*, beside what this machine remembers here/);
  fs.renameSync(store, third);
  await inTurns([...disks, third]);
  fs.renameSync(thief, store);
  t.is(refusedWith(await run('tardis', [...place, '--local', source])), 'ENCRYPTION_GONE');
});

test('a password that is given for a client without one is an error', async (t) => {
  const { place, source, written } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, '--local', '--create', source]);
  const codes = [
    await run('lstardis', [...place, ...password]),
    await run('tardis', [...place, ...password, '--local', source]),
    await run('sonic', ['check', ...place, ...password]),
  ].map(refusedWith);
  t.deepEqual(codes, Array(3).fill('PASSWORD_NOT_SET'));
});

/** Makes another store with a client of this name, which encrypts only if `password` is not empty. */
async function planted(home: Lab, client: string, password: readonly string[]): Promise<string> {
  const store = home.at(`planted ${client} ${password.length}`);
  const args = ['-D', store, '-C', client, ...password, '--local', '--create', home.source];
  await succeed('tardis', args, { env: { XDG_STATE_HOME: home.at('state of the attacker') } });
  return store;
}

test('a store that is reached by a link is refused when the link, or what was no link, leads elsewhere', async (t) => {
  const home = lab(t);
  const { source, written, at } = home;
  const password = ['--password-file', written('password', 'word of pass\n')];
  const [plain, other] = [await planted(home, 'me', []), await planted(home, 'me', password)];
  const place = ['-D', at('store'), '-C', 'me'];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  fs.renameSync(at('store'), at('store.real'));
  for (const [target, given, code] of [
    [plain, [], 'ENCRYPTION_GONE'],
    [other, password, 'KEYS_CHANGED'],
  ] as const) {
    fs.symlinkSync(target, at('store'));
    const codes = [
      await run('tardis', [...place, ...given, '--local', source]),
      await run('regenerate', [...place, ...given, '-o', at('out'), source]),
    ].map(refusedWith);
    t.deepEqual(codes, [code, code]);
    fs.rmSync(at('store'));
  }
  fs.symlinkSync(at('store.real'), at('store'));
  await succeed('tardis', [...place, ...password, '--local', source]);
});

test('a client that is made in a store that is not there yet is remembered by its real path', async (t) => {
  const home = lab(t);
  const { source, written, at } = home;
  const password = ['--password-file', written('password', 'word of pass\n')];
  const plain = await planted(home, 'me', []);
  fs.mkdirSync(at('real'));
  fs.symlinkSync(at('real'), at('link'));
  for (const [store, cwd] of [
    ['relative', at('real')],
    [at('link', 'far'), at()],
  ] as const) {
    const place = ['-D', store, '-C', 'me'];
    await succeed('tardis', [...place, ...password, '--local', '--create', source], { cwd });
    const directory = path.resolve(cwd, store, 'me');
    fs.rmSync(directory, { recursive: true });
    fs.cpSync(path.join(plain, 'me'), directory, { recursive: true });
    const next = await run('tardis', [...place, '--local', source], { cwd });
    t.is(refusedWith(next), 'ENCRYPTION_GONE', store);
  }
});

test('a client that was encrypted afterwards is not taken back to its state in clear', async (t) => {
  const { place, source, store, written, at } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, '--local', '--create', source]);
  fs.cpSync(store, at('in clear'), { recursive: true });
  await succeed('sonic', ['encrypt', '--yes', ...place, ...password]);
  fs.rmSync(store, { recursive: true });
  fs.cpSync(at('in clear'), store, { recursive: true });
  t.is(refusedWith(await run('tardis', [...place, '--local', source])), 'ENCRYPTION_GONE');
});

test('a memory that is damaged is an error, and made anew where the store is trusted', async (t) => {
  const { place, source, written, at } = lab(t);
  const env = { XDG_STATE_HOME: at('state') };
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source], { env });
  const clients = at('state', 'tardis', 'clients');
  const files = fs.readdirSync(clients).map((name) => path.join(clients, name));
  t.is(files.length, 1);
  for (const text of ['', '{', '{"form":2}']) {
    fs.writeFileSync(files[0]!, text);
    for (const given of [[], password]) {
      const outcome = await run('tardis', [...place, ...given, '--local', source], { env });
      t.true(['MEMORY_DAMAGED', 'PASSWORD_NEEDED'].includes(refusedWith(outcome)!), outcome.stderr);
    }
  }
  const trusted = ['--trust-store', ...place, ...password, '--local', source];
  await succeed('tardis', trusted, { env });
  await succeed('tardis', [...place, ...password, '--local', source], { env });
});

test('commands that change keys or take them out compare the client first', async (t) => {
  const home = lab(t);
  const { place, source, store, written, at } = home;
  const password = ['--password-file', written('password', 'word of pass\n')];
  const next = ['--newpassword-file', written('next', 'other words of pass\n')];
  const other = await planted(home, 'other', password);
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  fs.rmSync(path.join(store, 'me'), { recursive: true });
  fs.cpSync(path.join(other, 'other'), path.join(store, 'me'), { recursive: true });
  for (const words of [
    ['keys', '--pdf', at('sheet.pdf')],
    ['keys', '--extract', '--keys', at('keys')],
    ['rotate'],
    ['chpass', ...next],
    ['account', '--add', 'one', '--rights', 'read', ...next],
    ['rekey', '--yes'],
  ]) {
    const outcome = await run('sonic', [...words, ...place, ...password]);
    t.is(refusedWith(outcome), 'KEYS_CHANGED', `${words[0]}: ${outcome.stderr}`);
  }
  t.false(fs.existsSync(at('sheet.pdf')));
});

test('a client that this machine knows encrypts is not made anew in clear, also where its directory is gone', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', 'word of pass\n')];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  fs.rmSync(path.join(store, 'me'), { recursive: true });
  const forgotten = await run('tardis', [...place, '--local', '--create', source]);
  t.is(refusedWith(forgotten), 'ENCRYPTION_GONE', forgotten.stderr);
  t.false(fs.existsSync(path.join(store, 'me')));
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
});
