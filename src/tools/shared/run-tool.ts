/**
 * Code shared by all commands: parses the command line by the table of settings, prints errors, and sets the exit
 * status. A command gets its settings and returns its exit status (or nothing for 0). For a user's error one line
 * and advice are printed; for a bug also its stack.
 */
import { type Command, CommanderError, Option } from 'commander';
import {
  expandArguments,
  explain,
  formatValue,
  headingOf,
  isBucket,
  isSetAbove,
  refuseAbsent,
  resolveSettings,
  rowsOf,
  type SettingName,
  type SettingRow,
  type Settings,
  type Sourced,
  type Tool,
  TOOLS,
  USER_TOOLS,
} from '../../config/index.js';
import { asTardisError, type ErrorCode, TardisError, toWire } from '../../errors/index.js';
import { displayName, displayText } from '../../model/index.js';
import {
  isThere,
  keepBlocksSmall,
  onExposedSecret,
  onLongWait,
  processArguments,
  processEnvironment,
  programVersion,
} from '../../system/index.js';
import { jsonText, printJson } from '../output/json-text.js';
import { endStatus, failedStatus, outputIsReport, print, printReport } from '../output/output.js';
import {
  complain,
  frontCommand,
  helpInFrontWords,
  inFrontWords,
  messageLine,
} from '../output/front.js';
import { printAbove } from '../output/progress-line.js';
import { formatTable } from '../output/units.js';
import { helpLayout, isShortened, listAll, listInAll } from './help-layout.js';
import { FIND_ARGUMENTS, helpOf, helpText, shortExamples, shortHelpText } from './help.js';
import { inOurWords } from './neophytos.js';
import { takeAttached, takeNumbers, ToolCommand } from './option-words.js';
import { endingSignals, keepHangupIgnored } from './signals.js';

export { outputTaken, print, printReport, stdoutIsData } from '../output/output.js';

export const VERSION = programVersion();

export interface ToolSpec<T extends Tool> {
  readonly tool: T;
  /** True if the command does more than print. Its work then continues when the output is closed. */
  readonly isWork?: boolean;
  /** Runs the tool. Resolves with the exit status, or with nothing for 0. */
  run(settings: Settings<T>): Promise<number | void>;
}

/**
 * Returns the command of a tool. Its options and arguments come from the table of settings, its texts and examples from
 * the help.
 */
export function toolCommand<T extends Tool>(spec: ToolSpec<T>): Command {
  const { tool } = spec;
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
  command.addHelpText('after', () => (isShortened(command) ? shortHelpText(tool) : helpText(tool)));
  return command.action(async () => {
    const settings = resolveSettings(tool, {
      commandLine: givenTo(tool, command),
      environment: processEnvironment(),
    });
    if (isSecretShown(tool, settings)) process.title = command.name(); // hides the arguments from `ps` from now on
    const isOn = (name: SettingName): boolean => settings.sources.get(name)?.value === true;
    if (isOn('explainConfig')) printExplained(tool, settings, isOn('json'));
    else {
      requireProc();
      if (spec.isWork === true) outputIsReport();
      process.exitCode = endStatus((await runExplained(spec, settings)) ?? 0);
    }
  });
}

/**
 * Runs the command. If an internal error is explained by wrong values in the catalog, throws CATALOG_DAMAGED instead. An error
 * of a store that nobody has named gets a hint.
 */
async function runExplained<T extends Tool>(
  spec: ToolSpec<T>,
  settings: Settings<T>,
): Promise<number | void> {
  try {
    const entered = await withStore(spec.tool, settings);
    try {
      return await spec.run(await withOnlyClient(spec.tool, entered));
    } finally {
      if (entered !== settings) await leaveBucket();
    }
  } catch (error) {
    const { code, message, context } = asTardisError(error);
    if (code === 'NO_SUCH_CLIENT' && isPlaceNamed(spec.tool, settings) && isStoreHere(settings)) {
      const { itsClients } = await import('../opening/local-store.js');
      const place = settings as unknown as Parameters<typeof itsClients>[0];
      throw new TardisError(code, message + itsClients(place), context, error);
    }
    if (code !== 'INTERNAL') {
      if (!OF_USUAL_STORE.includes(code) || isPlaceNamed(spec.tool, settings)) throw error;
      const hint = 'no store was named: give -D or --server, or set up backups by `tardis setup`';
      throw new TardisError(code, `${message}; ${hint}`, context, error);
    }
    const { explainBug } = await import('../opening/explain-bug.js'); // loaded only after a bug
    throw explainBug(error, settings);
  }
}

/** Errors of a store that is not there, or is that of the server of this machine. */
const OF_USUAL_STORE: readonly ErrorCode[] = [
  'NO_SUCH_STORE',
  'NO_SUCH_CLIENT',
  'STORE_NOT_READABLE',
];

/** True if a setting names the store, or the server, or if the command has a store of its own. */
function isPlaceNamed(tool: Tool, { sources }: Sourced): boolean {
  const places = (['database', 'server', 'throughServer'] as const).map((name) =>
    sources.get(name),
  );
  const isNamed = places.some((place) => (place?.source ?? 'built-in') !== 'built-in');
  return isNamed || tool === 'tardisd' || tool === 'tardisremote';
}

/**
 * Returns the settings. If the store is a bucket, prepares the bucket, and replaces it in the settings by its local
 * directory.
 */
async function withStore<T extends Tool>(tool: T, settings: Settings<T>): Promise<Settings<T>> {
  if (ENTERING.includes(tool) || !isBucket(settings.sources.get('database'))) return settings;
  const { enterBucket } = await import('../opening/bucket.js'); // most stores are directories
  const chosen = settings as unknown as Parameters<typeof enterBucket>[1];
  return { ...settings, database: await enterBucket(tool, chosen) };
}

/** Commands that read or change a client that exists. */
const OF_A_CLIENT: readonly Tool[] = USER_TOOLS.filter(
  (tool) => tool !== 'sonic create' && tool !== 'sonic setup',
);

/**
 * Returns the settings, with the only client of a store on this machine if nothing names a client and the store has none
 * with the name of this machine.
 */
async function withOnlyClient<T extends Tool>(
  tool: T,
  settings: Settings<T>,
): Promise<Settings<T>> {
  const isNamed = settings.sources.get('client')?.source !== 'built-in';
  if (isNamed || !isStoreHere(settings) || !OF_A_CLIENT.includes(tool)) return settings;
  const { onlyClient } = await import('../opening/local-store.js');
  const client = onlyClient(settings as unknown as Settings<'sonic list'>);
  return client === undefined ? settings : { ...settings, client };
}

/**
 * Commands that do not prepare a bucket at their start. They do not use it as a store, or they prepare it later as
 * another user.
 */
const ENTERING: readonly Tool[] = [
  'sonic bucket',
  'sonic setup',
  'sonic status',
  'tardisd',
  'tardisremote',
];

async function leaveBucket(): Promise<void> {
  const { closeSharedStores } = await import('../../store/index.js');
  await closeSharedStores();
}

/** True if the command uses a store in a directory of this machine, not a server and not a bucket. */
function isStoreHere(settings: Sourced): boolean {
  const place = settings as unknown as Settings<'sonic list'> &
    Settings<'lstardis'> & { readonly local?: boolean };
  if (isBucket(settings.sources.get('database'))) return false;
  const isServed =
    place.local === undefined ? isSetAbove(place, 'server', 'database') : !place.local;
  return place.throughServer === undefined && !isServed;
}

/** True if the command line, which every user of the machine can see, contains a secret. */
function isSecretShown(tool: Tool, { sources }: Sourced): boolean {
  return rowsOf(tool).some(([name, row]) => {
    const given = row.isSecret === true ? sources.get(name) : undefined;
    return given?.source === 'command line' && given.value !== '';
  });
}

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

function printExplained(tool: Tool, settings: Sourced, asJson: boolean): void {
  const rows = explain(tool, settings);
  if (asJson) {
    const settings = rows.map(({ name, value, source, where }) => ({ name, value, source, where }));
    printJson({ tool, settings });
    return;
  }
  const shown = rows.map(({ name, shown: text, source, where }) => [
    name,
    text ?? '(not set)',
    where === '' ? source : `${source}: ${where}`,
  ]);
  print(formatTable(shown, []));
}

/**
 * Runs a command to its end and sets the exit status of the process. `translate` changes the words of the command line
 * first. If it answers them itself, it throws the CommanderError of help.
 */
export async function runTool(
  command: Command,
  translate: (words: string[]) => string[] = (words) => words,
): Promise<void> {
  let printsJson = false;
  let words: string[] = [];
  keepHangupIgnored();
  keepBlocksSmall();
  onExposedSecret((text) => printAbove(messageLine(command.name(), `warning: ${text}`)));
  onLongWait((text) => printAbove(messageLine(command.name(), text)));
  const done = reportUnfinished((error) => {
    process.exitCode = printError(command.name(), error, printsJson);
  });
  configureOutput(command);
  try {
    words = expandArguments(processArguments());
    printsJson = words.includes('--json');
    words = translate(words);
    requireNode();
    requireHelpThere(command, words);
    await command.parseAsync(words, { from: 'user' });
  } catch (error) {
    const isUnknown = error instanceof CommanderError && error.code === 'commander.unknownOption';
    const meant = isUnknown ? inOurWords(command.name(), words) : undefined;
    const failure =
      meant === undefined ? inKnownTerms(error, command, words) : new TardisError('USAGE', meant);
    process.exitCode = printError(command.name(), failure, printsJson);
  }
  done();
}

/**
 * Throws commander's error if help for an unknown command is requested, since commander would show the general help.
 */
function requireHelpThere(command: Command, [first, commandName]: readonly string[]): void {
  if (first !== 'help' || commandName === undefined || command.commands.length === 0) return;
  if (command.commands.some((sub) => sub.name() === commandName) || /^(help$|-)/.test(commandName))
    return;
  throw new CommanderError(
    1,
    'commander.unknownCommand',
    `error: unknown command '${commandName}'`,
  );
}

/** Sets the output of a command and its sub-commands, which do not inherit it. */
function configureOutput(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: () => undefined,
    writeOut: (text) => process.stdout.write(helpInFrontWords(text)),
  });
  for (const sub of command.commands) configureOutput(sub);
}

/**
 * Returns the error that a command reports: CAPABILITY_MISSING for an option of a predecessor that this command
 * rejects, USAGE for a value of an option that takes none, or for a word if the command takes only options. Other errors
 * stay as they are.
 */
function inKnownTerms(error: unknown, command: Command, words: readonly string[]): unknown {
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
  return equals === '=' && isFlag ? new TardisError('USAGE', `${option} takes no value`) : error;
}

/** Returns the error for a word that no option takes. The word may be a secret, so it is not shown. */
function onlyOptions(tool: Tool): TardisError {
  const own = rowsOf(tool)
    .map(([, row]) => row)
    .find(({ tools, flags }) => tools.length === 1 && flags?.endsWith('>') === true);
  const such = [own?.flags, '-D <dir>'].filter((flags) => flags !== undefined).join(' or ');
  const name = tool.split(' ').at(-1)!;
  return new TardisError(
    'USAGE',
    `"${name}" takes only options, such as ${such}, and no other word`,
  );
}

/**
 * Returns the TardisError for an error of commander: CAPABILITY_MISSING for a rejected command of a predecessor,
 * otherwise USAGE.
 */
function usageError(name: string, error: CommanderError): TardisError {
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
  return new TardisError('USAGE', text);
}

/** Prints an error and returns its exit status. */
export function printError(name: string, error: unknown, printsJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // help or the version was printed
    if (error.code === 'commander.help') return failedStatus(1); // help was printed, since no command was given
    return printError(name, usageError(name, error), printsJson);
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
  const shown = displayName(Buffer.from(failure.message));
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

const INTERRUPTED_STATUS = 130;

/**
 * Returns a signal that aborts at the first SIGINT, SIGTERM or SIGHUP. (SIGHUP is sent when the terminal is closed; if
 * it was ignored at the start, it stays ignored.) The command then ends in order, and the phrase `then` is printed,
 * which describes the result. A second signal ends the process at once.
 */
export function interruptSignal(name: string, then: string): AbortSignal {
  const controller = new AbortController();
  for (const signal of endingSignals('SIGINT', 'SIGTERM')) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(INTERRUPTED_STATUS);
      printAbove(messageLine(name, `stopping cleanly (interrupt again to stop at once); ${then}`));
      controller.abort();
    });
  }
  return controller.signal;
}

/**
 * Throws PROC_MISSING if /proc is not mounted. Stores and restores open files through their directories' descriptors
 * there; without it every file of a store would look missing.
 */
function requireProc(): void {
  if (isThere('/proc/self/fd')) return;
  throw new TardisError('PROC_MISSING', '/proc is not mounted');
}

/**
 * Calls `report` if the process ends while its work still waits for an event. Otherwise Node.js would end the process
 * without a message. Returns a function to call when the work is done.
 */
export function reportUnfinished(report: (error: TardisError) => void): () => void {
  let isDone = false;
  process.once('exit', () => {
    if (isDone || process.exitCode !== undefined) return;
    report(new TardisError('INTERNAL', 'the command ended before its work was done'));
  });
  return () => {
    isDone = true;
  };
}

/**
 * Smallest minor version of each supported major version, as in `engines` of package.json. All major versions from
 * LEAST_NEWER on are supported.
 */
const LEAST_MINOR: ReadonlyMap<number, number> = new Map([
  [22, 20],
  [24, 12],
]);
const LEAST_NEWER = 26;

/**
 * Throws NODE_NOT_SUPPORTED for a version that is not supported. With such a version SQLite's addon would end the
 * process without a message.
 */
export function requireNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const leastMinor = LEAST_MINOR.get(major);
  const fits = leastMinor === undefined ? major >= LEAST_NEWER : minor >= leastMinor;
  if (fits) return;
  const what = `this is Node.js ${version}, and 22.20, 24.12, 26 or later is needed`;
  throw new TardisError('NODE_NOT_SUPPORTED', what);
}
