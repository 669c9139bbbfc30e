/** The differences of two texts, line by line, as rows with an old and a new side. */
import { diffLines } from 'diff';

export interface DiffSide {
  /** Number of the line, from 1. */
  readonly line: number;
  readonly text: string;
}

export type DiffRow =
  | { readonly kind: 'same' | 'changed'; readonly before: DiffSide; readonly after: DiffSide }
  | { readonly kind: 'gone'; readonly before: DiffSide; readonly after: undefined }
  | { readonly kind: 'new'; readonly before: undefined; readonly after: DiffSide }
  /** Number of equal lines that are not shown. */
  | { readonly kind: 'skipped'; readonly lines: number };

/** Number of equal lines shown around a difference. */
const AROUND = 3;
/** Maximum time of a comparison. After it, two texts count as too different. */
const MAX_DIFF_MS = 1500;
const MAX_ROWS = 5000;

/**
 * Returns the rows that show the differences. Undefined if the comparison takes too long, or if there are too many
 * rows.
 */
export function diffRows(before: string, after: string): DiffRow[] | undefined {
  const parts = diffLines(before, after, { timeout: MAX_DIFF_MS });
  if (parts === undefined) return undefined;
  const rows: DiffRow[] = [];
  const next = { before: 1, after: 1 };
  for (let index = 0; index < parts.length; index += 1) {
    const part = parts[index]!;
    const follower = parts[index + 1];
    if (part.removed && follower?.added === true) {
      rows.push(...changedRows(linesOf(part.value), linesOf(follower.value), next));
      index += 1;
    } else if (part.removed) rows.push(...changedRows(linesOf(part.value), [], next));
    else if (part.added) rows.push(...changedRows([], linesOf(part.value), next));
    else rows.push(...sameRows(linesOf(part.value), next));
  }
  const shown = withoutMostEqual(rows);
  return shown.length > MAX_ROWS ? undefined : shown;
}

interface NextLines {
  before: number;
  after: number;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function sameRows(lines: readonly string[], next: NextLines): DiffRow[] {
  return lines.map((text) => ({
    kind: 'same',
    before: { line: next.before++, text },
    after: { line: next.after++, text },
  }));
}

function changedRows(
  gone: readonly string[],
  added: readonly string[],
  next: NextLines,
): DiffRow[] {
  return Array.from({ length: Math.max(gone.length, added.length) }, (_, index): DiffRow => {
    const [old, fresh] = [gone[index], added[index]];
    const before = old === undefined ? undefined : { line: next.before++, text: old };
    const after = fresh === undefined ? undefined : { line: next.after++, text: fresh };
    if (before !== undefined && after !== undefined) return { kind: 'changed', before, after };
    if (before !== undefined) return { kind: 'gone', before, after: undefined };
    return { kind: 'new', before: undefined, after: after! };
  });
}

/** Replaces long runs of equal lines by one row each. */
function withoutMostEqual(rows: readonly DiffRow[]): DiffRow[] {
  const isNear = new Uint8Array(rows.length);
  for (const [index, { kind }] of rows.entries()) {
    if (kind !== 'same') isNear.fill(1, Math.max(0, index - AROUND), index + AROUND + 1);
  }
  const shown: DiffRow[] = [];
  for (let index = 0; index < rows.length; ) {
    if (isNear[index] === 1) {
      shown.push(rows[index]!);
      index += 1;
      continue;
    }
    const start = index;
    while (index < rows.length && isNear[index] === 0) index += 1;
    if (index - start === 1) shown.push(rows[start]!);
    else shown.push({ kind: 'skipped', lines: index - start });
  }
  return shown;
}
