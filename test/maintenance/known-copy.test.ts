// Pace: slow
/** Copies of a client with nothing new: they take no snapshot of the source, and miss nothing. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { CopyFeed, CopyOffer } from '../../src/maintenance/rewrite/index.js';
import type { Daemon } from '../../src/server/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { copyFromServer, type CopyOptions, copyOut } from '../helpers/copied-history.js';
import { lookAt } from '../helpers/damage-look.js';
import { historyLabFor } from '../helpers/history-lab.js';
import { machine } from '../helpers/history-in-bucket.js';
import { backupInline, inlineSystem, type Place, startInline } from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { file, makeTree, text } from '../helpers/tree.js';
import { deleteInline } from '../helpers/garbage.js';
import type { Objects } from '../support/memory-object-store.js';

const lab = historyLabFor(test, false);

interface Lab {
  readonly home: string;
  readonly source: Place;
  readonly copy: Place;
  readonly daemon: Daemon;
  /** Sizes of the catalogs that were offered. */
  readonly offered: number[];
  run(options?: CopyOptions): ReturnType<typeof copyFromServer>;
}

/** Starts a server with a copy of the lab's client, which may be changed. */
async function start(t: ExecutionContext): Promise<Lab> {
  const home = scratchInMemory(t);
  const [source, copy] = ['source', 'copy'].map((name) => ({
    store: path.join(home, name),
    client: 'me',
  })) as [Place, Place];
  fs.cpSync(lab.place.store, source.store, { recursive: true });
  const daemon = await startInline(inlineSystem(), source.store);
  t.teardown(() => daemon.stop());
  const offered: number[] = [];
  const run = (options: CopyOptions = {}) =>
    copyFromServer(daemon.address, copy, { ...options, wrap: counting(offered) });
  return { home, source, copy, daemon, offered, run };
}

function counting(offered: number[]): (feed: CopyFeed) => CopyFeed {
  return (feed) => ({
    ...feed,
    open: async (known) => {
      const offer = await feed.open(known);
      offered.push(offer.catalogBytes);
      return offer;
    },
  });
}

test('a copy with nothing new fetches no catalog, and one after any change does', async (t) => {
  const { home, source, copy, offered, run } = await start(t);
  const isFetched = async (options?: CopyOptions): Promise<boolean> => {
    offered.length = 0;
    const { allSets } = await run(options);
    t.true(allSets > 0);
    return offered.some((bytes) => bytes > 0);
  };
  t.true(await isFetched());
  t.false(await isFetched());
  t.false(await isFetched(), 'the note stays');
  t.true(await isFetched({ deletes: true }), 'an earlier copy deleted nothing');
  t.false(await isFetched({ deletes: true }));
  t.false(await isFetched());
  const tree = path.join(home, 'tree');
  makeTree(tree, [file('new', text(1, 5000))]);
  await backupInline(inlineSystem(), source, [tree], { password: PASSWORD });
  t.true(await isFetched());
  t.false(await isFetched());
  await deleteInline(source, [3]);
  t.true(await isFetched(), 'a set was deleted at the source');
  await deleteInline(copy, [5]);
  t.true(await isFetched(), 'a set was deleted at the target');
  t.false(await isFetched());
  const note = path.join(copy.store, 'me', 'copy.json');
  fs.writeFileSync(note, fs.readFileSync(note, 'utf8').replace(/"deletes":\w+/, '"deletes":1'));
  t.true(await isFetched(), 'a note that is not whole counts for nothing');
  t.false(await isFetched());
});

test('a source of another client, or in an earlier state, is refused after a copy', async (t) => {
  const { home, source, copy, run, daemon } = await start(t);
  const before = path.join(home, 'before');
  fs.cpSync(source.store, before, { recursive: true });
  const tree = path.join(home, 'tree');
  makeTree(tree, [file('new', text(1, 5000))]);
  await backupInline(inlineSystem(), source, [tree], { password: PASSWORD });
  await run();
  await daemon.stop();
  const again = await startInline(inlineSystem(), before);
  t.teardown(() => again.stop());
  t.is(await rejectedCode(copyFromServer(again.address, copy)), 'COPY_DIFFERS');
});

test('an offer without a catalog counts only in the state that is known', async (t) => {
  const { run, copy, daemon } = await start(t);
  const lying = (lie: Partial<CopyOffer>): CopyOptions => ({
    wrap: (feed) => ({
      ...feed,
      open: async (known) => ({ ...(await feed.open(known)), catalogBytes: 0, ...lie }),
    }),
  });
  const code = (lie: Partial<CopyOffer>) =>
    rejectedCode(copyFromServer(daemon.address, copy, lying(lie)));
  t.is(await code({}), 'PROTOCOL_VIOLATION', 'nothing was copied yet');
  await run();
  t.is(await code({ point: '1-2-3-4' }), 'PROTOCOL_VIOLATION');
  t.is(await code({ point: 'x'.repeat(8) }), 'PROTOCOL_VIOLATION');
  t.is(await code({ clientId: 'f'.repeat(32) }), 'PROTOCOL_VIOLATION');
  t.is(await code({}), undefined);
  t.deepEqual(await lookAt(copy, undefined), await lookAt(lab.place, undefined));
});

test('a copy to a bucket with nothing new writes nothing there', async (t) => {
  const { home, daemon } = await start(t);
  const objects: Objects = new Map();
  const requested: string[] = [];
  const one = machine(home, objects, (kind) => void requested.push(kind));
  const copy = async (to: string): Promise<readonly number[]> => {
    requested.length = 0;
    return (await copyFromServer(daemon.address, { store: to, client: 'me' })).sets;
  };
  t.is((await copy(one.cache)).length, 6);
  t.true(requested.includes('put'));
  t.deepEqual(await copy(one.cache), []);
  const writes = (): boolean => requested.some((kind) => kind !== 'read' && kind !== 'list');
  t.false(writes(), requested.join(' '));
  const other = machine(home, objects, (kind) => void requested.push(kind));
  t.deepEqual(await copy(other.cache), [], 'another machine finds the note');
  t.false(
    requested.some((kind) => kind === 'put'),
    requested.join(' '),
  );
});

test('a server that is copied to asks for no catalog if there is nothing new', async (t) => {
  const { home, source } = await start(t);
  const store = folderIn(home, 'target');
  const daemon = await startInline(inlineSystem(), store, { acceptCopies: true });
  t.teardown(() => daemon.stop());
  const offered: number[] = [];
  const order = { place: source, to: daemon.address };
  const out = (create: boolean) => copyOut(order, { create, wrap: counting(offered) });
  t.is((await out(true)).sets.length, 6);
  t.true(offered[0]! > 0);
  offered.length = 0;
  const { sets, allSets } = await out(false);
  t.deepEqual([sets, allSets, offered], [[], 6, [0]]);
});
