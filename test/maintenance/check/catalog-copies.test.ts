/** Copies of the catalog in a bucket in memory, as a check sees them: pieces that are missing, copies in removal and in the making. */
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { lookAtCopies, repairCopies } from '../../../src/maintenance/check/index.js';
import { applyEvent } from '../../../src/store/catalog/index.js';
import {
  buildEvent,
  type ClientDirectory,
  mediumOf,
  SNAPSHOT_PIECE_BYTES,
  snapshotsOf,
} from '../../../src/store/index.js';
import { StoreWriter } from '../../../src/store/writer/index.js';
import { sharedClient } from '../../helpers/bucket-machines.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import type { Objects } from '../../support/memory-object-store.js';

const system = inlineSystem();
const LIMITS = SMALL_STORE.store;
const { signal } = new AbortController();

/** Makes a copy of three pieces that have other bytes than a catalog, and returns the names of its pieces. */
async function copyAt(directory: ClientDirectory, objects: Objects, isNamed = true) {
  const before = new Set(objects.keys());
  const store = await StoreWriter.open(system, directory, LIMITS);
  await store.checkpoint();
  const place = { commit: store.commitPoint.commit, id: system.random.bytes(8).toString('hex') };
  const snapshots = snapshotsOf(store.backend)!;
  const pieces: Buffer[] = [];
  for (const piece of [0, 1, 2]) {
    pieces.push(await snapshots.create(place, piece, Buffer.from(`piece ${piece}`)));
  }
  if (isNamed) {
    const sizeBytes = 2 * SNAPSHOT_PIECE_BYTES + 1;
    const event = { type: 'snapshot', ...place, sizeBytes, usedBytes: sizeBytes, pieces } as const;
    store.appendOwn(buildEvent(store.nextSequence(), event));
    applyEvent(store.catalog, event);
    await store.checkpoint();
  }
  store.close();
  return [...objects.keys()].filter((name) => !before.has(name) && name.includes('/snap/'));
}

async function look(directory: ClientDirectory, reads = false): Promise<string[]> {
  const records = mediumOf(system, directory).records();
  const { wrong } = await lookAtCopies(records, { reads, signal });
  records.close();
  return wrong.map(({ finding: { state, why } }) => `${state}: ${why}`);
}

async function start(t: ExecutionContext) {
  const objects: Objects = new Map();
  const on = await sharedClient(t, objects);
  return { objects, on, me: on() };
}

test('a copy with all pieces is sound, and one that lacks a piece is damaged', async (t) => {
  const { objects, me } = await start(t);
  t.deepEqual(await look(me, true), []);
  const pieces = await copyAt(me, objects);
  t.deepEqual(await look(me, true), []);
  objects.delete(pieces[1]!);
  t.deepEqual(await look(me), ['damaged: piece 1 of 3 is missing']);
  for (const piece of pieces) objects.delete(piece);
  t.deepEqual(await look(me, true), [], 'they may be deleted');
});

test('bytes are compared only if they are read', async (t) => {
  const { objects, me } = await start(t);
  const pieces = await copyAt(me, objects);
  objects.set(pieces[2]!, { bytes: Buffer.from('other'), modifiedMs: Date.now() });
  t.deepEqual(await look(me), []);
  t.deepEqual(await look(me, true), ['damaged: piece 2 of 3 is not what the log records']);
});

test('a copy in the making is no finding, until the next commit does not name it', async (t) => {
  const { objects, on, me } = await start(t);
  await copyAt(me, objects, false);
  t.deepEqual(await look(me, true), []);
  (await StoreWriter.open(system, on(), LIMITS)).close();
  t.deepEqual(await look(me, true), ['left: no commit names it']);
});

test('copies that another machine is removing are no finding', async (t) => {
  const { objects, on, me } = await start(t);
  const first = await copyAt(me, objects);
  const second = await copyAt(me, objects);
  const third = await copyAt(me, objects);
  objects.delete(first[0]!);
  t.deepEqual(await look(me, true), [], 'a third one, of which a part is removed');
  for (const piece of [...first, ...third]) objects.delete(piece);
  objects.delete(second[0]!);
  t.is((await look(me)).length, 1);
  // Another machine makes a newer one, and begins to remove the older one, between two requests of the check.
  let makes = true;
  const other = on();
  const watching = on(async (kind, name) => {
    if (!makes || kind !== 'read' || !name.includes('/log/')) return;
    makes = false;
    await copyAt(other, objects);
    await copyAt(other, objects);
  });
  t.deepEqual(await look(watching), []);
});

test('a repair without the right to delete reports it, and one after an interruption removes the copy', async (t) => {
  const { objects, on, me } = await start(t);
  const pieces = await copyAt(me, objects);
  objects.delete(pieces[0]!);
  let isDenied = true;
  const denied = on((kind) => {
    if (isDenied && kind === 'remove') throw new TardisError('BUCKET_DENIED', 'no right');
  }, me);
  const repair = async () => {
    const outcomes: string[] = [];
    const onFinding = ({ outcome }: { outcome: string }): void => void outcomes.push(outcome);
    const left = await repairCopies(system, denied, LIMITS, { signal, onFinding });
    return { left, outcomes };
  };
  t.deepEqual(await repair(), { left: 1, outcomes: ['failed'] });
  t.true(objects.has(pieces[1]!));
  isDenied = false;
  // The catalog is too small for a new copy.
  t.deepEqual(await repair(), { left: 0, outcomes: ['removed'] });
  t.false(objects.has(pieces[1]!));
  t.deepEqual(await repair(), { left: 0, outcomes: [] });
});
