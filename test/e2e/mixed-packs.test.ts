// Pace: slow
/**
 * Two copies of one store diverge, and their packs are mixed, as when a store is put together from two backups of it.
 * The labels of these packs contain the same client id. Commands that read such packs report that they do not fit.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, ownState } from '../helpers/scratch.js';

backupsRunHere();

ownState(test);

const FOUND = 3;
const MOST_MS = 240_000;

/** A client with four sets, and a copy of it that has the same sets 1 and 2 but different sets 3 and 4. */
interface Made {
  readonly words: readonly string[];
  readonly source: string;
  readonly client: string;
  /** A copy of the client's directory, made when it had three sets. */
  readonly ofThree: string;
  /** The client's directory in the copied store. */
  readonly other: string;
}

function packIn(client: string, pack: number): string {
  return path.join(client, 'packs', `0000000${pack}.pack`);
}

async function made(t: ExecutionContext, secret: readonly string[]): Promise<Made> {
  const { source, at } = lab(t, []);
  const [one, other] = [at('one'), at('other')];
  const backUp = async (store: string, ...more: string[]): Promise<void> => {
    await succeed('tardis', ['-D', store, '-C', 'c', ...secret, ...more, source]);
  };
  const written = (name: string): void => {
    fs.mkdirSync(path.join(source, name));
    fs.writeFileSync(path.join(source, name, 'file'), name);
  };
  written('first');
  await backUp(one, '--local', '--create');
  written('second');
  await backUp(one, '--local');
  fs.cpSync(one, other, { recursive: true });
  written('here');
  await backUp(one, '--local');
  const ofThree = at('three');
  fs.cpSync(path.join(one, 'c'), ofThree, { recursive: true });
  written('later');
  await backUp(one, '--local');
  written('there');
  await backUp(other, '--local', ...(secret.length > 0 ? ['--trust-store'] : []));
  written('later there');
  await backUp(other, '--local');
  const words = ['-D', one, '-C', 'c', ...secret];
  return { words, source, client: path.join(one, 'c'), ofThree, other: path.join(other, 'c') };
}

function secretOf(t: ExecutionContext): string[] {
  const file = path.join(scratchInMemory(t), 'password');
  fs.writeFileSync(file, 'of a test\n', { mode: 0o600 });
  return ['--password-file', file];
}

for (const kind of ['plain', 'encrypting'] as const) {
  test(`a pack of another copy of the store: a check reports it, and a rebuild leaves a doubt: ${kind}`, async (t) => {
    t.timeout(MOST_MS);
    const { words, client, other } = await made(t, kind === 'plain' ? [] : secretOf(t));
    fs.copyFileSync(packIn(other, 3), packIn(client, 3));
    exited(t, FOUND, await run('sonic', ['check', '--read-data', ...words]));
    for (const name of fs.readdirSync(client)) {
      if (name.startsWith('tardis.db')) fs.rmSync(path.join(client, name));
    }
    const rebuilt = exited(t, FOUND, await run('sonic', ['rebuild', ...words]));
    t.regex(rebuilt.stdout, /doubtful: sets 1-4 may lack entries/);
    const after = exited(t, FOUND, await run('sonic', ['check', '--read-data', ...words]));
    t.regex(after.stdout, /doubtful: sets 1-4/);
    t.is(
      /^seal: in set 4 a directory has other entries than the client sealed$/m.test(after.stdout),
      kind === 'encrypting',
    );
  });
}

test('a check goes on where the set behind the one that this machine remembers does not fit its seal', async (t) => {
  t.timeout(MOST_MS);
  const { words, client, other, ofThree } = await made(t, secretOf(t));
  const env = { XDG_STATE_HOME: scratchInMemory(t) };
  const four = `${client}.four`;
  fs.renameSync(client, four);
  fs.cpSync(ofThree, client, { recursive: true });
  await succeed('sonic', ['check', '--read-data', ...words], { env }); // this machine now remembers set 3
  fs.rmSync(client, { recursive: true });
  fs.renameSync(four, client);
  fs.copyFileSync(packIn(other, 3), packIn(client, 3));
  for (const name of fs.readdirSync(client)) {
    if (name.startsWith('tardis.db')) fs.rmSync(path.join(client, name));
  }
  const elsewhere = { env: { XDG_STATE_HOME: scratchInMemory(t) } };
  t.is((await run('sonic', ['rebuild', ...words], elsewhere)).status, FOUND);
  await succeed('sonic', ['delete', '--yes', ...words, '3'], elsewhere);
  const check = exited(t, FOUND, await run('sonic', ['check', '--read-data', ...words], { env }));
  t.regex(check.stdout, /^seal: set 4 is not what the client sealed$/m);
  t.regex(check.stdout, /^Checked /m);
});

test('what a catalog lacks is not taken from a pack of another copy of the store', async (t) => {
  t.timeout(MOST_MS);
  const { words, other, client, source, ofThree } = await made(t, []);
  fs.rmSync(client, { recursive: true });
  fs.cpSync(ofThree, client, { recursive: true });
  fs.copyFileSync(packIn(other, 4), packIn(client, 4));
  const ended = exited(t, 1, await run('tardis', [...words, '--local', source]));
  t.regex(ended.stderr, /checkpoint 4 in the packs follows another one than 3 .*CATALOG_DAMAGED/);
});
