// Pace: slow
/** Parity in real stores: made by backups and garbage collection, used by `sonic check --repair`. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;

/** Returns the files below a directory, relative to it. */
function filesBelow(directory: string): string[] {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.statSync(path.join(directory, name)).isFile())
    .sort();
}

/** Returns the names of packs and objects of the client, and those of their parity. */
function namesIn(store: string): { data: string[]; parity: string[] } {
  const client = path.join(store, 'me');
  const data = filesBelow(client).filter((name) => /^(packs\/\d|[0-9a-f]{2}\/)/.test(name));
  return { data, parity: filesBelow(path.join(client, 'parity')) };
}

function bytesOf(directory: string, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + fs.statSync(path.join(directory, name)).size, 0);
}

interface End {
  readonly damagedParity?: number;
  readonly isClean: boolean;
  readonly parity: {
    readonly protected: number;
    readonly unprotected: number;
    readonly repair?: {
      healed: number;
      damaged: number;
      parityMade: number;
      parityRebuilt: number;
    };
  };
}

function endOf(stdout: string): End {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as End;
}

test('Parity is the percentage of parity that a backup stores; 0 stores none', async (t) => {
  const { place, source, store, written } = lab(t);
  fs.writeFileSync(path.join(source, 'large.gz'), noise(1, 12 * MIB));
  fs.writeFileSync(path.join(source, 'middle.gz'), noise(2, 3 * MIB));
  const none = written('none.cfg', '[Tardis]\nParity = 0\n');
  await backup([...place, '--local', '--local-config', none, '--create', source]);
  t.deepEqual(namesIn(store).parity, []);
  const bare = await succeed('sonic', ['check', '--json', ...place]);
  t.like(endOf(bare), { isClean: true, parity: { protected: 0, unprotected: 2 } });
  const made = await succeed('sonic', ['check', '--repair', '--parity', '10', '--json', ...place]);
  t.like(endOf(made).parity.repair, { healed: 0, damaged: 0, parityMade: 2 });
  const wide = namesIn(store);
  t.deepEqual(wide.parity, wide.data);
  const client = path.join(store, 'me');
  const share = bytesOf(path.join(client, 'parity'), wide.parity) / bytesOf(client, wide.data);
  t.true(share > 0.1 && share < 0.11, `${share}`);
  // By the option of a backup, in another store.
  const other = path.join(path.dirname(store), 'other');
  await backup(['-D', other, '-C', 'me', '--local', '--parity', '10', '--create', source]);
  t.deepEqual(namesIn(other).parity, namesIn(other).data);
  const bytes = bytesOf(path.join(other, 'me', 'parity'), namesIn(other).parity);
  t.is(bytes, bytesOf(path.join(client, 'parity'), wide.parity));
});

test('a check with --repair restores damaged bytes from parity, and reports what it cannot restore', async (t) => {
  const { place, source, store } = lab(t);
  fs.writeFileSync(path.join(source, 'large.gz'), noise(3, 12 * MIB));
  fs.writeFileSync(path.join(source, 'middle.gz'), noise(4, 3 * MIB));
  await backup([...place, '--local', '--create', source]);
  const client = path.join(store, 'me');
  const { data, parity } = namesIn(store);
  t.deepEqual(parity, data, 'each pack and object has parity');
  const object = data.find((name) => !name.startsWith('packs/'))!;
  const share = bytesOf(path.join(client, 'parity'), [object]) / bytesOf(client, [object]);
  t.true(share > 0.03 && share <= 0.035, `${share}`);
  const right = data.map((name) => fs.readFileSync(path.join(client, name)));
  for (const [at, name] of data.entries()) {
    const bytes = Buffer.from(right[at]!);
    bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 60_000);
    fs.writeFileSync(path.join(client, name), bytes);
  }
  const found = exited(t, 3, await run('sonic', ['check', '--read-data', ...place]));
  t.regex(found.stdout, /Marked as damaged/);
  const healed = exited(t, 0, await run('sonic', ['check', '--repair', '--read-data', ...place]));
  t.regex(healed.stdout, /repair: packs\/00000001\.pack: \d+ blocks restored from parity/);
  t.regex(healed.stdout, /no longer marked as damaged/);
  for (const [at, name] of data.entries()) {
    t.true(fs.readFileSync(path.join(client, name)).equals(right[at]!), name);
  }
  const lost = Buffer.from(right[data.indexOf(object)]!);
  lost.fill(0, MIB, 2 * MIB);
  fs.writeFileSync(path.join(client, object), lost);
  const beyond = exited(t, 3, await run('sonic', ['check', '--repair', '--json', ...place]));
  t.like(endOf(beyond.stdout), { isClean: false });
  t.like(endOf(beyond.stdout).parity.repair, { healed: 0, damaged: 1 });
  t.true(fs.readFileSync(path.join(client, object)).equals(lost), 'nothing got worse');
});

test('garbage collection makes parity that is missing, and removes it with its pack', async (t) => {
  const { place, source, store } = lab(t);
  fs.writeFileSync(path.join(source, 'large.gz'), noise(5, 12 * MIB));
  await backup([...place, '--local', '--create', source]);
  fs.rmSync(path.join(store, 'me', 'parity'), { recursive: true });
  await succeed('sonic', ['orphans', ...place]);
  const again = namesIn(store);
  t.deepEqual(again.parity, again.data);
  fs.rmSync(path.join(source, 'large.gz'));
  await backup([...place, '--local', source]);
  await succeed('sonic', ['delete', '--yes', ...place, '1']);
  const rest = namesIn(store);
  t.deepEqual(rest.parity, rest.data);
  t.true(
    rest.data.every((name) => name.startsWith('packs/')),
    'the object is gone, and its parity',
  );
  await succeed('sonic', ['check', '--read-data', ...place]);
});

test('a repair through a server is refused', async (t) => {
  const { place } = lab(t);
  const far = await run('sonic', ['check', '--repair', '--server', 'localhost', ...place.slice(2)]);
  t.is(far.status, 1);
  t.regex(far.stderr, /CONFIG_INVALID/);
});

test('a check that reads data names a damaged parity file, until a repair makes it again', async (t) => {
  const { place, source, store } = lab(t);
  fs.writeFileSync(path.join(source, 'large.gz'), noise(8, 2 * MIB));
  await backup([...place, '--local', '--create', source]);
  const [name = ''] = namesIn(store).parity;
  const file = path.join(store, 'me', 'parity', name);
  const right = fs.readFileSync(file);
  const reading = ['check', '--read-data', ...place];
  for (const at of [0, 70, right.length >> 1, right.length - 1]) {
    const wrong = Buffer.from(right);
    wrong[at]! ^= 1;
    fs.writeFileSync(file, wrong);
    await succeed('sonic', ['check', ...place]);
    const { status, stdout } = await run('sonic', reading);
    t.is(status, 3, `byte ${at}: ${stdout}`);
    t.true(stdout.includes(`record: parity/${name} at 0, `), stdout);
    t.regex(stdout, /1 parity record damaged: .*sonic check --repair/);
    t.notRegex(stdout, /No damage found/);
  }
  const end = (await run('sonic', [...reading, '--json'])).stdout;
  t.like(endOf(end), { isClean: false, damagedParity: 1 });
  await succeed('sonic', ['check', '--repair', ...place]);
  t.true(fs.readFileSync(file).equals(right));
  await succeed('sonic', reading);
});
