/** Sweep: deletes versions that no set shows, then unneeded contents, records and directories. */
import {
  type EntryKey,
  FIRST_ENTRY,
  IdSet,
  measureRecords,
  PAGE_ROWS,
} from '../../store/catalog/index.js';
import { objectName } from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { type Breathe, findNeeded } from './survey.js';

/** Number of contents deleted between two checkpoints. */
const CHECKPOINT_CONTENTS = 1 << 16;

/** Pauses between the slices of a sweep. */
export interface Pace {
  readonly breathe: Breathe;
  /** True if space is short. Then each slice is made durable by itself, so that the catalog's log does not grow. */
  readonly isShort: () => boolean;
}

async function endSlice(store: StoreWriter, { isShort, breathe }: Pace): Promise<void> {
  if (isShort()) await store.checkpoint();
  await breathe();
}

/**
 * Deletes versions that no listed set shows. Open versions stay, so `closeUnlisted` must run first. If this is
 * interrupted, the next run continues it.
 */
export async function dropVersions(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (let after: EntryKey | undefined = FIRST_ENTRY; after !== undefined; ) {
    after = catalog.gc.dropVersions(after, PAGE_ROWS);
    await endSlice(store, pace);
  }
  catalog.gc.deleteTheirSets();
}

interface Swept {
  readonly contents: number;
  /** Number of bytes of the objects of these contents. Other records are removed with their packs. */
  readonly objectBytes: number;
}

const NOTHING: Swept = { contents: 0, objectBytes: 0 };

/**
 * Deletes contents, records and directories that no version needs. An event with the names of the objects is durable
 * before they are deleted. Records stay in their packs until those are compacted. In a shared store the contents stay
 * too, until their packs are removed; then `dropLost` deletes them.
 */
export async function sweep(
  store: StoreWriter,
  nowMs: number,
  pace: Pace,
): Promise<Swept & { readonly needed: IdSet }> {
  const { catalog, isShared } = store;
  const { contents: needed, directories } = await findNeeded(catalog, pace.breathe);
  const swept = isShared ? NOTHING : await dropContents(store, needed, nowMs, pace);
  await dropRecords(store, pace);
  await dropDirectories(store, directories, pace);
  return { ...swept, needed };
}

/**
 * Deletes contents that are in no pack and are needed neither by a version nor by another content. Returns their
 * number.
 */
export async function dropLost(store: StoreWriter, needed: IdSet, pace: Pace): Promise<number> {
  const { gc } = store.catalog;
  const rests = new IdSet();
  for (const [, rest] of gc.needs()) rests.add(rest);
  let deleted = 0;
  for (const page of gc.contentUses()) {
    for (const [contentId, recordId] of page) {
      if (recordId !== null || needed.has(contentId) || rests.has(contentId)) continue;
      gc.dropContent(contentId);
      deleted += 1;
    }
    await endSlice(store, pace);
  }
  return deleted;
}

async function dropContents(
  store: StoreWriter,
  needed: IdSet,
  nowMs: number,
  pace: Pace,
): Promise<Swept> {
  const { gc } = store.catalog;
  let objects: Buffer[] = [];
  let [swept, objectBytes] = [0, 0];
  const settle = async (): Promise<void> => {
    if (objects.length > 0) {
      store.writeEvent({ type: 'removed', packs: [], objects, atMs: nowMs });
      objects = [];
    }
    await store.checkpoint();
  };
  for (const page of gc.contentUses()) {
    for (const [contentId] of page) {
      if (needed.has(contentId)) continue;
      const object = gc.dropContent(contentId);
      if (object !== undefined) {
        objects.push(object);
        objectBytes += (await store.backend.size(objectName(object))) ?? 0;
      }
      swept += 1;
      if (swept % CHECKPOINT_CONTENTS === 0) await settle();
    }
    if (pace.isShort()) await settle();
    await pace.breathe();
  }
  await settle();
  return { contents: swept, objectBytes };
}

/** Deletes the rows of records that no content uses. */
async function dropRecords(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  const used = await measureRecords(catalog, pace.breathe);
  for (const page of catalog.gc.records()) {
    for (const [recordId] of page) if (!used.has(recordId)) catalog.gc.dropRecord(recordId);
    await endSlice(store, pace);
  }
}

async function dropDirectories(store: StoreWriter, needed: IdSet, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (const page of catalog.gc.directories()) {
    for (const directory of page) {
      if (!needed.has(directory)) catalog.gc.dropDirectory(directory);
    }
    await endSlice(store, pace);
  }
}
