// Pace: long
/**
 * A restore, an archive and a mount fetch each record that they need once, in whatever order a tree has its contents: from
 * a server and from a bucket, of a client that encrypts and of one that does not.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { ServedLab } from '../helpers/bucket-lab.js';
import { backup, backupsRunHere, Server, succeed } from '../helpers/commands.js';
import { outputOf } from '../helpers/mounted-sets.js';
import { Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { differences, look, noise, text } from '../helpers/tree.js';

backupsRunHere();

/** Maximum ratio of the fetched bytes to those of the records that are needed. */
const MOST_RATIO = 1.05;
/** More names than a directory of an encrypting client may have to be sorted, or than a restore holds. */
const MANY = 17_000;
const MIB = 1 << 20;
/** Objects of a bucket with records of contents. */
const CONTENTS = /\/(packs|objects|log)\//;

type Save = () => Promise<void>;
/** Makes a tree, and backs it up once or several times; the last set is read. */
type Shape = (source: string, save: Save) => Promise<void>;

const SHAPES: Readonly<Record<string, Shape>> = {
  'one directory of many files': async (source, save) => {
    fs.mkdirSync(source);
    for (let file = 0; file < MANY; file += 1) {
      fs.writeFileSync(path.join(source, `f${file}`), noise(file, 150));
    }
    await save();
  },
  'many equal files': async (source, save) => {
    // More bytes than are held in memory, and more files than are located at once.
    const contents = Array.from({ length: 220 }, (_, index) => noise(index, 80_000));
    for (let copy = 0; copy < 6; copy += 1) {
      const folder = folderIn(source, `copy-${copy}`);
      for (const [index, bytes] of contents.entries()) {
        fs.writeFileSync(path.join(folder, `f${(index * (copy + 1)) % 227}`), bytes);
      }
    }
    await save();
  },
  'few large files, some of them equal': async (source, save) => {
    fs.mkdirSync(source);
    for (const folder of ['a', 'b', 'c']) {
      fs.mkdirSync(path.join(source, folder));
      fs.writeFileSync(path.join(source, folder, 'large'), noise(2, 9 * MIB));
      fs.writeFileSync(path.join(source, folder, 'middle'), noise(3, 2 * MIB));
    }
    for (const folder of ['a', 'c']) {
      fs.writeFileSync(path.join(source, folder, 'parts'), noise(1, 70 * MIB));
    }
    await save();
  },
  'contents in random order': async (source, save) => {
    const folders = 40;
    const names = Array.from({ length: 6000 }, (_, index) => `f${index}`);
    fs.mkdirSync(source);
    for (const [index, name] of names.entries()) {
      fs.writeFileSync(path.join(source, name), text(index, 6000));
    }
    await save();
    for (let folder = 0; folder < folders; folder += 1) {
      fs.mkdirSync(path.join(source, `d${folder}`));
    }
    for (const [index, name] of names.entries()) {
      const folder = `d${(index * 7919) % folders}`;
      fs.renameSync(path.join(source, name), path.join(source, folder, name));
    }
    await save();
  },
};

/** Returns the bytes of all records with contents in a catalog. */
function neededBytes(catalog: string): number {
  using database = nodeSystem().openDatabase(catalog, { readonly: true });
  const sql =
    'SELECT sum(record_bytes) AS bytes FROM records WHERE record_id IN (SELECT record_id FROM contents)';
  return database.query(sql, 'integer').get()!;
}

/** Options that name the password, if there is one. */
function secretIn(home: string, isEncrypted: boolean): string[] {
  const file = path.join(home, 'password');
  fs.writeFileSync(file, 'gravel-Otter9-lamp', { mode: 0o600 });
  return isEncrypted ? ['--password-file', file] : [];
}

function requireOnce(
  t: ExecutionContext,
  what: string,
  { fetched, needed }: { readonly fetched: number; readonly needed: number },
): void {
  const isOnce = fetched > 0 && fetched <= MOST_RATIO * needed;
  t.true(isOnce, `${what}: ${fetched} of ${needed} bytes`);
}

/**
 * Ways in which the records of a shape are fetched. A run takes every second shape, each in one way, which TEST_SEED chooses;
 * a soak run takes all of them.
 */
const WAYS = ['server', 'encrypted in a bucket', 'server', 'plain in a bucket'] as const;

for (const [number, [what, shape]] of Object.entries(SHAPES).entries()) {
  if (share < 1 && (seed + number) % 2 === 0) continue;
  const ways = share < 1 ? [WAYS[((seed >> 1) + number) % WAYS.length]!] : [...new Set(WAYS)];
  for (const way of ways) {
    if (way === 'server') testServer(what, shape);
    else testBucket(what, shape, way === 'encrypted in a bucket');
  }
}

function testServer(what: string, shape: Shape): void {
  test.serial(`${what}: through a server, records are fetched once`, async (t) => {
    const home = scratchInMemory(t);
    const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
    const secret = secretIn(home, true);
    const place = ['-D', store, '-C', 'me', ...secret, '--local'];
    await shape(source, async () => {
      await backup([...place, ...(fs.existsSync(store) ? [] : ['--create']), source]);
    });
    const needed = neededBytes(path.join(store, 'me', 'tardis.db'));
    const server = await Server.during(t, store);
    const from = [...server.clientArgs, '-C', 'me', ...secret, source, '--json'];
    const output = path.join(home, 'out');
    for (const to of [
      ['-o', output],
      ['--tar', path.join(home, 'archive.tar')],
    ]) {
      const { fetchedBytes } = JSON.parse(await succeed('regenerate', [...from, ...to])) as {
        fetchedBytes: number;
      };
      requireOnce(t, to[0]!, { fetched: fetchedBytes, needed });
    }
    t.deepEqual(differences(look(source), look(path.join(output, 'tree'))), []);
  });
}

function testBucket(what: string, shape: Shape, isEncrypted: boolean): void {
  const client = isEncrypted ? 'encrypted' : 'plain';
  test.serial(`${what}, ${client}: from a bucket, records are fetched once`, (t) =>
    unlessLeftOut(t, async () => {
      const lab = await ServedLab.start(t);
      const secret = secretIn(lab.home, isEncrypted);
      let isFirst = true;
      await shape(lab.source, async () => {
        await lab.backUp('one', [...secret, ...(isFirst ? ['--create'] : [])]);
        isFirst = false;
      });
      const cache = path.join(lab.at('two-cache'), 'tardis', 'buckets');
      await lab.succeed('two', 'lstardis', secret);
      const needed = neededBytes(path.join(cache, fs.readdirSync(cache)[0]!, 'me', 'tardis.db'));
      const fetchedBy = async (work: () => Promise<unknown>): Promise<number> => {
        const before = lab.server.requests.length;
        await work();
        return lab.server.requests.slice(before).reduce((sum, { key, headers }) => {
          const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
          // The beginning of a log object is its summary, which a machine reads to follow the bucket.
          const isOfContents = range !== null && range[1] !== '0' && CONTENTS.test(key);
          return isOfContents ? sum + lab.server.objects.get(key, range[0]).body.length : sum;
        }, 0);
      };
      const output = lab.at('out');
      const restore = ['-o', output, ...secret, lab.source];
      const archive = ['--tar', lab.at('archive.tar'), ...secret, lab.source];
      for (const args of [restore, archive]) {
        const fetched = await fetchedBy(() => lab.succeed('two', 'regenerate', args));
        requireOnce(t, args[0]!, { fetched, needed });
      }
      t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);
      const mounts = await Mounts.open(t);
      const point = mounts.directory('mount');
      const { mountsOf } = mounts;
      const options = [...secret, '-D', 's3://bucket/all', '-C', 'me', point];
      const fetched = await fetchedBy(async () => {
        await succeed('tardisfs', options, { mountsOf, env: lab.on('two') });
        // The bucket is in this process, so it must not wait for the program.
        const shown = path.join(point, 'Current');
        await outputOf({ mounts }, 'tar', '-cf', lab.at('mounted.tar'), '-C', shown, '.');
        await outputOf({ mounts }, 'umount', point);
      });
      requireOnce(t, 'mount', { fetched, needed });
    }),
  );
}
