/** A running restore in one line: what is there by now, and what is left of it where a whole set is restored. */
import type { BackupSet } from '../archive/index.js';
import type { RestoreProgress } from '../restore/index.js';
import { TimeLeft } from './time-left.js';
import { formatBytes, formatCount } from './units.js';

/** Making a small file costs as much as writing so many bytes of a large one. */
const BYTES_AN_ENTRY = 16_384;

export class ShownRestore {
  private total: BackupSet['stats'] | undefined;
  private readonly timeLeft: TimeLeft;
  private readonly progress: RestoreProgress;

  constructor(progress: RestoreProgress, nowMs: () => number = () => performance.now()) {
    this.progress = progress;
    this.timeLeft = new TimeLeft(nowMs);
  }

  /** All of this set is restored: what its backup has counted is what there is to do. */
  expect(set: Pick<BackupSet, 'stats' | 'state'> | undefined): void {
    this.total = set?.state === 'complete' ? set.stats : undefined;
    this.timeLeft.restart();
  }

  text(): string {
    const { files, directories, bytes, unchanged } = this.progress;
    const there = unchanged === 0 ? '' : `, ${formatCount(unchanged)} were there`;
    return (
      `restored ${formatCount(files)} files in ${formatCount(directories)} directories, ` +
      `${formatBytes(bytes)}${there}${this.left()}`
    );
  }

  /** What was there already had its bytes written before: then entries alone tell. */
  private left(): string {
    const { files, directories, links, bytes, unchanged, kept, failures } = this.progress;
    const done = files + directories + links + unchanged + kept + failures;
    const { entries, scannedBytes } = this.total ?? {};
    if (entries === undefined || scannedBytes === undefined) return '';
    if (unchanged + kept > 0) return this.timeLeft.text(done, entries);
    return this.timeLeft.text(
      bytes + done * BYTES_AN_ENTRY,
      scannedBytes + entries * BYTES_AN_ENTRY,
    );
  }
}
