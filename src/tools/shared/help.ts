/**
 * Help of each command. --help and the man pages are generated from it and from the table of settings. A test parses
 * every example.
 */
import type { Tool } from '../../config/index.js';
import { COMMANDS_HELP, READERS_HELP } from './help-commands.js';
import { frontCommand } from '../output/command-names.js';
import { D, folded, shownExamples, type ToolHelp, withNames } from './help-rows.js';
import { statusNote } from './help-statuses.js';
import { KEYS_HELP, SETS_HELP } from './help-sonic.js';

export const HELP: Readonly<Record<Tool, ToolHelp>> = withNames({
  ...COMMANDS_HELP,
  ...READERS_HELP,
  ...KEYS_HELP,
  ...SETS_HELP,
});

/** The help of `tardis find`, which is another use of lstardis. */
const FIND_HELP: ToolHelp = {
  summary: 'Find files by name in all sets, deleted or not.',
  about: [
    'Without a path, all directories are searched. The newest version of each file comes first.',
  ],
  examples: {
    [`lstardis ${D} --find 'letter*.txt'`]: 'finds all files whose names match a pattern',
    [`lstardis ${D} --find report.odt ~/Documents`]: 'searches only one directory',
    [`lstardis ${D} --find report.odt -V last`]: 'lists only the newest version of each file',
  },
};

/** Description of the arguments of `tardis find`. */
export const FIND_ARGUMENTS =
  'a pattern of names (*, ?, [a-z]), or a word that they contain; with a slash, it is matched against the end of the path. Then directories to search (default: all)';

/** Returns the help of a command, by the name under which it was started. */
export function helpOf(tool: Tool): ToolHelp {
  return tool === 'lstardis' && frontCommand() === 'find' ? FIND_HELP : HELP[tool];
}

/** Summary of `sonic` itself. */
export const SONIC_SUMMARY = 'Administer a store of Tardis.';

/** Most examples of a help that lists only some options. */
const FEW_EXAMPLES = 5;

/** Returns the examples of a help that lists only some options. */
export function shortExamples(tool: Tool): [line: string, what: string][] {
  return Object.entries(helpOf(tool).examples).slice(0, FEW_EXAMPLES);
}

/** Returns the text below the options that most people need. */
export function shortHelpText(tool: Tool): string {
  return `\nExamples:\n${shownExamples(shortExamples(tool))}\n\n\`${tool} --help-all\` prints all options.`;
}

/** Returns the text below all options. */
export function helpText(tool: Tool): string {
  const { about = [], examples, notes = [] } = helpOf(tool);
  const parts = [
    ...about.map(folded),
    `Examples:\n${shownExamples(Object.entries(examples))}`,
    ...[...notes, statusNote(tool)].map(folded),
  ];
  return `\n${parts.join('\n\n')}`;
}

/** Commands of `sonic` that most people use. */
const OFTEN: readonly Tool[] = ['sonic check', 'sonic purge', 'sonic copy', 'sonic keys'];

/** Returns the text below the commands in `sonic --help`: an example of some. */
export function sonicHelpText(): string {
  const examples = OFTEN.map((tool) => Object.entries(HELP[tool].examples)[0]!);
  return `\nExamples:\n${shownExamples(examples)}\n\n\`sonic COMMAND --help\` prints the options and examples of a command.`;
}
