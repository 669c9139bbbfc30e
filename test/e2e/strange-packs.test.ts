// Pace: long
/**
 * Pack files whose content does not match their name: a copy under another number, and a pack of another client. No
 * command takes such a file for a pack of the client, and nothing is lost by it.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, ownState } from '../helpers/scratch.js';

backupsRunHere();

ownState(test);

const SETS = 4;
const FOUND = 3;
const MOST_MS = 240_000;

interface Client {
  readonly store: string;
  readonly words: readonly string[];
  readonly source: string;
}

const packOf = ({ store }: Client, pack: number): string =>
  path.join(store, 'c', 'packs', `${String(pack).padStart(8, '0')}.pack`);

async function backUp({ words, source }: Client, text: string, more: readonly string[] = []) {
  fs.writeFileSync(path.join(source, 'file'), text);
  return run('tardis', [...words, ...more, '--local', source]);
}

/** Creates a client with four sets, each in a pack of its own. */
async function client(t: ExecutionContext, secret: readonly string[] = []): Promise<Client> {
  const { store, source } = lab(t, []);
  const made: Client = { store, source, words: ['-D', store, '-C', 'c', ...secret] };
  for (let set = 1; set <= SETS; set += 1) {
    t.is((await backUp(made, `text ${set}`, set === 1 ? ['--create'] : [])).status, 0);
    t.true(fs.existsSync(packOf(made, set)));
  }
  return made;
}

/** Restores the file of a set; returns its content. */
async function restored(t: ExecutionContext, { words, source }: Client, set: number) {
  const into = scratchInMemory(t);
  const file = path.join(source, 'file');
  await succeed('regenerate', [...words, '-b', String(set), '-o', into, file]);
  return fs.readFileSync(path.join(into, 'file'), 'utf8');
}

async function isWhole(t: ExecutionContext, made: Client, sets = SETS): Promise<void> {
  for (let set = 1; set <= sets; set += 1) t.is(await restored(t, made, set), `text ${set}`);
}

async function checksAndRebuilds(t: ExecutionContext, made: Client, name: RegExp) {
  const check = exited(t, FOUND, await run('sonic', ['check', ...made.words, '--read-data']));
  t.regex(check.stdout, name);
  const rebuild = await succeed('sonic', ['rebuild', ...made.words]);
  t.regex(rebuild, name);
  await isWhole(t, made);
}

for (const [kind, secret] of [
  ['plain', []],
  ['encrypting', [`--password=${PASSWORD}`]],
] as const) {
  for (const [from, to] of [
    [4, 9],
    [1, 5],
  ] as const) {
    test.serial(`pack ${from} copied as pack ${to} takes nothing away: ${kind}`, async (t) => {
      t.timeout(MOST_MS);
      const made = await client(t, secret);
      fs.copyFileSync(packOf(made, from), packOf(made, to));
      const holds = `packs/0000000${to}\\.pack contains pack ${from} of this client`;
      await checksAndRebuilds(t, made, new RegExp(holds));
      const backup = exited(t, 0, await backUp(made, 'text 5'));
      t.regex(backup.stdout + backup.stderr, new RegExp(`0000000${to}\\.pack`));
      await succeed('sonic', ['rebuild', ...made.words]);
      await isWhole(t, made, SETS + 1);
      fs.rmSync(packOf(made, to));
      await succeed('sonic', ['check', ...made.words, '--read-data']);
    });
  }
}

test.serial('a pack of another client is not taken for one of the client', async (t) => {
  t.timeout(MOST_MS);
  const made = await client(t);
  const other = await client(t, [`--password=${PASSWORD}`]);
  t.is((await backUp(other, 'text 5')).status, 0);
  fs.copyFileSync(packOf(other, 5), packOf(made, 5));
  const backup = exited(t, 0, await backUp(made, 'text 5'));
  t.regex(backup.stdout + backup.stderr, /00000005\.pack/);
  const { clientId } = JSON.parse(
    fs.readFileSync(path.join(other.store, 'c', 'format.json'), 'utf8'),
  ) as { clientId: string };
  const holds = 'packs/00000005\\.pack contains pack 5 of';
  await checksAndRebuilds(
    t,
    made,
    new RegExp(`${holds} another client \\(its id is ${clientId}\\)`),
  );
  await isWhole(t, made, SETS + 1);
  // The store now contains the other client, so the report can name it.
  fs.cpSync(path.join(other.store, 'c'), path.join(made.store, 'other'), { recursive: true });
  await checksAndRebuilds(t, made, new RegExp(`${holds} the client "other"`));
  const [reported] = jsonLines((await run('sonic', ['check', ...made.words, '--json'])).stdout);
  t.like(reported, { finding: 'pack', pack: 5, clientId, isOwn: false, client: 'other' });
});

test.serial('a client whose packs are mixed with others is not written anew', async (t) => {
  t.timeout(MOST_MS);
  const made = await client(t);
  const other = await client(t);
  t.is((await backUp(other, 'text 5')).status, 0);
  fs.copyFileSync(packOf(other, 5), packOf(made, 7));
  const stray = path.join(made.store, 'c', 'packs', 'of the operator');
  fs.writeFileSync(stray, 'kept');
  const secret = `--password=${PASSWORD}`;
  const refused = async (verb: string, ...more: string[]): Promise<void> => {
    const ended = exited(t, 1, await run('sonic', [verb, ...made.words, ...more, '--yes']));
    t.regex(ended.stderr, /packs\/00000007\.pack, packs\/of the operator \[PACKS_STRANGE\]/);
    t.deepEqual(fs.readdirSync(made.store), ['c']);
    t.true(fs.readFileSync(packOf(made, 7)).equals(fs.readFileSync(packOf(other, 5))));
    t.is(fs.readFileSync(stray, 'utf8'), 'kept');
  };
  await refused('encrypt', secret);
  const file = path.join(made.source, 'file');
  await succeed('sonic', ['forget-path', ...made.words, '--yes', file]);
  await refused('forget-path', '--finish', '--now');
  fs.rmSync(packOf(made, 7));
  fs.rmSync(stray);
  await succeed('sonic', ['forget-path', ...made.words, '--finish', '--now', '--yes']);
});

test.serial('packs are known for those of the client after its format file is lost', async (t) => {
  t.timeout(MOST_MS);
  const made = await client(t);
  fs.rmSync(path.join(made.store, 'c', 'format.json'));
  await succeed('sonic', ['rebuild', ...made.words]);
  await isWhole(t, made);
  await succeed('sonic', ['check', ...made.words, '--read-data']);
});

test.serial(
  'more packs of another client do not make the client that one, with its format file lost',
  async (t) => {
    t.timeout(MOST_MS);
    const made = await client(t);
    const other = await client(t, [`--password=${PASSWORD}`]);
    for (const text of ['text 5', 'text 6']) t.is((await backUp(other, text)).status, 0);
    const strange = [1, 2, 5, 6];
    for (const pack of strange) fs.copyFileSync(packOf(other, pack), packOf(made, pack));
    fs.rmSync(path.join(made.store, 'c', 'format.json'));
    exited(t, FOUND, await run('sonic', ['rebuild', ...made.words]));
    for (const set of [3, 4]) t.is(await restored(t, made, set), `text ${set}`);
    fs.rmSync(path.join(made.store, 'c', 'format.json'));
    for (const name of fs.readdirSync(path.join(made.store, 'c'))) {
      if (name.startsWith('tardis.db')) fs.rmSync(path.join(made.store, 'c', name));
    }
    const refused = exited(t, 1, await run('sonic', ['rebuild', ...made.words]));
    t.regex(refused.stderr, /are of different clients.*FORMAT_DAMAGED/);
    for (const pack of strange) fs.rmSync(packOf(made, pack));
    t.is((await run('sonic', ['rebuild', ...made.words])).status, FOUND);
    t.is(await restored(t, made, 4), 'text 4');
  },
);
