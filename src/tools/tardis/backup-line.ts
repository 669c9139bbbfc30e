/** Progress of a running backup as one line: entries scanned, files read, bytes sent and stored, and the time left. */
import type { BackupProgress } from '../../pipeline/index.js';
import { progressBar } from '../output/progress-bar.js';
import { TimeLeft } from '../output/time-left.js';
import { formatBytes, formatCount } from '../output/units.js';

/** Total of the files and bytes that a first backup has to read. */
export interface Total {
  readonly files: number;
  readonly bytes: number;
}

/** Number of bytes that take as long to read as opening a small file. */
const BYTES_A_FILE = 16_384;

export class BackupLine {
  private progress: BackupProgress | undefined;
  private lastEntries = 0;
  private isFirst = false;
  /** Bytes read, as last shown. */
  private readBytes = 0;
  private total: Total | undefined;
  private readonly walking: TimeLeft;
  private readonly reading: TimeLeft;

  constructor(nowMs: () => number = () => performance.now()) {
    this.walking = new TimeLeft(nowMs);
    this.reading = new TimeLeft(nowMs);
  }

  /** Resets the state for a session that begins or restarts. */
  begin(progress: BackupProgress): void {
    this.progress = progress;
    this.lastEntries = 0;
    this.isFirst = false;
    this.readBytes = 0;
    this.walking.restart();
    this.reading.restart();
  }

  opened({ empty, lastEntries }: { readonly empty: boolean; readonly lastEntries: number }): void {
    this.isFirst = empty;
    this.lastEntries = lastEntries;
  }

  /** Sets the total, once everything was counted. */
  expect(total: Total): void {
    this.total = total;
  }

  text(): string {
    if (this.progress === undefined) return 'starting';
    const whole = this.whole();
    if (this.isFirst && whole !== undefined) return this.share(whole);
    const { entries, scannedBytes, filesRead, sentBytes, durableBytes, isWalkDone } = this.progress;
    const scanned = `${formatCount(entries)} entries, ${formatBytes(scannedBytes)}`;
    return (
      `scanned ${scanned}${isWalkDone ? '' : ' …'}  ` +
      `read ${formatCount(filesRead)} files, ${formatBytes(this.read())}  ` +
      `sent ${formatBytes(sentBytes)}  stored ${formatBytes(durableBytes)}${this.left()}`
    );
  }

  /**
   * Returns the number of bytes read, which never decreases. Without this it could: a part that was sent is counted as
   * read a moment later, and a changed file is read again.
   */
  private read(): number {
    const { readBytes, readingBytes } = this.progress!;
    this.readBytes = Math.max(this.readBytes, readBytes + readingBytes);
    return this.readBytes;
  }

  /** Returns the files and bytes to read, if they are known: from the finished walk, or from the count in advance. */
  private whole(): Total | undefined {
    const { entries, directories, scannedBytes, isWalkDone, isStreaming } = this.progress!;
    if (isStreaming) return undefined;
    return isWalkDone ? { files: entries - directories, bytes: scannedBytes } : this.total;
  }

  /**
   * Returns `[####------] 42 %, about 3 min left read 4.2 GB of 10.0 GB, …`. The estimate is first, since the end
   * may be cut off.
   */
  private share(whole: Total): string {
    const { filesRead, holeBytes, sentBytes, durableBytes } = this.progress!;
    const read = this.read();
    // Holes are known once a file is read; nothing of them is.
    const bytes = Math.max(read, whole.bytes - holeBytes);
    const done = read + filesRead * BYTES_A_FILE;
    const all = bytes + whole.files * BYTES_A_FILE;
    const amounts =
      `read ${formatBytes(read)} of ${formatBytes(bytes)}, ` +
      `sent ${formatBytes(sentBytes)}, stored ${formatBytes(durableBytes)}`;
    return `${progressBar(done, all)}${this.reading.text(done, all)}  ${amounts}`;
  }

  /**
   * Returns the estimate of the time left. A later backup walks about as many entries as the one before. For other
   * work, the amount is not known before the work is done.
   */
  private left(): string {
    const { entries, isWalkDone } = this.progress!;
    if (this.isFirst) return this.reading.text(0, undefined);
    const isWalking = !isWalkDone && this.lastEntries > 0;
    return this.walking.text(entries, isWalking ? this.lastEntries : undefined);
  }
}
