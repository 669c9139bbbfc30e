/** Tables of figures as text. */

/**
 * Aligns columns. The first two contain words and are left-aligned; the others contain numbers and are
 * right-aligned.
 */
export function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Returns seconds with two decimals; `NaN` for a time that was not measured. */
export function seconds(ms: number | undefined): string {
  return ((ms ?? NaN) / 1000).toFixed(2);
}

/** Returns millions of bytes; `-` for a size that was not measured. */
export function megabytes(bytes: number | undefined, decimals = 1): string {
  return bytes === undefined ? '-' : (bytes / 1e6).toFixed(decimals);
}

/** Returns a ratio; `-` for one that was not measured. */
export function shownRatio(ratio: number | undefined, decimals = 2): string {
  return ratio?.toFixed(decimals) ?? '-';
}
