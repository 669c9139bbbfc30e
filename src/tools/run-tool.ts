/**
 * What all commands share: reading arguments, telling errors, exit status. A command is a commander
 * program whose action returns its exit status (or nothing for 0). A user's error is one line and
 * what to do; a bug shows its stack.
 */
import { type Command, CommanderError, Option } from 'commander';
import os from 'node:os';
import { DEFAULT_STORE, SERVER_OPTIONS } from '../config/index.js';
import { asTardisError, TardisError, toWire } from '../errors/index.js';

export const VERSION = '0.1.0';
/** Version of everything printed with --json. */
export const JSON_VERSION = 1;

export interface StoreOptions {
  readonly database: string;
  readonly client: string;
}

/** Adds -D/--database and -C/--client, as every tool has them. */
export function addStoreOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-D, --database <dir>', 'directory of the store')
        .env('TARDIS_DB')
        .default(DEFAULT_STORE),
    )
    .addOption(
      new Option('-C, --client <name>', 'name of the backed-up machine')
        .env('TARDIS_CLIENT')
        .default(os.hostname(), 'the host name'),
    );
}

/** Where a client is, for tools that read a store; the catalog's name as TARDIS_DBNAME has it. */
export function clientPlace(options: StoreOptions): {
  store: string;
  client: string;
  catalogFile: string;
} {
  const catalogFile = process.env['TARDIS_DBNAME'] ?? SERVER_OPTIONS.catalogFile.default;
  if (catalogFile === '' || catalogFile.includes('/')) {
    throw new TardisError('CONFIG_INVALID', `TARDIS_DBNAME "${catalogFile}" is no file name`);
  }
  return { store: options.database, client: options.client, catalogFile };
}

/** The parts every command has in common. */
export function describeTool(command: Command, name: string, summary: string): Command {
  return command
    .name(name)
    .description(summary)
    .version(`${name} ${VERSION}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError(false)
    .exitOverride();
}

/** Runs a command to its end and sets the exit status of the process. */
export async function runTool(command: Command, argv: readonly string[]): Promise<void> {
  const wantsJson = argv.includes('--json');
  configureOutput(command);
  try {
    await command.parseAsync(argv.slice(2), { from: 'user' });
  } catch (error) {
    process.exitCode = tellError(command.name(), error, wantsJson);
  }
}

/** Sub-commands inherit nothing of this by themselves. */
function configureOutput(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const sub of command.commands) configureOutput(sub);
}

/** Prints an error and returns its exit status. */
export function tellError(name: string, error: unknown, wantsJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // help or version was asked for
    if (error.code === 'commander.help') return 1; // help was shown for want of a command
    const text = error.message.replace(/^error: /, '');
    return tellError(name, new TardisError('USAGE', text), wantsJson);
  }
  const failure = asTardisError(error);
  const { kind, exitStatus, guidance } = failure.row;
  if (wantsJson) {
    const { code, message, context } = toWire(failure);
    print(JSON.stringify({ version: JSON_VERSION, error: { code, message, context, guidance } }));
    return exitStatus;
  }
  process.stderr.write(`${name}: ${failure.message} [${failure.code}]\n`);
  process.stderr.write(`${name}: ${guidance}\n`);
  if (kind === 'bug') {
    const original = failure.cause instanceof Error ? failure.cause : failure;
    const stack = failure.context['stack'];
    process.stderr.write(`${typeof stack === 'string' ? stack : (original.stack ?? '')}\n`);
  }
  return exitStatus;
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A reader that went away (`| head`) is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

/**
 * A signal that aborts at the first SIGINT or SIGTERM: work ends in order. The second one ends the
 * process at once.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
    });
  }
  return controller.signal;
}
