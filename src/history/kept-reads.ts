/**
 * Reads records of a remote store, and keeps them in a temporary file without a name. A record has contents of
 * many files, and a reader that meets these files at several places would otherwise fetch it each time. The file is a ring:
 * the oldest record makes room for a new one. If the file cannot be written, records are fetched again.
 */
import path from 'node:path';
import { ifPossible } from '../errors/index.js';
import { bufferOf } from '../model/index.js';
import type { ExpectedRange, ObjectReader } from '../store/index.js';
import { BoundedCache, crc32, type System, temporaryDirectory } from '../system/index.js';
import type { History } from './history.js';

/** Maximum size of the temporary file. */
const MOST_KEPT_BYTES: number = 1 << 30;
/** The file takes at most one part in `FREE_PARTS` of the free space of its disk. */
const FREE_PARTS = 4;
/** Maximum number of ranges that are kept, and of ranges that are announced and not read yet. */
const MOST_RANGES = 32_768;
const NAME_BYTES = 8;

/** A range that is kept: its place in the file, and its checksum, since the file is not part of the store. */
interface Kept {
  readonly at: number;
  readonly bytes: number;
  readonly checksum: number;
}

/** True if these bytes, which were just fetched, will be read again. */
type IsKept = (data: Buffer) => boolean;
const always = (): boolean => true;

type Calls = Pick<System, 'files' | 'random'>;

export class KeptReads implements ObjectReader {
  /** Ranges in the order of their places in the ring, oldest first. */
  private readonly kept = new BoundedCache<string, Kept>(MOST_RANGES);
  /** Ranges that are being fetched. The promises never reject. */
  private readonly coming = new Map<string, Promise<unknown>>();
  /** Ranges that were announced and are not fetched yet. */
  private readonly announced = new BoundedCache<string, true>(MOST_RANGES);
  /** Undefined until something is kept; -1 if nothing can be kept. */
  private fd: number | undefined;
  private next = 0;
  private mostBytes: number;
  readonly expect: ObjectReader['expect'];

  /** Takes ownership of `reader`. */
  constructor(
    private readonly system: Calls,
    private readonly reader: ObjectReader,
    mostBytes = MOST_KEPT_BYTES,
  ) {
    this.mostBytes = mostBytes;
    this.expect = reader.expect === undefined ? undefined : (ranges) => this.announce(ranges);
  }

  read(object: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    return this.readInto(bufferOf(target).subarray(0, bytes), { object, position }, always);
  }

  /**
   * Reads as many bytes as `target` has, and resolves with their number. Calls for the same range, also concurrent ones,
   * fetch it once if `isKept` is true for its bytes.
   */
  async readInto(
    target: Buffer,
    { object, position }: Omit<ExpectedRange, 'bytes'>,
    isKept: IsKept,
  ): Promise<number> {
    const bytes = target.length;
    const key = keyOf({ object, position, bytes });
    const same = this.coming.get(key);
    if (same !== undefined) await same;
    if (this.readKept(key, target)) return bytes;
    this.announced.delete(key);
    const fetching = this.reader.read(object, position, target, bytes).then((got) => {
      if (got === bytes && isKept(target)) this.keep(key, target);
      return got;
    });
    const ending = fetching
      .catch(() => undefined) // the caller gets the error
      .then(() => {
        if (this.coming.get(key) === ending) this.coming.delete(key);
      });
    this.coming.set(key, ending);
    return fetching;
  }

  close(): void {
    if (this.fd !== undefined && this.fd >= 0) this.system.files.close(this.fd);
    this.fd = -1;
    this.kept.clear();
    this.reader.close();
  }

  private announce(ranges: readonly ExpectedRange[]): void {
    const fresh = ranges.flatMap((range) => {
      const key = keyOf(range);
      if (this.kept.has(key) || this.coming.has(key) || this.announced.has(key)) return [];
      this.announced.set(key, true);
      return [{ ...range, dropped: (data: Buffer) => this.keep(key, data) }];
    });
    this.reader.expect?.(fresh);
  }

  /** Fills `target` with a range if it is kept. Bytes that changed in the file, or cannot be read, are forgotten. */
  private readKept(key: string, target: Buffer): boolean {
    const found = this.kept.peek(key);
    if (found === undefined) return false;
    const { at, bytes, checksum } = found;
    const got = ifPossible(() => this.system.files.read(this.fd!, target, 0, bytes, at));
    if (got === bytes && crc32(target) === checksum) return true;
    this.kept.delete(key);
    return false;
  }

  private keep(key: string, data: Buffer): void {
    this.fd ??= this.opened();
    if (this.fd < 0 || data.length > this.mostBytes || this.kept.has(key)) return;
    if (this.next + data.length > this.mostBytes) {
      this.forget(this.next, this.mostBytes);
      this.next = 0;
    }
    const at = this.next;
    this.forget(at, at + data.length);
    const isWritten = ifPossible(() => {
      this.system.files.write(this.fd!, data, at);
      return true;
    });
    if (isWritten !== true) return;
    this.kept.set(key, { at, bytes: data.length, checksum: crc32(data) });
    this.next += data.length;
  }

  /** Forgets the ranges that have a byte between two places. They are the oldest ones. */
  private forget(from: number, to: number): void {
    for (const key of this.kept.keys()) {
      const { at, bytes } = this.kept.peek(key)!;
      if (at >= to || at + bytes <= from) return;
      this.kept.delete(key);
    }
  }

  /** Opens the file, and returns its descriptor; -1 if that is not possible. */
  private opened(): number {
    const { files, random } = this.system;
    const folder = temporaryDirectory();
    const name = `tardis-read-${random.bytes(NAME_BYTES).toString('hex')}`;
    const file = path.join(folder, name);
    const fd = ifPossible(() => {
      const freeBytes = Math.floor(files.freeBytes(folder) / FREE_PARTS);
      this.mostBytes = Math.min(this.mostBytes, freeBytes);
      return files.open(file, 'createSecret');
    });
    if (fd !== undefined) files.unlink(file);
    return fd ?? -1;
  }
}

/** Returns a reader that also keeps what it reads, if the store of a history is remote. It takes ownership of `reader`. */
export function keptReads(
  system: Calls,
  { directory }: Pick<History, 'directory'>,
  reader: ObjectReader,
): ObjectReader {
  return directory === undefined ? new KeptReads(system, reader) : reader;
}

function keyOf({ object, position, bytes }: ExpectedRange): string {
  return `${object}@${position}+${bytes}`;
}
