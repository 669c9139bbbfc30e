/** Progress of a running restore as one line: the entries restored, and the time left if a whole set is restored. */
import type { BackupSet } from '../../history/index.js';
import type { RestoreProgress } from '../../restore/index.js';
import { progressBar } from '../output/progress-bar.js';
import { TimeLeft } from '../output/time-left.js';
import { formatBytes, formatCount } from '../output/units.js';

/** Number of bytes that take as long to write as the creation of a small file. */
const BYTES_AN_ENTRY = 16_384;

export class RestoreLine {
  private total: BackupSet['stats'] | undefined;
  /** Largest share that was shown as done. */
  private shareDone = 0;
  private readonly timeLeft: TimeLeft;

  constructor(
    private readonly progress: RestoreProgress,
    nowMs: () => number = () => performance.now(),
  ) {
    this.timeLeft = new TimeLeft(nowMs);
  }

  /** Sets the set that is restored as a whole. The total amount of work is in the statistics of its backup. */
  expect(set: Pick<BackupSet, 'stats' | 'state'> | undefined): void {
    this.total = set?.state === 'complete' ? set.stats : undefined;
    this.shareDone = 0;
    this.timeLeft.restart();
  }

  /** Returns the line. The estimate is first, since the end may be cut off. */
  text(): string {
    const { files, directories, bytes, unchanged } = this.progress;
    const there = unchanged === 0 ? '' : `, ${formatCount(unchanged)} unchanged`;
    return (
      `${this.share()}restored ${formatCount(files)} files in ${formatCount(directories)} directories, ` +
      `${formatBytes(bytes)}${there}`
    );
  }

  /** Returns `[####------] 42 %, about 3 min left ` if the total is known, otherwise an empty text. */
  private share(): string {
    const { files, directories, links, bytes, unchanged, kept, failures } = this.progress;
    const { entries, scannedBytes } = this.total ?? {};
    if (entries === undefined || scannedBytes === undefined) return '';
    const entriesDone = files + directories + links + unchanged + kept + failures;
    // The bytes of files that existed before are not counted, so then only entries are compared.
    const [done, all] =
      unchanged + kept > 0
        ? [entriesDone, entries]
        : [bytes + entriesDone * BYTES_AN_ENTRY, scannedBytes + entries * BYTES_AN_ENTRY];
    // The share never decreases, even if the method of counting changes.
    this.shareDone = Math.max(this.shareDone, all === 0 ? 1 : Math.min(1, done / all));
    return `${progressBar(this.shareDone, 1)}${this.timeLeft.text(done, all)}  `;
  }
}
