// Pace: slow
/**
 * A client relies on no data of its accounts. An account with the right `add` alone and a malicious program spoils no
 * backup of the client, whatever it stores as files, contents and directories.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runBackup } from '../../src/client/index.js';
import type { NativeCalls } from '../../src/system/index.js';
import { NO_PATIENCE } from '../../src/transport/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, jsonLines, rest, run, Server, succeed } from '../helpers/commands.js';
import { SMALL_SETTINGS, withNative } from '../helpers/inline.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';

/**
 * `digest`: other bytes under the correct digest. `entry`: other bytes under their own digest, for an entry with
 * the metadata of the true file.
 */
type Lie = 'digest' | 'entry';

const TIMEOUT_MS = 60_000;

/** Returns the bytes, each changed. */
function spoilt(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => byte ^ 0x20));
}

/** Backs up a directory to a server over plain TCP as an account, and lies about each file in it. */
async function backupByLiar(
  port: number,
  login: { readonly client: string; readonly account: string; readonly password: string },
  directory: string,
  lie: Lie,
): Promise<void> {
  const password = Buffer.from(login.password);
  const system = withNative((real) => lyingReads(real, lie));
  await runBackup(system, {
    reach: async () => ({ kind: 'tcp', host: '127.0.0.1', port }),
    openJobs: async () => new InlineJobs(system),
    request: {
      client: login.client,
      create: false,
      credentials: { password, ask: async () => password, account: login.account },
      setName: '',
      directories: [Buffer.from(directory)],
      excludes: NO_EXCLUDES,
      settings: SMALL_SETTINGS,
      compressMessages: false,
      timeoutMs: TIMEOUT_MS,
      patience: NO_PATIENCE,
    },
    hooks: { onStart: () => undefined, onFailures: () => undefined },
  });
}

function lyingReads(real: NativeCalls, lie: Lie): Partial<NativeCalls> {
  return {
    readFileAt: (directory, name, rows, rowAt, target, targetAt, mostBytes, digest, digestAt) => {
      const bytes = real.readFileAt(
        directory,
        name,
        rows,
        rowAt,
        target,
        targetAt,
        mostBytes,
        digest,
        digestAt,
      );
      const read = Buffer.from(target.buffer, target.byteOffset + targetAt, bytes);
      spoilt(read).copy(read);
      if (lie === 'entry') real.sha256(target, targetAt, bytes, digest, digestAt);
      return bytes;
    },
  };
}

backupsRunHere();

const SECRET = 'the words of the owner';
const OWN = 'the words of the account';

/** Less than the largest file of the tree, and more than all other files together. */
const MOST_LEFT_BYTES = 100_000;

interface Lab {
  readonly store: string;
  readonly source: string;
  readonly server: Server;
  /** Arguments of the client itself: `far` through the server, `near` at the store. */
  readonly far: readonly string[];
  readonly near: readonly string[];
  at(name: string): string;
  /** Makes a backup as the account, by a program that lies, or by an honest one if `lie` is undefined. */
  byAccount(lie: Lie | undefined, directory?: string): Promise<void>;
  /** Checks that a restore by the client gives the tree. */
  isWhole(t: ExecutionContext): Promise<void>;
}

function packBytes(store: string): number {
  const packs = path.join(store, 'me', 'packs');
  const sizes = fs
    .readdirSync(packs)
    .filter((name) => name.endsWith('.pack'))
    .map((name) => fs.statSync(path.join(packs, name)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function prepared(t: ExecutionContext, encrypts: boolean): Promise<Lab> {
  const { home, store, source, place, at } = lab(t, [
    dir('below', [file('deep', text('deep', 4000))]),
    file('small', 'what the owner has written'),
    file('middle', noise('middle', 120_000)),
  ]);
  fs.writeFileSync(at('secret'), SECRET);
  fs.writeFileSync(at('own'), OWN);
  const near = [...place, '-F', at('secret')];
  makeTree(at('first'), [file('other', 'x')]);
  const crypt = encrypts ? [] : ['--no-crypt'];
  await succeed('tardis', [...near, '--local', '--create', ...crypt, at('first')]);
  const account = ['--add', 'robot', '--rights', 'add', '--newpassword-file', at('own')];
  await succeed('sonic', ['account', ...near, ...account]);
  await rest(); // files that have just changed would be read again anyway
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', '-F', at('secret')];
  const login = { client: 'me', account: 'robot', password: OWN };
  const byAccount = async (lie: Lie | undefined, directory = source): Promise<void> => {
    if (lie !== undefined) return backupByLiar(server.port, login, directory, lie);
    const args = [...server.clientArgs, '-C', 'me', '-F', at('own'), '--account', 'robot'];
    await succeed('tardis', [...args, directory]);
  };
  const isWhole = async (test: ExecutionContext): Promise<void> => {
    test.deepEqual(await restoredBy(near, source, at(`out${fs.readdirSync(home).length}`)), []);
  };
  return { store, source, server, far, near, at, byAccount, isWhole };
}

for (const encrypts of [false, true]) {
  const kind = encrypts ? 'that encrypts' : 'that does not encrypt';

  test(`other bytes under the digest of a file spoil no backup of a client ${kind}`, async (t) => {
    const { source, far, near, at, byAccount, isWhole } = await prepared(t, encrypts);
    // The account stores the file under another path, which must make no difference.
    fs.cpSync(source, at('elsewhere'), { recursive: true });
    await byAccount('digest', at('elsewhere'));
    await succeed('tardis', [...far, source]);
    await isWhole(t);
    await byAccount('digest');
    await isWhole(t);
    await succeed('sonic', ['rebuild', ...near]);
    await isWhole(t);
    await succeed('sonic', ['delete', ...near, '2', '--yes']);
    await succeed('sonic', ['orphans', ...near]);
    await succeed('sonic', ['rebuild', ...near]);
    await isWhole(t);
  });

  test(`entries that repeat those of the true file spoil no backup of a client ${kind}`, async (t) => {
    const { source, far, near, byAccount, isWhole } = await prepared(t, encrypts);
    await byAccount('entry');
    await succeed('tardis', [...far, source]);
    await isWhole(t);
    // The same over files that the client has backed up itself, and after the account's set is deleted.
    fs.writeFileSync(path.join(source, 'small'), 'another text of the owner!');
    await rest();
    await byAccount('entry');
    await succeed('sonic', ['delete', ...near, '2', '--yes']);
    await succeed('tardis', [...far, source]);
    await isWhole(t);
    await byAccount('entry');
    await succeed('sonic', ['rebuild', ...near]);
    await succeed('tardis', [...far, source]);
    await isWhole(t);
  });
}

test('what an honest account has stored is sent once more by the client, and then no more', async (t) => {
  const { source, far, at, server, byAccount, isWhole } = await prepared(t, true);
  const sent = async (args: readonly string[]): Promise<number> => {
    const [reported] = jsonLines(await succeed('tardis', [...args, '--json', source]));
    return (reported as { progress: { contentsSent: number } }).progress.contentsSent;
  };
  await byAccount(undefined);
  await isWhole(t); // from the set of the account
  t.is(await sent([...server.clientArgs, '-C', 'me', '-F', at('own'), '--account', 'robot']), 0);
  t.is(await sent(far), 3);
  t.is(await sent(far), 0);
  t.is(await sent([...server.clientArgs, '-C', 'me', '-F', at('own'), '--account', 'robot']), 0);
  t.is(await sent(far), 0, 'the account has said nothing new');
});

test('an account takes the place of nothing that the client has stored', async (t) => {
  const { source, far, near, store, byAccount, isWhole } = await prepared(t, false);
  await succeed('tardis', [...far, source]);
  await byAccount('digest');
  await isWhole(t);
  const [reported] = jsonLines(
    await succeed('sonic', ['check', ...near, '--read-data=all', '--json']),
  );
  t.like(reported, { damagedRecords: 0 });
  changeCatalog(store, (catalog) => {
    t.is(catalog.prepare('SELECT count(*) FROM unproven_contents').pluck().get(), 0);
  });
});

test('what an account has stored wrongly keeps nothing else from being freed', async (t) => {
  const { store, source, near, at, byAccount } = await prepared(t, false);
  await byAccount('digest');
  t.true(packBytes(store) > MOST_LEFT_BYTES);
  // Most contents of the account's first set become garbage when that set is deleted.
  fs.rmSync(path.join(source, 'middle'));
  fs.rmSync(path.join(source, 'below'), { recursive: true });
  await byAccount('digest');
  await succeed('sonic', ['delete', ...near, '2', '--yes', '--no-clear-up']);
  const [reported] = jsonLines(
    await succeed('sonic', ['orphans', ...near, '--json', '--waste', '1']),
  );
  t.like(reported, { isDone: true });
  // The size counts, since the server may have repacked the needed data before this command.
  t.true(packBytes(store) < MOST_LEFT_BYTES);
  await succeed('sonic', ['rebuild', ...near]);
  t.is(
    (await run('regenerate', [...near, '-o', at('out'), source])).status,
    3,
    'it is wrong still',
  );
});

test('a check of the store names what an account has stored wrongly', async (t) => {
  const { source, near, at, byAccount } = await prepared(t, false);
  await byAccount('digest');
  t.regex(exited(t, 3, await run('sonic', ['check', ...near, '--read-data=all'])).stdout, /small/);
  const out = at('out');
  t.is((await run('regenerate', [...near, '-o', out, source])).status, 3);
  t.false(fs.existsSync(path.join(out, 'tree', 'small')));
  t.notDeepEqual(spoilt(Buffer.from('a')), Buffer.from('a'));
});
