/**
 * Keeps files open for a moment after they were read, since the next record is often in the same pack. A file is
 * found by its path, so that it must not be kept for long: another file may have the path by then.
 */
import type { Files } from '../system/index.js';

/** Maximum number of open files that nobody reads. */
const MAX_IDLE = 4;
/** Time for which a file is kept open after its last use. */
const KEEP_MS = 1000;

interface KeptFile {
  readonly fd: number;
  readers: number;
}

export class KeptFiles {
  private readonly kept = new Map<string, KeptFile>();
  private readonly files: Files;
  private closing: NodeJS.Timeout | undefined;

  constructor(files: Files) {
    this.files = files;
  }

  /**
   * Returns the descriptor of a file, which stays open until `leave` is called. Throws the errors of opening it.
   */
  use(path: string): number {
    const known = this.kept.get(path);
    const file = known ?? { fd: this.files.open(path, 'read'), readers: 0 };
    file.readers += 1;
    this.kept.delete(path);
    this.kept.set(path, file); // the file that was used last comes last
    return file.fd;
  }

  /** Ends a use of a file. */
  leave(path: string): void {
    const file = this.kept.get(path);
    if (file === undefined) return;
    file.readers -= 1;
    this.closeOldest(MAX_IDLE);
    if (this.closing !== undefined) return;
    this.closing = setTimeout(() => {
      this.closing = undefined;
      this.closeOldest(0);
    }, KEEP_MS);
    this.closing.unref();
  }

  /** Closes files without readers, those used longest ago first, except for some. */
  private closeOldest(except: number): void {
    const idle = [...this.kept].filter(([, { readers }]) => readers === 0);
    for (const [path, { fd }] of idle.slice(0, Math.max(0, idle.length - except))) {
      this.kept.delete(path);
      this.files.close(fd);
    }
  }
}
