/** A running backup in one line: how far the walk, reading, sending and storing are, and what is left of it. */
import type { BackupProgress } from '../pipeline/index.js';
import { TimeLeft } from './time-left.js';
import { formatBytes, formatCount } from './units.js';

/** Opening a small file costs as much as reading so many bytes of a large one. */
const BYTES_A_FILE = 16_384;

export class ShownBackup {
  private progress: BackupProgress | undefined;
  private lastEntries = 0;
  private isFirst = false;
  private readonly walking: TimeLeft;
  private readonly reading: TimeLeft;

  constructor(nowMs: () => number = () => performance.now()) {
    this.walking = new TimeLeft(nowMs);
    this.reading = new TimeLeft(nowMs);
  }

  /** A session begins, or begins anew. */
  begin(progress: BackupProgress): void {
    this.progress = progress;
    this.lastEntries = 0;
    this.isFirst = false;
    this.walking.restart();
    this.reading.restart();
  }

  opened({ empty, lastEntries }: { readonly empty: boolean; readonly lastEntries: number }): void {
    this.isFirst = empty;
    this.lastEntries = lastEntries;
  }

  text(): string {
    if (this.progress === undefined) return 'starting';
    const { entries, scannedBytes, filesRead, readBytes, sentBytes, durableBytes, isWalkDone } =
      this.progress;
    const scanned = `${formatCount(entries)} entries, ${formatBytes(scannedBytes)}`;
    return (
      `scanned ${scanned}${isWalkDone ? '' : ' …'}  ` +
      `read ${formatCount(filesRead)} files, ${formatBytes(readBytes)}  ` +
      `sent ${formatBytes(sentBytes)}  stored ${formatBytes(durableBytes)}${this.left()}`
    );
  }

  /**
   * A first backup reads all that it has scanned, which is known when the walk is done; a later one walks about as many
   * entries as the one before. What else is left of a later one nobody knows before it is done.
   */
  private left(): string {
    const { entries, directories, filesRead, readBytes, scannedBytes, isWalkDone } = this.progress!;
    if (this.isFirst) {
      const done = readBytes + filesRead * BYTES_A_FILE;
      const files = entries - directories;
      const all = isWalkDone ? scannedBytes + files * BYTES_A_FILE : undefined;
      return this.reading.text(done, all);
    }
    const isWalking = !isWalkDone && this.lastEntries > 0;
    return this.walking.text(entries, isWalking ? this.lastEntries : undefined);
  }
}
