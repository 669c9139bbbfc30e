/**
 * Compares two texts line by line. A text has one character for each byte (latin1), so that all bytes are
 * preserved.
 */
import type { Contents } from './contents.js';
import type { Seen } from './side.js';
import { NO_BYTES } from '../../model/index.js';

/** Adjacent lines that differ, with the equal lines around them. */
export interface Hunk {
  /**
   * Number of the hunk's first line, from 1. If the hunk has no lines on this side, the number of the line before it (0
   * at the start).
   */
  readonly beforeStart: number;
  readonly beforeLines: number;
  readonly afterStart: number;
  readonly afterLines: number;
  /** Lines of the hunk. Each begins with a space, `+`, `-`, or a backslash for "No newline at end of file". */
  readonly lines: readonly string[];
}

interface LineOptions {
  /** Number of equal lines around each difference; Infinity for all. */
  readonly context: number;
  /** Maximum size of a file that is compared by lines; larger files are only reported to differ. */
  readonly mostBytes: number;
  /** True to show files with zero bytes as well. */
  readonly showsBinary: boolean;
  /**
   * Time limit. A comparison that takes longer only reports that the files differ. The time grows with the product of
   * the file size and the number of differences.
   */
  readonly timeoutMs: number;
}

export type LineDifference =
  | { readonly hunks: readonly Hunk[] }
  | { readonly why: 'binary' | 'too large' | 'too different' };

/**
 * Returns the differing lines of two files, or all lines of one if the other is missing. Throws the errors of reading
 * contents.
 */
export async function lineDifference(
  contents: Contents,
  before: Seen | undefined,
  after: Seen | undefined,
  { context, mostBytes, showsBinary, timeoutMs: timeout }: LineOptions,
): Promise<LineDifference> {
  const texts: string[] = [];
  for (const seen of [before, after]) {
    const bytes = seen === undefined ? NO_BYTES : await readWhole(contents, seen, mostBytes);
    if (bytes === undefined) return { why: 'too large' };
    if (!showsBinary && bytes.includes(0)) return { why: 'binary' };
    texts.push(bytes.toString('latin1'));
  }
  const { structuredPatch } = await import('diff'); // loaded only here, since most runs do not need it
  const patch = structuredPatch('', '', texts[0]!, texts[1]!, '', '', { context, timeout });
  if (patch === undefined) return { why: 'too different' };
  const hunks = patch.hunks.map(({ oldStart, oldLines, newStart, newLines, lines }) => ({
    beforeStart: oldLines === 0 ? oldStart - 1 : oldStart,
    beforeLines: oldLines,
    afterStart: newLines === 0 ? newStart - 1 : newStart,
    afterLines: newLines,
    lines,
  }));
  return { hunks };
}

/** Returns the content of a file; undefined if it is larger than `mostBytes`. */
async function readWhole(
  contents: Contents,
  seen: Seen,
  mostBytes: number,
): Promise<Buffer | undefined> {
  if (seen.entry.sizeBytes > mostBytes) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of contents.bytes(seen)) {
    bytes += chunk.length;
    if (bytes > mostBytes) return undefined; // if the file has grown meanwhile
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
