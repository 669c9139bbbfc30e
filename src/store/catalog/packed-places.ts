/**
 * The places of many contents as one value, so that SQLite's binding makes no objects for each. A content that is whole
 * and in one piece has `=`, its digest, and five numbers in decimal: its size, the pack, the position and the length of
 * its record, and its offset there. Any other content, and one whose columns are damaged, has `!`.
 */
import { DIGEST_BYTES } from '../../model/index.js';
import { RecordKind } from '../index.js';

const NUMBERS = ['size_bytes', 'pack', 'position', 'record_bytes', 'offset'] as const;

/** Returns the condition that a column has a number without a sign that JavaScript represents exactly. */
function isCount(column: string): string {
  return `typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
}

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

const DIGIT_0 = 0x30;
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
  private at = 0;
  private readonly packed: Buffer;

  constructor(packed: Buffer) {
    this.packed = packed;
  }

  /** Returns the next place; undefined if the content is not whole, or the value has ended. */
  next(): PlaceOfWhole | undefined {
    const isWhole = this.packed[this.at] === WHOLE;
    this.at += 1;
    if (!isWhole) return undefined;
    const digest = this.packed.subarray(this.at, this.at + DIGEST_BYTES);
    this.at += DIGEST_BYTES;
    const sizeBytes = this.number();
    const pack = this.number();
    const position = this.number();
    const recordBytes = this.number();
    return { digest, sizeBytes, pack, position, recordBytes, offset: this.number() };
  }

  /** Reads a number, and the sign after it. */
  private number(): number {
    const { packed } = this;
    let { at } = this;
    let value = 0;
    for (
      let digit = packed[at]! - DIGIT_0;
      digit >= 0 && digit <= 9;
      digit = packed[at]! - DIGIT_0
    ) {
      value = value * 10 + digit;
      at += 1;
    }
    this.at = at + 1;
    return value;
  }
}
