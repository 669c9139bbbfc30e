/** Starts fuzzing processes and watches them. If a process dies or hangs, the input at work is kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChildSpec, FromChild, Progress } from './child-spec.js';
import { readCurrent } from './current.js';
import type { Fault } from './executor.js';
import type { Failure } from './fuzzer.js';
import { minimise } from './minimise.js';

const CHILD = fileURLToPath(new URL('child.js', import.meta.url));
/** Folder for targets that work on files, if it exists. */
const MEMORY = '/dev/shm';
/** MiB of the JavaScript heap of a fuzzing process. */
const HEAP_MIB = 512;
const LOOK_MS = 200;
/** Processor time after which one input counts as hanging; HANG_WALL_MS is the elapsed time for an input that waits. */
const HANG_CPU_MS = 15_000;
const HANG_WALL_MS = 120_000;
/**
 * Most tries to shrink an input that kills its process, or makes it hang. Each try takes a new process, so they are
 * few.
 */
const MOST_TRIES_OF_DEAD = 40;
const MOST_TRIES_OF_HANGING = 6;
const MAX_SHOWN_CHARS = 4000;
const MS_PER_TICK = 10;

export interface Job {
  readonly module: string;
  readonly seed: number;
  readonly seconds: number;
  readonly regressions?: readonly string[];
  readonly corpus?: string;
  readonly hangCpuMs?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface Result {
  readonly failure: Failure | undefined;
  readonly progress: Progress;
  /** The outcome of the only input of a replay. */
  readonly word: string;
}

const NO_PROGRESS: Progress = { executions: 0, seeds: 0, kept: 0, reached: 0 };

/** Fuzzes a target for a time, and makes a failing input small. */
export async function fuzzTarget(job: Job): Promise<Result> {
  const result = await runChild(job, {});
  const { failure } = result;
  const isDead = failure !== undefined && isOfDead(failure.fault);
  if (!isDead || job.signal?.aborted === true) return result;
  const { fault } = failure;
  const mostTries = fault.kind === 'hang' ? MOST_TRIES_OF_HANGING : MOST_TRIES_OF_DEAD;
  const input = await minimise(failure.input, mostTries, async (smaller) => {
    const again = await replayInput(job, smaller);
    return again.failure?.fault.kind === fault.kind;
  });
  return { ...result, failure: { input, fault } };
}

function isOfDead({ kind }: Fault): boolean {
  return kind === 'hang' || kind.startsWith('died');
}

/** Runs one input in a process of its own. */
export function replayInput(job: Omit<Job, 'seconds'>, input: Buffer): Promise<Result> {
  return runChild({ ...job, seconds: 0 }, { input });
}

async function runChild(job: Job, { input }: { input?: Buffer }): Promise<Result> {
  const folder = mkdtempSync(path.join(existsSync(MEMORY) ? MEMORY : os.tmpdir(), 'tardis-fuzz-'));
  try {
    const current = path.join(folder, 'current');
    const spec: ChildSpec = {
      module: job.module,
      seed: job.seed,
      seconds: job.seconds,
      regressions: job.regressions ?? [],
      corpus: job.corpus,
      current,
      input: input === undefined ? undefined : path.join(folder, 'input'),
    };
    if (input !== undefined) writeFileSync(spec.input!, input);
    writeFileSync(current, '');
    return await watched(job, spec, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function watched(job: Job, spec: ChildSpec, folder: string): Promise<Result> {
  const flags = [`--max-old-space-size=${HEAP_MIB}`, '--enable-source-maps'];
  const child = spawn(process.execPath, [...flags, CHILD, JSON.stringify(spec)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    cwd: folder,
    // Settings of the user must not change what targets make of options.
    env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder, TZ: 'UTC' },
  });
  let progress = NO_PROGRESS;
  let word = '';
  let failure: Failure | undefined;
  let shown = '';
  child.stderr!.on('data', (piece: Buffer) => {
    shown = (shown + piece.toString()).slice(-MAX_SHOWN_CHARS);
  });
  child.on('message', (message: FromChild) => {
    if (message.type === 'word') word = message.word;
    else if (message.type === 'failure') {
      failure = { input: Buffer.from(message.input, 'base64'), fault: message.fault };
    } else {
      progress = message;
      job.onProgress?.(message);
    }
  });
  const stop = (): void => void child.kill('SIGKILL');
  job.signal?.addEventListener('abort', stop);
  const hang = new HangWatch(child, spec.current, job.hangCpuMs ?? HANG_CPU_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      hang.stop();
      job.signal?.removeEventListener('abort', stop);
      const isStopped = job.signal?.aborted === true;
      if (status !== 0 && !isStopped) failure ??= ofDead(hang, spec, signal ?? status, shown);
      if (failure === undefined && status !== 0 && !isStopped) {
        reject(new Error(`the target cannot be run (${signal ?? status}): ${shown}`));
      } else resolve({ failure, progress, word });
    });
  });
}

/** Returns the input that killed a process; undefined if the process died before its first input. */
function ofDead(
  hang: HangWatch,
  spec: ChildSpec,
  how: string | number | null,
  shown: string,
): Failure | undefined {
  const input = readCurrent(spec.current)?.data;
  if (input === undefined) return undefined;
  const fault = hang.isHanging
    ? { kind: 'hang', detail: hang.detail }
    : { kind: `died ${how}`, detail: shown };
  return { input, fault };
}

/** Kills a process that works on one input for too long. */
class HangWatch {
  isHanging = false;
  detail = '';
  private number = -1;
  private sinceMs = 0;
  private cpuSinceMs = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly child: ChildProcess;
  private readonly current: string;
  private readonly limitCpuMs: number;

  constructor(child: ChildProcess, current: string, limitCpuMs: number) {
    this.child = child;
    this.current = current;
    this.limitCpuMs = limitCpuMs;
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const number = readCurrent(this.current)?.number;
    const cpuMs = cpuMsOf(this.child.pid);
    if (number === undefined || cpuMs === undefined) return;
    if (number !== this.number) {
      this.number = number;
      this.sinceMs = performance.now();
      this.cpuSinceMs = cpuMs;
      return;
    }
    const [usedMs, tookMs] = [cpuMs - this.cpuSinceMs, performance.now() - this.sinceMs];
    if (usedMs < this.limitCpuMs && tookMs < HANG_WALL_MS) return;
    this.isHanging = true;
    this.detail = `one input for ${Math.round(tookMs)} ms, ${usedMs} ms of them on a processor`;
    this.child.kill('SIGKILL');
  }
}

/** Returns the processor time of a process in milliseconds; undefined if it has ended. */
function cpuMsOf(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  } catch {
    return undefined; // it has ended
  }
}
