/** Reads and compares the contents of files on the two sides. */
import { withZeros } from '../../contents/index.js';
import type { History, ContentPiece } from '../../history/index.js';
import { isSameContent, noAccess } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { displayName, isSparse } from '../../model/index.js';
import { ContentReader } from '../index.js';
import { type System, yieldRegularly } from '../../system/index.js';
import { hasContent, OpenListedFile } from '../../workers/index.js';
import { unreadable } from './disk-side.js';
import type { Seen } from './side.js';

const CHUNK_BYTES = 256 << 10;

export class Contents implements Disposable {
  private openReader: ContentReader | undefined;
  private readonly breathe: () => Promise<void> | undefined;

  constructor(
    private readonly system: System,
    private readonly history: History,
    /** True to read a file on the disk even if its metadata are equal to those of the backup. */
    private readonly alwaysReads: boolean,
    private readonly signal?: AbortSignal,
  ) {
    this.breathe = yieldRegularly(signal);
  }

  /** True if two files have the same content. Throws NO_ACCESS, CONTENT_DAMAGED, SOURCE_UNREADABLE, INTERRUPTED. */
  async areSame(before: Seen, after: Seen): Promise<boolean> {
    if (before.entry.sizeBytes !== after.entry.sizeBytes) return false;
    if (before.entry.sizeBytes === 0) return true;
    if (before.stored !== undefined && after.stored !== undefined) {
      return isSameContent(before.stored, after.stored);
    }
    const [stored, disk] = before.stored === undefined ? [after, before] : [before, after];
    if (!this.alwaysReads && looksSame(stored.entry, disk.entry)) return true;
    return this.isOnDisk(stored, disk);
  }

  private async isOnDisk(stored: Seen, disk: Seen): Promise<boolean> {
    const pieces = await this.piecesOf(stored);
    if (isSparse(stored.stored!.metadata)) return this.sameBytes(stored, disk);
    try {
      using file = new OpenListedFile(this.system, disk.listed!);
      const how = { keys: this.history.contentKeys, breathe: this.breathe };
      return await hasContent(this.system, file.fd, pieces, how);
    } catch (error) {
      throw unreadable(disk.path, error);
    }
  }

  /** Compares two files byte by byte, since equal files may have holes in different places. */
  private async sameBytes(one: Seen, other: Seen): Promise<boolean> {
    const chunks = this.bytes(other);
    let rest: Buffer = Buffer.alloc(0);
    try {
      for await (let bytes of this.bytes(one)) {
        while (bytes.length > 0) {
          if (rest.length === 0) {
            const next = await chunks.next();
            if (next.done === true) return false;
            rest = next.value;
          }
          const count = Math.min(bytes.length, rest.length);
          if (bytes.compare(rest, 0, count, 0, count) !== 0) return false;
          bytes = bytes.subarray(count);
          rest = rest.subarray(count);
        }
      }
      return rest.length === 0 && (await chunks.next()).done === true;
    } finally {
      await chunks.return();
    }
  }

  /** Yields all bytes of a file, with holes as zeros. Each chunk is valid until the next one is requested. */
  async *bytes(seen: Seen): AsyncGenerator<Buffer, void> {
    if (seen.stored === undefined) yield* this.diskBytes(seen);
    else if (seen.stored.contentId !== undefined) {
      const pieces = await this.piecesOf(seen);
      this.openReader ??= new ContentReader(this.system, this.history, false, this.signal);
      const chunks = this.openReader.bytes(pieces);
      yield* isSparse(seen.stored.metadata) ? withZeros(chunks) : chunks;
    }
  }

  private async *diskBytes({ path, listed }: Seen): AsyncGenerator<Buffer, void> {
    const { files } = this.system;
    try {
      using file = new OpenListedFile(this.system, listed!);
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      for (let position = 0; ; ) {
        const bytes = files.read(file.fd, buffer, 0, CHUNK_BYTES, position);
        if (bytes === 0) return;
        await this.breathe();
        yield buffer.subarray(0, bytes);
        position += bytes;
      }
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  private async piecesOf({ path, stored }: Seen): Promise<readonly ContentPiece[]> {
    if (!this.history.access.mayRead(stored!)) throw noAccess(path);
    const [pieces] = await this.history.locate([stored!]);
    if (pieces !== undefined) return pieces;
    const shown = displayName(path);
    throw new TardisError('CONTENT_DAMAGED', `the content of "${shown}" is not in the store`);
  }

  close(): void {
    this.openReader?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** True if a file looks unchanged, by the same criteria as in a backup. */
function looksSame(stored: Seen['entry'], disk: Seen['entry']): boolean {
  return (
    stored.mtimeNs === disk.mtimeNs &&
    stored.ctimeNs === disk.ctimeNs &&
    stored.inode === disk.inode &&
    stored.sizeBytes === disk.sizeBytes
  );
}
