/**
 * Formats diffs as lines: unified, context, whole (like Python's ndiff) and side by side. The bytes of the compared
 * lines are unchanged, except side by side.
 */
import type { Hunk } from '../../restore/diff/index.js';
import { displayName } from '../../model/index.js';

export type DiffStyle = 'header' | 'place' | 'same' | 'gone' | 'new' | 'changed' | 'hint';

export interface DiffLine {
  readonly style: DiffStyle;
  /** The line without its line end. */
  readonly bytes: Buffer;
}

/** Names of both versions in a header. */
interface DiffNames {
  readonly before: string;
  readonly after: string;
}

const GONE = '-';
const NEW = '+';
const NOTE = '\\';

/** Consecutive lines that differ, followed by lines that are equal. */
interface Block {
  readonly gone: string[];
  readonly added: string[];
  readonly same: string[];
}

function line(style: DiffStyle, latin1: string): DiffLine {
  return { style, bytes: Buffer.from(latin1, 'latin1') };
}

function headers(marks: readonly [string, string], names: DiffNames): DiffLine[] {
  return [
    { style: 'header', bytes: Buffer.from(`${marks[0]} ${names.before}`) },
    { style: 'header', bytes: Buffer.from(`${marks[1]} ${names.after}`) },
  ];
}

const UNIFIED_STYLES: Readonly<Record<string, DiffStyle>> = {
  [GONE]: 'gone',
  [NEW]: 'new',
  [NOTE]: 'hint',
};

export function* unifiedDiff(hunks: readonly Hunk[], names: DiffNames): Generator<DiffLine> {
  yield* headers(['---', '+++'], names);
  for (const hunk of hunks) {
    const before = unifiedRange(hunk.beforeStart, hunk.beforeLines);
    yield line('place', `@@ -${before} +${unifiedRange(hunk.afterStart, hunk.afterLines)} @@`);
    for (const text of hunk.lines) yield line(UNIFIED_STYLES[text[0] ?? ''] ?? 'same', text);
  }
}

function unifiedRange(start: number, lines: number): string {
  return lines === 1 ? String(start) : `${start},${lines}`;
}

export function* contextDiff(hunks: readonly Hunk[], names: DiffNames): Generator<DiffLine> {
  yield* headers(['***', '---'], names);
  for (const hunk of hunks) {
    yield line('place', '***************');
    const blocks = blocksOf(hunk.lines);
    yield line('place', `*** ${contextRange(hunk.beforeStart, hunk.beforeLines)} ****`);
    if (blocks.some(({ gone }) => gone.length > 0)) yield* contextSide(blocks, 'gone');
    yield line('place', `--- ${contextRange(hunk.afterStart, hunk.afterLines)} ----`);
    if (blocks.some(({ added }) => added.length > 0)) yield* contextSide(blocks, 'added');
  }
}

function contextRange(start: number, lines: number): string {
  return lines <= 1 ? String(start) : `${start},${start + lines - 1}`;
}

function* contextSide(blocks: readonly Block[], side: 'gone' | 'added'): Generator<DiffLine> {
  for (const block of blocks) {
    const isChange = block.gone.length > 0 && block.added.length > 0;
    const style = isChange ? 'changed' : side === 'gone' ? 'gone' : 'new';
    const mark = isChange ? '!' : side === 'gone' ? GONE : NEW;
    for (const text of block[side]) {
      yield text.startsWith(NOTE) ? line('hint', text) : line(style, `${mark} ${text.slice(1)}`);
    }
    for (const text of block.same) {
      yield text.startsWith(NOTE) ? line('hint', text) : line('same', `  ${text.slice(1)}`);
    }
  }
}

/** Splits the lines of a hunk into blocks. A note (`\ No newline at end of file`) stays with the line before it. */
function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  let last: 'gone' | 'added' | 'same' | undefined;
  for (const text of lines) {
    const kind = text.startsWith(NOTE) && last !== undefined ? last : kindOf(text);
    const isNext = blocks.length === 0 || (kind !== 'same' && last === 'same');
    // Within a block, removed lines precede added ones.
    if (isNext || (kind === 'gone' && last === 'added')) {
      blocks.push({ gone: [], added: [], same: [] });
    }
    blocks.at(-1)![kind].push(text);
    last = kind;
  }
  return blocks;
}

function kindOf(text: string): 'gone' | 'added' | 'same' {
  if (text.startsWith(GONE)) return 'gone';
  return text.startsWith(NEW) ? 'added' : 'same';
}

/** Maximum length of a line in which differences are marked. */
const MOST_HINTED_CHARS = 1000;

export function* wholeDiff(hunks: readonly Hunk[], names: DiffNames): Generator<DiffLine> {
  yield* headers(['-:', '+:'], names);
  for (const { gone, added, same } of hunks.flatMap(({ lines }) => blocksOf(lines))) {
    const count = Math.max(gone.length, added.length);
    for (let index = 0; index < count; index += 1) {
      const [before, after] = [gone[index], added[index]];
      const [hintBefore, hintAfter] = hintsOf(before, after);
      if (before !== undefined) yield* hinted('gone', before, hintBefore);
      if (after !== undefined) yield* hinted('new', after, hintAfter);
    }
    for (const text of same) {
      yield text.startsWith(NOTE) ? line('hint', text) : line('same', `  ${text.slice(1)}`);
    }
  }
}

function* hinted(style: DiffStyle, text: string, hint: string): Generator<DiffLine> {
  if (text.startsWith(NOTE)) yield line('hint', text);
  else yield line(style, `${text[0]} ${text.slice(1)}`);
  if (hint !== '') yield line('hint', `? ${hint}`);
}

/**
 * Returns marks to print below two lines. They mark the part that differs, between the start and the end that both
 * lines have in common. The marks are empty if the common parts are less than half of the shorter line, or if a line is
 * empty or too long.
 */
function hintsOf(before = '', after = ''): readonly [string, string] {
  const [one, other] = [before.slice(1), after.slice(1)];
  const shorter = Math.min(one.length, other.length);
  if (shorter === 0 || Math.max(one.length, other.length) > MOST_HINTED_CHARS) return ['', ''];
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  if ((start + end) * 2 < shorter) return ['', ''];
  const blank = one.slice(0, start).replaceAll(/[^\t]/g, ' ');
  const isChange = one.length > start + end && other.length > start + end;
  const marked = (text: string, mark: string): string => {
    const count = text.length - start - end;
    return count <= 0 ? '' : blank + (isChange ? '^' : mark).repeat(count);
  };
  return [marked(one, GONE), marked(other, NEW)];
}

const GUTTER = 3;
const TAB_COLUMNS = 8;

export function* sideBySideDiff(
  hunks: readonly Hunk[],
  names: DiffNames,
  width: number,
): Generator<DiffLine> {
  const columns = Math.floor((width - GUTTER) / 2);
  const row = (style: DiffStyle, left: string, mark: string, right: string): DiffLine => {
    const text = `${cut(left, columns, true)} ${mark} ${cut(right, columns, false)}`;
    return { style, bytes: Buffer.from(text.trimEnd()) };
  };
  const [before, after] = [names.before, names.after].map((name) => name.replaceAll('\t', '  '));
  yield row('header', before!, ' ', after!);
  for (const { gone, added, same } of hunks.flatMap(({ lines }) => blocksOf(lines))) {
    const [left, right] = [withoutNotes(gone), withoutNotes(added)];
    for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
      const [before, after] = [left[index], right[index]];
      if (before === undefined) yield row('new', '', '>', after!);
      else if (after === undefined) yield row('gone', before, '<', '');
      else yield row('changed', before, '|', after);
    }
    for (const text of withoutNotes(same)) yield row('same', text, ' ', text);
  }
}

function withoutNotes(lines: readonly string[]): string[] {
  return lines.filter((text) => !text.startsWith(NOTE)).map((text) => shown(text.slice(1)));
}

/** Returns text for a column. Tabs become spaces, and control characters are escaped. */
function shown(latin1: string): string {
  let text = '';
  for (const [index, part] of latin1.split('\t').entries()) {
    if (index > 0) text += ' '.repeat(TAB_COLUMNS - (text.length % TAB_COLUMNS));
    text += displayName(Buffer.from(part, 'latin1'));
  }
  return text;
}

function cut(text: string, columns: number, isPadded: boolean): string {
  const characters = Array.from(text).slice(0, columns);
  const padding = isPadded ? ' '.repeat(columns - characters.length) : '';
  return characters.join('') + padding;
}

/**
 * Returns a line for a terminal: control characters are escaped, so that contents cannot control the terminal. Tabs
 * stay.
 */
export function terminalText({ bytes }: DiffLine): string {
  const parts = bytes.toString('latin1').split('\t');
  return parts.map((part) => displayName(Buffer.from(part, 'latin1'))).join('\t');
}
