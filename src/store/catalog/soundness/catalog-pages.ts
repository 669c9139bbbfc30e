/**
 * Reads the pages of a catalog's file, and of the log that SQLite keeps beside it, and compares them with their checksums.
 * This happens before the catalog is copied, and in checks.
 */
import {
  crc32,
  type Files,
  ifThere,
  OpenFd,
  readStart,
  type System,
  yieldRegularly,
} from '../../../system/index.js';
import { fingerprintOf } from '../database-files.js';
import { PageSums } from './page-sums.js';

const WAL_HEAD_BYTES = 32;
const FRAME_HEAD_BYTES = 24;
/** Number at the start of SQLite's log. Its last bit gives the byte order of the log's own checksums. */
const WAL_MAGIC = 0x377f0682;
const PAGE_SIZE_AT = 16;
const COUNTER_AT = 24;
const DATABASE_HEAD_BYTES = 100;
const READ_BYTES: number = 1 << 20;
/** Ranges of bytes of the first page that change with the journal mode: format versions, change counter, sizes. */
const VOLATILE: readonly (readonly [from: number, to: number])[] = [
  [18, 20],
  [24, 32],
  [92, 100],
];

export class CatalogPages {
  /** Number of pages that are read at once. */
  readonly perRead: number;

  constructor(
    private readonly files: Files,
    private readonly catalogPath: string,
    private readonly pageBytes: number,
  ) {
    this.perRead = Math.max(1, Math.floor(READ_BYTES / pageBytes));
  }

  /** Number of pages in the file. */
  get count(): number {
    const sizeBytes = this.files.status(this.catalogPath)?.sizeBytes ?? 0;
    return Math.floor(sizeBytes / this.pageBytes);
  }

  /**
   * Returns the pages in SQLite's log, in ascending order; none if there is no log. Otherwise page 1 is always
   * included. Pages that a crash left after the log's end may be included too.
   */
  inLog(): number[] {
    const { files, pageBytes } = this;
    const log = `${this.catalogPath}-wal`;
    const sizeBytes = files.status(log)?.sizeBytes ?? 0;
    if (sizeBytes <= WAL_HEAD_BYTES) return [];
    const pages = new Set<number>([1]);
    const fd = ifThere(() => files.open(log, 'read'));
    if (fd === undefined) return []; // the last session has just ended
    using opened = new OpenFd(files, fd);
    const head = Buffer.alloc(WAL_HEAD_BYTES);
    files.read(opened.fd, head, 0, WAL_HEAD_BYTES, 0);
    if ((head.readUInt32BE(0) & ~1) !== WAL_MAGIC) return [];
    const frame = Buffer.alloc(FRAME_HEAD_BYTES);
    for (let at = WAL_HEAD_BYTES; at < sizeBytes; at += FRAME_HEAD_BYTES + pageBytes) {
      if (files.read(opened.fd, frame, 0, FRAME_HEAD_BYTES, at) < FRAME_HEAD_BYTES) break;
      if (frame.compare(head, 16, 24, 8, 16) !== 0) break; // the rest is from an earlier log
      pages.add(frame.readUInt32BE(0));
    }
    return [...pages].sort((one, other) => one - other);
  }

  /**
   * Calls `visit` with the checksum of each of these pages that exists in the file. `pages` must be in ascending
   * order.
   */
  each(pages: readonly number[], visit: (page: number, sum: number) => void): void {
    const { files, pageBytes, catalogPath, perRead } = this;
    if (pages.length === 0) return;
    using opened = new OpenFd(files, files.open(catalogPath, 'read'));
    const buffer = Buffer.allocUnsafe(Math.min(perRead, pages.length) * pageBytes);
    for (let index = 0; index < pages.length; ) {
      const first = pages[index]!;
      let count = 1;
      while (count < perRead && pages[index + count] === first + count) count += 1;
      const got = files.read(opened.fd, buffer, 0, count * pageBytes, (first - 1) * pageBytes);
      for (let nth = 0; (nth + 1) * pageBytes <= got; nth += 1) {
        const page = buffer.subarray(nth * pageBytes, (nth + 1) * pageBytes);
        visit(first + nth, sumOf(first + nth, page));
      }
      index += count;
    }
  }
}

function sumOf(page: number, bytes: Buffer): number {
  if (page === 1) for (const [from, to] of VOLATILE) bytes.fill(0, from, to);
  return crc32(bytes);
}

/** Returns page size and change counter from a database's first page; undefined if there is none. */
export function headOf(
  files: Files,
  catalogPath: string,
): { pageBytes: number; counter: number } | undefined {
  const head = readStart(files, catalogPath, DATABASE_HEAD_BYTES);
  if (head === undefined || head.length < DATABASE_HEAD_BYTES) return undefined;
  const stored = head.readUInt16BE(PAGE_SIZE_AT);
  const pageBytes = stored === 1 ? 1 << 16 : stored;
  const isSize = pageBytes >= 512 && (pageBytes & (pageBytes - 1)) === 0;
  return isSize ? { pageBytes, counter: head.readUInt32BE(COUNTER_AT) } : undefined;
}

/** The result of comparing a catalog's pages with their checksums. */
type PagesVerdict =
  /** Every page is as it was written. */
  | { readonly kind: 'right' }
  /**
   * There are no checksums of this state of the catalog: their file is missing or damaged, or another program has
   * written to the catalog.
   */
  | { readonly kind: 'unknown' }
  /** A session began meanwhile, so nothing is known about the pages. */
  | { readonly kind: 'changing' }
  | { readonly kind: 'damaged'; readonly pages: number };

/**
 * Reads all of a catalog's file in slices and compares it with the checksums. A log of another file beside the catalog
 * counts as damage. With `mayRemember`, damaged pages are recorded, so that no further session writes to the catalog.
 * `breathe` is called between slices, and may throw.
 */
export async function comparePages(
  system: System,
  catalogPath: string,
  mayRemember: boolean,
  breathe: () => Promise<void> | undefined = yieldRegularly(),
): Promise<PagesVerdict> {
  const { files } = system;
  const before = fingerprintOf(system, catalogPath);
  const sums = PageSums.read(files, catalogPath);
  if (sums === undefined) {
    const mixed = PageSums.mixedWithLog(files, catalogPath);
    if (fingerprintOf(system, catalogPath) !== before) return { kind: 'changing' };
    return mixed > 0 ? { kind: 'damaged', pages: mixed } : { kind: 'unknown' };
  }
  const damaged = await sums.compare(breathe);
  if (fingerprintOf(system, catalogPath) !== before) return { kind: 'changing' };
  const pages = damaged.length + sums.knownDamage;
  if (pages === 0) return { kind: 'right' };
  if (mayRemember && sums.knownDamage === 0) sums.noteDamage(damaged);
  return { kind: 'damaged', pages: Math.max(damaged.length, sums.knownDamage) };
}

/**
 * Computes new checksums for a catalog that a check found intact. Returns false if it has changed since
 * `fingerprint` was taken. The caller must hold the client's lock.
 */
export function believePages(system: System, catalogPath: string, fingerprint: string): boolean {
  if (fingerprintOf(system, catalogPath) !== fingerprint) return false;
  PageSums.takeAll(system.files, catalogPath);
  return true;
}
