/**
 * The heads record of a commit object. It names the writer, and has header and index of each record in the packs
 * written since the last commit. So a catalog can follow a log without reading packs. Format: docs/inside/formats.md.
 */
import {
  bytesOf,
  type Checked,
  isBytes,
  isPackNumber,
  listOf,
  mapOf,
  where,
} from '../../model/index.js';
import { recordDamaged } from '../../errors/index.js';
import { LABEL_BYTES } from './pack-label.js';
import { buildCompressed, decodeBody } from './events.js';
import {
  type ParsedRecord,
  readHeader,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
} from './record.js';

export const WRITER_ID_BYTES = 16;

const isPackHeads = mapOf({
  pack: where(isPackNumber, (pack) => pack > 0),
  /** Header and index of each record, in order. */
  heads: isBytes,
});
/** The headers and indexes of one pack's records. The records begin after the pack's label. */
export type PackHeads = Checked<typeof isPackHeads>;

const areHeads = mapOf({ writer: bytesOf(WRITER_ID_BYTES), packs: listOf(isPackHeads) });

/** A record without its body. */
export interface RecordHead {
  readonly header: RecordHeader;
  readonly headerBytes: Buffer;
  readonly index: Buffer;
  readonly position: number;
}

/** Builds a heads record. `writer` is random bytes of the session, so that no two writers make equal objects. */
export function buildHeads(writer: Buffer, packs: readonly PackHeads[]): Buffer {
  return buildCompressed(RecordKind.heads, 0, { writer, packs });
}

/** Returns the packs that the record describes. Throws RECORD_DAMAGED if its body has a wrong shape. */
export function readHeads(record: ParsedRecord): readonly PackHeads[] {
  const body = decodeBody(record);
  if (!areHeads(body)) throw recordDamaged('the heads of a commit have a wrong shape');
  return body.packs;
}

/**
 * Yields the records of a pack. Throws RECORD_DAMAGED if a header is damaged or cut off, STORE_NEWER for a newer
 * format.
 */
export function* recordsOf({ heads }: PackHeads): Generator<RecordHead> {
  let position = LABEL_BYTES;
  for (let at = 0; at < heads.length; ) {
    const header = heads.length - at < RECORD_HEADER_BYTES ? undefined : readHeader(heads, at);
    const indexAt = at + RECORD_HEADER_BYTES;
    if (header === undefined || indexAt + header.indexBytes > heads.length) {
      throw recordDamaged('the heads of a commit are cut off');
    }
    const headerBytes = heads.subarray(at, indexAt);
    const index = Buffer.from(heads.subarray(indexAt, indexAt + header.indexBytes));
    yield { header, headerBytes, index, position };
    position += recordBytes(header);
    at = indexAt + header.indexBytes;
  }
}
