/**
 * Contents as a tar archive holds them: as they are, or, of a sparse file, its data behind a map of where
 * it belongs (the format GNU.sparse 1.0, which tar, star and others read).
 */
import type { ContentPiece } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { sparseData, type SparseMap, SparseWriter } from '../workers/index.js';
import { TAR_BLOCK_BYTES, tarPadding } from './tar-format.js';

export interface TarContent {
  /** What stands in the archive. */
  readonly storedBytes: number;
  /** The size of a sparse file, holes and all; undefined for another. */
  readonly realBytes: number | undefined;
  /** Each is good until the next one is asked for. */
  readonly chunks: AsyncIterable<Buffer>;
}

export function plainContent(
  chunks: AsyncIterable<Buffer>,
  pieces: readonly ContentPiece[],
): TarContent {
  const storedBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
  return { storedBytes, realBytes: undefined, chunks };
}

/** From the sparse form of a file (docs/formats.md). Throws CONTENT_DAMAGED. */
export async function sparseContent(form: AsyncIterable<Buffer>): Promise<TarContent> {
  const writer = new SparseWriter();
  const iterator = form[Symbol.asyncIterator]();
  let first: [data: Buffer, position: number][] = [];
  // Until the map is there nothing of the data is known.
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

/** A stretch of the file that is in the archive. */
interface Region {
  readonly start: number;
  readonly end: number;
}

/** Where the data is, in whole blocks: tar begins each region with a new one. */
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
  // A hole at the end shows by an empty region there.
  if ((regions.at(-1)?.end ?? 0) < map.fileBytes) {
    regions.push({ start: map.fileBytes, end: map.fileBytes });
  }
  return regions;
}

/** Count of the regions, then offset and length of each: decimal numbers on lines, in whole blocks. */
function mapText(regions: readonly Region[]): Buffer {
  const numbers = regions.flatMap(({ start, end }) => [start, end - start]);
  const text = Buffer.from(`${[regions.length, ...numbers].join('\n')}\n`);
  return Buffer.concat([text, tarPadding(text.length)]);
}

/** Fills regions with data in rising order, and with zeros where there is none. */
class Cursor {
  private index = 0;
  private at: number;
  private readonly regions: readonly Region[];

  constructor(regions: readonly Region[]) {
    this.regions = regions;
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

  /** Less than a block, since regions are what data there is in whole blocks. */
  private *zerosTo(position: number): Generator<Buffer> {
    if (position > this.at) yield Buffer.alloc(position - this.at);
  }
}
