/** Numbers in values into which SQLite packs many rows: in decimal, each with a sign behind it. */

/** Returns the condition that a column has a number without a sign that JavaScript represents exactly. */
export function isCount(column: string): string {
  return `typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
}

const DIGIT_0 = 0x30;

/** Reads a packed value from its beginning on. */
export class PackedReader {
  private at = 0;
  private readonly packed: Buffer;

  constructor(packed: Buffer) {
    this.packed = packed;
  }

  /** Returns the next byte; undefined behind the end. */
  byte(): number | undefined {
    const byte = this.packed[this.at];
    this.at += 1;
    return byte;
  }

  /** Returns a view of the next bytes. */
  bytes(count: number): Buffer {
    const from = this.at;
    this.at += count;
    return this.packed.subarray(from, this.at);
  }

  /** Reads a number, and the sign behind it. Returns undefined if there is only the sign. */
  number(): number | undefined {
    const { packed, at: from } = this;
    let at = from;
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
    return at === from ? undefined : value;
  }
}
