/**
 * Space used by a client on the server: the bytes of its packs, objects, their parity, and key records, and the number
 * of versions in its catalog. The catalog itself is not counted: it contains nothing that the packs do not, and grows
 * with the entries.
 */
import { Catalog } from '../../store/catalog/index.js';
import { type ClientDirectory, storedFiles } from '../../store/index.js';
import { type System, yieldRegularly } from '../../system/index.js';

export interface SpaceTaken {
  readonly bytes: number;
  /** Number of versions of all entries that are not directories. */
  readonly files: number;
  readonly directories: number;
}

/** Number of directories whose entries are counted by one statement. */
const COUNT_SLICE = 4096;

/**
 * Returns the space used by a client. Yields to other sessions of the thread. Throws errors of opening a catalog,
 * and system errors.
 */
export async function measureSpace(
  system: System,
  directory: ClientDirectory,
  withEntries: boolean,
): Promise<SpaceTaken> {
  let bytes = 0;
  for await (const { sizeBytes } of storedFiles(system.files, directory.path)) bytes += sizeBytes;
  const isThere = system.files.status(directory.catalogPath) !== undefined;
  if (!withEntries || !isThere) return { bytes, files: 0, directories: 0 };
  return { bytes, ...(await countEntries(system, directory.catalogPath)) };
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
