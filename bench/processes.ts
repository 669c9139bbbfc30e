import { readdirSync, readFileSync } from 'node:fs';

/** Interval of memory samples in milliseconds. */
const SAMPLE_EVERY_MS = 50;
/**
 * Minimum number of samples from which a peak is reported. Fewer mean little, since the first may even precede the
 * loading of the program.
 */
const SAMPLES_LEAST = 3;
/** The kernel reports CPU time in hundredths of a second, on every architecture that Node supports. */
const TICK_MS = 10;
/** Bytes of a sector of /proc/diskstats, on any disk. */
const SECTOR_BYTES = 512;

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
}

/**
 * Returns the CPU time, user and system, of all ended children of this process and of the children that they
 * waited for, as getrusage(RUSAGE_CHILDREN) does. The difference over one command is that command's time.
 */
export function endedChildrenCpuMs(): number {
  const fields = fieldsAfterName(readFileSync('/proc/self/stat', 'utf8'));
  // cutime and cstime are the fields 16 and 17 of the line; the first field here is field 3.
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** Returns the CPU time that the whole machine has spent working, including time stolen by its host. */
export function machineBusyMs(): number {
  const [, user, nice, system, , , interrupts, soft, stolen] = readFileSync('/proc/stat', 'utf8')
    .slice(0, 400)
    .split(/\s+/)
    .map(Number);
  const parts = [user, nice, system, interrupts, soft, stolen];
  return parts.reduce<number>((sum, part) => sum + (part ?? 0), 0) * TICK_MS;
}

/** Returns the bytes that the machine has read from whole disks, and sent over its loopback interface. */
export function machineBytes(): { readonly readBytes: number; readonly sentBytes: number } {
  const disks = readIfThere('/proc/diskstats')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const isWhole = (name = ''): boolean =>
    /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/.test(name);
  const sectors = disks.reduce(
    (sum, [, , name, , , read]) => sum + (isWhole(name) ? Number(read) : 0),
    0,
  );
  const loopback =
    /^\s*lo:(.*)$/m.exec(readIfThere('/proc/net/dev'))?.[1]?.trim().split(/\s+/) ?? [];
  return { readBytes: sectors * SECTOR_BYTES, sentBytes: Number(loopback[8] ?? 0) };
}

/**
 * Returns the live processes of a command that leads its own session: its descendants, and processes still in the
 * session although their parent has ended.
 */
export function processTree(leader: number): number[] {
  const entries = listProcesses();
  const members = new Set(entries.filter((entry) => entry.session === leader).map((e) => e.pid));
  members.add(leader);
  for (let grown = true; grown; ) {
    grown = false;
    for (const entry of entries) {
      if (members.has(entry.parent) && !members.has(entry.pid)) {
        members.add(entry.pid);
        grown = true;
      }
    }
  }
  return entries.map((entry) => entry.pid).filter((pid) => members.has(pid));
}

/** Samples the proportional set size of a command's processes, summed, until stopped. */
export class PssSampler {
  readonly #timer: NodeJS.Timeout;
  #peakBytes = 0;
  #samples = 0;

  constructor(leader: number) {
    const sample = (): void => {
      const sum = processTree(leader).reduce((bytes, pid) => bytes + pssBytesOf(pid), 0);
      this.#peakBytes = Math.max(this.#peakBytes, sum);
      this.#samples++;
    };
    this.#timer = setInterval(sample, SAMPLE_EVERY_MS);
    sample();
  }

  /** Stops and returns the largest sum; undefined if the command was too short to sample. */
  stop(): number | undefined {
    clearInterval(this.#timer);
    return this.#samples < SAMPLES_LEAST ? undefined : this.#peakBytes;
  }
}

function listProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) {
      continue;
    }
    const stat = readIfThere(`/proc/${name}/stat`);
    const [state, parent, , session] = fieldsAfterName(stat);
    // A zombie has ended and only waits for its parent.
    if (state !== undefined && state !== 'Z' && state !== 'X') {
      entries.push({ pid: Number(name), parent: Number(parent), session: Number(session) });
    }
  }
  return entries;
}

/**
 * Returns the fields of a stat line from the third on. The second, the name, may itself contain spaces and
 * parentheses.
 */
function fieldsAfterName(stat: string): string[] {
  const end = stat.lastIndexOf(')');
  return end < 0
    ? []
    : stat
        .slice(end + 2)
        .trim()
        .split(' ');
}

/** Returns the largest resident memory of a process so far, in bytes. */
export function peakResidentBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`));
  return Number(match?.[1] ?? NaN) * 1024;
}

function pssBytesOf(pid: number): number {
  const match = /^Pss:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Returns the content of a file; empty if the process has ended meanwhile, or belongs to another user. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
