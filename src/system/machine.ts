/** What this process may use of the machine. */
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
