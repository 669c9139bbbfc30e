/** Runs the commands of all tools: from the words of the command line to the exit status. */
import { type Command, CommanderError } from 'commander';
import {
  expandArguments,
  explain,
  resolveSettings,
  rowsOf,
  type SettingName,
  type Settings,
  type Sourced,
  type Tool,
} from '../../config/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import type { RunKind } from '../../model/index.js';
import {
  isThere,
  keepBlocksSmall,
  loadNative,
  onExposedSecret,
  onLongWait,
  processArguments,
  processEnvironment,
} from '../../system/index.js';
import { helpInFrontWords, messageLine } from '../output/command-names.js';
import { endStatus } from '../output/exit-status.js';
import { outputIsReport, print, printJson } from '../output/output.js';
import { printAbove } from '../output/progress-line.js';
import { formatTable } from '../output/units.js';
import { declareTool, givenTo } from './declare-tool.js';
import { inOurWords } from './neophytos.js';
import { keepHangupIgnored } from './signals.js';
import { inKnownTerms, printError, requireHelpThere } from './tool-errors.js';
import { inToolStore } from './tool-store.js';

export interface ToolSpec<T extends Tool> {
  readonly tool: T;
  /** True if the command does more than print. Its work then continues when the output is closed. */
  readonly isWork?: boolean;
  /** Runs the tool. Resolves with the exit status, or with nothing for 0. */
  run(settings: Settings<T>): Promise<number | void>;
}

/** Returns the command of a tool, which runs it with its settings. */
export function toolCommand<T extends Tool>(spec: ToolSpec<T>): Command {
  const { tool } = spec;
  const command = declareTool(tool);
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
      loadNative(); // dates that settings name are in the time zone of the system
      if (spec.isWork === true) outputIsReport();
      const kind = RECORDED[tool];
      const run = async (entered: Settings<T>): Promise<number | void> => {
        if (kind === undefined) return spec.run(entered);
        const { recorded } = await import('./recorded.js'); // most commands leave no record
        return recorded({ kind, tool }, entered, (own) => spec.run(own));
      };
      process.exitCode = endStatus((await inToolStore(tool, settings, run)) ?? 0);
    }
  });
}

/** Commands whose runs the journal of a client has, beside backups and restores, which record themselves. */
const RECORDED: Readonly<Partial<Record<Tool, RunKind>>> = {
  'sonic check': 'check',
  'sonic purge': 'purge',
  'sonic delete': 'purge',
  'sonic orphans': 'collect',
  'sonic copy': 'copy',
  'sonic export': 'export',
  'sonic rekey': 'rewrite',
  'sonic encrypt': 'rewrite',
  'sonic rebuild': 'rewrite',
  'tardis-import': 'import',
};

/** True if the command line, which every user of the machine can see, contains a secret. */
function isSecretShown(tool: Tool, { sources }: Sourced): boolean {
  return rowsOf(tool).some(([name, row]) => {
    const given = row.isSecret === true ? sources.get(name) : undefined;
    return given?.source === 'command line' && given.value !== '';
  });
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
    const failure = meant === undefined ? inKnownTerms(error, command, words) : usageError(meant);
    process.exitCode = printError(command.name(), failure, printsJson);
  }
  done();
}

/** Sets the output of a command and its sub-commands, which do not inherit it. */
function configureOutput(command: Command): void {
  command
    .exitOverride()
    .configureOutput({
      outputError: () => undefined,
      writeOut: (text) => process.stdout.write(helpInFrontWords(text)),
    });
  for (const sub of command.commands) configureOutput(sub);
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
