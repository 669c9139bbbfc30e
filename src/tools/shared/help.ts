/**
 * Help of each command. --help and the man pages are generated from it and from the table of settings. A test parses
 * every example.
 */
import type { Tool } from '../../config/index.js';
import { COMMANDS_HELP, READERS_HELP } from './help-commands.js';
import type { ToolHelp } from './help-rows.js';
import { statusNote } from './help-statuses.js';
import { KEYS_HELP, SETS_HELP } from './help-sonic.js';

export const HELP: Readonly<Record<Tool, ToolHelp>> = {
  ...COMMANDS_HELP,
  ...READERS_HELP,
  ...KEYS_HELP,
  ...SETS_HELP,
};

/** Summary of `sonic` itself. */
export const SONIC_SUMMARY = 'Administers a tardis store.';

const WIDTH = 100;
const EXAMPLE_INDENT = 6;

/** Returns the text below the options in --help. */
export function helpText(tool: Tool): string {
  const { about = [], examples, notes = [] } = HELP[tool];
  const shown = Object.entries(examples).map(
    ([line, what]) => `  ${line}\n${' '.repeat(EXAMPLE_INDENT)}${what}`,
  );
  const parts = [
    ...about.map(folded),
    `Examples:\n${shown.join('\n')}`,
    ...[...notes, statusNote(tool)].map(folded),
  ];
  return `\n${parts.join('\n\n')}`;
}

/** Returns the text below the options in `sonic --help`: the first example of each sub-command. */
export function sonicHelpText(): string {
  const lines = Object.entries(HELP)
    .filter(([tool]) => tool.startsWith('sonic '))
    .map(([, { examples }]) => `  ${Object.keys(examples)[0]!}`);
  return `\nExamples:\n${lines.join('\n')}\n\n\`sonic COMMAND --help\` prints the options and examples of a command.`;
}

/** Returns the text wrapped between words. */
function folded(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
