import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  endedChildrenCpuMs,
  machineBusyMs,
  machineBytes,
  processTree,
  PssSampler,
} from './processes.js';

/**
 * Maximum number of bytes of a command's output that a report quotes. They are taken from the end, which matters most.
 */
const QUOTED_BYTES = 4000;
/**
 * Milliseconds for which a process may outlive its command before it is killed. Within this time, a process that was
 * about to end has ended.
 */
const LINGER_MS = 200;
/** Matches settings of the user that would change the behaviour of a tool. */
const FOREIGN_SETTINGS = /^(RESTIC|BORG|TARDIS|ZSTD|TAR|NODE)_/;

/** A command to run. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** The cost of a command. */
export interface Measured {
  readonly wallMs: number;
  /** User and system time of the command and of all descendants that were waited for. */
  readonly cpuMs: number;
  /** Average number of cores that other work kept busy. If there is much other work, the figures mean little. */
  readonly coresOfOthers: number;
  /** Largest memory of all processes together; undefined if memory was not sampled. */
  readonly pssBytes: number | undefined;
  /** Bytes that the machine read from its disks, and that passed its loopback interface. */
  readonly readBytes: number;
  readonly sentBytes: number;
  /** The output of the command, as far as a report quotes it. */
  readonly output: string;
  /** Number of processes that outlived the command; the times above exclude them. */
  readonly leftBehind: number;
}

/** The error of a command that could not be started or did not succeed. */
export class CommandFailure extends Error {
  constructor(command: Command, how: string, output: string) {
    super(`${command.argv.join(' ')}\n${how}${output === '' ? '' : `\n${output}`}`);
  }
}

const running = new Set<number>();

/**
 * Registers the leader of a session, so that its processes are killed on exit. Returns a function to call when the
 * leader has ended.
 */
export function killOnExit(leader: number | undefined): () => void {
  if (leader === undefined) {
    return () => undefined;
  }
  running.add(leader);
  return () => running.delete(leader);
}

/** Kills all processes that running commands have started. Used on exit. */
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
      // The process has ended by itself.
    }
  }
}

/**
 * Runs a command to its end, with its output in `logFile`, and returns its cost. Only one command may run at a time,
 * since CPU time is the difference in the time of all ended children. The command leads a session of its own, so that
 * its processes can be found and killed.
 */
export async function measure(
  command: Command,
  options: { readonly logFile: string; readonly sampleMemory?: boolean },
): Promise<Measured> {
  const log = openSync(options.logFile, 'w+');
  try {
    const [program, ...args] = command.argv;
    const env = { ...ownEnvironment(), ...command.env };
    const [busyBeforeMs, bytesBefore] = [machineBusyMs(), machineBytes()];
    const cpuBeforeMs = endedChildrenCpuMs();
    const startMs = performance.now();
    const child = spawn(program, args, {
      cwd: command.cwd,
      env,
      // The output goes to a file and not to a pipe, so that no process has to read while the time is measured.
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
    const bytes = machineBytes();
    const pssBytes = sampler?.stop();
    const leftBehind = leader === undefined ? 0 : await endRemains(leader);
    const output = tailOf(log);
    if (how !== '') {
      throw new CommandFailure(command, how, output);
    }
    const readBytes = bytes.readBytes - bytesBefore.readBytes;
    const sentBytes = bytes.sentBytes - bytesBefore.sentBytes;
    return { wallMs, cpuMs, coresOfOthers, pssBytes, readBytes, sentBytes, output, leftBehind };
  } finally {
    closeSync(log);
  }
}

/** Kills the processes that outlive a command, so that they do not slow the next one. Returns their number. */
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

/** Returns the environment for a command, without the user's own settings. */
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
