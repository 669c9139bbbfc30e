/** Fills a catalog with very many entries, as a writer stores them, beside those of a backup. */
import { EntryType, encodeRow, RowReader } from '../src/model/index.js';
import { Catalog, putRow } from '../src/store/catalog/index.js';
import { nodeSystem } from '../src/system/index.js';

const IN_DIRECTORY = 1000;
/** The first id of a directory for added entries; no backup reaches it. */
const FIRST_DIRECTORY = 2 ** 40;
const IN_TRANSACTION = 500_000;

/**
 * Adds entries to the first set of a catalog that no other process has open. They are in directories to which no entry
 * of the set leads.
 */
export function fillCatalog(catalogPath: string, entries: number): void {
  const catalog = Catalog.openForWriting(nodeSystem(), catalogPath);
  try {
    for (let entry = 0; entry < entries; entry += 1) {
      if (entry % IN_TRANSACTION === 0) catalog.begin();
      const directory = FIRST_DIRECTORY + Math.floor(entry / IN_DIRECTORY);
      const name = String(entry).padStart(8, '0');
      const version = { set: 1, directory, contentId: undefined, childId: undefined, isNew: true };
      putRow(catalog, version, new RowReader(rowOf(`one-of-many-entries-${name}`)), 0);
      if ((entry + 1) % IN_TRANSACTION !== 0 && entry + 1 !== entries) continue;
      catalog.commit();
      catalog.foldLog();
    }
  } finally {
    catalog.close();
  }
}

function rowOf(name: string): Buffer {
  const timeNs = 1_700_000_000_123_456_789n;
  return encodeRow({
    name: Buffer.from(name),
    type: EntryType.file,
    flags: 0,
    permissions: 0o644,
    uid: 1000,
    gid: 1000,
    linkCount: 1,
    sizeBytes: 0,
    mtimeNs: timeNs,
    ctimeNs: timeNs,
    birthTimeNs: timeNs,
    inode: 4711n,
    device: 0n,
    digest: undefined,
    linkTarget: undefined,
    attributes: undefined,
  });
}
