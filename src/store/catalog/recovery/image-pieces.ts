/** Splits an image of a catalog into pieces that each fit into a record. */
import { configBytes } from '../../../model/index.js';
import type { ImageItem } from '../../index.js';
import type { Catalog } from '../catalog.js';

type ImageHead = Extract<ImageItem, { type: 'head' }>;

/** Approximate size of a decoded piece. */
const PIECE_BYTES = 512 << 10;
/** Approximate size of an item of a list. */
const ITEM_BYTES = 64;

/** Yields the items of an image in order, in pieces of which none is empty. The first item is the head. */
export function* imagePieces(catalog: Catalog, head: ImageHead): Generator<ImageItem[]> {
  let items: ImageItem[] = [head];
  let bytes = head.packs.length * ITEM_BYTES;
  for (const item of catalog.image.items()) {
    items.push(item);
    bytes += sizeOf(item);
    if (bytes < PIECE_BYTES) continue;
    yield items;
    items = [];
    bytes = 0;
  }
  if (items.length > 0) yield items;
}

function sizeOf(item: ImageItem): number {
  switch (item.type) {
    case 'entries':
      return item.rows.length + item.firsts.length * ITEM_BYTES;
    case 'config':
      return configBytes(item.config) + ITEM_BYTES;
    case 'seals':
      return item.seals.length;
    case 'directories':
      return item.directories.length * ITEM_BYTES * 2;
    default:
      return PIECE_BYTES / 4; // a page of small items
  }
}
