/**
 * Writes an image of the catalog into the packs. After a rebuild of packs with holes, the catalog contains more than
 * the packs. With the image, the next rebuild restores the same history, and marks no set as doubtful.
 */
import { Catalog } from '../../store/catalog/index.js';
import { isDiskFull } from '../../errors/index.js';
import type { ClientDirectory } from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { type StoreLimits, type StoreWriter, withWriter } from '../../store/writer/index.js';
import { appendImage } from './image-writer.js';
import type { Breathe } from './survey.js';

/** Writes an image if a rebuild has requested one. It is durable when the promise resolves. */
export async function writeRequestedImage(store: StoreWriter, breathe: Breathe): Promise<void> {
  if (!store.catalog.state.readImageRequested()) return;
  await appendImage(store, new Set(), breathe);
  await store.checkpoint();
}

/**
 * Writes the requested image at the end of a session. If there is no space now, garbage collection writes it
 * later.
 */
export async function writeImageIfRoom(store: StoreWriter): Promise<void> {
  const turn = yieldRegularly();
  try {
    await writeRequestedImage(store, async () => turn());
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/**
 * Opens a client and writes an image if one is requested in the catalog. Throws CLIENT_BUSY if the client is in use,
 * DISK_FULL if there is no space, and the errors of opening.
 */
export async function writeMissingImage(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
): Promise<void> {
  const { catalogPath } = directory;
  if (!Catalog.reading(system, catalogPath, ({ state }) => state.readImageRequested())) return;
  const turn = yieldRegularly();
  await withWriter(system, directory, limits, (store) =>
    writeRequestedImage(store, async () => turn()),
  );
}
