/** What a running backup has done so far; the same object is shown as progress and as statistics. */
export class BackupProgress {
  /** Seen by the walk. */
  directories = 0;
  entries = 0;
  scannedBytes = 0;
  /** Entries left out by rules, marks, attributes or size (what is below them not counted). */
  leftOut = 0;
  /** Listings the server had unchanged. */
  sameDirectories = 0;
  /** Listings sent to be compared. */
  listings = 0;
  /** Files read, and their bytes. */
  filesRead = 0;
  readBytes = 0;
  /** Files whose content was there already, by this session's memory or the server's. */
  filesHad = 0;
  /** Contents sent, and the bytes of their records. */
  contentsSent = 0;
  sentBytes = 0;
  /** Of all that was sent, what the server has called durable. */
  durableBytes = 0;
  /** Of these, deltas on earlier versions. */
  deltasSent = 0;
  vanished = 0;
  unreadable = 0;
  changed = 0;
  /** Saved, but for some attributes. */
  incomplete = 0;
  /** Roots of which nothing was taken. */
  held = 0;
  isWalkDone = false;
}
