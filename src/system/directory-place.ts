/** Directories that were listed, and are opened later to look at what is in them. */
import fs from 'node:fs';
import { identityOf, ROOT_NAME, RowReader } from '../model/index.js';
import { OpenFd } from './files.js';
import type { NativeCalls } from './native.js';

export interface DirectoryPlace {
  /** A path without links. */
  readonly path: Buffer;
  /** The identity by which the directory is opened (src/model/identity.ts). */
  readonly identity: Buffer;
}

/** Returns the place of the directory that is at a path now. Throws the system's errors. */
export function directoryAt(native: Pick<NativeCalls, 'statRow'>, path: Buffer): DirectoryPlace {
  const rows = new RowReader(native.statRow(path, ROOT_NAME));
  const { dev } = fs.lstatSync(path, { bigint: true });
  return { path, identity: identityOf(rows, 0, dev) };
}

/** Returns the place of a directory whose files are read, below which others are found by their lines. Throws as above. */
export function namedDirectoryAt(
  native: Pick<NativeCalls, 'statRow' | 'beginLine'>,
  path: Buffer,
): DirectoryPlace {
  const place = directoryAt(native, path);
  native.beginLine(path, place.identity);
  return place;
}

/** An open directory that is the one that was listed. */
export class OpenedPlace extends OpenFd {
  /** Opens it as `openListed` does, and throws its errors. */
  constructor(
    native: Pick<NativeCalls, 'openListed' | 'close'>,
    { path, identity }: DirectoryPlace,
  ) {
    super(native, native.openListed(path, identity));
  }
}
