/** The pages of a catalog's file, and of the log that SQLite keeps beside it, as bytes with their checksums. */
import { crc32, readStart, type Files } from '../../system/index.js';

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
  private readonly files: Files;
  private readonly catalogPath: string;
  private readonly pageBytes: number;

  constructor(files: Files, catalogPath: string, pageBytes: number) {
    this.files = files;
    this.catalogPath = catalogPath;
    this.pageBytes = pageBytes;
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
    const fd = files.open(log, 'read');
    try {
      const head = Buffer.alloc(WAL_HEAD_BYTES);
      files.read(fd, head, 0, WAL_HEAD_BYTES, 0);
      if ((head.readUInt32BE(0) & ~1) !== WAL_MAGIC) return [];
      const frame = Buffer.alloc(FRAME_HEAD_BYTES);
      for (let at = WAL_HEAD_BYTES; at < sizeBytes; at += FRAME_HEAD_BYTES + pageBytes) {
        if (files.read(fd, frame, 0, FRAME_HEAD_BYTES, at) < FRAME_HEAD_BYTES) break;
        if (frame.compare(head, 16, 24, 8, 16) !== 0) break; // the rest is from an earlier log
        pages.add(frame.readUInt32BE(0));
      }
    } finally {
      files.close(fd);
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
    const fd = files.open(catalogPath, 'read');
    try {
      const buffer = Buffer.allocUnsafe(Math.min(perRead, pages.length) * pageBytes);
      for (let index = 0; index < pages.length; ) {
        const first = pages[index]!;
        let count = 1;
        while (count < perRead && pages[index + count] === first + count) count += 1;
        const got = files.read(fd, buffer, 0, count * pageBytes, (first - 1) * pageBytes);
        for (let nth = 0; (nth + 1) * pageBytes <= got; nth += 1) {
          const page = buffer.subarray(nth * pageBytes, (nth + 1) * pageBytes);
          visit(first + nth, sumOf(first + nth, page));
        }
        index += count;
      }
    } finally {
      files.close(fd);
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
