/** A folder for files that only one piece of work knows, and that go with it. */
import path from 'node:path';
import type { Files } from './files.js';

export class PrivateFolder {
  private readonly path: string;
  private readonly files: Files;

  /** Where temporary files belong, or in `parent`. Throws DISK_FULL, CONFIG_INVALID. */
  constructor(files: Files, parent?: string) {
    this.files = files;
    this.path = files.makeTemporaryDirectory(parent);
  }

  /** The path of a file in it, which need not be there. */
  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Removes it with all that is in it. */
  remove(): void {
    for (const name of this.files.list(this.path)) this.files.unlink(this.file(name));
    this.files.removeDirectory(this.path);
  }
}
