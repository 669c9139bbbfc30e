/** The differences of two texts, line by line, as rows with an old and a new side. */
import { structuredPatch } from 'diff';

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
  const limits = { context: AROUND, timeout: MAX_DIFF_MS };
  const patch = structuredPatch('', '', before, after, '', '', limits);
  if (patch === undefined) return undefined;
  const rows: DiffRow[] = [];
  const next = { before: 1, after: 1 };
  const old = before.split('\n');
  if (old.at(-1) === '') old.pop();
  const skipTo = (line: number): void => {
    const lines = line - next.before;
    if (lines === 1) rows.push(sameRow(old[next.before - 1]!, next));
    else if (lines > 0) {
      rows.push({ kind: 'skipped', lines });
      next.before += lines;
      next.after += lines;
    }
  };
  for (const { oldStart, lines } of patch.hunks) {
    skipTo(oldStart);
    let [gone, added]: [string[], string[]] = [[], []];
    for (const line of lines) {
      const text = line.slice(1);
      if (line.startsWith('-')) gone.push(text);
      else if (line.startsWith('+')) added.push(text);
      else if (line.startsWith(' ')) {
        rows.push(...changedRows(gone, added, next), sameRow(text, next));
        [gone, added] = [[], []];
      }
    }
    rows.push(...changedRows(gone, added, next));
  }
  skipTo(old.length + 1);
  return rows.length > MAX_ROWS ? undefined : rows;
}

interface NextLines {
  before: number;
  after: number;
}

function sameRow(text: string, next: NextLines): DiffRow {
  const [before, after] = [next.before++, next.after++].map((line) => ({ line, text }));
  return { kind: 'same', before: before!, after: after! };
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
