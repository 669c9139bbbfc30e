/** What of two texts differs, line by line. Bytes are kept: a text is one character for each byte (latin1). */
import type { Contents } from './contents.js';
import type { Seen } from './side.js';

/** Lines around each other that differ, and their neighbours. */
export interface Hunk {
  /** From 1; 0 where there are no lines. */
  readonly beforeStart: number;
  readonly beforeLines: number;
  readonly afterStart: number;
  readonly afterLines: number;
  /** Each begins with a blank, `+`, `-`, or a backslash for "No newline at end of file". */
  readonly lines: readonly string[];
}

export interface LineOptions {
  /** Lines around what differs; Infinity: all. */
  readonly context: number;
  /** Larger files are only told to differ. */
  readonly mostBytes: number;
  /** What holds bytes of zero is shown too. */
  readonly showsBinary: boolean;
  /** What takes longer is only told; it goes by the product of size and differences. */
  readonly timeoutMs: number;
}

export type LineDifference =
  | { readonly hunks: readonly Hunk[] }
  | { readonly why: 'binary' | 'too large' | 'too different' };

const NOTHING = Buffer.alloc(0);

/** Of two files; of one, if the other is missing. Throws what reading contents throws. */
export async function lineDifference(
  contents: Contents,
  before: Seen | undefined,
  after: Seen | undefined,
  { context, mostBytes, showsBinary, timeoutMs: timeout }: LineOptions,
): Promise<LineDifference> {
  const texts: string[] = [];
  for (const seen of [before, after]) {
    const bytes = seen === undefined ? NOTHING : await readWhole(contents, seen, mostBytes);
    if (bytes === undefined) return { why: 'too large' };
    if (!showsBinary && bytes.includes(0)) return { why: 'binary' };
    texts.push(bytes.toString('latin1'));
  }
  const { structuredPatch } = await import('diff'); // most runs need none
  const patch = structuredPatch('', '', texts[0]!, texts[1]!, '', '', {
    context,
    timeout,
  });
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

/** Undefined: it is larger. */
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
    if (bytes > mostBytes) return undefined; // it grew meanwhile
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
