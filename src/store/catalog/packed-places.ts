/**
 * The places of many contents as one value, so that SQLite's binding makes no objects for each. A content that is whole
 * and in one piece has `=`, its digest, and five numbers in decimal: its size, the pack, the position and the length of
 * its record, and its offset there. Any other content, and one whose columns are damaged, has `!`.
 */
import { DIGEST_BYTES } from '../../model/index.js';
import { RecordKind } from '../index.js';
import { isCount, PackedReader } from './packed-numbers.js';

const NUMBERS = ['size_bytes', 'pack', 'position', 'record_bytes', 'offset'] as const;

const IS_WHOLE = [
  'basis_id IS NULL',
  `kind <> ${RecordKind.assembly}`,
  "typeof(kind) = 'integer'",
  `typeof(digest) = 'blob' AND length(digest) = ${DIGEST_BYTES}`,
  ...NUMBERS.map((column) => isCount(column)),
].join(' AND ');

/** Query for the packed places of contents, whose ids are a JSON array, in its order. */
export const PACKED_PLACES: string = `
  SELECT CAST(ifnull(group_concat(place, ''), '') AS BLOB)
  FROM (
    SELECT CASE WHEN ${IS_WHOLE}
      THEN '=' || digest || ${NUMBERS.join(" || ',' || ")} || ';' ELSE '!' END AS place
    FROM json_each(?) AS wanted LEFT JOIN contents ON contents.content_id = wanted.value
    LEFT JOIN records USING (record_id) ORDER BY wanted.key)`;

const WHOLE = 0x3d;

/** The place of a content that is whole and in one piece. */
export interface PlaceOfWhole {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  readonly pack: number;
  readonly position: number;
  readonly recordBytes: number;
  readonly offset: number;
}

/** Reads the places of a packed value one after the other. The digests are views of it. */
export class PackedPlaces {
  private readonly reader: PackedReader;

  constructor(packed: Buffer) {
    this.reader = new PackedReader(packed);
  }

  /** Returns the next place; undefined if the content is not whole, or the value has ended. */
  next(): PlaceOfWhole | undefined {
    const { reader } = this;
    if (reader.byte() !== WHOLE) return undefined;
    const digest = reader.bytes(DIGEST_BYTES);
    const sizeBytes = reader.number() ?? 0;
    const pack = reader.number() ?? 0;
    const position = reader.number() ?? 0;
    const recordBytes = reader.number() ?? 0;
    return { digest, sizeBytes, pack, position, recordBytes, offset: reader.number() ?? 0 };
  }
}
