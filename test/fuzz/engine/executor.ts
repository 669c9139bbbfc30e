/** Runs a target on one input and detects faults: a wrong error, a broken property, too much time or memory. */
import { existsSync, readFileSync } from 'node:fs';
import type { CurrentInput } from './current.js';
import { type Limits, limitsOf, type Target } from './target.js';

export interface Fault {
  /** Equal for inputs that fail in the same way. */
  readonly kind: string;
  /** The error with its stack, or the measured figures. */
  readonly detail: string;
}

export type Outcome = { readonly fault: Fault } | { readonly word: string };

/** Number of times that a slow input is run again, because the machine may have been busy. */
const SLOW_RETRIES = 2;

export class Executor {
  private readonly target: Target;
  private readonly limits: Limits;
  private readonly current: CurrentInput;
  private largestAllocation = 0;
  executions = 0;

  constructor(target: Target, current: CurrentInput) {
    this.target = target;
    this.limits = limitsOf(target);
    this.current = current;
    watchAllocations((bytes) => {
      this.largestAllocation = Math.max(this.largestAllocation, bytes);
    });
  }

  /** Runs one input, after writing it to the file for the watcher. */
  async run(data: Buffer): Promise<Outcome> {
    this.current.write(data);
    this.largestAllocation = 0;
    const rssBefore = mostResidentBytes();
    const startMs = performance.now();
    const outcome = await this.once(data);
    const tookMs = performance.now() - startMs;
    if ('fault' in outcome) return outcome;
    const { maxMemoryBytes, maxCpuMs } = this.limits;
    if (this.largestAllocation > maxMemoryBytes) {
      const detail = `one buffer of ${this.largestAllocation} bytes for an input of ${data.length}`;
      return { fault: { kind: 'allocation', detail } };
    }
    const grownBytes = mostResidentBytes() - rssBefore;
    if (grownBytes > maxMemoryBytes) {
      const detail = `${grownBytes} bytes of memory for an input of ${data.length}`;
      return { fault: { kind: 'memory', detail } };
    }
    if (tookMs > maxCpuMs) return (await this.slow(data)) ?? outcome;
    return outcome;
  }

  private async once(data: Buffer): Promise<Outcome> {
    this.executions += 1;
    try {
      // A copy, because a target may change its input in place.
      const answer = this.target.fuzz(Buffer.from(data));
      return { word: typeof answer === 'string' ? answer : await answer };
    } catch (error) {
      return { fault: faultOf(error) };
    }
  }

  /** Returns a fault if the input takes too much processor time in each run. */
  private async slow(data: Buffer): Promise<Outcome | undefined> {
    let leastMs = Infinity;
    for (let retry = 0; retry < SLOW_RETRIES; retry += 1) {
      const beforeMs = spentCpuMs();
      await this.once(data);
      leastMs = Math.min(leastMs, spentCpuMs() - beforeMs);
    }
    if (leastMs <= this.limits.maxCpuMs) return undefined;
    const detail = `${Math.round(leastMs)} ms of processor time for an input of ${data.length} bytes`;
    return { fault: { kind: 'slow', detail } };
  }
}

/** Members that the types of the oldest supported Node.js do not know. */
interface ThreadUsage {
  readonly threadCpuUsage?: typeof process.cpuUsage;
}

/** Returns the processor time of this thread: others compute in this process too. Of the process if Node.js cannot tell. */
function spentCpuMs(): number {
  const { user, system } = (process as ThreadUsage).threadCpuUsage?.() ?? process.cpuUsage();
  return (user + system) / 1000;
}

const HIGH_WATER = /^VmHWM:\s+(\d+) kB$/m;

/** Returns the peak memory of this program alone, from the kernel; undefined if the kernel does not report it. */
function highWaterBytes(): number | undefined {
  const file = '/proc/self/status';
  const found = existsSync(file) ? HIGH_WATER.exec(readFileSync(file, 'latin1')) : null;
  return found === null ? undefined : Number(found[1]) * 1024;
}

function peakOfUsage(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/**
 * True if this process began with the peak memory of its parent, as Linux allows. That peak would hide its own one, so
 * VmHWM is used instead, which takes longer to read.
 */
const isPeakInherited = peakOfUsage() > (highWaterBytes() ?? Infinity) + (8 << 20);

function mostResidentBytes(): number {
  return (isPeakInherited ? highWaterBytes() : undefined) ?? peakOfUsage();
}

const KIND_CHARS = 120;

/**
 * Returns the fault of an error. Its kind is the name, the code, the message without numbers, and the first place in
 * this project.
 */
function faultOf(error: unknown): Fault {
  if (!(error instanceof Error)) return { kind: 'thrown value', detail: String(error) };
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  const place = /\/dist\/(?:src|test)\/[^\s:)]+(?::\d+)?/.exec(stack)?.[0] ?? '';
  const message = error.message.replaceAll(/\d+/g, '#').replaceAll(/["'].*["']/g, '#');
  const code = (error as { code?: string }).code ?? '';
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return {
    kind: `${error.name} ${code} ${message.slice(0, KIND_CHARS)} ${place}`,
    detail: `${stack}${cause}`,
  };
}

type Allocator = (size: number, ...rest: never[]) => Buffer;

/** Calls `note` with the size of every requested buffer, because a buffer that is never filled shows nowhere else. */
function watchAllocations(note: (bytes: number) => void): void {
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const allocate = Buffer[name] as Allocator;
    const watched: Allocator = (size, ...rest) => {
      note(size);
      return allocate(size, ...rest);
    };
    Object.defineProperty(Buffer, name, { value: watched, writable: true, configurable: true });
  }
}
