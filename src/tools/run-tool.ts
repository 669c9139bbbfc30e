/**
 * What all commands share: the command line made from the table of settings, telling errors, exit
 * status. A command gets its settings and returns its exit status (or nothing for 0). A user's error is
 * one line and what to do; a bug shows its stack.
 */
import { Command, CommanderError, Option } from 'commander';
import {
  explain,
  expandArguments,
  type Found,
  formatValue,
  headingOf,
  refuseAbsent,
  type Resolved,
  resolveSettings,
  type SettingRow,
  rowsOf,
  type SettingName,
  type Settings,
  type Tool,
} from '../config/index.js';
import { asTardisError, TardisError, toWire } from '../errors/index.js';
import { displayName, displayText } from '../model/index.js';
import { processArguments, processEnvironment } from '../system/index.js';
import { HELP, helpText } from './help.js';
import { inOurWords } from './neophytos.js';
import { failedStatus, outputIsReport, print, say } from './output.js';
import { sayAbove } from './progress-line.js';
import { formatTable } from './units.js';

export { print, say, stdoutIsData } from './output.js';

export const VERSION = '0.1.0';
/** Version of everything printed with --json. */
export const JSON_VERSION = 1;

export interface ToolSpec<T extends Tool> {
  readonly tool: T;
  /** It does more than to print: that goes on when nobody reads any more. */
  readonly isWork?: boolean;
  /** Returns the exit status; nothing for 0. */
  run(settings: Settings<T>, found: ReadonlyMap<string, Found>): Promise<number | void>;
}

/** The command of a tool: options and arguments from the table of settings, words and examples from that of help. */
export function toolCommand<T extends Tool>(spec: ToolSpec<T>): Command {
  const { tool } = spec;
  const command = describeTool(new Command(), tool.split(' ').at(-1)!, HELP[tool].summary);
  for (const [name, row] of rowsOf(tool)) {
    if (row.argument !== undefined) command.argument(row.argument, helpOf(row));
    if (row.flags !== undefined) addFlags(command, name, row);
  }
  command.addHelpText('after', helpText(HELP[tool]));
  return command.action(async () => {
    const resolved = resolveSettings(tool, {
      commandLine: givenTo(tool, command),
      environment: processEnvironment(),
    });
    if (isSecretShown(tool, resolved)) process.title = command.name(); // what `ps` shows, from now on
    const isOn = (name: SettingName): boolean => resolved.found.get(name)?.value === true;
    if (isOn('explainConfig')) printExplained(tool, resolved, isOn('json'));
    else {
      if (spec.isWork === true) outputIsReport();
      process.exitCode = (await spec.run(resolved.settings, resolved.found)) ?? 0;
    }
  });
}

/** Whether the command line, which everybody on the machine can see, holds a secret. */
function isSecretShown<T extends Tool>(tool: T, { found }: Resolved<T>): boolean {
  return rowsOf(tool).some(([name, row]) => {
    const given = row.isSecret === true ? found.get(name) : undefined;
    return given?.source === 'command line' && given.value !== '';
  });
}

/** The parts every command has in common. */
export function describeTool(command: Command, name: string, summary: string): Command {
  return command
    .name(name)
    .description(summary)
    .version(`${name} ${VERSION}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureHelp({ optionTerm: (option) => optionTerm(option, command) })
    .showHelpAfterError(false)
    .exitOverride();
}

/** Options whose value may be left out, and is a number. */
const numbered = new WeakSet<Option>();

/** Every option collects its texts; the table says later what they mean. */
function addFlags(command: Command, name: string, row: SettingRow): void {
  const isFlag = row.type === 'bool' || row.type === 'count';
  const option = new Option(row.flags!, helpOf(row));
  if (row.preset !== undefined) option.preset(row.preset);
  if (row.preset !== undefined && row.choices !== undefined) option.choices(row.choices);
  if (row.preset !== undefined && row.isNumberOrNothing === true) numbered.add(option);
  option.attributeName = () => name;
  option.helpGroup(headingOf(name));
  if (row.type === 'count') option.argParser((_text, before?: number) => (before ?? 0) + 1);
  if (!isFlag) option.argParser((text, before?: string[]) => [...(before ?? []), text]);
  command.addOption(option);
  if (row.negatable !== true) return;
  const word = row.flags!.replace(/^.*--/, '');
  const negative = new Option(`--no${word}, --no-${word}`);
  negative.attributeName = () => name;
  command.addOption(negative.hideHelp()); // the term of the positive one tells
}

/** What stands on the left in --help: `--[no]progress` for a flag that has a negative. */
function optionTerm({ flags, long }: Option, command: Command): string {
  const word = long?.slice(2) ?? '';
  const isNegatable = command.options.some((other) => other.long === `--no-${word}`);
  return isNegatable ? flags.replace(`--${word}`, `--[no]${word}`) : flags;
}

/** `what it does (default: …; TARDIS_…; key)`. */
function helpOf(row: SettingRow): string {
  const { default: given, defaultText, variable } = row;
  const notes: string[] = [];
  if (defaultText !== undefined) notes.push(`default: ${defaultText}`);
  else if (given !== undefined && typeof given !== 'function' && hasShownDefault(given)) {
    const value = typeof given === 'object' ? given.join(' ') : formatValue(given, row);
    notes.push(`default: ${value}`);
  }
  if (variable !== undefined) notes.push(variable);
  return notes.length === 0 ? row.help : `${row.help} (${notes.join('; ')})`;
}

function hasShownDefault(given: string | number | boolean | readonly string[]): boolean {
  return given !== false && given !== '' && !(typeof given === 'object' && given.length === 0);
}

/** What the command line gave, as texts by the names of the rows. */
function givenTo(tool: Tool, command: Command): Map<string, string[]> {
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

function printExplained<T extends Tool>(tool: T, resolved: Resolved<T>, asJson: boolean): void {
  const rows = explain(tool, resolved);
  if (asJson) {
    const settings = rows.map(({ name, value, source, where }) => ({ name, value, source, where }));
    print(JSON.stringify({ version: JSON_VERSION, tool, settings }));
    return;
  }
  const shown = rows.map(({ name, shown: text, source, where }) => [
    name,
    text ?? '(not set)',
    where === '' ? source : `${source}: ${where}`,
  ]);
  print(formatTable(shown, []));
}

/** Runs a command to its end and sets the exit status of the process. */
export async function runTool(command: Command): Promise<void> {
  let wantsJson = false;
  let words: string[] = [];
  configureOutput(command);
  try {
    words = expandArguments(processArguments());
    wantsJson = words.includes('--json');
    requireHelpThere(command, words);
    await command.parseAsync(withPresets(command, words), { from: 'user' });
  } catch (error) {
    const isUnknown = error instanceof CommanderError && error.code === 'commander.unknownOption';
    const meant = isUnknown ? inOurWords(command.name(), words) : undefined;
    const failure = meant === undefined ? error : new TardisError('USAGE', meant);
    process.exitCode = tellError(command.name(), failure, wantsJson);
  }
}

/** Commander shows the help of all where there is none of what was asked for. Throws what it throws for such a command. */
function requireHelpThere(command: Command, [first, asked]: readonly string[]): void {
  if (first !== 'help' || asked === undefined || command.commands.length === 0) return;
  if (command.commands.some((sub) => sub.name() === asked) || /^(help$|-)/.test(asked)) return;
  throw new CommanderError(1, 'commander.unknownCommand', `error: unknown command '${asked}'`);
}

/** An option whose value may be left out, and is one of a few or a number, takes the next word only if that is one. */
function withPresets(command: Command, words: readonly string[]): string[] {
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  return words.map((word, index) => {
    const option = command.options.find(
      ({ short, long, presetArg }) => presetArg !== undefined && (word === short || word === long),
    );
    const next = words[index + 1];
    if (option === undefined || index >= end) return word;
    if (option.argChoices === undefined && !numbered.has(option)) return word;
    const isValue = option.argChoices?.includes(next ?? '') ?? /^\d+$/.test(next ?? '');
    if (isValue) return word;
    return `${option.long}=${String(option.presetArg)}`;
  });
}

/** Sub-commands inherit nothing of this by themselves. */
function configureOutput(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const sub of command.commands) configureOutput(sub);
}

/** What commander says, as one of our errors. */
function usageError(name: string, error: CommanderError): TardisError {
  // What follows an option may be a secret, where the option is mistyped.
  const text = error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/('-[^'=]*)=[^']*'/, "$1'");
  const option = /^unknown option '([^'=]+)/.exec(text)?.[1];
  const command = /^unknown command '([^']+)/.exec(text)?.[1];
  try {
    if (option !== undefined) refuseAbsent('option', option, 'command line');
    if (command !== undefined) refuseAbsent('command', `${name} ${command}`, 'command line');
  } catch (refusal) {
    return asTardisError(refusal);
  }
  return new TardisError('USAGE', text);
}

/** Prints an error and returns its exit status. */
export function tellError(name: string, error: unknown, wantsJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // help or version was asked for
    if (error.code === 'commander.help') return failedStatus(1); // help was shown for want of a command
    return tellError(name, usageError(name, error), wantsJson);
  }
  const failure = asTardisError(error);
  const { kind, exitStatus, guidance } = failure.row;
  if (wantsJson) {
    const { code, message, context } = toWire(failure);
    say(JSON.stringify({ version: JSON_VERSION, error: { code, message, context, guidance } }));
    return failedStatus(exitStatus);
  }
  // What a peer or a store says is in it: a terminal must not obey that.
  const shown = displayName(Buffer.from(failure.message)); // one line
  process.stderr.write(`${name}: ${shown} [${failure.code}]\n`);
  process.stderr.write(`${name}: ${guidance}\n`);
  if (kind === 'bug') {
    const original = failure.cause instanceof Error ? failure.cause : failure;
    const stack = failure.context['stack'];
    const told = typeof stack === 'string' ? stack : (original.stack ?? '');
    process.stderr.write(`${displayText(told)}\n`);
  }
  return failedStatus(exitStatus);
}

const INTERRUPTED_STATUS = 130;

/**
 * A signal that aborts at the first SIGINT, SIGTERM or SIGHUP (a terminal that closes): work ends in order, and that is
 * said, with `then`: what becomes of it. The second one ends the process at once.
 */
export function interruptSignal(name: string, then: string): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(INTERRUPTED_STATUS);
      sayAbove(`${name}: ending in order (once more: at once); ${then}`);
      controller.abort();
    });
  }
  return controller.signal;
}
