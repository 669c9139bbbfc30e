/**
 * This machine's memory of the large contents of a client, by which a large file finds a basis beyond its name. It is a
 * cache: if its file is lost, large files under new names are sent whole once. The file is read when the first large
 * file is, and replaced when the set is complete. docs/inside/formats.md, "Similar contents", has its bytes.
 */
import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { errnoText, requireSystemCode } from '../errors/index.js';
import { GEAR_BYTES, writeState } from '../system/index.js';
import { areRows, type Similar, similarRow, SimilarRows } from './similar-rows.js';

/** Maximum length of all rows: those of 2 TB of large contents. */
const MOST_BYTES = 10 << 20;
const MAGIC = Buffer.from('TDSSIML1');
const SALT_BYTES = 32;
const HEAD_BYTES = MAGIC.length + SALT_BYTES;
const TAG_BYTES = 32;
const NO_ROWS: Buffer = Buffer.alloc(0);

/** The file of a memory, and the secret of a client that encrypts. */
export interface SimilarPlace {
  readonly file: string;
  readonly key: Uint8Array | undefined;
}

/** The content of the file, and its keys, which follow from the client's secret and the salt. */
interface Opened {
  readonly salt: Buffer;
  /** Table of the gear hash that finds features. */
  readonly gear: Buffer;
  readonly tagKey: Buffer;
  readonly rows: Buffer;
}

export class SimilarContents {
  private place: SimilarPlace | undefined;
  private opened: Opened | undefined;
  private index: SimilarRows | undefined;
  /** Rows of this session. They are not compared, since their contents may belong to no complete set. */
  private fresh: Buffer[] = [];
  private freshBytes = 0;
  private readonly doubts: string[] = [];
  private readonly mostBytes: number;

  /** The rows take at most half of `budgetBytes`. */
  constructor(budgetBytes: number) {
    this.mostBytes = Math.min(MOST_BYTES, budgetBytes / 2);
  }

  /** Names the file. Without it nothing is remembered. */
  at(place: SimilarPlace): void {
    this.place = place;
  }

  /** The table of the gear hash that finds features; undefined if nothing is remembered. */
  get gear(): Uint8Array | undefined {
    return this.memory()?.gear;
  }

  /** True if no content of an earlier set is known. */
  get isEmpty(): boolean {
    return (this.memory()?.rows.length ?? 0) === 0;
  }

  /** True if this content of a user is known. */
  knows(user: number, digest: Uint8Array): boolean {
    return this.known().has(user, digest);
  }

  /** Returns the contents of a user, of earlier sets, that have some of these features. */
  compare(user: number, features: Uint8Array, digest: Uint8Array | undefined): Similar {
    return this.known().compare(user, features, digest);
  }

  /** Remembers a content of this set. */
  keep(user: number, digest: Uint8Array, features: Uint8Array): void {
    if (features.length === 0) return;
    const row = similarRow(digest, user, features);
    this.fresh.push(row);
    this.freshBytes += row.length;
    while (this.freshBytes > this.mostBytes) this.freshBytes -= this.fresh.shift()!.length;
  }

  /** Replaces the file if the set has large contents. Returns a message for each failure since the start. */
  save(): readonly string[] {
    const opened = this.memory();
    if (this.place === undefined || opened === undefined || this.fresh.length === 0) return [];
    const all = new SimilarRows(Buffer.concat([opened.rows, ...this.fresh]));
    const body = Buffer.concat([MAGIC, opened.salt, all.newest(this.mostBytes)]);
    const { file } = this.place;
    const code = writeState(file, Buffer.concat([body, tagOf(opened.tagKey, body)]));
    if (code === undefined) return this.doubts;
    return [...this.doubts, `${named(file)} is not written: ${code} [MEMORY_NOT_WRITTEN]`];
  }

  private known(): SimilarRows {
    this.index ??= new SimilarRows(this.memory()?.rows ?? NO_ROWS);
    return this.index;
  }

  private memory(): Opened | undefined {
    if (this.place === undefined) return undefined;
    this.opened ??= this.read(this.place) ?? openedWith(this.place.key, randomBytes(SALT_BYTES));
    return this.opened;
  }

  /** Returns the memory in the file; undefined if there is none that can be used. */
  private read({ file, key }: SimilarPlace): Opened | undefined {
    try {
      const bytes = readOwn(file);
      const opened = bytes && checked(bytes, key);
      if (bytes === undefined || opened !== undefined) return opened;
      this.doubt(file, 'is damaged, of other keys, or not only yours');
    } catch (error) {
      const code = requireSystemCode(error);
      if (code !== 'ENOENT') this.doubt(file, `cannot be read: ${errnoText(code)}`);
    }
    return undefined;
  }

  private doubt(file: string, why: string): void {
    this.doubts.push(`${named(file)} ${why}: it begins anew`);
  }
}

function named(file: string): string {
  return `the memory of similar contents, ${file},`;
}

/** Returns the bytes of the file; none if another user may have written it, or may read it. Throws the system's errors. */
function readOwn(file: string): Buffer {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { uid, mode, size } = fs.fstatSync(fd);
    const isOwn =
      (mode & fs.constants.S_IFMT) === fs.constants.S_IFREG && uid === process.geteuid?.();
    if (!isOwn || (mode & 0o077) !== 0 || size > HEAD_BYTES + MOST_BYTES + TAG_BYTES)
      return NO_ROWS;
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, size, 0));
  } finally {
    fs.closeSync(fd);
  }
}

/** Returns the memory in these bytes; undefined if they are damaged, or were not made with this secret. */
function checked(bytes: Buffer, key: Uint8Array | undefined): Opened | undefined {
  if (bytes.length < HEAD_BYTES + TAG_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return undefined;
  const opened = openedWith(
    key,
    bytes.subarray(MAGIC.length, HEAD_BYTES),
    bytes.subarray(HEAD_BYTES, -TAG_BYTES),
  );
  const tag = tagOf(opened.tagKey, bytes.subarray(0, -TAG_BYTES));
  const isOurs = timingSafeEqual(tag, bytes.subarray(-TAG_BYTES));
  return isOurs && areRows(opened.rows) ? opened : undefined;
}

/** Returns a memory with the keys that follow from the client's secret, if it has one, and from the salt. */
function openedWith(key: Uint8Array | undefined, salt: Buffer, rows: Buffer = NO_ROWS): Opened {
  const info = 'tardis similar contents 1';
  const keys = Buffer.from(hkdfSync('sha256', key ?? NO_ROWS, salt, info, GEAR_BYTES + TAG_BYTES));
  return { salt, gear: keys.subarray(0, GEAR_BYTES), tagKey: keys.subarray(GEAR_BYTES), rows };
}

function tagOf(key: Buffer, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}
