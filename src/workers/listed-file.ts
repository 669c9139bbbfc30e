/** Opens files that were listed before, and nothing else that has their names now. */
import fs from 'node:fs';
import { bufferOf, deviceOf, identityOf, RowReader, wasClosed } from '../model/index.js';
import { type DirectoryPlace, OpenedPlace, type System } from '../system/index.js';
import type { ListedFile } from './jobs.js';

/** Returns the place of the directory of a file. */
export function directoryOfFile({ directoryPath, directory }: ListedFile): DirectoryPlace {
  return { path: bufferOf(directoryPath), identity: bufferOf(directory) };
}

/** Descriptors of a file and of its directory, which are closed together. */
export class OpenListedFile implements Disposable {
  readonly fd: number;
  private readonly directory: OpenedPlace;
  private readonly identity: Buffer;

  /** Throws the system's errors; EREPLACED if the file or its directory is another one. */
  constructor(
    private readonly system: System,
    file: ListedFile,
  ) {
    const { native } = system;
    const rows = new RowReader(file.row);
    const place = directoryOfFile(file);
    this.identity = place.identity;
    this.directory = new OpenedPlace(native, place);
    try {
      const identity = identityOf(rows, 0, deviceOf(file.directory));
      this.fd = native.openListedAt(this.directory.fd, rows.name(0), identity);
    } catch (error) {
      this.directory[Symbol.dispose]();
      throw error;
    }
  }

  /** True if its directory was closed since it was listed. */
  get wasClosed(): boolean {
    this.system.native.noteClosing(this.directory.fd, this.identity);
    return wasClosed(this.identity);
  }

  [Symbol.dispose](): void {
    this.system.native.close(this.fd);
    this.directory[Symbol.dispose]();
  }
}

/** Returns the status of an open file. A block device has the size of its contents. */
export function statusOf({ native }: System, fd: number): fs.BigIntStats {
  const status = fs.fstatSync(fd, { bigint: true });
  if (status.isBlockDevice()) status.size = BigInt(native.deviceBytes(fd));
  return status;
}

/** Returns the error of a device that ends before its size. No part of such a reading counts as a version. */
export function endsEarly(): Error {
  return Object.assign(new Error('the device ends before its size'), { code: 'EIO' });
}
