/** File calls below one directory that record changes, to compute what a power cut would leave. */
import path from 'node:path';
import { DiskTrace } from '../support/disk-trace.js';
import { type Files, nodeSystem } from '../../src/system/index.js';
import { SimulatedDisk } from '../support/simulated-disk.js';
import { tracedSystem } from '../support/traced-system.js';

export class WatchedDisk {
  readonly files: Files;
  /** The largest number of descriptors that were open at once. */
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

  /** True if a file would survive any power cut with all its bytes. */
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
