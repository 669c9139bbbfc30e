// Pace: slow
/** Symbolic links in a client's directory lead no command out of the store. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, Server, succeed } from '../helpers/commands.js';

import { lab } from '../helpers/lab.js';
import { differences, dir, file, look, makeTree } from '../helpers/tree.js';

backupsRunHere();

const PASSWORD = '--password=long enough for this';

interface Lab {
  readonly store: string;
  readonly client: string;
  readonly source: string;
  /** A directory outside of the store, which no command may change. */
  readonly outside: string;
  readonly place: readonly string[];
}

async function prepared(t: ExecutionContext): Promise<Lab> {
  const { store, source, place, at } = lab(t, [
    file('one', 'one'),
    file('large', Buffer.alloc(3 << 20, 'large')),
  ]);
  const outside = at('outside');
  makeTree(outside, [
    file('canary', 'a canary'),
    file('00000001.pack', 'a canary'),
    file('00000001.key', 'a canary'),
    dir('below', [file('canary', 'a canary')]),
  ]);
  await succeed('tardis', [...place, PASSWORD, '--local', '--create', source]);
  return { store, client: path.join(store, 'me'), source, outside, place };
}

const backup = ({ place, source }: Lab): [string, string[]] => [
  'tardis',
  [...place, PASSWORD, '--local', source],
];
const sonic =
  (...words: string[]) =>
  ({ place }: Lab): [string, string[]] => [
    'sonic',
    [words[0]!, ...place, PASSWORD, ...words.slice(1)],
  ];
const writers = [
  backup,
  sonic('orphans'),
  sonic('check', '--read-data'),
  sonic('rebuild'),
  sonic('tag', '--add', 'word', '1'),
];

/**
 * Links by place, with their target (a name in `outside`, which need not exist). `isRefused` is true if a backup is
 * refused.
 */
const CASES: readonly (readonly [links: Readonly<Record<string, string>>, isRefused: boolean])[] = [
  [{ incoming: '.' }, true],
  [{ packs: '.' }, true],
  [{ keys: '.' }, true],
  [{ lock: 'canary' }, true],
  [{ 'tardis.db': 'new' }, true],
  [{ 'tardis.db': 'canary' }, true],
  [{ 'format.json': 'canary' }, true],
  [
    {
      'packs/keys': '.',
      'lock.wanted': 'new',
      reserve: 'canary',
      'checked.db': 'new',
      'tardis.db-wal': 'canary',
      'format.json.new': 'canary',
    },
    false,
  ],
  [{ 'checked.db': 'canary', 'reserve.new': 'new', 'tardis.db-shm': 'new' }, false],
];

for (const [links, isRefused] of CASES) {
  const named = Object.entries(links).map(([at, to]) => `${at} -> ${to}`);
  test(`links in a client's directory lead no command out of it: ${named.join(', ')}`, async (t) => {
    const here = await prepared(t);
    const before = look(here.outside);
    for (const command of writers) {
      for (const [name, to] of Object.entries(links)) {
        const at = path.join(here.client, name);
        fs.rmSync(at, { recursive: true, force: true });
        if (fs.existsSync(path.dirname(at))) fs.symlinkSync(path.join(here.outside, to), at);
      }
      const [tool, words] = command(here) as ['tardis', string[]];
      const { stderr } = await run(tool, words);
      t.notRegex(stderr, /INTERNAL|USAGE/, words[0]);
      const meetsIt = command === backup || (words[0] === 'check' && 'incoming' in links);
      if (isRefused && meetsIt) t.regex(stderr, /STORE_UNSAFE/, tool);
      t.deepEqual(differences(before, look(here.outside)), [], `${tool} ${words.join(' ')}`);
    }
  });
}

test('a check names a link in the place of the parity, which a backup then does not make', async (t) => {
  const here = await prepared(t);
  const before = look(here.outside);
  fs.rmSync(path.join(here.client, 'parity'), { recursive: true, force: true });
  fs.symlinkSync(here.outside, path.join(here.client, 'parity'));
  await succeed(...(backup(here) as ['tardis', string[]]));
  const { stderr } = exited(t, 1, await run(...(sonic('check')(here) as ['sonic', string[]])));
  t.regex(stderr, /parity is a symbolic link \[STORE_UNSAFE\]/);
  t.deepEqual(differences(before, look(here.outside)), []);
});

test('a client is not made where a link leads', async (t) => {
  const here = await prepared(t);
  const before = look(here.outside);
  fs.symlinkSync(here.outside, path.join(here.store, 'you'));
  const { stderr } = exited(t, 1, await run('sonic', ['create', '-D', here.store, '-C', 'you']));
  t.regex(stderr, /STORE_UNSAFE/);
  t.deepEqual(differences(before, look(here.outside)), []);
});

test('a link in the place of what a server keeps for logins leads it nowhere', async (t) => {
  const here = await prepared(t);
  const before = look(here.outside);
  fs.rmSync(path.join(here.store, '.login'), { recursive: true, force: true });
  fs.symlinkSync(here.outside, path.join(here.store, '.login'));
  const server = await Server.start(here.store);
  try {
    exited(t, 12, await run('lstardis', [...server.clientArgs, '-C', 'unheard', PASSWORD]));
  } finally {
    await server.stop();
  }
  t.deepEqual(differences(before, look(here.outside)), []);
});

test('another name of a client, by a link of the owner of the store, is followed by every command', async (t) => {
  const { store, source, place } = await prepared(t);
  fs.symlinkSync('me', path.join(store, 'alias'));
  const alias = ['-D', store, '-C', 'alias'];
  await succeed('tardis', [...alias, PASSWORD, '--local', source]);
  await succeed('sonic', ['status', ...alias]);
  t.regex(await succeed('lstardis', [...place, PASSWORD]), /^ *2 /m);
  const server = await Server.during(t, store);
  await succeed('tardis', [...server.clientArgs, '-C', 'alias', PASSWORD, source]);
  t.regex(await succeed('lstardis', [...server.clientArgs, '-C', 'alias', PASSWORD]), /^ *3 /m);
});
