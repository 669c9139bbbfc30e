/**
 * Space used by a client on the server: the bytes of its packs, objects, their parity, and key records, and the number
 * of versions in its catalog. The catalog itself is not counted: it contains nothing that the packs do not, and grows
 * with the entries.
 */
import path from 'node:path';
import { Catalog } from '../../store/catalog/index.js';
import {
  type ClientDirectory,
  KEYS_DIRECTORY,
  PACKS_PREFIX,
  PARITY_PREFIX,
} from '../../store/index.js';
import { namesIn, type System, yieldRegularly } from '../../system/index.js';

export interface SpaceTaken {
  readonly bytes: number;
  /** Number of versions of all entries that are not directories. */
  readonly files: number;
  readonly directories: number;
}

/** Number of directories whose entries are counted by one statement. */
const COUNT_SLICE = 4096;
const HEX = /^[0-9a-f]{2}$/;

/**
 * Returns the space used by a client. Yields to other sessions of the thread. Throws errors of opening a catalog,
 * and system errors.
 */
export async function measureSpace(
  system: System,
  directory: ClientDirectory,
  withEntries: boolean,
): Promise<SpaceTaken> {
  const bytes = await measureBytes(system, directory.path);
  const isThere = system.files.status(directory.catalogPath) !== undefined;
  if (!withEntries || !isThere) return { bytes, files: 0, directories: 0 };
  return { bytes, ...(await countEntries(system, directory.catalogPath)) };
}

async function measureBytes({ files }: System, directory: string): Promise<number> {
  const breathe = yieldRegularly();
  let sum = 0;
  const addFiles = async (below: string): Promise<void> => {
    for (const name of namesIn(files, below)) {
      const status = files.status(path.join(below, name));
      if (status?.isFile === true) sum += status.sizeBytes;
      await breathe();
    }
  };
  await addFiles(path.join(directory, KEYS_DIRECTORY));
  for (const half of [directory, path.join(directory, PARITY_PREFIX)]) {
    await addFiles(path.join(half, PACKS_PREFIX));
    for (const first of namesIn(files, half).filter((name) => HEX.test(name))) {
      for (const second of namesIn(files, path.join(half, first))) {
        if (HEX.test(second)) await addFiles(path.join(half, first, second));
        await breathe();
      }
    }
  }
  return sum;
}

async function countEntries(
  system: System,
  catalogPath: string,
): Promise<{ files: number; directories: number }> {
  const breathe = yieldRegularly();
  using catalog = Catalog.openForReading(system, catalogPath);
  const { entryCounts } = catalog;
  let [files, directories] = [0, 0];
  let from = entryCounts.nextDirectory(0);
  while (from !== undefined) {
    const found = entryCounts.between(from, from + COUNT_SLICE);
    from = entryCounts.nextDirectory(from + COUNT_SLICE);
    files += found.all - found.directories;
    directories += found.directories;
    await breathe();
  }
  return { files, directories };
}
