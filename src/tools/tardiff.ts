/** Implements `tardiff`: compares two versions of files and directories, or a version with the disk. */
import type { History } from '../history/index.js';
import {
  compareTrees,
  type Compared,
  Contents,
  type Difference,
  isDifference,
  type LineDifference,
  lineDifference,
} from '../restore/diff/index.js';
import { TardisError, usageError } from '../errors/index.js';
import { displayName, displayText, EntryType } from '../model/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { showsColors, styled } from './output/colors.js';
import {
  contextDiff,
  type DiffLine,
  type DiffStyle,
  sideBySideDiff,
  terminalText,
  unifiedDiff,
  wholeDiff,
} from './tardiff/diff-text.js';
import { openHistory } from './opening/history.js';
import { statusIsAnswer } from './output/exit-status.js';
import { print, printBytes } from './output/output.js';
import {
  aspectsText,
  jsonDifference,
  jsonNotCompared,
  kindOf,
  typeWord,
} from './shared/report-differences.js';
import { interruptSignal } from './shared/signals.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import {
  chooseVersions,
  comparedPaths,
  type DiffSettings,
  headerOf,
  type Versions,
} from './tardiff/sides.js';
import { formatBytes } from './output/units.js';
import { complain } from './output/command-names.js';

const SAME = 0;
const DIFFERENT = 1;
const FAILED = 2;
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

async function compare(settings: DiffSettings): Promise<number> {
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

/** Throws USAGE for formats that exclude each other. */
function checkUsage(settings: DiffSettings): void {
  const { unifiedLines, contextLines, ndiff, sideBySide, listOnly } = settings;
  const styles = [unifiedLines !== undefined, contextLines !== undefined, ndiff, sideBySide];
  if ([...styles, listOnly].filter(Boolean).length > 1) {
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
  using contents = new Contents(system, history, settings.compareContents);
  const report = new DiffReport(settings, versions, contents, warn);
  const request = {
    system,
    before: versions.before.side,
    after: versions.after.side,
    contents,
    paths: await comparedPaths(versions, settings),
    recurse: settings.recurseInto,
    entersOnly: settings.newFile && settings.recurseInto,
    metadata: settings.metadata,
    signal: interruptSignal('tardiff', 'what was found so far is reported'),
  };
  for await (const compared of compareTrees(request)) await report.add(compared);
  return report.status;
}

class DiffReport {
  status = SAME;
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
      this.status = FAILED;
      if (this.settings.json) print(jsonNotCompared(compared));
      else this.warn(`${compared.error.message} [${compared.error.code}]`);
      return;
    }
    if (this.status === SAME) this.status = DIFFERENT;
    try {
      const lines = await this.linesOf(compared);
      if (this.settings.json) this.printJson(compared, lines);
      else this.printText(compared, lines);
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
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
    const compared = { from: before.set?.set, to: after.set?.set };
    if (lines === undefined) print(jsonDifference(difference, compared));
    else if ('why' in lines)
      print(jsonDifference(difference, { ...compared, notShown: lines.why }));
    else {
      const hunks = lines.hunks.map((hunk) => ({ ...hunk, lines: hunk.lines.map(jsonLine) }));
      print(jsonDifference(difference, { ...compared, hunks }));
    }
  }

  private printText(difference: Difference, lines: LineDifference | undefined): void {
    const { path, before, after, aspects } = difference;
    const shown = displayName(path);
    const { before: one, after: other } = this.versions;
    const kind = kindOf(difference);
    if (lines !== undefined && 'hunks' in lines) {
      const names = {
        before: headerOf(before, (before ?? after)!, one),
        after: headerOf(after, (before ?? after)!, other),
      };
      for (const line of this.diffLines(lines.hunks, names)) this.printLine(line);
    } else if (kind === 'removed') this.printIn('gone', `Only ${one.where}: ${shown}`);
    else if (kind === 'added') this.printIn('new', `Only ${other.where}: ${shown}`);
    else if (aspects.includes('type')) {
      const types = `a ${typeWord(before!)} ${one.where}, a ${typeWord(after!)} ${other.where}`;
      this.printIn('changed', `${shown}: ${types}`);
    } else if (aspects.includes('content')) {
      const sizes = `${formatBytes(before!.entry.sizeBytes)} → ${formatBytes(after!.entry.sizeBytes)}`;
      const what = lines === undefined ? '' : ` (${lines.why})`;
      this.printIn('changed', `Files differ: ${shown}${what}: ${sizes}`);
    }
    const rest = aspectsText(difference, (aspect) => aspect !== 'content' && aspect !== 'type');
    if (rest !== '') this.printIn('changed', `${shown}: ${rest}`);
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

/** Returns a line of a diff for JSON: text, and also bytes if the line is not UTF-8. */
function jsonLine(latin1: string): { text: string; bytes?: string } {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? { text } : { text, bytes: bytes.toString('base64') };
}

const command = toolCommand({
  tool: 'tardiff',
  run: compare,
});
statusIsAnswer(FAILED);
export default runTool(command);
