/**
 * Decodes lone contents ahead of a stream, each without the rest of its record. A content is lone if the stream needs
 * nothing else of its record, for example if the content equals one of a much older backup.
 */
import type { ContentPiece, History, ObjectReader } from '../history/index.js';
import { fetchRecord, loneAmong, recordKey } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { bufferOf, DIGEST_BYTES } from '../model/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import type { System } from '../system/index.js';
import { AsideDecoder, type DecodeInput } from '../workers/index.js';

/** Number of contents that are decoded ahead. */
const AHEAD = 3;

interface LoneRead {
  readonly piece: ContentPiece;
  /**
   * The decoded bytes, or undefined if they must be read with their record. Undefined itself until decoding has begun.
   */
  bytes: Promise<Buffer | undefined> | undefined;
}

export class LoneReads {
  /** Reads of lone contents by the keys of the contents, in the order in which they are read. */
  private readonly reads = new Map<string, LoneRead>();
  private readonly decoder: AsideDecoder;
  private readonly history: History;
  private readonly backend: ObjectReader;

  constructor(system: System, history: History, backend: ObjectReader) {
    this.decoder = new AsideDecoder(system);
    this.history = history;
    this.backend = backend;
  }

  /**
   * Plans the reading of contents in their order. A content is lone if its record contains no other content of the
   * plan. `isDecoded` returns true for a record that needs no decoding. An earlier plan is dropped.
   */
  plan(
    contents: readonly (readonly ContentPiece[])[],
    isDecoded: (piece: ContentPiece) => boolean,
  ): void {
    this.reads.clear();
    const isLone = loneAmong(contents);
    for (const pieces of contents) {
      const [piece] = pieces;
      if (piece === undefined || piece.basis !== undefined || !isLone(pieces)) continue;
      if (piece.recordBytes > STREAM_CHUNK_BYTES || isDecoded(piece)) continue;
      this.reads.set(contentKey(piece), { piece, bytes: undefined });
    }
  }

  /**
   * Returns the bytes of a lone content; undefined if it must be read with its record. Throws CONTENT_DAMAGED,
   * RECORD_DAMAGED, IO_FAILED.
   */
  async take(piece: ContentPiece): Promise<Buffer | undefined> {
    const key = contentKey(piece);
    if (!this.reads.has(key)) return undefined;
    this.begin();
    const { bytes } = this.reads.get(key)!;
    this.reads.delete(key);
    const taken = bytes ?? this.decoded(piece);
    this.begin();
    return taken;
  }

  /** Begins to decode the next contents. */
  private begin(): void {
    let ahead = 0;
    for (const read of this.reads.values()) {
      if (ahead === AHEAD) return;
      ahead += 1;
      if (read.bytes !== undefined) continue;
      read.bytes = this.decoded(read.piece);
      read.bytes.catch(() => undefined); // `take` gets the error
    }
  }

  private async decoded(piece: ContentPiece): Promise<Buffer | undefined> {
    const { object, position, recordBytes, offset, sizeBytes } = piece;
    const record = { object, position, recordBytes };
    const { directory, contentKeys: keys } = this.history;
    const source: DecodeInput['source'] =
      directory === undefined
        ? {
            stored: await fetchRecord(this.backend, record, 0, Buffer.allocUnsafeSlow(recordBytes)),
          }
        : { directory };
    const content = { offset, sizeBytes };
    const { output } = await this.decoder.run('decode', { source, record, content, keys });
    // A record in chunks, or a record that lacks this content, is left to the reader of whole records, which reports
    // its damage.
    if (!output.isWhole || output.startBytes !== offset || output.bytes.length !== sizeBytes) {
      return undefined;
    }
    if (!bufferOf(output.digests).subarray(0, DIGEST_BYTES).equals(piece.digest)) {
      throw new TardisError('CONTENT_DAMAGED', 'the data does not match its digest');
    }
    return bufferOf(output.bytes);
  }
}

function contentKey(piece: ContentPiece): string {
  return `${recordKey(piece)}+${piece.offset}`;
}
