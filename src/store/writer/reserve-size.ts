/**
 * Computes the size of a client's reserve, so that everything that must be written on a full disk fits into it. A small
 * client needs a small reserve.
 *
 * - A checkpoint writes the pages of the open transaction into the catalog's log, and folding the log may write each of
 *   them once more. That is at most the whole catalog, twice.
 * - Garbage collection copies the records that are still needed before it removes a pack: at most all packs. It fills
 *   7/8 of the space that it has. An image and the pages that it changes are smaller than twice the catalog.
 * - A message is counted before it is handled. Its rows make the catalog grow by at most ROW_GROWTH times their size,
 *   perhaps only when their contents arrive.
 * - Events, commits, key records and names are small (BASE_BYTES).
 */
import { type ClientDirectory, packNumber, PACKS_PREFIX } from '../index.js';
import type { System } from '../../system/index.js';
import { databaseBytes } from '../catalog/index.js';

const BASE_BYTES = 512 << 10;
const CATALOG_COPIES = 2;
/** Inverse of the fraction of the space that garbage collection fills. */
const PACK_SHARE = 8 / 7;
/**
 * Maximum growth of the catalog in bytes for each byte of rows: tables and indexes of the shortest rows take 3, and
 * pages may be half empty.
 */
const ROW_GROWTH = 8;
/** Maximum number of packs that are measured. A client with more counts as one that needs the largest reserve. */
const MOST_MEASURED = 4096;

/** Sizes of the catalog and the packs of a client, in bytes. */
export interface StoredSizes {
  readonly catalogBytes: number;
  readonly packBytes: number;
}

/** Sizes of what a session has received, in bytes. */
export interface ReceivedSizes {
  /** Bytes of rows, digests and notes: everything but contents. */
  readonly rowBytes: number;
  readonly allBytes: number;
}

export const NOTHING_RECEIVED: ReceivedSizes = { rowBytes: 0, allBytes: 0 };

/** Returns the size in bytes that the reserve of a client must have. */
export function reserveFor(
  { catalogBytes, packBytes }: StoredSizes,
  { rowBytes, allBytes }: ReceivedSizes,
): number {
  const catalog = CATALOG_COPIES * (catalogBytes + ROW_GROWTH * rowBytes);
  return Math.ceil(BASE_BYTES + catalog + PACK_SHARE * (packBytes + allBytes));
}

/**
 * Measures a client's store. Measuring ends as soon as the reserve needs `mostBytes`, since larger sizes make no
 * difference.
 */
export function storedSizes(
  { files }: System,
  { path, catalogPath }: ClientDirectory,
  mostBytes: number,
): StoredSizes {
  const sizeOf = (file: string): number => files.status(file)?.sizeBytes ?? 0;
  const catalogBytes = databaseBytes(files, catalogPath);
  const isEnough = (packBytes: number): boolean =>
    reserveFor({ catalogBytes, packBytes }, NOTHING_RECEIVED) >= mostBytes;
  const folder = `${path}/${PACKS_PREFIX}`;
  if (isEnough(0) || files.status(folder) === undefined) return { catalogBytes, packBytes: 0 };
  const packs = files.list(folder).filter((name) => packNumber(PACKS_PREFIX + name) !== undefined);
  if (packs.length > MOST_MEASURED) return { catalogBytes, packBytes: mostBytes };
  let packBytes = 0;
  for (const name of packs) {
    packBytes += sizeOf(folder + name);
    if (isEnough(packBytes)) break;
  }
  return { catalogBytes, packBytes };
}
