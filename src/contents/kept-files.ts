/**
 * Keeps files open for a moment, since the next record is often in the same pack. A file is found by its path, and
 * another file may have the path later. So no file is given to a new reader when it has been open for more than a second.
 */
import type { Clock, Files } from '../system/index.js';

/** Maximum number of open files that nobody reads. */
const MAX_IDLE = 4;
/** Time after its opening in which a file is given to new readers. */
const KEEP_MS = 1000;

/** An open file. */
export interface KeptFile {
  readonly fd: number;
  readonly path: string;
  readonly openedMs: number;
  readers: number;
}

export class KeptFiles {
  private readonly kept = new Map<string, KeptFile>();
  private readonly files: Files;
  private readonly clock: Clock;
  private closing: NodeJS.Timeout | undefined;

  constructor({ files, clock }: { readonly files: Files; readonly clock: Clock }) {
    this.files = files;
    this.clock = clock;
  }

  /** Returns an open file, which stays open until it is left. Throws the errors of opening it. */
  use(path: string): KeptFile {
    const nowMs = this.clock.monotonicMs();
    let file = this.kept.get(path);
    if (file !== undefined && nowMs - file.openedMs > KEEP_MS) {
      this.remove(file);
      file = undefined;
    }
    file ??= { fd: this.files.open(path, 'read'), path, openedMs: nowMs, readers: 0 };
    file.readers += 1;
    this.kept.delete(path);
    this.kept.set(path, file); // the file that was used last comes last
    return file;
  }

  /** Ends a use of a file. */
  leave(file: KeptFile): void {
    file.readers -= 1;
    if (this.kept.get(file.path) !== file) {
      if (file.readers === 0) this.files.close(file.fd);
      return;
    }
    this.closeOldest(MAX_IDLE);
    this.closing ??= setTimeout(() => {
      this.closing = undefined;
      this.forget();
    }, KEEP_MS).unref();
  }

  /** Gives none of the files to new readers. Files that nobody reads are closed, others when their readers leave. */
  forget(): void {
    for (const file of this.kept.values()) this.remove(file);
  }

  private remove(file: KeptFile): void {
    this.kept.delete(file.path);
    if (file.readers === 0) this.files.close(file.fd);
  }

  /** Closes files without readers, those used longest ago first, except for some. */
  private closeOldest(except: number): void {
    const idle = [...this.kept.values()].filter(({ readers }) => readers === 0);
    for (const file of idle.slice(0, Math.max(0, idle.length - except))) this.remove(file);
  }
}
