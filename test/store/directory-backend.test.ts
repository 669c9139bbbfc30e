/** Guarantees of the directory backend beyond the contract of all backends. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { DirectoryBackend, type ObjectWriter } from '../../src/store/index.js';
import { WatchedDisk } from '../helpers/watched-disk.js';
import { folderIn, scratch } from '../helpers/scratch.js';

interface Step {
  readonly what: 'create' | 'stage' | 'append' | 'sync' | 'restart';
  readonly name: string;
  /** Chooses one of the present writers. */
  readonly pick: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('create', 'stage', 'append', 'sync', 'sync', 'restart'),
  name: fc
    .tuple(fc.constantFrom('packs', 'aa/bb', 'aa/cc', 'dd/ee'), fc.nat(5))
    .map(([directory, number]) => `${directory}/${number}`),
  pick: fc.nat(3),
});

test('after a sync a power cut takes neither an object nor a directory on the way to it', async (t) => {
  const parent = scratch(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      runs += 1;
      const root = folderIn(parent, String(runs));
      const watched = new WatchedDisk(root);
      let backend = new DirectoryBackend(root, watched.files);
      const writers: { writer: ObjectWriter; name: string }[] = [];
      const taken = new Set<string>();
      for (const { what, name, pick } of steps) {
        const one = writers[pick % writers.length];
        if (what === 'append') one?.writer.append(Buffer.from(name));
        if (what === 'restart') {
          for (const { writer } of writers.splice(0)) writer.close();
          backend = new DirectoryBackend(root, watched.files);
        }
        if (what === 'sync' && one !== undefined) {
          await one.writer.sync();
          if (!watched.isDurable(path.join(root, one.name))) return false;
        }
        if (!['create', 'stage'].includes(what) || taken.has(name)) continue;
        taken.add(name);
        const writer = what === 'create' ? backend.create(name) : backend.stage();
        if (what === 'stage') writer.publish(name);
        writers.push({ writer, name });
      }
      for (const { writer } of writers) writer.close();
      return watched.openCount === 0;
    }),
    { seed: 7, numRuns: 150 },
  );
  t.true(runs >= 150);
});

test('an object is not durable before its sync', async (t) => {
  const root = scratch(t);
  const watched = new WatchedDisk(root);
  const backend = new DirectoryBackend(root, watched.files);
  const writer = backend.create('packs/1');
  writer.append(Buffer.from('x'));
  t.false(watched.isDurable(path.join(root, 'packs/1')));
  await writer.sync();
  t.true(watched.isDurable(path.join(root, 'packs/1')));
  writer.append(Buffer.from('y'));
  t.false(watched.isDurable(path.join(root, 'packs/1')));
  writer.close();
});

test('reading keeps few files open, and none after close', async (t) => {
  const root = scratch(t);
  const watched = new WatchedDisk(root);
  const backend = new DirectoryBackend(root, watched.files);
  const target = Buffer.alloc(10);
  for (let index = 0; index < 300; index += 1) {
    const writer = backend.create(`packs/${index}`);
    writer.append(Buffer.from(`${index}`));
    writer.close();
    await backend.read(`packs/${index}`, 0, target, 10);
    await backend.read('packs/0', 0, target, 10);
    t.is(target[0], 0x30);
  }
  t.true(watched.openPeak <= 70, `${watched.openPeak} at once`);
  t.true(watched.openCount > 1);
  await backend.remove('packs/0');
  backend.close();
  t.is(watched.openCount, 0);
});

test('what is in a directory that is gone is neither missing nor damaged', async (t) => {
  const root = folderIn(scratch(t), 'me');
  const backend = new DirectoryBackend(root, new WatchedDisk(root).files);
  const read = (): Promise<number> => backend.read('packs/1', 0, Buffer.alloc(1), 1);
  await t.throwsAsync(read, { code: 'ENOENT' });
  t.is(await backend.size('packs/1'), undefined);
  t.deepEqual(await backend.list('packs/'), []);
  fs.rmdirSync(root);
  for (const use of [read, () => backend.size('packs/1'), () => backend.list('packs/')]) {
    await t.throwsAsync(use, {
      code: 'NO_SUCH_STORE',
      message: /me is gone: was its disk unmounted/,
    });
  }
});
