import { jsonName } from '../model/index.js';

/** Maximum number of directories that were not entered whose paths are kept. */
const FIRST_NOT_ENTERED = 5;

/** Directories of other file systems that were not entered: their number, and the paths of the first of them. */
export class NotEntered {
  count = 0;
  readonly first: Buffer[] = [];

  add(path: Uint8Array): void {
    this.count += 1;
    if (this.first.length < FIRST_NOT_ENTERED) this.first.push(Buffer.from(path));
  }

  toJSON(): object {
    return { count: this.count, first: this.first.map(jsonName) };
  }
}

/** Counters of a running backup. One object serves as progress and as statistics. */
export class BackupProgress {
  /** Directories, entries and bytes that the walk has found. */
  directories = 0;
  entries = 0;
  scannedBytes = 0;
  /** Number of entries left out by rules, marks, attributes or size (without the entries below them). */
  leftOut = 0;
  readonly notEntered = new NotEntered();
  /** Number of directories whose listing is unchanged on the server. */
  sameDirectories = 0;
  /** Number of listings sent to be compared. */
  listings = 0;
  /** Number of files read, and their bytes. */
  filesRead = 0;
  readBytes = 0;
  /** Number of bytes sent of parts of large files that are still being read. They are not in `readBytes` yet. */
  readingBytes = 0;
  /** Bytes of holes, which were not read. */
  holeBytes = 0;
  /** Bytes missing from files that were shorter than their sizes; negative if they were longer. */
  missingBytes = 0;
  /** Number of files whose content was not sent, since this session sent it earlier or the server had it. */
  filesHad = 0;
  /** Number of contents sent, and the bytes of their records. */
  contentsSent = 0;
  sentBytes = 0;
  /** Number of sent bytes that the server has confirmed as durable. */
  durableBytes = 0;
  /** Contents sent as deltas on earlier versions; also counted as sent contents. */
  deltasSent = 0;
  vanished = 0;
  unreadable = 0;
  changed = 0;
  /** Number of files whose bytes differ from their size, or from another reading. */
  inconsistent = 0;
  /** Number of entries saved without some of their attributes. */
  incomplete = 0;
  /** Number of protected roots and mount points, whose old entries are kept. */
  protected = 0;
  isWalkDone = false;
  /** True while a stream is read, whose size is known only at its end. */
  isStreaming = false;
}

/**
 * A part of a large file while it is read and sent. Until the end of the part, its sent bytes count as being read.
 * After that the whole part counts as read.
 */
export class PartUnderWay {
  private bytes = 0;

  constructor(private readonly progress: BackupProgress) {}

  sent(bytes: number): void {
    this.bytes += bytes;
    this.progress.sentBytes += bytes;
    this.progress.readingBytes += bytes;
  }

  end(): void {
    this.progress.readingBytes -= this.bytes;
  }
}
