// Pace: slow
/**
 * The state that a machine remembers of a client follows each change of keys, accepts only proven keys, and survives
 * refused runs and damage.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/lab.js';

backupsRunHere();

interface Home extends Lab {
  readonly password: readonly string[];
  readonly env: Record<string, string>;
  readonly next: readonly string[];
  /** Returns the path of the only file in a folder of the state directory. */
  memory(folder: 'seals' | 'clients'): string;
}

/** Creates an encrypting client with one backup and a state directory of its own. */
async function home(t: ExecutionContext): Promise<Home> {
  const made = lab(t);
  const { place, source, written, at } = made;
  const password = ['--password-file', written('password', 'word of pass\n')];
  const next = ['--newpassword-file', written('next', 'other words of pass\n')];
  const env = { XDG_STATE_HOME: at('state') };
  await succeed('tardis', [...place, ...password, '--local', '--create', source], { env });
  const memory = (folder: 'seals' | 'clients'): string => {
    const directory = at('state', 'tardis', folder);
    const names = fs.readdirSync(directory);
    t.is(names.length, 1, names.join(' '));
    return path.join(directory, names[0]!);
  };
  return { ...made, password, next, env, memory };
}

function copyTree(from: string, to: string): void {
  fs.rmSync(to, { recursive: true, force: true });
  fs.cpSync(from, to, { recursive: true });
}

function putKeysBack(older: string, store: string): void {
  for (const folder of ['keys', 'packs/keys']) {
    copyTree(path.join(older, 'me', folder), path.join(store, 'me', folder));
  }
}

/** Replaces the client by one that does not encrypt, as an attacker could. */
async function swapForPlain({ source, at, store }: Lab): Promise<void> {
  const env = { XDG_STATE_HOME: at('state of the attacker') };
  const args = ['-D', at('planted'), '-C', 'me', '--local', '--create', source];
  await succeed('tardis', args, { env });
  copyTree(at('planted', 'me'), path.join(store, 'me'));
}

for (const through of ['on this machine', 'through a server'] as const) {
  test(`a password that was given up ${through} opens nothing there, with older keys or the older store`, async (t) => {
    const made = await home(t);
    const { store, at, place, password, next, env } = made;
    copyTree(store, at('older'));
    const server = through === 'through a server' ? await Server.start(store) : undefined;
    t.teardown(() => server?.kill());
    const there = server === undefined ? place : ['-C', 'me', ...server.clientArgs];
    await succeed('sonic', ['chpass', ...there, ...password, ...next], { env });
    await server?.stop();
    copyTree(store, at('newer'));
    putKeysBack(at('older'), store);
    t.is(codeIn(await run('lstardis', [...place, ...password], { env })), 'STORE_ROLLED_BACK');
    copyTree(at('older'), store);
    t.is(codeIn(await run('lstardis', [...place, ...password], { env })), 'STORE_ROLLED_BACK');
    copyTree(at('newer'), store);
    const given = ['--password-file', at('next')];
    await succeed('lstardis', [...place, ...given], { env });
  });
}

test('each command that writes a key record remembers its number', async (t) => {
  const made = await home(t);
  const { store, at, place, password, env } = made;
  const keys = ['--keys', at('keys')];
  for (const words of [['rotate'], ['keys', '--extract', '--remove', ...keys]]) {
    copyTree(store, at('older'));
    await succeed('sonic', [...words, ...place, ...password], { env });
    copyTree(store, at('newer'));
    putKeysBack(at('older'), store);
    const read = await run('lstardis', [...place, ...password], { env });
    t.is(codeIn(read), 'STORE_ROLLED_BACK', words.join(' '));
    const add = ['account', '--add', 'one', '--rights', 'read', ...made.next];
    const added = await run('sonic', [...add, ...place, ...password], { env });
    t.is(codeIn(added), 'STORE_ROLLED_BACK', added.stderr);
    copyTree(at('newer'), store);
  }
  await succeed('sonic', ['keys', '--insert', ...keys, ...place, ...password], { env });
  t.regex(fs.readFileSync(made.memory('seals'), 'utf8'), /^1 [0-9a-f]+ 4 [0-9a-f]{16}\n$/);
});

test('a refused run with --trust-store forgets nothing', async (t) => {
  const made = await home(t);
  const { place, source, store, password, next, env, at } = made;
  const server = await Server.during(t, store);
  const there = ['-C', 'me', ...server.clientArgs];
  await succeed('lstardis', [...there, ...password], { env });
  await swapForPlain(made);
  const restore = ['-o', at('out'), source];
  const trusting = ['--trust-store', ...password];
  for (const [tool, words] of [
    ['tardis', [...place, '--local', source]],
    ['tardis', [...there, source]],
    ['regenerate', [...place, ...restore]],
    ['regenerate', [...there, ...restore]],
    ['sonic', ['chpass', ...place, ...next]],
    ['sonic', ['check', ...place]],
  ] as const) {
    const refused = await run(tool, [...words, ...trusting], { env });
    t.regex(
      codeIn(refused)!,
      /^(PASSWORD_NOT_SET|NOT_PERMITTED)$/,
      `${tool} ${words.join(' ')} ${refused.stderr}`,
    );
  }
  const codes = [
    await run('tardis', [...place, '--local', source], { env }),
    await run('tardis', [...there, source], { env }),
    await run('regenerate', [...place, ...restore], { env }),
    await run('regenerate', [...there, ...restore], { env }),
  ].map(codeIn);
  t.deepEqual(codes, Array(4).fill('ENCRYPTION_GONE'));
});

test('a key file of another client is not remembered, and the right one is taken afterwards', async (t) => {
  const { place, source, store, at, password, env } = await home(t);
  const other = ['-D', at('other store'), '-C', 'me'];
  await succeed('tardis', [...other, ...password, '--local', '--create', source], { env });
  for (const [name, from] of [
    ['own', place],
    ['wrong', other],
  ] as const) {
    const extract = ['keys', '--extract', '--keys', at(name)];
    await succeed('sonic', [...extract, ...from, ...password], { env });
  }
  for (const folder of ['keys', 'packs/keys']) {
    fs.rmSync(path.join(store, 'me', folder), { recursive: true });
  }
  const fresh = { env: { XDG_STATE_HOME: at('another machine') } };
  const [wrong, own] = [
    ['--keys', at('wrong'), ...place, ...password],
    ['--keys', at('own'), ...place, ...password],
  ];
  for (const trust of [[], ['--trust-store']]) {
    for (const [tool, words] of [
      ['sonic', ['keys', '--insert', ...wrong, ...trust]],
      ['lstardis', [...wrong, ...trust]],
      ['sonic', ['list', ...wrong, ...trust]],
    ] as const) {
      const refused = await run(tool, words, fresh);
      t.is(codeIn(refused), 'NOT_AUTHENTIC', `${tool} ${refused.stdout} ${refused.stderr}`);
      t.notRegex(refused.stderr, /first time/);
    }
  }
  t.regex((await run('lstardis', own, fresh)).stderr, /first time on this machine/);
  await succeed('sonic', ['keys', '--insert', ...own], fresh);
  await succeed('lstardis', [...place, ...password], fresh);
});

test('the right key file is taken where the newest set has lost its seal, too', async (t) => {
  const { place, store, at, password, env } = await home(t);
  const keys = ['--keys', at('own')];
  await succeed('sonic', ['keys', '--extract', ...keys, ...place, ...password], { env });
  for (const folder of ['keys', 'packs/keys']) {
    fs.rmSync(path.join(store, 'me', folder), { recursive: true });
  }
  changeCatalog(store, (catalog) => catalog.exec('DELETE FROM set_seals'));
  const fresh = { env: { XDG_STATE_HOME: at('another machine') } };
  const listed = exited(t, 0, await run('lstardis', [...place, ...password, ...keys], fresh));
  t.regex(listed.stderr, /first time on this machine/);
});

test('a damaged memory of either kind is an error, and the hint leads to the key id and to a memory made anew', async (t) => {
  const made = await home(t);
  const { place, source, password, env, memory, store, at } = made;
  const sheet = await succeed('sonic', ['keys', '--qr', ...place, ...password], { env });
  const keyId = /Key id: ((?:[0-9a-f]{8} ?){4})/.exec(sheet)?.[1]?.trim();
  t.truthy(keyId);
  copyTree(store, at('older'));
  await succeed('tardis', [...place, ...password, '--local', source], { env });
  const list = [...place, ...password];
  for (const folder of ['clients', 'seals'] as const) {
    const whole = fs.readFileSync(memory(folder), 'utf8');
    const digit = whole.search(/\d/);
    const lower = String((Number(whole[digit]) + 9) % 10);
    const damages = [
      '',
      '\n',
      whole.slice(0, -2),
      whole.slice(0, digit) + lower + whole.slice(digit + 1),
    ];
    for (const text of damages) {
      fs.writeFileSync(memory(folder), text);
      for (const [tool, words] of [
        ['lstardis', list],
        ['tardis', [...list, '--local', source]],
        ['sonic', ['check', ...list]],
        ['sonic', ['keys', '--qr', ...list]],
      ] as const) {
        const refused = await run(tool, words, { env });
        t.is(codeIn(refused), 'MEMORY_DAMAGED', `${tool} ${folder} ${refused.stderr}`);
        t.regex(refused.stderr, /lstardis --trust-store/);
        t.notRegex(refused.stderr, /sonic keys --qr/);
      }
    }
    const trusted = exited(t, 0, await run('lstardis', ['--trust-store', ...list], { env }));
    if (folder === 'clients') t.true(trusted.stderr.includes(keyId!), trusted.stderr);
    await succeed('tardis', [...list, '--local', source], { env });
  }
  copyTree(at('older'), store);
  t.is(codeIn(await run('tardis', [...list, '--local', source], { env })), 'STORE_ROLLED_BACK');
});

test('a check without a password reports a damaged memory of seals', async (t) => {
  const { place, env, memory } = await home(t);
  fs.writeFileSync(memory('seals'), '');
  t.is(codeIn(await run('sonic', ['check', ...place], { env })), 'MEMORY_DAMAGED');
  await succeed('sonic', ['check', '--trust-store', ...place], { env });
});

test('a memory that is no plain file of the usual size is damaged, and holds nothing up', async (t) => {
  const { place, password, env, memory } = await home(t);
  for (const folder of ['clients', 'seals'] as const) {
    const file = memory(folder);
    for (const plant of [
      () => void execFileSync('mkfifo', [file]),
      () => fs.symlinkSync('/dev/zero', file),
      () => fs.mkdirSync(file),
      () => fs.writeFileSync(file, Buffer.alloc(1 << 20, ' ')),
    ]) {
      const whole = fs.readFileSync(file);
      fs.rmSync(file);
      plant();
      const refused = await run('lstardis', [...place, ...password], { env, timeoutMs: 60_000 });
      t.is(codeIn(refused), 'MEMORY_DAMAGED', `${folder} ${refused.stderr}`);
      fs.rmSync(file, { recursive: true });
      fs.writeFileSync(file, whole);
    }
  }
  await succeed('lstardis', [...place, ...password], { env });
});

test('commands that need no password refuse a client that does not encrypt any more', async (t) => {
  const made = await home(t);
  const { place, env, next, at } = made;
  await swapForPlain(made);
  const commands = [
    ['check'],
    ['check', '--read-data'],
    ['rebuild'],
    ['upgrade'],
    ['account'],
    ['account', '--add', 'one', '--rights', 'read', ...next],
    ['account', '--change', 'one', '--rights', 'read'],
    ['account', '--remove', 'one'],
    ['chpass', ...next],
    ['rotate'],
    ['keys', '--qr'],
    ['keys', '--extract', '--keys', at('keys')],
    ['rekey', '--yes'],
    ['forget-path', '--yes', made.source],
  ];
  for (const words of commands) {
    const refused = await run('sonic', [...words, ...place], { env });
    t.is(
      codeIn(refused),
      'ENCRYPTION_GONE',
      `${words.join(' ')} ${refused.stdout} ${refused.stderr}`,
    );
    t.is(refused.status, 1);
  }
  await succeed('sonic', ['check', '--trust-store', ...place], { env });
  await succeed('sonic', ['check', ...place], { env: { XDG_STATE_HOME: at('new machine') } });
});
