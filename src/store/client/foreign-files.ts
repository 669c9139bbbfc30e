/**
 * Finds files in a client's directory that do not belong there: packs of other clients, and files that no release
 * creates.
 */
import type { PackNumber } from '../../model/index.js';
import path from 'node:path';
import type { FileStatus, System } from '../../system/index.js';
import type { Backend } from '../backends/backend.js';
import {
  ACCOUNTS_LOCK_FILE,
  KEY_COPIES_DIRECTORY,
  LOCK_FILE,
  packName,
  packNumber,
  PACKS_PREFIX,
  RESERVE_FILE,
  LOCK_REQUEST_FILE,
} from '../layout/layout.js';
import { labelOf, sortPackFiles } from '../packs/pack-label.js';

/**
 * A file in `packs/` with the label of another pack: the label has another number than the file name, or another
 * client.
 */
export interface StrangePack {
  /** Path relative to the client's directory. */
  readonly file: string;
  /** Pack number in the label; 0 if there is no readable label. */
  readonly pack: PackNumber;
  /** Client id in the label; empty if there is none. */
  readonly clientId: string;
  /** True if the label has the id of the client that owns the directory. */
  readonly isOwn: boolean;
}

/** A file or directory that does not belong at its path. */
export interface Stray {
  /** Path relative to the client's directory. */
  readonly file: string;
  readonly kind: 'file' | 'directory' | 'other';
  /** True if the entry has the path of a file of the store, so that commands that need that file fail. */
  readonly isInTheWay: boolean;
}

/** Files next to the packs that are opened, or removed and recreated, as plain files. */
const PLAIN_FILES: readonly string[] = [
  LOCK_FILE,
  LOCK_REQUEST_FILE,
  ACCOUNTS_LOCK_FILE,
  RESERVE_FILE,
  ...Array.from({ length: 8 }, (_, index) => `${RESERVE_FILE}.${index + 1}`),
];

/** Names that file systems create by themselves: files that were removed but are still open, and indexes. */
const OF_FILE_SYSTEM = /^(?:\.nfs|\.fuse_hidden|@eaDir$)/;

/** Returns the misplaced packs, each with the pack number and the client in its label. */
export async function strangePacks(backend: Backend): Promise<StrangePack[]> {
  const owner = backend.owner();
  const found: StrangePack[] = [];
  for (const number of (await sortPackFiles(backend)).strange) {
    const label = await labelOf(backend, number);
    const clientId = label?.client ?? '';
    found.push({
      file: packName(number),
      pack: label?.pack ?? 0,
      clientId,
      isOwn: clientId !== '' && clientId === owner,
    });
  }
  return found;
}

/** Yields entries of `packs/` that are no packs, and entries that should be plain files but are not. */
export function* strays({ files }: System, directory: string): Generator<Stray> {
  const status = (name: string): FileStatus | undefined => files.status(path.join(directory, name));
  for (const name of PLAIN_FILES) {
    const found = status(name);
    if (found !== undefined && !found.isFile) yield stray(name, found, true);
  }
  if (status(PACKS_PREFIX)?.isDirectory !== true) return;
  for (const name of files.list(path.join(directory, PACKS_PREFIX)).sort()) {
    const file = PACKS_PREFIX + name;
    const found = status(file);
    if (found === undefined || OF_FILE_SYSTEM.test(name)) continue; // the entry vanished meanwhile
    const isPack = packNumber(file) !== undefined;
    const isThere = file === KEY_COPIES_DIRECTORY ? found.isDirectory : isPack && found.isFile;
    if (!isThere) yield stray(file, found, isPack);
  }
}

function stray(file: string, found: FileStatus, isInTheWay: boolean): Stray {
  const kind = found.isDirectory ? 'directory' : found.isFile ? 'file' : 'other';
  return { file, kind, isInTheWay };
}
