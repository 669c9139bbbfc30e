/** Sweep: deletes versions that no set shows, then contents, records and directories that nothing names. */
import { type EntryKey, FIRST_ENTRY, type IdSet } from '../../store/catalog/index.js';
import { buildEvent, objectName } from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { type Breathe, findNeeded, measureRecords } from './survey.js';

/** Rows read in one slice. */
const SLICE_ROWS = 2048;
/** Contents deleted between two checkpoints. */
const CHECKPOINT_CONTENTS = 1 << 16;

/** Pauses between the slices of a sweep. */
export interface Pace {
  readonly breathe: Breathe;
  /** True if space is short: each slice is then made durable by itself, so that the catalog's log does not grow. */
  readonly isShort: () => boolean;
}

async function endSlice(store: StoreWriter, { isShort, breathe }: Pace): Promise<void> {
  if (isShort()) await store.checkpoint();
  await breathe();
}

/**
 * Deletes versions that no listed set shows. Open versions stay, so `closeUnshown` must run first. An
 * interrupted sweep is continued by the next run.
 */
export async function dropVersions(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (let after: EntryKey | undefined = FIRST_ENTRY; after !== undefined; ) {
    after = catalog.gc.dropVersions(after, SLICE_ROWS);
    await endSlice(store, pace);
  }
  catalog.gc.dropTheirSets();
}

export interface Swept {
  readonly contents: number;
  /** Bytes of the objects of these contents; records are removed with their packs. */
  readonly objectBytes: number;
}

/**
 * Deletes contents, records and directories that no version needs. Objects are named in an event that is
 * durable before they are deleted. Records stay in their packs until those are compacted.
 */
export async function sweep(store: StoreWriter, nowMs: number, pace: Pace): Promise<Swept> {
  const { catalog } = store;
  const needed = await findNeeded(catalog, pace.breathe);
  const swept = await dropContents(store, needed.contents, nowMs, pace);
  await dropRecords(store, pace);
  await dropDirectories(store, needed.directories, pace);
  return swept;
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
      const event = { type: 'removed', packs: [], objects, atMs: nowMs } as const;
      store.appendOwn(buildEvent(store.nextSequence(), event));
      gc.remove([], objects, nowMs);
      objects = [];
    }
    await store.checkpoint();
  };
  for (let after = 0; ; ) {
    const page = gc.contentUses(after, SLICE_ROWS);
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
    if (page.length < SLICE_ROWS) break;
    after = page.at(-1)![0];
    if (pace.isShort()) await settle();
    await pace.breathe();
  }
  await settle();
  return { contents: swept, objectBytes };
}

/** Deletes the rows of records that have no content any more. */
async function dropRecords(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  const used = await measureRecords(catalog, pace.breathe);
  for (let after = 0; ; ) {
    const page = catalog.gc.records(after, SLICE_ROWS);
    for (const [recordId] of page) if (!used.has(recordId)) catalog.gc.dropRecord(recordId);
    if (page.length < SLICE_ROWS) return;
    after = page.at(-1)![0];
    await endSlice(store, pace);
  }
}

async function dropDirectories(store: StoreWriter, needed: IdSet, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (let after = 0; ; ) {
    const page = catalog.gc.directories(after, SLICE_ROWS);
    for (const directory of page) {
      if (!needed.has(directory)) catalog.gc.dropDirectory(directory);
    }
    if (page.length < SLICE_ROWS) return;
    after = page.at(-1)!;
    await endSlice(store, pace);
  }
}
