/**
 * Contents in the form in which a tar archive stores them. A sparse file is stored as a map of its regions and then its
 * data; any other file is stored unchanged. The format is GNU.sparse 1.0, which tar, star and others read.
 */
import { sparseData, type SparseMap, SparseWriter } from '../contents/index.js';
import type { ContentPiece } from '../history/index.js';
import { TardisError } from '../errors/index.js';
import { TAR_BLOCK_BYTES, tarPadding } from './tar-format.js';

interface TarContent {
  /** Size in the archive. */
  readonly storedBytes: number;
  /** Size of a sparse file with its holes; undefined for other files. */
  readonly realBytes: number | undefined;
  /** The content as stored in the archive. Each chunk is valid until the next one is requested. */
  readonly chunks: AsyncIterable<Buffer>;
}

export function plainContent(
  chunks: AsyncIterable<Buffer>,
  pieces: readonly ContentPiece[],
): TarContent {
  const storedBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
  return { storedBytes, realBytes: undefined, chunks };
}

/** Converts the sparse form of a file (docs/inside/formats.md). Throws CONTENT_DAMAGED. */
export async function sparseContent(form: AsyncIterable<Buffer>): Promise<TarContent> {
  const writer = new SparseWriter();
  const iterator = form[Symbol.asyncIterator]();
  let first: [data: Buffer, position: number][] = [];
  // The positions of the data are unknown until the map has been read.
  while (writer.map === undefined) {
    const next = await iterator.next();
    if (next.done === true) throw new TardisError('CONTENT_DAMAGED', 'a sparse file has no map');
    first = sparseData(writer, next.value);
  }
  const regions = regionsOf(writer.map);
  const head = mapText(regions);
  const dataBytes = regions.reduce((sum, { start, end }) => sum + end - start, 0);
  async function* chunks(): AsyncGenerator<Buffer> {
    yield head;
    const cursor = new Cursor(regions);
    for (const [data, position] of first) yield* cursor.place(data, position);
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) break;
      for (const [data, position] of sparseData(writer, next.value))
        yield* cursor.place(data, position);
    }
    writer.finish();
    yield* cursor.end();
  }
  const realBytes = writer.map.fileBytes;
  return { storedBytes: head.length + dataBytes, realBytes, chunks: chunks() };
}

/** A region of a sparse file that has data in the archive. */
interface Region {
  readonly start: number;
  readonly end: number;
}

/** Returns the regions with data, extended to whole blocks, since tar begins each region with a new block. */
function regionsOf(map: SparseMap): Region[] {
  const regions: Region[] = [];
  map.forEachPiece(0, map.formBytes, ({ head, offset, bytes }) => {
    if (head !== undefined) return;
    const start = offset - (offset % TAR_BLOCK_BYTES);
    const wanted = Math.ceil((offset + bytes) / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    const end = Math.min(wanted, map.fileBytes);
    const last = regions.at(-1);
    if (last === undefined || start > last.end) regions.push({ start, end });
    else regions[regions.length - 1] = { start: last.start, end };
  });
  // A hole at the end of the file is marked by an empty region after it.
  if ((regions.at(-1)?.end ?? 0) < map.fileBytes) {
    regions.push({ start: map.fileBytes, end: map.fileBytes });
  }
  return regions;
}

/**
 * Returns the map of a sparse file: the number of regions, then offset and length of each. The numbers are decimal, one
 * on each line. The map is padded to whole blocks.
 */
function mapText(regions: readonly Region[]): Buffer {
  const numbers = regions.flatMap(({ start, end }) => [start, end - start]);
  const text = Buffer.from(`${[regions.length, ...numbers].join('\n')}\n`);
  return Buffer.concat([text, tarPadding(text.length)]);
}

/**
 * A position in a sparse content that moves through its regions in ascending order. Bytes of a region without data are
 * filled with zeros.
 */
class Cursor {
  private index = 0;
  private at: number;

  constructor(private readonly regions: readonly Region[]) {
    this.at = regions[0]?.start ?? 0;
  }

  *place(data: Buffer, position: number): Generator<Buffer> {
    while (position >= this.regions[this.index]!.end) yield* this.next();
    yield* this.zerosTo(position);
    yield data;
    this.at = position + data.length;
  }

  *end(): Generator<Buffer> {
    while (this.index < this.regions.length) yield* this.next();
  }

  private *next(): Generator<Buffer> {
    yield* this.zerosTo(this.regions[this.index]!.end);
    this.index += 1;
    this.at = this.regions[this.index]?.start ?? this.at;
  }

  /** Yields zeros up to a position. They are less than a block, since regions are extended to whole blocks. */
  private *zerosTo(position: number): Generator<Buffer> {
    if (position > this.at) yield Buffer.alloc(position - this.at);
  }
}
