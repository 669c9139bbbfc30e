/** The parts of the help of a command. */
import type { Tool } from '../../config/index.js';

export interface ToolHelp {
  /** Summary of the command in one sentence. The summary of a sub-command has no capital and no full stop. */
  readonly summary: string;
  /** Paragraphs before the examples. */
  readonly about?: readonly string[];
  /** Command lines, each with a description without a full stop. Tables leave out the name of the command. */
  readonly examples: Readonly<Record<string, string>>;
  /** Paragraphs after the examples. */
  readonly notes?: readonly string[];
}

/** Returns the help of a table of commands, with the name of each before the words of its examples. */
export function withNames(table: Readonly<Record<Tool, ToolHelp>>): Record<Tool, ToolHelp> {
  const named = Object.entries(table).map(([tool, help]) => {
    const examples = Object.entries(help.examples).map(([words, what]) => [
      `${tool} ${words}`.trimEnd(),
      what,
    ]);
    return [tool, { ...help, examples: Object.fromEntries(examples) }];
  });
  return Object.fromEntries(named) as Record<Tool, ToolHelp>;
}

/** Note on the rules of retention, for the commands that have them. */
export const KEEP_NOTE =
  'For scheduled purges, and for accounts without the right `purge`, the rules are stricter, so that many new sets cannot push out old ones: the oldest set of each period is kept, and --keep-last counts at most one set a day.';

/** Note on --server and --database, for the commands that read either. */
export const SERVER_NOTE =
  'If both --server and --database are set, the source of higher precedence decides: the command line, then configuration files, then environment variables, then /etc/tardis/system.defaults. If both come from the same source, --database is used.';

export const D = '-D /srv/tardis';
export const AT = `${D} -C laptop`;

const WIDTH = 100;
const EXAMPLE_INDENT = 6;

/** Returns the lines of examples: each command, and below it what it does. */
export function shownExamples(
  examples: readonly (readonly [line: string, what: string])[],
): string {
  return examples
    .map(([line, what]) => `  ${line}\n${' '.repeat(EXAMPLE_INDENT)}${what}`)
    .join('\n');
}

/** Returns the text wrapped between words. */
export function folded(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
