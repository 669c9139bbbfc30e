// Pace: slow
/** Random histories with crashes: the catalog never contains more than the packs, and the packs contain everything. */
import path from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { Catalog } from '../../../src/store/catalog/index.js';
import { type MemoryBackend } from '../../support/memory-backend.js';
import { packName } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { dumpCatalog, PackedStore, rebuild } from '../../helpers/packed-store.js';
import { entryOf, sha256 } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

interface Step {
  readonly what: 'change' | 'content' | 'checkpoint' | 'crash' | 'unheard' | 'torn' | 'close';
  readonly name: string;
  readonly pick: number;
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    'change',
    'change',
    'change',
    'content',
    'content',
    'checkpoint',
    'crash',
    'unheard',
    'torn',
    'close',
  ),
  name: fc.constantFrom('a', 'b', 'c', 'd'),
  pick: fc.nat(1000),
});

/** Flips one bit between two offsets of a pack, as if that byte had not reached the disk. */
async function tear(backend: MemoryBackend, pack: number, from: number, to: number, pick: number) {
  const name = packName(pack);
  const bytes = Buffer.alloc((await backend.size(name))!);
  await backend.read(name, 0, bytes, bytes.length);
  bytes[from + (pick % (to - from))]! ^= 0x40;
  await backend.remove(name);
  backend.create(name).append(bytes);
}

class History {
  store: PackedStore;
  set = 0;
  private contents = 0;

  constructor(store: PackedStore) {
    this.store = store;
  }

  async step({ what, name, pick }: Step): Promise<void> {
    const { store } = this;
    if (this.set === 0) this.set = store.openSet();
    switch (what) {
      case 'change':
        if (pick % 4 === 0) store.change(this.set, 1, [], [name]);
        else store.change(this.set, 1, [entryOf(name, { mtimeNs: BigInt(pick % 3) })]);
        return;
      case 'content': {
        this.contents += 1;
        const content = Buffer.from(`content ${pick % 2 === 0 ? this.contents : pick % 7}`);
        if (pick % 5 === 0) store.content(content);
        else store.frame(content);
        const file = { digest: sha256(content), sizeBytes: content.length };
        store.change(this.set, 1, [entryOf(name, file)]);
        return;
      }
      case 'checkpoint':
        await store.checkpoint();
        return;
      case 'close':
        store.closeSet(this.set);
        await store.checkpoint();
        this.set = 0;
        return;
      case 'crash':
        await this.crash();
        return;
      case 'unheard':
        await store.commitPacks();
        await this.crash();
        return;
      case 'torn': {
        // One record of the commit did not reach the disk, although the commit record did.
        store.change(this.set, 1, [entryOf(name, { sizeBytes: pick, digest: sha256('torn') })]);
        const { pack, position } = await store.commitPacks();
        const start = Math.max(0, position - 50);
        if (position > 0) await tear(store.backend, pack, start, position, pick);
        await this.crash();
      }
    }
  }

  private async crash(): Promise<void> {
    this.store = await this.store.crash();
    const { counters, catalog } = this.store;
    const isOpen = counters.set > 0 && catalog.sets.find(counters.set)?.state === 'unfinished';
    this.set = isOpen ? counters.set : 0;
  }
}

test('a catalog rebuilt after any crashes has what the living one has', async (t) => {
  const folder = scratchInMemory(t);
  let runs = 0;
  let commits = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 3, maxLength: 25, size: 'max' }),
      fc.integer({ min: 200, max: 3000 }),
      async (steps, packBytes) => {
        runs += 1;
        const live = path.join(folder, `${runs}.db`);
        const history = new History(await PackedStore.open(live, undefined, packBytes));
        for (const step of steps) await history.step(step);
        history.store.openSet();
        await history.store.checkpoint();
        history.store.close();
        const { backend } = history.store;
        const rebuilt = path.join(folder, `${runs}-rebuilt.db`);
        commits += (await rebuild(rebuilt, backend)).commits;
        t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
      },
    ),
    { numRuns: 40 },
  );
  t.true(commits > 100, `${commits}`);
});

test('an uncommitted change is not seen by a reader, a committed one survives a crash', async (t) => {
  const live = path.join(scratchInMemory(t), 'live.db');
  let store = await PackedStore.open(live);
  const names = (): string[] => {
    const reader = Catalog.openForReading(nodeSystem(), live);
    const found = reader.entries.headNames(1, 9).map(({ name }) => name.toString());
    reader.close();
    return found;
  };
  const set = store.openSet();
  store.change(set, 1, [entryOf('a')]);
  t.deepEqual(names(), []);
  await store.checkpoint();
  store.change(set, 1, [entryOf('b')]);
  t.deepEqual(names(), ['a']);
  store = await store.crash();
  t.deepEqual(names(), ['a']);
  store.close();
});
