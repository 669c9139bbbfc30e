/** The acts of the page: commands of this package that run as jobs, so that each act is one that a terminal has, too. */
import { isErrorCode, TardisError } from '../../errors/index.js';
import type { ClientSetting, SetNumber } from '../../model/index.js';
import { Job, type Jobs } from './jobs.js';
import type { SetupAnswers } from './schemas.js';

/** Rules of a purge by the keys under which they are stored, with their words; none for no rule. */
export type PurgeRules = Readonly<Record<string, string>>;

/** One act. The names are those of the commands. */
export type Act =
  | { readonly kind: 'backup' }
  | { readonly kind: 'check'; readonly readsAll: boolean; readonly repairs?: boolean | undefined }
  | { readonly kind: 'lock'; readonly sets: readonly SetNumber[]; readonly isLocked: boolean }
  | {
      readonly kind: 'tag';
      readonly sets: readonly SetNumber[];
      readonly addTags: readonly string[];
      readonly removeTags: readonly string[];
    }
  | { readonly kind: 'delete'; readonly sets: readonly SetNumber[] }
  | { readonly kind: 'forget'; readonly paths: readonly Buffer[] }
  | { readonly kind: 'purge'; readonly rules: PurgeRules; readonly stores: PurgeRules }
  | { readonly kind: 'withdraw'; readonly request: number }
  /** Shows the client at an absolute path, until it is stopped. */
  | { readonly kind: 'mount'; readonly directory: string }
  | { readonly kind: 'setup'; readonly answers: SetupAnswers }
  | { readonly kind: 'test-report' };

/**
 * Acts that this program can offer: a backup needs the configuration of `tardis setup`, a change a store that it may
 * change, and a purge by rules a store on this machine, since a server has rules of its own. A mount needs nothing.
 */
export type Offer = 'backup' | 'change' | 'mount' | 'purge';

/** A command that runs. */
interface RunningCommand {
  /** The command as one types it. It contains no secret. */
  readonly text: string;
  /** Passes on each line that it prints. Resolves with the exit status; undefined if a signal has ended the command. */
  follow(onLine: OnLine): Promise<number | undefined>;
  /** Requests that the command end in order. */
  stop(): void;
}

/** Takes a line of the output of a command, or of its messages on standard error. */
export type OnLine = (line: string, from: 'output' | 'messages') => void;

export interface Commands {
  readonly offers: readonly Offer[];
  /** The directory at which the client is mounted unless another one is named. */
  readonly mountPoint: string;
  /**
   * Returns the answers of `tardis setup` that are in force, with the rules that are stored with the client; undefined if
   * it has not configured this client.
   */
  setup(stored: readonly ClientSetting[]): SetupAnswers | undefined;
  /** Starts the command of an act. Throws MOUNT_FAILED. */
  start(act: Act): RunningCommand;
}

/** Exit status of a command that has done its work, and has warned. */
const WARNED = 3;
/** The command that undoes a request to forget a path, as the request prints it. */
const UNDOING = /`\S+ forget-path --undo (\d{1,10})`/;
const FAILURE = /^[\w -]{1,40}: (.*) \[([A-Z_]{2,40})\]$/;

/** The client of an act. */
interface ActingClient {
  readonly name: string;
  readonly commands: Commands;
}

/**
 * Begins an act; `undo` is the act that takes it back. Throws CLIENT_BUSY while an act of its kind runs on the client, or
 * too many jobs run, and MOUNT_FAILED.
 */
export function beginAct(
  jobs: Jobs,
  { name: client, commands }: ActingClient,
  act: Act,
  undo?: Act,
): Job {
  const { kind } = act;
  const isSame = ({ isRunning, facts }: Job): boolean =>
    isRunning && facts.kind === kind && facts.client === client;
  if (jobs.all().some(isSame)) {
    throw new TardisError('CLIENT_BUSY', `another ${kind} is running`);
  }
  jobs.makeRoom(); // a command without a job could be neither followed nor stopped
  const command = commands.start(act);
  const output = act.kind === 'mount' ? act.directory : undefined;
  const job = jobs.add(new Job({ client, kind, paths: [], output, command: command.text }));
  job.undo = undo;
  job.signal.addEventListener('abort', () => command.stop(), { once: true });
  void follow(job, command, act);
  return job;
}

/** Follows the command of a job to its end. Never rejects. */
async function follow(job: Job, command: RunningCommand, act: Act): Promise<void> {
  try {
    const status = await command.follow((line, from) => job.note(line, from));
    job.hasWarnings = status === WARNED;
    if (status === 0 || status === WARNED) {
      job.undo ??= undoingIn(job.log);
      job.result = resultOf(act, job);
      job.end({});
    } else job.end({ error: errorIn(job.log, status) });
  } catch (error) {
    job.end({ error });
  }
}

/** The reports of the commands whose results have a number that only they know. */
const REPORTS = {
  backup: /^Backup set (\d+) /,
  check: /^([\d,]+) versions? of files cannot be restored/,
  purge: /^(\d+) backup sets? of .* purged/,
};

/** Returns what an act has done; undefined if its command did not report it, or has warned and did not do all. */
function resultOf(act: Act, { log, hasWarnings }: Job): Job['result'] {
  const { kind } = act;
  if (kind === 'backup' || kind === 'purge' || (kind === 'check' && hasWarnings)) {
    const found = log.map((line) => REPORTS[kind].exec(line)?.[1]).find((n) => n !== undefined);
    return found === undefined ? undefined : { code: kind, n: Number(found.replaceAll(',', '')) };
  }
  if (hasWarnings) return undefined;
  if (kind === 'check') return { code: act.readsAll ? kind : 'quick-check' };
  if (kind === 'lock') return { code: act.isLocked ? 'lock' : 'unlock', n: act.sets.length };
  if (kind === 'tag' || kind === 'delete') return { code: kind, n: act.sets.length };
  return kind === 'forget' ? { code: kind, n: act.paths.length } : { code: kind };
}

/** Returns the act that withdraws the request that a command has printed; undefined if it printed none. */
function undoingIn(log: readonly string[]): Act | undefined {
  const id = log.map((line) => UNDOING.exec(line)?.[1]).findLast((one) => one !== undefined);
  return id === undefined ? undefined : { kind: 'withdraw', request: Number(id) };
}

/** Returns the error that a command has printed last. */
function errorIn(log: readonly string[], status: number | undefined): TardisError {
  const [, message, code = ''] =
    log.map((line) => FAILURE.exec(line)).findLast((one) => one !== null) ?? [];
  if (message === undefined || !isErrorCode(code)) {
    const how = status === undefined ? 'was ended by a signal' : `ended with status ${status}`;
    return new TardisError('INTERRUPTED', `the command ${how}`);
  }
  return new TardisError(code, message);
}
