/** Writes the entries of a set as a zip archive. */
import { withZeros } from '../contents/index.js';
import type { ContentPiece } from '../history/index.js';
import {
  type Entry,
  EntryType,
  type EntryTypeNumber,
  exactMtimeNs,
  isSparse,
  NO_BYTES,
  SLASH_BYTES,
} from '../model/index.js';
import { crc32, type System } from '../system/index.js';
import {
  type ArchiveFormat,
  type ArchiveItem,
  type ArchiveRequest,
  PLAIN_ROW,
  writeArchive,
} from './archive.js';
import type { ByteSink } from './byte-sink.js';
import type { ContentReader } from './content-reader.js';
import type { RestoreFailure } from './progress.js';
import type { StreamMeans } from './request.js';
import {
  begun,
  BLOCK_BYTES,
  deflated,
  deflatedBlocks,
  isWorthDeflating,
  joined,
} from './zip-content.js';
import {
  CentralDirectory,
  MAX_UINT16,
  MAX_UINT32,
  type ZipContent,
  zipDescriptor,
  type ZipEntry,
  zipLocalHeader,
  ZipMethod,
} from './zip-format.js';

interface ZipOptions {
  /** Returns true if contents that shrink should be deflated. It is called for each file. */
  readonly mayDeflate: () => boolean;
}

/** File types of `st_mode`. */
const MODES: Readonly<Partial<Record<EntryTypeNumber, number>>> = {
  [EntryType.file]: 0o100000,
  [EntryType.directory]: 0o040000,
  [EntryType.symlink]: 0o120000,
};
/**
 * Minimum size of a content whose sizes take 8 bytes. It is less than 4 GiB, since deflating may lengthen a content a
 * little.
 */
const LARGE_BYTES = MAX_UINT32 - (MAX_UINT32 >>> 8);
/** Maximum number of files that are compressed at once, and of their bytes. */
const MAX_WAITING = 8;
const MAX_WAITING_BYTES = 4 << 20;

/**
 * Writes a zip archive to a sink (see `writeArchive`). A small content is checked before any of its bytes is written.
 */
export async function writeZip(
  system: System,
  means: StreamMeans,
  request: ArchiveRequest & ZipOptions,
  sink: ByteSink,
): Promise<RestoreFailure[]> {
  const format = new ZipFormat(sink, request);
  return writeArchive(system, means, request, { sink, format });
}

/** A small file whose content is being compressed. */
interface WaitingFile {
  readonly entry: ZipEntry;
  readonly content: ZipContent;
  readonly bytes: Promise<Buffer>;
}

class ZipFormat implements ArchiveFormat {
  readonly name = 'zip';
  isBegun = false;
  private readonly directory = new CentralDirectory();
  private waiting: WaitingFile[] = [];
  private waitingBytes = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly options: ZipOptions,
  ) {}

  refusal(type: EntryTypeNumber, path: Buffer): string | undefined {
    if (MODES[type] === undefined) return 'devices, pipes or sockets';
    return zipName(path).length < MAX_UINT16 ? undefined : 'paths of 65,535 bytes or more';
  }

  async other({ path, entry }: ArchiveItem, row: Entry): Promise<void> {
    const isDirectory = entry.type === EntryType.directory;
    const name = isDirectory ? Buffer.concat([zipName(path), SLASH_BYTES]) : zipName(path);
    const header = { ...zipEntry(name, row), method: ZipMethod.stored };
    await this.write(header, isDirectory ? NO_BYTES : (entry.linkTarget ?? NO_BYTES));
  }

  async file(
    { path, entry }: ArchiveItem,
    row: Entry,
    pieces: readonly ContentPiece[],
    reader: ContentReader,
  ): Promise<number> {
    const form = reader.bytes(pieces);
    const chunks = isSparse(entry.metadata) ? withZeros(form) : form;
    const plain = zipEntry(zipName(path), row);
    const { start, rest } = await begun(chunks, BLOCK_BYTES, entry.sizeBytes);
    const isDeflated = this.options.mayDeflate() && isWorthDeflating(start);
    const method = isDeflated ? ZipMethod.deflated : ZipMethod.stored;
    if (rest !== undefined) {
      const isLarge = entry.sizeBytes >= LARGE_BYTES;
      const header = { ...plain, method, isStreamed: true, isLarge };
      const maxBytes = isLarge ? Number.MAX_SAFE_INTEGER : LARGE_BYTES;
      return this.stream(header, joined(start, rest, maxBytes));
    }
    if (!isDeflated) await this.write({ ...plain, method }, start);
    else await this.deflate({ ...plain, method }, start);
    return start.length;
  }

  async text(name: Buffer, content: Buffer, mtimeNs: bigint): Promise<void> {
    const row = { ...PLAIN_ROW, type: EntryType.file, mtimeNs };
    await this.write({ ...zipEntry(name, row), method: ZipMethod.stored }, content);
  }

  async end(): Promise<void> {
    await this.flush();
    for await (const part of this.directory.all(this.sink.bytes)) await this.sink.write(part);
  }

  /** Writes a content of unknown length, and its checksum and sizes after it. */
  private async stream(entry: ZipEntry, chunks: AsyncIterable<Buffer>): Promise<number> {
    await this.flush();
    this.isBegun = true;
    const offset = this.sink.bytes;
    await this.sink.write(zipLocalHeader(entry));
    const from = this.sink.bytes;
    const summed = { crc: 0, sizeBytes: 0 };
    const passing = passed(chunks, summed);
    const stored = entry.method === ZipMethod.stored ? passing : deflatedBlocks(passing);
    for await (const bytes of stored) await this.sink.write(bytes);
    const content = { ...summed, storedBytes: this.sink.bytes - from };
    await this.sink.write(zipDescriptor(entry, content));
    await this.directory.add(entry, content, offset);
    return summed.sizeBytes;
  }

  /**
   * Compresses a content in another thread. The entry is written when its content is compressed and all earlier entries
   * are written. If too many entries are pending, waits for some of them.
   */
  private async deflate(entry: ZipEntry, content: Buffer): Promise<void> {
    const bytes = deflated(content);
    bytes.catch(() => undefined); // the error is thrown when the bytes are awaited
    this.waiting.push({ entry, content: summedUp(content, 0), bytes });
    this.waitingBytes += content.length;
    while (this.waiting.length > MAX_WAITING || this.waitingBytes > MAX_WAITING_BYTES) {
      await this.writeWaiting();
    }
  }

  private async flush(): Promise<void> {
    while (this.waiting.length > 0) await this.writeWaiting();
  }

  private async writeWaiting(): Promise<void> {
    const { entry, content, bytes } = this.waiting.shift()!;
    this.waitingBytes -= content.sizeBytes;
    const packed = await bytes;
    await this.put(entry, { ...content, storedBytes: packed.length }, packed);
  }

  private async write(entry: ZipEntry, content: Buffer): Promise<void> {
    await this.put(entry, summedUp(content, content.length), content);
  }

  private async put(entry: ZipEntry, content: ZipContent, bytes: Buffer): Promise<void> {
    const offset = this.sink.bytes;
    await this.sink.write(zipLocalHeader(entry, content));
    await this.sink.write(bytes);
    await this.directory.add(entry, content, offset);
  }
}

type ZipRow = Pick<Entry, 'type' | 'permissions' | 'uid' | 'gid' | 'mtimeNs' | 'attributes'>;

function zipEntry(
  name: Buffer,
  { type, permissions, uid, gid, mtimeNs, attributes }: ZipRow,
): Omit<ZipEntry, 'method'> {
  return {
    name,
    mode: MODES[type]! | (permissions & 0o7777),
    uid,
    gid,
    mtimeNs: exactMtimeNs(mtimeNs, attributes),
    isStreamed: false,
    isLarge: false,
  };
}

/** Returns the checksum and the sizes of a content that takes `storedBytes` in the archive. */
function summedUp(content: Buffer, storedBytes: number): ZipContent {
  return { crc: crc32(content), sizeBytes: content.length, storedBytes };
}

/** Passes a content on, and computes its size and its checksum meanwhile. */
async function* passed(
  chunks: AsyncIterable<Buffer>,
  summed: { crc: number; sizeBytes: number },
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    summed.crc = crc32(chunk, summed.crc);
    summed.sizeBytes += chunk.length;
    yield chunk;
  }
}

const PERCENT = 0x25;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const HEX_DIGITS = 2;

/**
 * Returns a relative path as a zip archive has it, so that it leads out of no directory of extraction. A backslash becomes `%5C`, because Windows would treat it as a
 * separator. A colon after the first letter becomes `%3A`, because the letter would name a drive. A `%` becomes `%25`
 * if it could be mistaken for one of these, so that different paths stay different. All other bytes are kept.
 */
export function zipName(path: Buffer): Buffer {
  const isDrive = path[1] === COLON && isLetter(path[0]!);
  if (!isDrive && !path.includes(BACKSLASH) && !path.includes(PERCENT)) return path;
  const out: number[] = [];
  for (const [index, byte] of path.entries()) {
    const isEscaped =
      byte === BACKSLASH ||
      (index === 1 && isDrive) ||
      (byte === PERCENT && looksEscaped(path, index));
    if (isEscaped) out.push(...Buffer.from(`%${byte.toString(16).toUpperCase()}`));
    else out.push(byte);
  }
  return Buffer.from(out);
}

function looksEscaped(path: Buffer, index: number): boolean {
  return ['25', '3A', '5C'].includes(digitsAt(path, index));
}

function digitsAt(path: Buffer, index: number): string {
  return path.toString('latin1', index + 1, index + 1 + HEX_DIGITS);
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
