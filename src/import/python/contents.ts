/** Contents of a store of Tardis (Python): stored bytes are decrypted, decompressed, and deltas are applied to their bases. */
import { spawn } from 'node:child_process';
import type { Hash, Hmac } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { type Basis, patched } from '../../delta/index.js';
import { TardisError } from '../../errors/index.js';
import { environmentOfOthers, type System, textBytes } from '../../system/index.js';
import { damagedContent, type StoredContent } from './catalog.js';
import type { OriginalStore } from './store.js';

const CHUNK_BYTES = 256 << 10;
/** Bytes of a delta beyond the content that it makes: commands that copy. */
const DELTA_SLACK_BYTES = 1 << 20;
/** Largest content that is read to memory: attributes and the targets of links. */
const MAX_SMALL_BYTES = 1 << 20;

/** Programs for the compressions that Node.js lacks. The original's `lzma` is the format of xz. */
const PROGRAMS: Readonly<Record<string, string>> = { bzip: 'bzip2', lzma: 'xz', lz4: 'lz4' };

/** A file that has a content already. */
export interface KnownContent {
  readonly checksum: string;
  readonly fd: number;
}

export class OriginalContents {
  /** `scratch` is a directory for files without a name, which hold the bases of deltas. */
  constructor(
    private readonly system: System,
    private readonly store: OriginalStore,
    private readonly scratch: Buffer,
  ) {}

  /**
   * Writes a content to an empty open file. A delta based on `known` is applied to that file. Throws IMPORT_SOURCE_DAMAGED if
   * the bytes do not have the digest that is their name.
   */
  async write(checksum: string, target: number, known?: KnownContent): Promise<void> {
    const chain = this.store.catalog.chain(checksum);
    const from = chain.findIndex((content) => content.checksum === known?.checksum);
    if (from >= 0) {
      try {
        const fd = known!.fd;
        const same = this.chunks(fd, chain[0]!.sizeBytes);
        if (from > 0) await this.writeChain(chain.slice(0, from), target, fd);
        else await writeBytes(chain[0]!, same, target, this.store.keys.digest());
        return;
      } catch (error) {
        if (!(error instanceof TardisError)) throw error;
        this.system.native.resizeFile(target, 0); // the file of the basis may have been changed by somebody
      }
    }
    await this.writeChain(chain, target, undefined);
  }

  /** Returns a small content. Throws IMPORT_SOURCE_DAMAGED as `write` does, or if it is large. */
  async read(checksum: string): Promise<Buffer> {
    const chain = this.store.catalog.chain(checksum);
    if (chain.some(({ sizeBytes }) => sizeBytes > MAX_SMALL_BYTES)) {
      throw damagedContent(checksum, 'is too large');
    }
    try {
      return await this.readChain(chain, true);
    } catch (error) {
      // Releases 1.4.0 to 1.7.0 stored attributes without a tag.
      if (!(error instanceof TardisError && chain[0]!.isEncrypted)) throw error;
      return await this.readChain(chain.slice(0, 1), false);
    }
  }

  private async readChain(chain: readonly StoredContent[], hasTag: boolean): Promise<Buffer> {
    const fd = this.unnamed();
    try {
      await this.writeChain(chain, fd, undefined, hasTag);
      const bytes = Buffer.alloc(chain[0]!.sizeBytes);
      fs.readSync(fd, bytes, 0, bytes.length, 0);
      return bytes;
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Writes the first content of a chain, whose last one is whole, or based on an open file. */
  private async writeChain(
    chain: readonly StoredContent[],
    target: number,
    known?: number,
    hasTag: boolean = true,
  ): Promise<void> {
    const opened: number[] = [];
    let basis = known;
    try {
      for (const content of chain.toReversed()) {
        const isLast = content === chain[0];
        const fd = isLast ? target : this.unnamed();
        if (!isLast) opened.push(fd);
        // Each basis is proven: one that another user chose would show through the deltas.
        const digest = this.store.keys.digest();
        await writeBytes(content, this.bytesOf(content, basis, hasTag), fd, digest);
        basis = fd;
      }
    } finally {
      for (const fd of opened) fs.closeSync(fd);
    }
  }

  private async *bytesOf(
    content: StoredContent,
    basis: number | undefined,
    hasTag: boolean,
  ): AsyncGenerator<Buffer> {
    const { checksum, sizeBytes } = content;
    const { files, native } = this.system;
    const limitBytes = content.basis === undefined ? sizeBytes : 2 * sizeBytes + DELTA_SLACK_BYTES;
    const fd = this.openStored(checksum);
    try {
      const storedBytes = files.statusOf(fd).sizeBytes;
      const stored = this.chunks(fd, storedBytes);
      const plain = content.isEncrypted
        ? this.store.keys.opened(stored, { storedBytes, hasTag })
        : stored;
      const whole = limited(decompressed(content, plain), checksum, limitBytes);
      if (content.basis === undefined) yield* whole;
      else yield* patched(native, whole, basisOf(basis!, checksum), sizeBytes);
    } catch (error) {
      if (error instanceof TardisError && error.code !== 'RECORD_DAMAGED') throw error;
      throw damagedContent(checksum, 'cannot be decoded', error);
    } finally {
      files.close(fd);
    }
  }

  private openStored(checksum: string): number {
    try {
      return this.system.files.open(this.store.contentPath(checksum), 'read');
    } catch (error) {
      throw damagedContent(checksum, 'cannot be read', error);
    }
  }

  private async *chunks(fd: number, storedBytes: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < storedBytes; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, storedBytes - at));
      const bytes = this.system.files.read(fd, chunk, 0, chunk.length, at);
      if (bytes === 0) return;
      yield chunk.subarray(0, bytes);
      at += bytes;
    }
  }

  private unnamed(): number {
    const file = Buffer.concat([this.scratch, textBytes(path.sep), Buffer.from('basis')]);
    const fd = fs.openSync(file, 'wx+', 0o600);
    fs.unlinkSync(file);
    return fd;
  }
}

/** Writes a content to an open file. Throws IMPORT_SOURCE_DAMAGED for another size or digest. */
async function writeBytes(
  { checksum, sizeBytes }: StoredContent,
  bytes: AsyncIterable<Buffer>,
  target: number,
  digest: Hash | Hmac,
): Promise<void> {
  let at = 0;
  for await (const chunk of bytes) {
    if (at + chunk.length > sizeBytes) throw damagedContent(checksum, 'is longer than its size');
    digest.update(chunk);
    for (let from = 0; from < chunk.length; ) {
      from += fs.writeSync(target, chunk, from, chunk.length - from, at + from);
    }
    at += chunk.length;
  }
  if (at !== sizeBytes) throw damagedContent(checksum, `has ${at} bytes of ${sizeBytes}`);
  if (digest.digest('hex') !== checksum) throw damagedContent(checksum, 'has another digest');
}

function basisOf(fd: number, checksum: string): Basis {
  return {
    sizeBytes: fs.fstatSync(fd).size,
    read: async (position, target, at, bytes) => {
      for (let done = 0; done < bytes; ) {
        const read = fs.readSync(fd, target, at + done, bytes - done, position + done);
        if (read === 0) throw damagedContent(checksum, 'has a basis that is cut off');
        done += read;
      }
    },
  };
}

async function* limited(
  bytes: AsyncIterable<Buffer>,
  checksum: string,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const chunk of bytes) {
    count += chunk.length;
    if (count > limitBytes) throw damagedContent(checksum, 'is longer than its size');
    yield chunk;
  }
}

function decompressed(content: StoredContent, bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  switch (content.compression) {
    case 'none':
      return bytes;
    case 'zlib':
      return throughStream(bytes, zlib.createInflate());
    case 'zstd':
      return throughStream(bytes, zlib.createZstdDecompress());
    default: {
      const program = PROGRAMS[content.compression];
      if (program === undefined) {
        throw damagedContent(
          content.checksum,
          `has an unknown compression, ${content.compression}`,
        );
      }
      return throughProgram(program, bytes);
    }
  }
}

function throughStream(
  bytes: AsyncIterable<Buffer>,
  stream: zlib.Inflate | zlib.ZstdDecompress,
): AsyncIterable<Buffer> {
  const source = Readable.from(bytes, { objectMode: false });
  source.once('error', (error) => stream.destroy(error));
  stream.once('close', () => source.destroy());
  return source.pipe(stream) as AsyncIterable<Buffer>;
}

/** Decompresses by a program, which is ended if its output is not read to the end. Throws CAPABILITY_MISSING without it. */
async function* throughProgram(
  program: string,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const child = spawn(program, ['-dc'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: environmentOfOthers(),
  });
  const source = Readable.from(bytes, { objectMode: false });
  let inputError: Error | undefined;
  const ended = once(child, 'close');
  ended.catch(() => undefined); // awaited below; the output may end first
  source.once('error', (error) => {
    inputError = error;
    child.kill();
  });
  child.stdin.on('error', () => undefined); // a program that ends early reports it by its status
  source.pipe(child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [status] = await ended.catch((error: unknown) => {
      const what = `the program ${program}, which the compression of the store needs, cannot be run`;
      throw new TardisError('IMPORT_PROGRAM_MISSING', what, {}, error);
    });
    if (inputError !== undefined) throw inputError;
    if (status !== 0)
      throw new TardisError('IMPORT_SOURCE_DAMAGED', `${program} cannot decompress a content`);
  } finally {
    source.destroy();
    child.kill();
  }
}
