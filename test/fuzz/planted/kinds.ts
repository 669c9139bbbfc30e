/** A target with a fault of each kind, chosen by the word in the input. The engine is tested with it. */
import type { Target } from '../engine/target.js';

const HANG_MS = 600_000;
const SLOW_MS = 300;
const MAX_CPU_MS = 100;
const HUGE_BYTES = 1 << 30;
/** Number of pieces of 8 MB, far more than the limit: the peak at the start of a process counts as already used. */
const PIECES = 30;
const PIECE_NUMBERS = 1_000_000;

/** Uses processor time, however busy the machine is. */
function burnFor(ms: number): string {
  const before = process.cpuUsage();
  for (let usedMs = 0; usedMs < ms; ) {
    const { user, system } = process.cpuUsage(before);
    usedMs = (user + system) / 1000;
  }
  return 'burnt';
}

const FAULTS: Readonly<Record<string, (data: Buffer) => string>> = {
  throws: (data) => {
    throw new TypeError(`planted, of ${data.length} bytes`);
  },
  aborts: () => process.abort(),
  hangs: () => burnFor(HANG_MS),
  slow: () => burnFor(SLOW_MS),
  allocates: () => String(Buffer.allocUnsafe(HUGE_BYTES).length),
  fills: () => String(Array.from({ length: PIECES }, () => Array(PIECE_NUMBERS).fill(1.5)).length),
};

export const target: Target = {
  about: 'planted faults of each kind',
  seeds: () => [Buffer.from('nothing')],
  fuzz: (data) => FAULTS[data.toString('latin1').trimEnd()]?.(data) ?? 'sound',
  maxCpuMs: MAX_CPU_MS,
};
