/** Sweeping: forgets versions that no set shows, then contents, records and directories that nothing names. */
import { type EntryKey, FIRST_ENTRY, type IdSet } from '../catalog/index.js';
import { buildEvent } from '../store/index.js';
import type { ClientStore } from './client-store.js';
import { type Breathe, findNeeded, measureRecords } from './survey.js';

/** Rows looked at between two breaths. */
const SLICE_ROWS = 2048;
/** Contents forgotten between two checkpoints. */
const CHECKPOINT_CONTENTS = 1 << 16;

/** Forgets versions that no listed set shows. May be broken off: what is left goes the next time. */
export async function dropVersions({ catalog }: ClientStore, breathe: Breathe): Promise<void> {
  for (let after: EntryKey | undefined = FIRST_ENTRY; after !== undefined; ) {
    after = catalog.upkeep.dropVersions(after, SLICE_ROWS);
    await breathe();
  }
  catalog.upkeep.dropTheirSets();
}

/**
 * Forgets what no version needs; returns how many contents. Objects of their own are named in an event that is
 * durable before they go; records stay where they are until their pack is compacted.
 */
export async function sweep(store: ClientStore, nowMs: number, breathe: Breathe): Promise<number> {
  const { catalog } = store;
  const needed = await findNeeded(catalog, breathe);
  const swept = await dropContents(store, needed.contents, nowMs, breathe);
  await dropRecords(store, breathe);
  await dropDirectories(store, needed.directories, breathe);
  return swept;
}

async function dropContents(
  store: ClientStore,
  needed: IdSet,
  nowMs: number,
  breathe: Breathe,
): Promise<number> {
  const { upkeep } = store.catalog;
  let objects: Buffer[] = [];
  let swept = 0;
  const settle = async (): Promise<void> => {
    if (objects.length > 0) {
      const event = { type: 'removed', packs: [], objects, atMs: nowMs } as const;
      store.appendOwn(buildEvent(store.nextSequence(), event));
      upkeep.remove([], objects, nowMs);
      objects = [];
    }
    await store.checkpoint();
  };
  for (let after = 0; ; ) {
    const page = upkeep.contentUses(after, SLICE_ROWS);
    for (const [contentId] of page) {
      if (needed.has(contentId)) continue;
      const object = upkeep.dropContent(contentId);
      if (object !== undefined) objects.push(object);
      swept += 1;
      if (swept % CHECKPOINT_CONTENTS === 0) await settle();
    }
    if (page.length < SLICE_ROWS) break;
    after = page.at(-1)![0];
    await breathe();
  }
  await settle();
  return swept;
}

/** Records that hold no content any more. */
async function dropRecords({ catalog }: ClientStore, breathe: Breathe): Promise<void> {
  const used = await measureRecords(catalog, breathe);
  for (let after = 0; ; ) {
    const page = catalog.upkeep.records(after, SLICE_ROWS);
    for (const [recordId] of page) if (!used.has(recordId)) catalog.upkeep.dropRecord(recordId);
    if (page.length < SLICE_ROWS) return;
    after = page.at(-1)![0];
    await breathe();
  }
}

async function dropDirectories(
  { catalog }: ClientStore,
  needed: IdSet,
  breathe: Breathe,
): Promise<void> {
  for (let after = 0; ; ) {
    const page = catalog.upkeep.directories(after, SLICE_ROWS);
    for (const directory of page) {
      if (!needed.has(directory)) catalog.upkeep.dropDirectory(directory);
    }
    if (page.length < SLICE_ROWS) return;
    after = page.at(-1)!;
    await breathe();
  }
}
