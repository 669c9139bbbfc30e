// Pace: slow
/** Copies of a catalog: made after sessions, limited in number, and used by a rebuild. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CatalogCopies, copyCatalog, listCopies } from '../../../src/store/writer/index.js';
import { rebuildCatalog } from '../../../src/maintenance/rebuild/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import {
  backupInline,
  dumpHistory,
  inlineSystem,
  type Place,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { makeScratch, removeScratch, scratchInMemory } from '../../helpers/scratch.js';
import { dir, file, makeTree, text } from '../../helpers/tree.js';

const state = makeScratch();
process.env['XDG_STATE_HOME'] = state;
test.after.always(() => removeScratch(state));

interface Lab {
  readonly place: Place;
  readonly home: string;
  readonly source: string;
  backup(keep?: number): Promise<void>;
  names(): string[];
}

function lab(t: ExecutionContext): Lab {
  const top = scratchInMemory(t);
  const [source, store] = [path.join(top, 'tree'), path.join(top, 'store')];
  makeTree(source, [dir('a', [file('one', text(1, 3000))]), file('two', text(2, 500))]);
  const place = { store, client: 'me' };
  let sets = 0;
  return {
    place,
    source,
    home: path.join(store, 'me'),
    async backup(keep = 3) {
      sets += 1;
      fs.writeFileSync(path.join(source, 'counted'), `${sets}`);
      const storage = { ...SMALL_STORE, catalogCopies: keep };
      await backupInline(inlineSystem(), place, [source], { create: sets === 1, storage });
    },
    names: () => {
      const system = nodeSystem();
      return listCopies(system, openClientDirectory(system, place)).map(({ name }) => name);
    },
  };
}

function rebuildFromCopy(place: Place) {
  const system = nodeSystem();
  return rebuildCatalog(system, openClientDirectory(system, place), { fromCopy: true });
}

test('DBBackups is the number of copies of a catalog that are kept', async (t) => {
  const { backup, names, home, place, source } = lab(t);
  await backup(0);
  t.deepEqual(names(), []);
  for (let n = 1; n <= 5; n += 1) {
    await backup(3);
    t.is(names().length, Math.min(n, 3));
  }
  t.regex(names()[0]!, /^tardis\.db\.\d{8}T\d{6}Z-\d{10}\.zst$/);
  const before = names();
  await backupInline(inlineSystem(), place, [source], {
    storage: { ...SMALL_STORE, catalogCopies: 3 },
  });
  t.deepEqual(names(), before, 'a set that changed nothing needs no copy');
  t.deepEqual(
    fs.readdirSync(home).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('a copy is what the tools of its format unpack', async (t) => {
  const { backup, names, home } = lab(t);
  await backup();
  const { status, stdout } = spawnSync('zstd', ['-dc', path.join(home, names()[0]!)]);
  if (status === null) t.pass('there is no zstd here');
  else t.true(stdout.equals(fs.readFileSync(path.join(home, 'tardis.db'))));
});

test('a catalog is rebuilt from its newest copy, and from older ones if that is damaged', async (t) => {
  const { backup, names, home, place } = lab(t);
  for (let n = 0; n < 3; n += 1) await backup();
  const catalog = path.join(home, 'tardis.db');
  const right = await dumpHistory(place);
  const [newest, older, oldest] = names();
  fs.rmSync(catalog);
  const first = await rebuildFromCopy(place);
  t.is(first.fromCopy, newest);
  t.is(first.commits, 0);
  t.deepEqual(await dumpHistory(place), right);

  const spoiled = fs.readFileSync(path.join(home, newest!));
  spoiled[spoiled.length >> 1]! ^= 1;
  fs.writeFileSync(path.join(home, newest!), spoiled);
  fs.writeFileSync(catalog, 'not a catalog');
  const second = await rebuildFromCopy(place);
  t.is(second.fromCopy, older);
  t.true(second.commits > 0, 'what came after it was replayed');
  t.deepEqual(await dumpHistory(place), right);

  fs.truncateSync(path.join(home, older!), 100);
  fs.rmSync(path.join(home, oldest!));
  const third = await rebuildFromCopy(place);
  t.is(third.fromCopy, undefined, 'no copy is of use');
  t.deepEqual(await dumpHistory(place), right);
  t.is(third.damagedRecords, 0);
});

test('a copy of another history is not believed', async (t) => {
  const { backup, names, home, place } = lab(t);
  await backup(3);
  const packs = path.join(home, 'packs');
  const before = fs.readdirSync(packs);
  await backup(3);
  const [newest] = names();
  const ahead = fs.readFileSync(path.join(home, newest!));
  // The packs are cut back to before the copy, and then continue with other records.
  for (const name of fs.readdirSync(packs)) {
    if (!before.includes(name)) fs.rmSync(path.join(packs, name));
  }
  fs.rmSync(path.join(home, 'tardis.db'));
  const system = nodeSystem();
  const report = await rebuildCatalog(system, openClientDirectory(system, place), {
    packsOnly: true,
  });
  t.is(report.fromCopy, undefined);
  await backup(3);
  await backup(3);
  const right = await dumpHistory(place);
  fs.rmSync(path.join(home, 'tardis.db'));
  for (const name of names()) fs.rmSync(path.join(home, name));
  fs.writeFileSync(path.join(home, newest!), ahead);
  const again = await rebuildFromCopy(place);
  t.is(again.fromCopy, undefined);
  t.deepEqual(await dumpHistory(place), right);
});

test('nobody waits for a copy, and a session that begins meanwhile ends it', async (t) => {
  const { backup, place, home } = lab(t);
  await backup(0);
  const system = nodeSystem();
  const directory = openClientDirectory(system, place);
  const { files } = system;
  const interrupted = {
    ...system,
    files: {
      ...files,
      sync: (fd: number) => files.sync(fd),
      write: (fd: number, data: Uint8Array, position: number) => {
        // A session that starts before the copy is complete changes the catalog like this.
        fs.utimesSync(path.join(home, 'tardis.db'), new Date(), new Date(1e12));
        files.write(fd, data, position);
      },
    },
  };
  t.false(await copyCatalog(interrupted, directory, 3));
  t.deepEqual(listCopies(system, directory), []);
  const [left, fresh] = ['20200101T000000Z-0000000009', '20200101T000000Z-0000000010'].map((name) =>
    path.join(home, `tardis.db.${name}.zst.new`),
  );
  fs.writeFileSync(left!, 'of a run that was killed');
  fs.utimesSync(left!, 1e9, 1e9);
  fs.writeFileSync(fresh!, 'of another process');
  t.true(await copyCatalog(system, directory, 3));
  t.deepEqual([fs.existsSync(left!), fs.existsSync(fresh!)], [false, true]);
  fs.rmSync(fresh!);
  const failed: string[] = [];
  const full = {
    ...system,
    files: {
      ...files,
      write: () => {
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      },
    },
  };
  const copies = new CatalogCopies(full, (client, { code }) => failed.push(`${client} ${code}`));
  copies.start(directory, 3);
  copies.start(directory, 3); // ignored, because one copy is under way
  await copies.finished();
  t.deepEqual(failed, ['me DISK_FULL']);
  t.deepEqual(
    fs.readdirSync(home).filter((name) => name.endsWith('.new')),
    [],
  );
});
