/**
 * Small calculations in GF(256): the coefficients of parity, and systems of equations. The addon does the large
 * calculations.
 */

/** Polynomial of the field: x^8 + x^4 + x^3 + x^2 + 1. */
const POLYNOMIAL = 0x11d;
const ORDER = 255;
/** Maximum number of shards in a stretch (see shape.ts). Together with MAX_ROWS it must not exceed 256. */
export const MAX_SHARDS = 128;
/** Maximum number of parity blocks for each column of a stretch. */
export const MAX_ROWS = 64;

const powers = new Uint8Array(2 * ORDER);
const logarithms = new Uint8Array(256);
for (let power = 0, value = 1; power < ORDER; power += 1) {
  powers[power] = value;
  powers[power + ORDER] = value;
  logarithms[value] = power;
  value <<= 1;
  if (value > ORDER) value ^= POLYNOMIAL;
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : powers[logarithms[a]! + logarithms[b]!]!;
}

function divide(a: number, b: number): number {
  return a === 0 ? 0 : powers[logarithms[a]! + ORDER - logarithms[b]!]!;
}

/**
 * Returns the factor of a shard in a row of parity. The factors are a Cauchy matrix, of which every square part can be
 * inverted. Each column is divided by its first factor, so that row 0 is all ones.
 */
export function coefficient(row: number, shard: number): number {
  return divide(MAX_SHARDS ^ shard, (MAX_SHARDS + row) ^ shard);
}

/** Returns the inverse of a square matrix: the coefficients of the given rows of parity and the given shards. */
export function inverseOf(rows: readonly number[], shards: readonly number[]): Uint8Array[] {
  const size = rows.length;
  const matrix = rows.map((row, at) => {
    const line = new Uint8Array(2 * size);
    shards.forEach((shard, column) => (line[column] = coefficient(row, shard)));
    line[size + at] = 1;
    return line;
  });
  for (let column = 0; column < size; column += 1) {
    const found = matrix.findIndex((line, at) => at >= column && line[column] !== 0);
    const pivot = matrix[found]!;
    matrix[found] = matrix[column]!;
    matrix[column] = pivot;
    const by = pivot[column]!;
    for (let at = 0; at < 2 * size; at += 1) pivot[at] = divide(pivot[at]!, by);
    for (const line of matrix) {
      const factor = line[column]!;
      if (line === pivot || factor === 0) continue;
      for (let at = 0; at < 2 * size; at += 1) line[at]! ^= multiply(factor, pivot[at]!);
    }
  }
  return matrix.map((line) => line.subarray(size));
}
