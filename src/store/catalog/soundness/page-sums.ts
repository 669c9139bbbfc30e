/**
 * Checksums of the pages of a catalog's file as they were last written, in a file beside it (docs/inside/formats.md, "Sums of
 * pages"). SQLite's own checks do not detect a flipped bit in a row. In WAL mode the file changes only when the log is
 * folded into it. So checksums are compared and updated then, and only for the pages in the log. Copying a catalog
 * compares all of them.
 *
 * The file is a sequence of blocks, so that each change only appends. If a crash has cut a block short, that block is the
 * last one and is ignored.
 */
import {
  asTardisError,
  isBadSector,
  requireSystemCode,
  systemCode,
  TardisError,
} from '../../../errors/index.js';
import { crc32, type Files, OpenFd, readStart } from '../../../system/index.js';
import { CatalogPages, headOf } from './catalog-pages.js';

const MAGIC = Buffer.from('TDPS');
const VERSION = 1;
const HEAD_BYTES = 12;
const BLOCK_HEAD_BYTES = 8;
const CRC_BYTES = 4;
const VALUE_BYTES = 4;
const LEAST_PAGES = 1024;

/** Kinds of blocks. */
const SumBlock = Object.freeze({
  /** Pages that a fold is about to write. Their contents are unknown until their checksums follow. */
  flux: 1,
  /** Pages, each with its checksum. */
  sums: 2,
  /** SQLite's change counter; a writer that keeps no checksums changes it. */
  stamp: 3,
  /** Pages that were found to differ from their checksums. */
  damaged: 4,
});
type SumBlockKind = (typeof SumBlock)[keyof typeof SumBlock];

/** Checksums of pages, from page 1 on. */
class SumTable {
  readonly damaged = new Set<number>();
  stamp: number | undefined;
  /** The highest page that ever had a checksum. */
  last = 0;
  private sums = new Uint32Array(LEAST_PAGES);
  private known = new Uint8Array(LEAST_PAGES);

  get(page: number): number | undefined {
    return page < this.known.length && this.known[page] === 1 ? this.sums[page] : undefined;
  }

  set(page: number, sum: number): void {
    if (page >= this.known.length) this.grow(page + 1);
    this.sums[page] = sum;
    this.known[page] = 1;
    this.last = Math.max(this.last, page);
  }

  forget(page: number): void {
    if (page < this.known.length) this.known[page] = 0;
  }

  private grow(least: number): void {
    const pages = Math.max(least, this.known.length * 2);
    const [sums, known] = [new Uint32Array(pages), new Uint8Array(pages)];
    sums.set(this.sums);
    known.set(this.known);
    this.sums = sums;
    this.known = known;
  }

  /** Returns the bytes of a file with exactly this table. */
  encode(pageBytes: number): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    MAGIC.copy(head);
    head.writeUInt32LE(VERSION, 4);
    head.writeUInt32LE(pageBytes, 8);
    const pages: number[] = [];
    for (let page = 1; page <= this.last; page += 1) {
      const sum = this.get(page);
      if (sum !== undefined) pages.push(page, sum);
    }
    const blocks = [head, encodeSumBlock(SumBlock.sums, pages)];
    if (this.damaged.size > 0) blocks.push(encodeSumBlock(SumBlock.damaged, [...this.damaged]));
    if (this.stamp !== undefined) blocks.push(encodeSumBlock(SumBlock.stamp, [this.stamp]));
    return Buffer.concat(blocks);
  }
}

function encodeSumBlock(kind: SumBlockKind, values: readonly number[]): Buffer {
  const block = Buffer.alloc(BLOCK_HEAD_BYTES + values.length * VALUE_BYTES + CRC_BYTES);
  block.writeUInt32LE(kind, 0);
  block.writeUInt32LE(values.length, 4);
  for (let index = 0; index < values.length; index += 1) {
    block.writeUInt32LE(values[index]!, BLOCK_HEAD_BYTES + index * VALUE_BYTES);
  }
  const end = block.length - CRC_BYTES;
  block.writeUInt32LE(crc32(block.subarray(0, end)), end);
  return block;
}

interface ReadSums {
  readonly table: SumTable;
  /** Offset after the last complete block; the next block is appended there. */
  readonly endsAt: number;
}

/**
 * Reads a file of checksums for pages of this size. Returns undefined if it is of another format, or damaged.
 */
function decodeSums(bytes: Buffer, pageBytes: number): ReadSums | undefined {
  const isOurs =
    bytes.length >= HEAD_BYTES &&
    bytes.subarray(0, 4).equals(MAGIC) &&
    bytes.readUInt32LE(4) === VERSION &&
    bytes.readUInt32LE(8) === pageBytes;
  if (!isOurs) return undefined;
  const table = new SumTable();
  let at = HEAD_BYTES;
  while (at + BLOCK_HEAD_BYTES <= bytes.length) {
    const end = at + BLOCK_HEAD_BYTES + bytes.readUInt32LE(at + 4) * VALUE_BYTES;
    if (end + CRC_BYTES > bytes.length) break; // a crash cut the block short
    if (crc32(bytes.subarray(at, end)) !== bytes.readUInt32LE(end)) {
      if (end + CRC_BYTES < bytes.length) return undefined;
      break;
    }
    if (!take(table, bytes.subarray(at, end))) return undefined;
    at = end + CRC_BYTES;
  }
  return { table, endsAt: at };
}

/** Applies a block to the table. Returns false if the block is malformed. */
function take(table: SumTable, block: Buffer): boolean {
  const kind = block.readUInt32LE(0);
  const step = kind === SumBlock.sums ? 2 * VALUE_BYTES : VALUE_BYTES;
  if ((block.length - BLOCK_HEAD_BYTES) % step !== 0) return false;
  for (let at = BLOCK_HEAD_BYTES; at < block.length; at += step) {
    const value = block.readUInt32LE(at);
    if (kind === SumBlock.stamp) table.stamp = value;
    else if (value > MAX_PAGES) return false;
    else if (kind === SumBlock.flux) table.forget(value);
    else if (kind === SumBlock.damaged) table.damaged.add(value);
    else if (kind === SumBlock.sums) table.set(value, block.readUInt32LE(at + VALUE_BYTES));
    else return false;
  }
  return true;
}

/** Maximum number of pages: 256 GiB in pages of 4 KiB. */
const MAX_PAGES: number = 1 << 26;

const MAX_SUMS_BYTES: number = 1 << 29;
/**
 * Number of bytes by which the file of checksums may exceed twice the size of the current checksums. It is rewritten if
 * it is larger.
 */
const SLACK_BYTES: number = 64 << 10;
const SUM_BYTES = 8;

/** Returns the path of the checksums of a catalog. */
function pageSumsPath(catalogPath: string): string {
  return `${catalogPath}-sums`;
}

/** Returns the stored bytes; undefined if there are none or the disk cannot read them: the next ones replace them. */
function readableSums(files: Files, catalogPath: string): Buffer | undefined {
  try {
    return readStart(files, pageSumsPath(catalogPath), MAX_SUMS_BYTES);
  } catch (error) {
    if (!isBadSector(error)) throw error;
    return undefined;
  }
}

export class PageSums {
  /** End of the last block; 0 if no checksums can be kept. */
  private endsAt = 0;
  private table = new SumTable();
  /** The error that made the checksums stale, if they cannot be deleted. */
  private stale: TardisError | undefined;
  private readonly pages: CatalogPages;

  private constructor(
    private readonly files: Files,
    private readonly catalogPath: string,
    private readonly pageBytes: number,
  ) {
    this.pages = new CatalogPages(files, catalogPath, pageBytes);
  }

  /**
   * Returns the checksums of a catalog that no session has open. Returns undefined if their file is missing or damaged,
   * or if a program that keeps no checksums has changed or replaced the catalog.
   */
  static read(files: Files, catalogPath: string): PageSums | undefined {
    const sums = PageSums.ofAnyState(files, catalogPath);
    return sums?.table.stamp === headOf(files, catalogPath)?.counter ? sums : undefined;
  }

  /**
   * Returns the number of pages that another program has changed without keeping checksums. Such a program increases
   * SQLite's change counter. 0 if there are no checksums, or if the catalog is an older state of itself.
   */
  static changedByOthers(files: Files, catalogPath: string): number {
    const sums = PageSums.ofAnyState(files, catalogPath);
    const { stamp } = sums?.table ?? {};
    const isLater = stamp !== undefined && (headOf(files, catalogPath)?.counter ?? 0) > stamp;
    return sums !== undefined && isLater ? sums.differing().length : 0;
  }

  /**
   * Returns the number of pages that do not belong to the log beside the catalog; 0 without log or checksums.
   * If the catalog was replaced by another file or an older state, SQLite would mix the two. Pages in the log
   * do not count, since an interrupted fold may have written some of them.
   */
  static mixedWithLog(files: Files, catalogPath: string): number {
    const sums = PageSums.ofAnyState(files, catalogPath);
    const inLog = new Set(sums?.pages.inLog());
    if (sums === undefined || inLog.size === 0) return 0;
    return sums.differing().filter((page) => !inLog.has(page)).length;
  }

  /**
   * Returns the stored checksums, even if the catalog has changed since; undefined if their file is missing, damaged, or
   * on a bad sector.
   */
  private static ofAnyState(files: Files, catalogPath: string): PageSums | undefined {
    const head = headOf(files, catalogPath);
    const bytes = readableSums(files, catalogPath);
    const read = head && bytes && decodeSums(bytes, head.pageBytes);
    if (read === undefined) return undefined;
    const sums = new PageSums(files, catalogPath, head!.pageBytes);
    sums.table = read.table;
    sums.endsAt = read.endsAt;
    return sums;
  }

  /** Truncates the file of checksums durably, before the catalog is rebuilt or replaced. */
  static forget(files: Files, catalogPath: string): void {
    const file = pageSumsPath(catalogPath);
    if ((files.status(file)?.sizeBytes ?? 0) === 0) return;
    using opened = new OpenFd(files, files.open(file, 'write'));
    files.truncate(opened.fd, 0);
    files.syncNow(opened.fd);
  }

  /** Begins to keep checksums of a catalog without tables. Returns undefined if its file has no valid header yet. */
  static begin(files: Files, catalogPath: string): PageSums | undefined {
    const head = headOf(files, catalogPath);
    if (head === undefined) return undefined;
    const sums = new PageSums(files, catalogPath, head.pageBytes);
    sums.table.stamp = head.counter;
    sums.orGivenUp(() => sums.writeAll());
    return sums;
  }

  /** Computes all checksums of a closed catalog that was just created, or that a check found intact. */
  static takeAll(files: Files, catalogPath: string): void {
    PageSums.forget(files, catalogPath);
    const head = headOf(files, catalogPath);
    if (head === undefined) return;
    const sums = new PageSums(files, catalogPath, head.pageBytes);
    sums.table.stamp = head.counter;
    for (const some of sums.slices())
      sums.pages.each(some, (page, sum) => sums.table.set(page, sum));
    sums.orGivenUp(() => sums.writeAll());
  }

  /** Number of pages that an earlier session or copy found damaged. */
  get knownDamage(): number {
    return this.table.damaged.size;
  }

  /** Stores SQLite's change counter, which changes when the catalog is opened or closed for writing. */
  noteStamp(): void {
    const counter = headOf(this.files, this.catalogPath)?.counter;
    if (counter === undefined || counter === this.table.stamp) return;
    this.table.stamp = counter;
    this.orGivenUp(() => this.append(SumBlock.stamp, [counter]));
  }

  /**
   * Runs `fold`, which copies the log into the file. First the pages that will be replaced are compared with their
   * checksums. The new pages were made from the old ones, and would hide damage in them. Throws before the fold if
   * stale checksums can be neither updated nor deleted.
   */
  around<T>(fold: () => T): T {
    const pages = this.orGivenUp(() => this.beforeFold()) ?? [];
    if (this.stale) throw this.stale;
    const result = fold();
    this.orGivenUp(() => this.afterFold(pages));
    return result;
  }

  private beforeFold(): number[] {
    const pages = this.pages.inLog();
    this.noteDamage(this.differingAmong(pages));
    for (const page of pages) this.table.forget(page);
    this.append(SumBlock.flux, pages, true);
    return pages;
  }

  private afterFold(pages: readonly number[]): void {
    const fresh: number[] = [];
    this.pages.each(pages, (page, sum) => {
      this.table.set(page, sum);
      fresh.push(page, sum);
    });
    this.append(SumBlock.sums, fresh);
    this.noteStamp();
    const isLong = this.endsAt > 2 * SUM_BYTES * this.table.last + SLACK_BYTES;
    if (isLong) this.writeAll();
  }

  /**
   * Returns the result of `work`. If it fails with a system error, deletes the checksums and returns undefined, since
   * no session depends on checksums.
   */
  private orGivenUp<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.endsAt = 0;
      this.giveUp(error);
      return undefined;
    }
  }

  /** Deletes the checksums. If that fails too, nothing may be folded into the catalog. */
  private giveUp(why: unknown): void {
    const { files, catalogPath } = this;
    try {
      PageSums.forget(files, catalogPath);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.stale = removed(files, pageSumsPath(catalogPath)) ? undefined : asTardisError(why);
    }
  }

  /** Records damaged pages durably, so that no further session writes to the catalog. */
  noteDamage(pages: readonly number[]): void {
    if (pages.length === 0) return;
    for (const page of pages) this.table.damaged.add(page);
    this.append(SumBlock.damaged, pages, true);
  }

  /**
   * Returns the pages that differ from their checksums. A page that has no checksum, for example after a crash, counts
   * as intact. `breathe` yields to other tasks.
   */
  async compare(breathe: () => Promise<void> | undefined): Promise<number[]> {
    const damaged: number[] = [];
    for (const some of this.slices()) {
      damaged.push(...this.differingAmong(some));
      await breathe();
    }
    return damaged;
  }

  /** Compares all pages as `compare` does, but synchronously. */
  private differing(): number[] {
    return [...this.slices()].flatMap((some) => this.differingAmong(some));
  }

  /** Yields the numbers of all pages that exist or should exist. Each slice is read at once. */
  private *slices(): Generator<number[]> {
    const last = Math.max(this.pages.count, this.table.last);
    for (let page = 1; page <= last; page += this.pages.perRead) {
      yield range(page, Math.min(last, page + this.pages.perRead - 1));
    }
  }

  /**
   * Compares a part of the file, and returns the number of damaged pages. If damage was found earlier, compares nothing
   * and returns the earlier number. `share` (from 0, below 1) is the start of the part, which wraps around at the last
   * page.
   */
  damageInPart(partBytes: number, share: number): number {
    const last = Math.max(this.pages.count, this.table.last);
    if (this.knownDamage > 0 || last === 0) return this.knownDamage;
    const count = Math.min(last, Math.ceil(partBytes / this.pageBytes));
    const first = 1 + Math.floor(share * last);
    const end = first + count - 1;
    this.noteDamage(this.differingAmong(range(first, Math.min(last, end))));
    this.noteDamage(this.differingAmong(range(1, end - last)));
    return this.knownDamage;
  }

  /** Returns the pages that are missing or differ from their checksums. `pages` must be in ascending order. */
  private differingAmong(pages: readonly number[]): number[] {
    const damaged: number[] = [];
    let index = 0;
    const passGone = (upTo: number): void => {
      for (; index < pages.length && pages[index]! < upTo; index += 1) {
        if (this.table.get(pages[index]!) !== undefined) damaged.push(pages[index]!);
      }
    };
    this.pages.each(pages, (page, sum) => {
      passGone(page);
      index += 1;
      const known = this.table.get(page);
      if (known !== undefined && known !== sum) damaged.push(page);
    });
    passGone(Infinity);
    return damaged;
  }

  // --- the file of sums ----------------------------------------------------------------------------

  private append(kind: SumBlockKind, values: readonly number[], isDurable = false): void {
    if (values.length === 0 || this.endsAt === 0) return;
    this.write(encodeSumBlock(kind, values), this.endsAt, isDurable);
  }

  /** Rewrites the file in place. After a crash, readers find the old contents, or a damaged file, which they ignore. */
  private writeAll(): void {
    this.write(this.table.encode(this.pageBytes), 0, false);
  }

  private write(bytes: Buffer, at: number, isDurable: boolean): void {
    const { files } = this;
    const file = pageSumsPath(this.catalogPath);
    using opened = new OpenFd(
      files,
      files.open(file, files.status(file) === undefined ? 'create' : 'write'),
    );
    files.truncate(opened.fd, at);
    files.write(opened.fd, bytes, at);
    if (isDurable) files.syncNow(opened.fd);
    this.endsAt = at + bytes.length;
  }
}

/** Deletes a file, which may be missing already. Returns false if that fails. */
function removed(files: Files, file: string): boolean {
  try {
    files.unlink(file);
    return true;
  } catch (error) {
    const code = requireSystemCode(error);
    return code === 'ENOENT';
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

/** Returns the error for damaged pages. */
export function pagesDamaged(catalogPath: string, pages: number): TardisError {
  return damaged(catalogPath, `${pagesOfIt(pages, 'is', 'are')} not as written`);
}

/** Returns the error for a catalog with the log of another one beside it. */
export function logOfAnother(catalogPath: string, pages: number): TardisError {
  const why = `not what the log ${catalogPath}-wal was written for: another file was put in its place`;
  return damaged(catalogPath, `${pagesOfIt(pages, 'is', 'are')} ${why}`);
}

/** Returns the error for a catalog with seals that another program has changed. */
export function pagesChanged(catalogPath: string, pages: number): TardisError {
  return damaged(catalogPath, `${pagesOfIt(pages, 'was', 'were')} changed by another program`);
}

function pagesOfIt(pages: number, is: string, are: string): string {
  return pages === 1 ? `a page of it ${is}` : `${pages} pages of it ${are}`;
}

function damaged(catalogPath: string, why: string): TardisError {
  return new TardisError('CATALOG_DAMAGED', `${catalogPath}: ${why}`);
}
