/**
 * Declares the command of a tool: its options and arguments come from the table of settings, its texts and examples from
 * the help.
 */
import { type Command, Option } from 'commander';
import { formatValue, headingOf, rowsOf, type SettingRow, type Tool } from '../../config/index.js';
import { programVersion } from '../../system/index.js';
import { frontCommand } from '../output/command-names.js';
import { helpLayout, isShortened, listAll, listInAll } from './help-layout.js';
import { FIND_ARGUMENTS, helpOf, helpText, shortExamples, shortHelpText } from './help.js';
import { takeAttached, takeNumbers, ToolCommand } from './option-words.js';

export const VERSION = programVersion();

/** Sets the name, the version and the help of a command, in the way that all commands share. */
export function describeTool(command: Command, name: string, summary: string): Command {
  return command
    .name(name)
    .summary(summary)
    .description(asSentence(summary))
    .version(`${name} ${VERSION}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureHelp(helpLayout(command))
    .showHelpAfterError(false)
    .exitOverride();
}

/** Returns a summary as a sentence: those of sub-commands have no capital and no full stop. */
function asSentence(summary: string): string {
  const text = summary.charAt(0).toUpperCase() + summary.slice(1);
  return text.endsWith('.') ? text : `${text}.`;
}

/** Returns the command of a tool, without its action. */
export function declareTool(tool: Tool): Command {
  const command = describeTool(new ToolCommand(), tool.split(' ').at(-1)!, helpOf(tool).summary)
    .addOption(new Option('--help-all', 'print the help with all options'))
    .on('option:help-all', () => {
      listAll(command);
      command.help();
    });
  for (const [name, row] of rowsOf(tool)) {
    if (row.argument !== undefined) addArgument(command, tool, row);
    if (row.flags !== undefined) addFlags(command, tool, name, row);
  }
  return command.addHelpText('after', () =>
    isShortened(command) ? shortHelpText(tool) : helpText(tool),
  );
}

/** Adds the arguments that are not options. Help shows them in the form of `shownArguments`. */
function addArgument(command: Command, tool: Tool, row: SettingRow): void {
  const isFind = frontCommand() === 'find';
  const argument = command.createArgument(row.argument!, isFind ? FIND_ARGUMENTS : describe(row));
  const shown = isFind ? '<pattern> [path...]' : row.shownArguments?.[tool];
  if (shown !== undefined) {
    argument.name = () => shown;
    command.usage(`[options] ${shown}`);
  }
  command.addArgument(argument);
}

/** Adds an option that collects its values as texts; the table of settings parses them later. */
function addFlags(command: Command, tool: Tool, name: string, row: SettingRow): void {
  const isFlag = row.type === 'bool' || row.type === 'count';
  const option = new Option(row.flags!.replace('[=', ' ['), describe(row));
  if (row.preset !== undefined) option.preset(row.preset);
  if (row.preset !== undefined && row.choices !== undefined) option.choices(row.choices);
  if (row.preset !== undefined && row.isNumberOrNothing === true) takeNumbers(option);
  if (row.isSecret === true) takeAttached(option);
  option.flags = row.flags!;
  option.attributeName = () => name;
  option.helpGroup(isOwn(tool, row) ? 'Options:' : headingOf(name));
  const isOfListing = frontCommand() === 'find' && NOT_OF_FIND.includes(name);
  if (row.isUnlisted === true || isOfListing) option.hideHelp();
  if (!isCommon(tool, row)) listInAll(option);
  if (row.type === 'count') option.argParser((_text, before?: number) => (before ?? 0) + 1);
  if (!isFlag) option.argParser((text, before?: string[]) => [...(before ?? []), text]);
  command.addOption(option);
  if (row.negatable !== true) return;
  const word = row.flags!.replace(/^.*--/, '');
  const negative = new Option(`--no${word}, --no-${word}`);
  negative.attributeName = () => name;
  command.addOption(negative.hideHelp()); // hidden, since the positive option shows it
}

/** Options of lstardis that `tardis find` does not list: the command gives them, or they have no effect in a search. */
const NOT_OF_FIND = ['findPattern', 'recurseListing', 'listingDepth', 'directoryItself', 'globs'];

/** True if the option is why this command of `sonic` is there. */
function isOwn(tool: Tool, row: SettingRow): boolean {
  return tool.startsWith('sonic ') && row.tools.length === 1;
}

/** True if --help lists the option: most people need it, or an example below it has it. */
function isCommon(tool: Tool, row: SettingRow): boolean {
  if (row.isCommon === true || isOwn(tool, row)) return true;
  const flags = row.flags?.match(/(?<![\w-])--?[a-z][\w-]*/gi) ?? [];
  const forms = [
    ...flags,
    ...(row.negatable === true ? flags.map((one) => `--no-${one.slice(2)}`) : []),
  ];
  return shortExamples(tool).some(([line]) =>
    line.split(/[ =]/).some((word) => forms.includes(word)),
  );
}

/** Returns `description (default: …; TARDIS_…)`, without a note for which the row has nothing. */
function describe(row: SettingRow): string {
  const { default: given, defaultText, variable } = row;
  const notes: string[] = [];
  if (defaultText !== undefined) notes.push(`default: ${defaultText}`);
  else if (
    given !== undefined &&
    typeof given !== 'function' &&
    row.type !== 'count' &&
    hasShownDefault(given)
  ) {
    const value = typeof given === 'object' ? given.join(' ') : formatValue(given, row);
    notes.push(`default: ${value}`);
  }
  if (variable !== undefined) notes.push(variable);
  return notes.length === 0 ? row.help : `${row.help} (${notes.join('; ')})`;
}

function hasShownDefault(given: string | number | boolean | readonly string[]): boolean {
  return given !== false && given !== '' && !(typeof given === 'object' && given.length === 0);
}

/** Returns the values from the command line, as texts by the names of their rows. */
export function givenTo(tool: Tool, command: Command): Map<string, string[]> {
  const given = new Map<string, string[]>();
  for (const [name, row] of rowsOf(tool)) {
    if (row.argument !== undefined) {
      if (command.args.length > 0) given.set(name, command.args);
      continue;
    }
    const value: unknown = command.getOptionValue(name);
    if (command.getOptionValueSource(name) !== 'cli') continue;
    given.set(name, Array.isArray(value) ? value.map(String) : [String(value)]);
  }
  return given;
}
