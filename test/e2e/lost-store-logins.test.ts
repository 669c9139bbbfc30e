// Pace: slow
/** Logins at a server whose store cannot be read: strangers learn that alone, and no guess is counted. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { certificateIn } from '../helpers/certificates.js';
import { codeIn } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  poolsStayAway,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { failWith } from '../helpers/failing-calls.js';
import { Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { file, makeTree } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const PASSWORD = 'gravel-Otter9-lamp';
/** More logins than a client may fail at once. */
const ROUNDS = 7;

interface Loss {
  readonly code: string;
  /** Mounts the store `real`, and returns its path. */
  readonly mount: (mounts: Mounts, real: string) => Promise<string>;
  readonly lose: (mounts: Mounts, store: string) => void;
  readonly bringBack: (mounts: Mounts, store: string) => void;
}

const brokenIn = (mounts: Mounts): string => path.join(mounts.home, 'broken');

const LOSSES: Readonly<Record<string, Loss>> = {
  'its disk is unmounted': {
    code: 'NO_SUCH_STORE',
    mount: async (mounts, real) => {
      const store = mounts.directory('store');
      mounts.run('mount', '--bind', real, store);
      return store;
    },
    lose: (mounts, store) => void mounts.run('umount', '-l', store),
    bringBack: (mounts, store) =>
      void mounts.run('mount', '--bind', path.join(mounts.home, 'real'), store),
  },
  'its disk fails each read': {
    code: 'IO_FAILED',
    mount: (mounts, real) => mounts.lie('store', real, { broken: brokenIn(mounts) }),
    lose: (mounts) => failWith(brokenIn(mounts), { errno: 5, operations: 'sorlwf', end: '*' }),
    bringBack: (mounts) => failWith(brokenIn(mounts)),
  },
};

async function serve(t: ExecutionContext, { mount }: Loss) {
  const mounts = await Mounts.open(t);
  const { mountsOf, home } = mounts;
  const [real, tree, word] = [
    mounts.directory('real'),
    path.join(home, 'tree'),
    path.join(home, 'word'),
  ];
  makeTree(tree, [file('one', 'content')]);
  fs.writeFileSync(word, PASSWORD);
  await succeed('sonic', ['create', '-D', real, '-C', 'open']);
  for (const [client, ...more] of [['locked', '--no-crypt'], ['sealed']] as const) {
    await succeed('sonic', ['create', '-D', real, '-C', client, '-F', word, ...more]);
  }
  const keysOf = { open: [], locked: ['-F', word], sealed: ['-F', word] };
  for (const [client, keys] of Object.entries(keysOf)) {
    await backup(['--local', '-D', real, '-C', client, ...keys, tree]); // no work is left for the servers
  }
  const store = await mount(mounts, real);
  const { certFile, keyFile } = await certificateIn(home);
  const plain = await Server.during(t, store, [], { mountsOf });
  const pair = ['--ssl', '--certfile', certFile, '--keyfile', keyFile, '--address', '127.0.0.1'];
  const secure = await Server.during(t, store, pair, { mountsOf });
  const logins = {
    open: ['-C', 'open', ...plain.clientArgs],
    locked: ['-C', 'locked', '-F', word, ...plain.clientArgs],
    sealed: ['-C', 'sealed', '-F', word, '--server', '127.0.0.1', '--port', String(secure.port)],
    unheard: ['-C', 'unheard', '-F', word, ...plain.clientArgs],
  };
  return { mounts, store, tree, logins, servers: [plain, secure] };
}

for (const [how, loss] of Object.entries(LOSSES)) {
  test(`every login at a server gets the same error if its store is away, and counts for nothing: ${how}`, (t) =>
    unlessLeftOut(t, async () => {
      const { mounts, store, tree, logins, servers } = await serve(t, loss);
      const { unheard: _, ...known } = logins;
      loss.lose(mounts, store);
      const texts = new Set<string>();
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const args of Object.values(logins)) {
          const refused = await run('tardis', [...args, tree]);
          t.is(codeIn(refused), loss.code, refused.stderr);
          t.notRegex(refused.stderr.replaceAll(tree, ''), new RegExp(mounts.home));
          texts.add(refused.stderr);
        }
      }
      t.is(texts.size, 1, [...texts].join());
      loss.bringBack(mounts, store);
      for (const args of Object.values(known)) await backup([...args, tree]);
      for (const server of servers) {
        const { stderr } = await server.stop();
        const line = `"code":"${loss.code}",.*"msg":"logins are refused: the store cannot be read"`;
        t.is(stderr.match(new RegExp(line, 'g'))?.length, 1, stderr);
        t.is(stderr.match(/"msg":"logins are taken again: the store can be read"/g)?.length, 1);
      }
    }));
}

test('clients are backed up again at once when a disk that failed for a while works again', (t) =>
  unlessLeftOut(t, async () => {
    const loss = LOSSES['its disk fails each read']!;
    const { mounts, store, tree, logins } = await serve(t, loss);
    const { unheard: _, ...known } = logins;
    for (let round = 0; round < 3; round += 1) {
      for (const args of Object.values(known)) await backup([...args, tree]);
      loss.lose(mounts, store); // while the servers still end the sessions
      for (const args of Object.values(known)) {
        t.is(codeIn(await run('tardis', [...args, tree])), loss.code);
      }
      loss.bringBack(mounts, store);
    }
    for (const args of Object.values(known)) await backup([...args, tree]);
    await succeed('sonic', ['check', '-D', path.join(mounts.home, 'real'), '-C', 'open']);
  }));
