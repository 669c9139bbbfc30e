/** Writes an image of the catalog: what the listings and events so far say, as it is now. */
import { buildImagePiece, type ImageItem, listPacks } from '../store/index.js';
import type { ClientStore } from './client-store.js';
import type { Breathe } from './survey.js';

/** Decoded bytes of a piece, about. */
const PIECE_BYTES = 512 << 10;
/** What an item of a list takes, about. */
const ITEM_BYTES = 64;

/**
 * Appends an image to the open checkpoint; `without`: packs that its commit removes. All that was journaled so far
 * must have been appended.
 */
export async function appendImage(
  store: ClientStore,
  without: ReadonlySet<number>,
  breathe: Breathe,
): Promise<void> {
  const { catalog, backend, counters } = store;
  const gone = new Set([...without, ...catalog.upkeep.removedPacks()]);
  const kept = (await listPacks(backend)).filter((pack) => !gone.has(pack));
  const doubtfulUpTo = catalog.state.readDoubtfulUpTo();
  const image = counters.sequence + 1;
  let items: ImageItem[] = [{ type: 'head', counters: { ...counters }, packs: kept, doubtfulUpTo }];
  let bytes = kept.length * ITEM_BYTES;
  let piece = 0;
  let first: { pack: number; position: number } | undefined;
  let written = 0;
  const write = (isLast: boolean): void => {
    const record = buildImagePiece(store.nextSequence(), { image, piece, isLast, items });
    const location = store.appendOwn(record);
    first ??= location;
    written += record.length;
    piece += 1;
    items = [];
    bytes = 0;
  };
  for (const item of catalog.image.items()) {
    await breathe();
    items.push(item);
    bytes += sizeOf(item);
    if (bytes >= PIECE_BYTES) write(false);
  }
  write(true);
  catalog.state.writeImage({ ...first!, bytes: written });
}

function sizeOf(item: ImageItem): number {
  switch (item.type) {
    case 'entries':
      return item.rows.length + item.firsts.length * ITEM_BYTES;
    case 'config':
      return item.config.length + ITEM_BYTES;
    case 'seals':
      return item.seals.length;
    case 'directories':
      return item.directories.length * ITEM_BYTES * 2;
    default:
      return PIECE_BYTES / 4; // a page of something small
  }
}
