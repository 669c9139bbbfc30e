/** Writes images: the present state of the catalog as records, which replaces the listings and events so far. */
import type { PackNumber } from '../../model/index.js';
import { buildImagePiece, type ImageItem, listPacks } from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { Breathe } from './survey.js';

/**
 * Appends an image to the open checkpoint. `without` has the packs that the checkpoint's commit removes. All changes of
 * the journal must have been appended before.
 */
export async function appendImage(
  store: StoreWriter,
  without: ReadonlySet<PackNumber>,
  breathe: Breathe,
): Promise<void> {
  const image = store.counters.sequence + 1;
  let piece = 0;
  let first: { pack: PackNumber; position: number } | undefined;
  let written = 0;
  for await (const { items, isLast } of piecesOf(store, without, breathe)) {
    const record = buildImagePiece(store.nextSequence(), { image, piece, isLast, items });
    const location = store.appendOwn(record);
    first ??= location;
    written += record.length;
    piece += 1;
  }
  store.catalog.state.writeImage({ ...first!, bytes: written });
  store.catalog.state.writeImageRequested(false);
}

/** Returns the number of bytes that an image of the catalog takes; writes nothing. */
export async function measureImage(store: StoreWriter, breathe: Breathe): Promise<number> {
  const image = store.counters.sequence + 1;
  let [bytes, piece] = [0, 0];
  for await (const { items, isLast } of piecesOf(store, new Set(), breathe)) {
    bytes += buildImagePiece(image + piece, { image, piece, isLast, items }).length;
    piece += 1;
  }
  return bytes;
}

interface Piece {
  readonly items: readonly ImageItem[];
  readonly isLast: boolean;
}

/** Yields the pieces of an image; only the last one has `isLast`. */
async function* piecesOf(
  { catalog, backend, counters }: StoreWriter,
  without: ReadonlySet<PackNumber>,
  breathe: Breathe,
): AsyncGenerator<Piece> {
  const gone = new Set([...without, ...catalog.gc.removedPacks()]);
  const packs = (await listPacks(backend)).filter((pack) => !gone.has(pack));
  const doubtfulUpTo = catalog.state.readDoubtfulUpTo();
  const head = { type: 'head', counters: { ...counters }, packs, doubtfulUpTo } as const;
  let waiting: readonly ImageItem[] | undefined;
  for (const items of catalog.image.pieces(head)) {
    await breathe();
    if (waiting !== undefined) yield { items: waiting, isLast: false };
    waiting = items;
  }
  yield { items: waiting ?? [], isLast: true };
}
