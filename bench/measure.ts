import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endedChildrenCpuMs, machineBusyMs, processTree, PssSampler } from './processes.js';

/** How much of a command's output a report quotes; the end tells most. */
const QUOTED_BYTES = 4000;
/** A process that outlives its command for less than this was just about to end. */
const LINGER_MS = 200;
/** Settings of the user's own that would change what a tool does. */
const FOREIGN_SETTINGS = /^(RESTIC|BORG|TARDIS|ZSTD|TAR|NODE)_/;

/** A command to run. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What running a command cost. */
export interface Measured {
  readonly wallMs: number;
  /** User and system time of the command and of all descendants that were waited for. */
  readonly cpuMs: number;
  /** How many cores were busy, on average, with anything else: figures taken beside other work mean little. */
  readonly coresOfOthers: number;
  /** The largest sum over its processes that was seen, when memory was sampled. */
  readonly pssBytes: number | undefined;
  /** Everything it printed, as far as a report quotes it. */
  readonly output: string;
  /** Processes that were still alive when the command had ended: their time is missing above. */
  readonly leftBehind: number;
}

/** A command that could not be started or did not succeed. */
export class CommandFailure extends Error {
  constructor(command: Command, how: string, output: string) {
    super(`${command.argv.join(' ')}\n${how}${output === '' ? '' : `\n${output}`}`);
  }
}

const running = new Set<number>();

/** A process (which leads a session) that is ended with the others on the way out; call the result when it has ended. */
export function killOnExit(leader: number | undefined): () => void {
  if (leader === undefined) {
    return () => undefined;
  }
  running.add(leader);
  return () => running.delete(leader);
}

/** Ends everything that running commands have started. For the way out. */
export function killRunning(): void {
  for (const leader of running) {
    killAll(processTree(leader));
  }
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/**
 * Runs a command to its end, its output going to `logFile`, and tells what it cost. Run one at a time: CPU time is
 * told apart by the clock of all ended children. The command leads a session of its own, so that its processes
 * can be found and ended.
 */
export async function measure(
  command: Command,
  options: { readonly logFile: string; readonly sampleMemory?: boolean },
): Promise<Measured> {
  const log = openSync(options.logFile, 'w+');
  try {
    const [program, ...args] = command.argv;
    const env = { ...ownEnvironment(), ...command.env };
    const busyBeforeMs = machineBusyMs();
    const cpuBeforeMs = endedChildrenCpuMs();
    const startMs = performance.now();
    const child = spawn(program, args, {
      cwd: command.cwd,
      env,
      // A file and not a pipe: nobody has to read while the clock runs.
      stdio: ['ignore', log, log],
      detached: true,
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not start: ${error.message}`));
      child.once('exit', (code, signal) =>
        resolve(code === 0 ? '' : code === null ? `ended by ${signal}` : `exit status ${code}`),
      );
    });
    const leader = child.pid;
    if (leader !== undefined) {
      running.add(leader);
    }
    const sampler =
      leader !== undefined && options.sampleMemory === true ? new PssSampler(leader) : undefined;
    const how = await ended;
    const wallMs = performance.now() - startMs;
    const cpuMs = endedChildrenCpuMs() - cpuBeforeMs;
    const coresOfOthers = Math.max(0, machineBusyMs() - busyBeforeMs - cpuMs) / wallMs;
    const pssBytes = sampler?.stop();
    const leftBehind = leader === undefined ? 0 : await endRemains(leader);
    const output = tailOf(log);
    if (how !== '') {
      throw new CommandFailure(command, how, output);
    }
    return { wallMs, cpuMs, coresOfOthers, pssBytes, output, leftBehind };
  } finally {
    closeSync(log);
  }
}

/** Ends what a command has left behind, so that it does not take time from the next; tells how many there were. */
async function endRemains(leader: number): Promise<number> {
  let remains = processTree(leader);
  if (remains.length > 0) {
    await sleep(LINGER_MS);
    remains = processTree(leader);
    killAll(remains);
  }
  running.delete(leader);
  return remains.length;
}

/** The environment for a command, without settings of the user's own. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !FOREIGN_SETTINGS.test(name)),
  );
}

function tailOf(fd: number): string {
  const size = fstatSync(fd).size;
  const from = Math.max(0, size - QUOTED_BYTES);
  const tail = Buffer.alloc(size - from);
  readSync(fd, tail, 0, tail.length, from);
  return (from > 0 ? '[...] ' : '') + tail.toString().trim();
}
