/** What this process may use of the machine. */
import fs from 'node:fs';
import os from 'node:os';

export interface Machine {
  readonly processors: number;
  /** The machine's memory, or less if a cgroup allows less. */
  readonly memoryBytes: number;
}

export function thisMachine(): Machine {
  // 0 or beyond all memory where nothing is limited.
  const limitBytes = process.constrainedMemory();
  const totalBytes = os.totalmem();
  const isLimited = limitBytes > 0 && limitBytes < totalBytes;
  return {
    processors: os.availableParallelism(),
    memoryBytes: isLimited ? limitBytes : totalBytes,
  };
}

let knowsAes: boolean | undefined;

/** Whether the processor has instructions for AES: without them other ciphers are faster. */
export function hasAes(): boolean {
  if (knowsAes === undefined) {
    try {
      const text = fs.readFileSync('/proc/cpuinfo', 'latin1');
      knowsAes = /^(?:flags|Features)\s*:.*\baes\b/m.test(text);
    } catch {
      knowsAes = true; // most have them, and a wrong guess costs time only
    }
  }
  return knowsAes;
}
