/** Errors of commands: in the terms of our table, and with one line and advice, or with the stack of a bug. */
import { type Command, CommanderError } from 'commander';
import { refuseAbsent, rowsOf, type Tool, TOOLS } from '../../config/index.js';
import { asTardisError, type TardisError, toWire, usageError } from '../../errors/index.js';
import { displayLine, displayText } from '../../model/index.js';
import { complain, inFrontWords } from '../output/command-names.js';
import { failedStatus } from '../output/exit-status.js';
import { jsonText, printReport } from '../output/output.js';

/**
 * Throws commander's error if help for an unknown command is requested, since commander would show the general help.
 */
export function requireHelpThere(command: Command, [first, commandName]: readonly string[]): void {
  if (first !== 'help' || commandName === undefined || command.commands.length === 0) return;
  if (command.commands.some((sub) => sub.name() === commandName) || /^(help$|-)/.test(commandName))
    return;
  throw new CommanderError(
    1,
    'commander.unknownCommand',
    `error: unknown command '${commandName}'`,
  );
}

/**
 * Returns the error that a command reports: CAPABILITY_MISSING for an option of a predecessor that this command
 * rejects, USAGE for a value of an option that takes none, or for a word if the command takes only options. Other errors
 * stay as they are.
 */
export function inKnownTerms(error: unknown, command: Command, words: readonly string[]): unknown {
  if (!(error instanceof CommanderError)) return error;
  const isExcess = error.code === 'commander.excessArguments';
  const [, option, equals] = /unknown option '([^'=]+)(=?)/.exec(error.message) ?? [];
  if (!isExcess && (error.code !== 'commander.unknownOption' || option === undefined)) return error;
  const subs = new Map(command.commands.map((one) => [one.name(), one]));
  const sub = subs.get(words.find((word) => subs.has(word)) ?? '');
  const toolName = sub === undefined ? command.name() : `${command.name()} ${sub.name()}`;
  const tool = TOOLS.find((one) => one === toolName);
  if (option === undefined) return tool === undefined ? error : onlyOptions(tool);
  try {
    refuseAbsent('option', option, 'command line', tool);
  } catch (refusal) {
    return refusal;
  }
  const { options } = sub ?? command;
  const isFlag = options.some(({ long, short }) => long === option || short === option);
  return equals === '=' && isFlag ? usageError(`${option} takes no value`) : error;
}

/** Returns the error for a word that no option takes. The word may be a secret, so it is not shown. */
function onlyOptions(tool: Tool): TardisError {
  const own = rowsOf(tool)
    .map(([, row]) => row)
    .find(({ tools, flags }) => tools.length === 1 && flags?.endsWith('>') === true);
  const such = [own?.flags, '-D <dir>'].filter((flags) => flags !== undefined).join(' or ');
  const name = tool.split(' ').at(-1)!;
  return usageError(`"${name}" takes only options, such as ${such}, and no other word`);
}

/**
 * Returns the TardisError for an error of commander: CAPABILITY_MISSING for a rejected command of a predecessor,
 * otherwise USAGE.
 */
function inOurTerms(name: string, error: CommanderError): TardisError {
  // If the option is mistyped, the text after it may be a secret, so it is removed.
  const text = error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/('-[^'=]*)=[^']*'/, "$1'")
    .replace(/(\bbut got \d+): .*$/, '$1');
  const command = /^unknown command '([^']+)/.exec(text)?.[1];
  try {
    if (command !== undefined) refuseAbsent('command', `${name} ${command}`, 'command line');
  } catch (refusal) {
    return asTardisError(refusal);
  }
  return usageError(text);
}

/** Prints an error and returns its exit status. */
export function printError(name: string, error: unknown, printsJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // help or the version was printed
    if (error.code === 'commander.help') return failedStatus(1); // help was printed, since no command was given
    return printError(name, inOurTerms(name, error), printsJson);
  }
  const failure = asTardisError(error);
  const { kind, exitStatus, guidance } = failure.row;
  if (printsJson) {
    const { code, message, context } = toWire(failure);
    const advice = inFrontWords(guidance);
    printReport(jsonText({ error: { code, message, context, guidance: advice } }));
    return failedStatus(exitStatus);
  }
  // A message may contain text of a peer or a store, which must not control the terminal.
  const shown = displayLine(failure.message);
  complain(name, `${shown} [${failure.code}]`);
  complain(name, guidance);
  if (kind === 'bug') {
    const original = failure.cause instanceof Error ? failure.cause : failure;
    const stack = failure.context['stack'];
    const written = typeof stack === 'string' ? stack : (original.stack ?? '');
    process.stderr.write(`${displayText(written)}\n`);
  }
  return failedStatus(exitStatus);
}
