/** The resources of the machine that this process may use. */
import fs from 'node:fs';
import os from 'node:os';

export interface Machine {
  readonly processors: number;
  /** Bytes of memory of the machine, or the limit of a cgroup if that is less. */
  readonly memoryBytes: number;
}

export function thisMachine(): Machine {
  // Without a limit this is 0, or more than all memory.
  const limitBytes = process.constrainedMemory();
  const totalBytes = os.totalmem();
  const isLimited = limitBytes > 0 && limitBytes < totalBytes;
  return {
    processors: os.availableParallelism(),
    memoryBytes: isLimited ? limitBytes : totalBytes,
  };
}

let knowsAes: boolean | undefined;

/** True if the processor has AES instructions; without them other ciphers are faster. */
export function hasAes(): boolean {
  if (knowsAes === undefined) {
    try {
      const text = fs.readFileSync('/proc/cpuinfo', 'latin1');
      knowsAes = /^(?:flags|Features)\s*:.*\baes\b/m.test(text);
    } catch {
      knowsAes = true; // most have them, and a wrong guess costs only time
    }
  }
  return knowsAes;
}
