/** File calls below one directory, of which it can be asked what a power cut would leave. */
import path from 'node:path';
import {
  DiskTrace,
  type Files,
  nodeSystem,
  SimulatedDisk,
  tracedSystem,
} from '../../src/system/index.js';

export class WatchedDisk {
  readonly files: Files;
  /** The most descriptors that were open at once. */
  openPeak = 0;
  private readonly open = new Set<number>();
  private readonly trace: DiskTrace;
  private readonly disk: SimulatedDisk;
  private seen = 0;

  constructor(root: string) {
    this.trace = new DiskTrace(root);
    this.disk = new SimulatedDisk(this.trace.start);
    const { files } = tracedSystem(nodeSystem(), this.trace);
    this.files = {
      ...files,
      open: (file, how) => {
        const fd = files.open(file, how);
        this.open.add(fd);
        this.openPeak = Math.max(this.openPeak, this.open.size);
        return fd;
      },
      close: (fd) => {
        this.open.delete(fd);
        files.close(fd);
      },
    };
  }

  get openCount(): number {
    return this.open.size;
  }

  /** Whether a file would be there, with all its bytes, whatever a power cut left. */
  isDurable(file: string): boolean {
    for (const act of this.trace.acts.slice(this.seen)) this.disk.apply(act);
    this.seen = this.trace.acts.length;
    const inside = path.relative(this.trace.root, file);
    return (
      this.disk.isThere(inside) &&
      this.disk
        .unsynced()
        .every((one) => one.path !== inside && !(inside.startsWith(`${one.path}/`) && !one.isGone))
    );
  }
}
