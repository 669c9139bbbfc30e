/** Computes which rows of a long table are in view, so that only those exist in the document. */

interface View {
  readonly scrollPx: number;
  readonly heightPx: number;
  readonly rowPx: number;
  readonly count: number;
}

/** Number of rows beyond each edge of the view that are in the document, so that scrolling shows no gap. */
const BEYOND = 12;

/** Returns the index of the first row in view, and the index after the last one. */
export function rowsInView({ scrollPx, heightPx, rowPx, count }: View): {
  first: number;
  end: number;
} {
  const top = Math.max(0, Math.floor(scrollPx / rowPx) - BEYOND);
  const first = Math.min(top, Math.max(0, count - 1));
  const end = Math.min(count, Math.ceil((scrollPx + heightPx) / rowPx) + BEYOND);
  return { first, end: Math.max(first, end) };
}

/** Returns the position to scroll to so that a row is in view; the present position if it already is. */
export function scrollFor(row: number, { scrollPx, heightPx, rowPx }: View): number {
  const topPx = row * rowPx;
  if (topPx < scrollPx) return topPx;
  const bottomPx = topPx + rowPx;
  return bottomPx > scrollPx + heightPx ? bottomPx - heightPx : scrollPx;
}

/** Returns the row that a key moves to; undefined for other keys. */
export function rowForKey(
  key: string,
  row: number,
  { heightPx, rowPx, count }: View,
): number | undefined {
  const page = Math.max(1, Math.floor(heightPx / rowPx) - 1);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: row + 1,
    ArrowUp: row - 1,
    PageDown: row + page,
    PageUp: row - page,
    Home: 0,
    End: count - 1,
  };
  const wanted = Object.hasOwn(moves, key) ? moves[key] : undefined;
  if (wanted === undefined) return undefined;
  return Math.max(0, Math.min(count - 1, wanted));
}
