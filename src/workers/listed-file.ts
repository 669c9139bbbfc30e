/** Opens files that were listed before, and nothing else that has their names now. */
import { deviceOf, identityOf, RowReader } from '../model/index.js';
import type { System } from '../system/index.js';
import type { ListedFile } from './jobs.js';

/** Descriptors of a file and of its directory, which are closed together. */
export class OpenListedFile implements Disposable {
  readonly directoryFd: number;
  readonly fd: number;
  private readonly system: System;

  /** Throws the system's errors; EREPLACED if the file or its directory is another one. */
  constructor(system: System, { directoryPath, directory, row }: ListedFile) {
    const { native } = system;
    const rows = new RowReader(row);
    this.system = system;
    this.directoryFd = native.openListed(Buffer.from(directoryPath), Uint8Array.from(directory));
    try {
      const identity = identityOf(rows, 0, deviceOf(directory));
      this.fd = native.openListedAt(this.directoryFd, rows.name(0), identity);
    } catch (error) {
      native.close(this.directoryFd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    const { native } = this.system;
    native.close(this.fd);
    native.close(this.directoryFd);
  }
}
