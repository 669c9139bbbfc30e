/** Contents of files on either side: whether they are the same, and their bytes. */
import type { Archive, ArchiveEntry, ContentPiece } from '../archive/index.js';
import { noAccess } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { DIGEST_BYTES, displayName, isSparse, lastComponent, SEAL_BYTES } from '../model/index.js';
import { ContentReader } from '../restore/index.js';
import { OpenKind, type System } from '../system/index.js';
import { hasContent, sparseData, SparseWriter } from '../workers/index.js';
import { directoryOf, unreadable } from './disk-side.js';
import type { Seen } from './side.js';

const CHUNK_BYTES = 256 << 10;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

export class Contents {
  private openReader: ContentReader | undefined;
  private readonly system: System;
  private readonly archive: Archive;
  /** A file on the disk that looks as it was backed up is read all the same. */
  private readonly alwaysReads: boolean;

  constructor(system: System, archive: Archive, alwaysReads: boolean) {
    this.system = system;
    this.archive = archive;
    this.alwaysReads = alwaysReads;
  }

  /** Of two files. Throws NO_ACCESS, CONTENT_DAMAGED, SOURCE_UNREADABLE. */
  async areSame(before: Seen, after: Seen): Promise<boolean> {
    if (before.entry.sizeBytes !== after.entry.sizeBytes) return false;
    if (before.entry.sizeBytes === 0) return true;
    if (before.stored !== undefined && after.stored !== undefined) {
      return sameStored(before.stored, after.stored);
    }
    const [stored, disk] = before.stored === undefined ? [after, before] : [before, after];
    if (!this.alwaysReads && looksSame(stored.entry, disk.entry)) return true;
    return this.isOnDisk(stored, disk);
  }

  private async isOnDisk(stored: Seen, disk: Seen): Promise<boolean> {
    const pieces = await this.piecesOf(stored);
    if (isSparse(stored.stored!.metadata)) return this.sameBytes(stored, disk);
    const { native } = this.system;
    try {
      const fd = native.openDirectory(directoryOf(disk.path));
      try {
        const name = lastComponent(disk.path);
        return hasContent(this.system, fd, name, pieces, this.archive.contentKeys);
      } finally {
        native.close(fd);
      }
    } catch (error) {
      throw unreadable(disk.path, error);
    }
  }

  /** Byte by byte: the same file may have its holes elsewhere. */
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

  /** All bytes of a file, holes as zeros; each chunk is good until the next one is asked for. */
  async *bytes(seen: Seen): AsyncGenerator<Buffer, void> {
    if (seen.stored === undefined) yield* this.diskBytes(seen.path);
    else if (seen.stored.contentId !== undefined) {
      const pieces = await this.piecesOf(seen);
      this.openReader ??= new ContentReader(this.system, this.archive);
      const chunks = this.openReader.bytes(pieces);
      yield* isSparse(seen.stored.metadata) ? expanded(chunks) : chunks;
    }
  }

  private async *diskBytes(path: Buffer): AsyncGenerator<Buffer, void> {
    const { native, files } = this.system;
    const open = (): number => {
      const directory = native.openDirectory(directoryOf(path));
      try {
        return native.openBeneath(directory, lastComponent(path), OpenKind.file);
      } finally {
        native.close(directory);
      }
    };
    let fd: number | undefined;
    try {
      fd = open();
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      for (let position = 0; ; ) {
        const bytes = files.read(fd, buffer, 0, CHUNK_BYTES, position);
        if (bytes === 0) return;
        yield buffer.subarray(0, bytes);
        position += bytes;
      }
    } catch (error) {
      throw unreadable(path, error);
    } finally {
      if (fd !== undefined) native.close(fd);
    }
  }

  private async piecesOf({ path, stored }: Seen): Promise<readonly ContentPiece[]> {
    if (!this.archive.access.mayRead(stored!)) throw noAccess(path);
    const [pieces] = await this.archive.locate([stored!]);
    if (pieces !== undefined) return pieces;
    const shown = displayName(path);
    throw new TardisError('CONTENT_DAMAGED', `the content of "${shown}" is not in the store`);
  }

  close(): void {
    this.openReader?.close();
  }
}

/** By what a backup tells, too, that a file is unchanged. */
function looksSame(stored: Seen['entry'], disk: Seen['entry']): boolean {
  return (
    stored.mtimeNs === disk.mtimeNs &&
    stored.ctimeNs === disk.ctimeNs &&
    stored.inode === disk.inode &&
    stored.sizeBytes === disk.sizeBytes
  );
}

/** Two versions of one archive: by what proves their contents, where the store is not trusted. */
function sameStored(one: ArchiveEntry, other: ArchiveEntry): boolean {
  if (one.proof !== undefined && other.proof !== undefined) {
    const end = other.proof.at + SEAL_BYTES;
    const { hashes, at } = one.proof;
    return hashes.compare(other.proof.hashes, other.proof.at, end, at, at + SEAL_BYTES) === 0;
  }
  if (one.digest?.length === DIGEST_BYTES && other.digest !== undefined) {
    return one.digest.equals(other.digest);
  }
  return one.contentId === other.contentId;
}

/** A sparse file with its holes as zeros. */
async function* expanded(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const writer = new SparseWriter();
  let at = 0;
  function* zerosTo(position: number): Generator<Buffer, void> {
    while (at < position) {
      const bytes = Math.min(CHUNK_BYTES, position - at);
      yield ZEROS.subarray(0, bytes);
      at += bytes;
    }
  }
  for await (const bytes of chunks) {
    for (const [data, position] of sparseData(writer, bytes)) {
      yield* zerosTo(position);
      yield data;
      at += data.length;
    }
  }
  yield* zerosTo(writer.finish());
}
