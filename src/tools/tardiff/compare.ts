/** Compares two sets, or a set with the disk, and prints what differs: entries, the lines of files, and totals. */
import type { History } from '../../history/index.js';
import {
  compareTrees,
  type Compared,
  Contents,
  type Difference,
  isDifference,
  type LineDifference,
  lineDifference,
} from '../../restore/diff/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import { displayName, displayText, EntryType } from '../../model/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { showsColors, styled } from '../output/colors.js';
import {
  contextDiff,
  type DiffLine,
  type DiffStyle,
  sideBySideDiff,
  terminalText,
  unifiedDiff,
  wholeDiff,
} from './diff-text.js';
import { openHistory } from '../opening/history.js';
import { COMPARISON_FAILED } from '../output/exit-status.js';
import { print, printBytes, printJson } from '../output/output.js';
import {
  aspectsText,
  type DifferenceKind,
  jsonDifference,
  jsonNotCompared,
  kindOf,
  sizeOf,
  typeWord,
} from '../shared/report-differences.js';
import { interruptSignal } from '../shared/signals.js';
import {
  chooseVersions,
  comparedPaths,
  type DiffSettings,
  headerOf,
  type Versions,
} from './sides.js';
import { counted, formatBytes } from '../output/units.js';
import { complain } from '../output/command-names.js';

const SAME = 0;
const DIFFERENT = 1;
/** Time limit for comparing the lines of one file. */
const LINES_TIMEOUT_MS = 10_000;
const DEFAULT_CONTEXT = 3;
const DEFAULT_WIDTH = 130;
const STYLES: Readonly<Partial<Record<DiffStyle, string>>> = {
  header: 'bold',
  place: 'cyan',
  gone: 'red',
  new: 'green',
  changed: 'yellow',
  hint: 'gray',
};

/** Letters of changed entries, by the first property that differs; U for metadata. */
const LETTERS: Readonly<Record<string, string>> = {
  type: 'T',
  content: 'M',
  target: 'M',
  device: 'M',
};
const SIGNS: Readonly<Record<DifferenceKind, readonly [sign: string, style: DiffStyle]>> = {
  added: ['+', 'new'],
  removed: ['-', 'gone'],
  changed: ['M', 'changed'],
};

/** Prints what differs. Returns the exit status: 0 if nothing does. */
export async function compare(settings: DiffSettings): Promise<number> {
  checkUsage(settings);
  const system = nodeSystem();
  const warn = (text: string): void => {
    if (!settings.json) complain('tardiff', displayText(text));
  };
  using history = await openHistory(system, settings, { warn });
  const status = await compareIn(system, history, settings, warn);
  for (const doubt of history.doubts) warn(doubt);
  return status;
}

/** Returns for each format of lines whether it was requested. */
function formatsOf({ unifiedLines, contextLines, ndiff, sideBySide }: DiffSettings): boolean[] {
  return [unifiedLines !== undefined, contextLines !== undefined, ndiff, sideBySide];
}

/** Throws USAGE for formats that exclude each other. */
function checkUsage(settings: DiffSettings): void {
  if ([...formatsOf(settings), settings.listOnly].filter(Boolean).length > 1) {
    throw usageError('give one of -u, -c, -n, -y and -l');
  }
}

async function compareIn(
  system: System,
  history: History,
  settings: DiffSettings,
  warn: (text: string) => void,
): Promise<number> {
  const versions = await chooseVersions(system, history, settings);
  for (const { set } of [versions.before, versions.after]) {
    if (set !== undefined && set.state !== 'complete') warn(`set ${set.set} is unfinished`);
    if (set?.isDoubtful === true) warn(`set ${set.set} may lack entries that were lost to damage`);
  }
  const signal = interruptSignal('tardiff', 'what was found so far is reported');
  using contents = new Contents(system, history, settings.compareContents, signal);
  const isWhole = versions.paths.length === 0;
  // The lines of all files would hide what a whole set has new.
  const isList = isWhole && !settings.newFile && !formatsOf(settings).includes(true);
  const listOnly = settings.listOnly || isList;
  const report = new DiffReport({ ...settings, listOnly }, versions, contents, warn);
  const request = {
    system,
    before: versions.before.side,
    after: versions.after.side,
    contents,
    paths: await comparedPaths(versions, settings),
    recurse: settings.recurseInto,
    entersOnly: settings.recurseInto,
    metadata: settings.metadata,
    signal,
  };
  for await (const compared of compareTrees(request)) await report.add(compared);
  report.printTotals();
  return report.status;
}

class DiffReport {
  status = SAME;
  private notCompared = 0;
  private readonly counts = { added: newCount(), removed: newCount(), changed: newCount() };
  private readonly isTerminal = process.stdout.isTTY;
  private readonly hasColor: boolean;

  constructor(
    private readonly settings: DiffSettings,
    private readonly versions: Versions,
    private readonly contents: Contents,
    private readonly warn: (text: string) => void,
  ) {
    this.hasColor = showsColors(settings.color, process.stdout, process.env);
  }

  async add(compared: Compared): Promise<void> {
    if (!isDifference(compared)) {
      this.status = COMPARISON_FAILED;
      this.notCompared += 1;
      if (this.settings.json) print(jsonNotCompared(compared));
      else this.warn(`${compared.error.message} [${compared.error.code}]`);
      return;
    }
    if (this.status === SAME) this.status = DIFFERENT;
    try {
      const lines = await this.linesOf(compared);
      const count = this.counts[kindOf(compared)];
      count.entries += 1;
      count.bytesBefore += sizeOf(compared.before);
      count.bytesAfter += sizeOf(compared.after);
      if (this.settings.json) this.printJson(compared, lines);
      else this.printText(compared, lines);
    } catch (error) {
      if (!(error instanceof TardisError) || error.code === 'INTERRUPTED') throw error;
      await this.add({ path: compared.path, error });
    }
  }

  /** Returns the lines that differ; undefined if no lines are to be shown. */
  private async linesOf(difference: Difference): Promise<LineDifference | undefined> {
    const { before, after, aspects } = difference;
    const { listOnly, newFile, ndiff, sideBySide, mostShownBytes, showsBinary } = this.settings;
    const isOnly = before === undefined || after === undefined;
    const areFiles = [before, after].every(
      (seen) => seen === undefined || seen.entry.type === EntryType.file,
    );
    if (listOnly || !areFiles || (isOnly ? !newFile : !aspects.includes('content')))
      return undefined;
    const lines = this.settings.contextLines ?? this.settings.unifiedLines ?? DEFAULT_CONTEXT;
    const context = ndiff || sideBySide ? Infinity : lines;
    const options = {
      context,
      mostBytes: mostShownBytes,
      showsBinary,
      timeoutMs: LINES_TIMEOUT_MS,
    };
    return lineDifference(this.contents, before, after, options);
  }

  private printJson(difference: Difference, lines: LineDifference | undefined): void {
    const { before, after } = this.versions;
    const shown =
      lines === undefined || 'why' in lines
        ? { notShown: lines?.why }
        : { hunks: lines.hunks.map((hunk) => ({ ...hunk, lines: hunk.lines.map(jsonLine) })) };
    print(jsonDifference(difference, { from: before.set?.set, to: after.set?.set, ...shown }));
  }

  private printText(difference: Difference, lines: LineDifference | undefined): void {
    const { before, after } = difference;
    if (lines === undefined || 'why' in lines) {
      this.printEntry(difference, lines?.why);
      return;
    }
    const names = {
      before: headerOf(before, (before ?? after)!, this.versions.before),
      after: headerOf(after, (before ?? after)!, this.versions.after),
    };
    for (const line of this.diffLines(lines.hunks, names)) this.printLine(line);
    const aspects = difference.aspects.filter((aspect) => aspect !== 'content');
    if (aspects.length > 0) this.printEntry({ ...difference, aspects });
  }

  /** Prints an entry in one line: a sign, its name, and what it is or what differs. */
  private printEntry(difference: Difference, why?: string): void {
    const { path, before, after, aspects } = difference;
    const kind = kindOf(difference);
    const [sign, style] = SIGNS[kind];
    const name = displayName(path);
    if (kind !== 'changed') {
      const seen = (before ?? after)!;
      const what = sizeOf(seen) > 0 ? formatBytes(sizeOf(seen)) : typeWord(seen);
      this.printIn(style, `${sign}  ${name}  ${what}`);
      return;
    }
    const sizes = `${formatBytes(sizeOf(before))} → ${formatBytes(sizeOf(after))}`;
    const texts = [
      aspects.includes('content') ? sizes + (why === undefined ? '' : ` (${why})`) : '',
      aspectsText(difference, (aspect) => aspect !== 'content'),
    ];
    const shown = texts.filter((text) => text !== '').join(', ');
    this.printIn(style, `${LETTERS[aspects[0]!] ?? 'U'}  ${name}  ${shown}`);
  }

  /** Prints how much differs, below a list and as JSON. */
  printTotals(): void {
    const { counts, notCompared, versions } = this;
    const { before, after } = versions;
    if (this.settings.json) {
      printJson({ from: before.set?.set, to: after.set?.set, ...counts, notCompared });
      return;
    }
    if (!this.settings.listOnly) return;
    const { added, removed, changed } = counts;
    const { bytesBefore, bytesAfter } = changed;
    const sizes = `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`;
    const of = ({ entries }: Count): string => counted(entries, 'entry', 'entries');
    print(
      `${before.label} → ${after.label}: ${of(added)} added (${formatBytes(added.bytesAfter)}), ` +
        `${of(removed)} removed (${formatBytes(removed.bytesBefore)}), ` +
        `${of(changed)} changed${bytesBefore === bytesAfter ? '' : ` (${sizes})`}`,
    );
  }

  private diffLines(
    hunks: Parameters<typeof unifiedDiff>[0],
    names: { before: string; after: string },
  ): Iterable<DiffLine> {
    const { contextLines, ndiff, sideBySide, width } = this.settings;
    if (ndiff) return wholeDiff(hunks, names);
    if (contextLines !== undefined) return contextDiff(hunks, names);
    if (!sideBySide) return unifiedDiff(hunks, names);
    const columns = this.isTerminal ? process.stdout.columns : DEFAULT_WIDTH;
    return sideBySideDiff(hunks, names, width ?? columns);
  }

  private printLine(line: DiffLine): void {
    const style = this.hasColor ? STYLES[line.style] : undefined;
    if (!this.isTerminal && style === undefined) printBytes(line.bytes);
    else this.printStyled(style, terminalText(line));
  }

  private printIn(style: DiffStyle, text: string): void {
    this.printStyled(this.hasColor ? STYLES[style] : undefined, text);
  }

  private printStyled(style: string | undefined, text: string): void {
    print(style === undefined ? text : styled(style, text));
  }
}

interface Count {
  entries: number;
  bytesBefore: number;
  bytesAfter: number;
}

function newCount(): Count {
  return { entries: 0, bytesBefore: 0, bytesAfter: 0 };
}

/** Returns a line of a diff for JSON: text, and also bytes if the line is not UTF-8. */
function jsonLine(latin1: string): { text: string; bytes?: string } {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? { text } : { text, bytes: bytes.toString('base64') };
}
