/**
 * Reads records of a client on another machine. Small records are fetched together with their neighbours. Some large
 * records are read more than once: to prove a record and to copy it, or because deltas have it as their basis. The
 * newest of these are kept in files.
 */
import { type ExpectedRange, JoinedReads, type ObjectReader } from '../../store/index.js';
import type { Files, PrivateFolder } from '../../system/index.js';

/** Minimum size of a record that is kept in a file. Smaller records stay in memory for a while. */
const LEAST_HELD_BYTES: number = 2 << 20;
/**
 * Maximum size of a record that is kept in a file: a content, or a part of one, has at most 64 MiB. A larger record is
 * fetched each time.
 */
const MOST_HELD_BYTES: number = 96 << 20;
/** Maximum number of bytes in all files with kept records. */
const ALL_HELD_BYTES: number = 256 << 20;
const FETCH_BYTES: number = 4 << 20;

interface Held extends ExpectedRange {
  readonly path: string;
  readonly fd: number;
}

export class RemoteRecords implements ObjectReader {
  /** Kept records; the last is the most recently used. */
  private held: Held[] = [];
  private heldBytes = 0;
  private lastFile = 0;
  private readonly joined: JoinedReads;

  constructor(
    private readonly files: Files,
    private readonly objects: ObjectReader,
    private readonly folder: PrivateFolder,
  ) {
    this.joined = new JoinedReads((name, position, target, bytes) =>
      objects.read(name, position, target, bytes),
    );
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const index = this.held.findIndex((one) => one.object === name && covers(one, position, bytes));
    if (index < 0) return this.joined.read(name, position, target, bytes);
    const [one] = this.held.splice(index, 1);
    this.held.push(one!);
    return this.files.read(one!.fd, target, 0, bytes, position - one!.position);
  }

  /**
   * Fetches a large record that will be read more than once, and keeps it in a file. Does nothing for other records.
   * Throws TEMPORARY_FULL if there is no space for the file, and errors of reading.
   */
  async hold(record: ExpectedRange): Promise<void> {
    const { object, position, bytes } = record;
    if (bytes < LEAST_HELD_BYTES || bytes > MOST_HELD_BYTES) return;
    if (this.held.some((one) => one.object === object && covers(one, position, bytes))) return;
    while (this.heldBytes + bytes > ALL_HELD_BYTES) this.drop(this.held.shift()!);
    this.lastFile += 1;
    const path = this.folder.file(`record-${this.lastFile}`);
    const kept = { object, position, bytes, path, fd: this.files.open(path, 'create') };
    this.heldBytes += bytes;
    try {
      if (await this.download(kept)) {
        this.held.push(kept);
        return;
      }
    } catch (error) {
      this.drop(kept);
      throw this.folder.explain(error);
    }
    this.drop(kept); // a reader reports that the object ends too early
  }

  /** Fetches a record into its file. Returns false if the object ends within it. */
  private async download({ object, position, bytes, fd }: Held): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(Math.min(FETCH_BYTES, bytes));
    for (let at = 0; at < bytes; at += buffer.length) {
      const wanted = Math.min(buffer.length, bytes - at);
      if ((await this.joined.read(object, position + at, buffer, wanted)) < wanted) return false;
      this.files.write(fd, buffer.subarray(0, wanted), at);
    }
    return true;
  }

  private drop({ fd, path, bytes }: Held): void {
    this.heldBytes -= bytes;
    this.files.close(fd);
    this.files.unlink(path);
  }

  close(): void {
    for (const one of this.held.splice(0)) this.drop(one);
    this.objects.close();
  }
}

function covers(held: ExpectedRange, position: number, bytes: number): boolean {
  return position >= held.position && position + bytes <= held.position + held.bytes;
}
