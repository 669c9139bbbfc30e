/** Returns the statistics that are stored with a set. */
import type { BackupProgress } from '../pipeline/index.js';

export function setStats(progress: BackupProgress): Record<string, number> {
  const { directories, entries, scannedBytes, filesRead, readBytes, contentsSent, sentBytes } =
    progress;
  const {
    vanished,
    unreadable,
    changed,
    incomplete,
    inconsistent,
    protected: kept,
    leftOut,
    notEntered,
  } = progress;
  return {
    directories,
    entries,
    scannedBytes,
    filesRead,
    readBytes,
    contentsSent,
    sentBytes,
    vanished,
    unreadable,
    changed,
    leftOut,
    notEntered: notEntered.count,
    incomplete,
    inconsistent,
    protected: kept,
  };
}
