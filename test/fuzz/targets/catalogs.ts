/** Files in the place of a catalog: mutated bytes of a real one. */
import { rmSync, writeFileSync } from 'node:fs';
import { Catalog } from '../../../src/store/catalog/index.js';
import type { Target } from '../engine/target.js';
import { CatalogGround, reported } from '../samples/catalog.js';

const ground = new CatalogGround();

/** Opens the file for writing, as a backup does. */
function openForWriting(): string {
  try {
    const catalog = Catalog.openForWriting(ground.system, ground.file);
    catalog.close();
    return 'opened';
  } catch (error) {
    return reported(error);
  }
}

export const target: Target = {
  about: 'changed files of SQLite: opened and read, or refused with an error that says so',
  seeds: () => [ground.make()],
  fuzz: async (data) => {
    for (const suffix of ['-wal', '-shm', '-journal']) {
      rmSync(`${ground.file}${suffix}`, { force: true });
    }
    writeFileSync(ground.file, data);
    const read = await ground.read();
    // Opening for writing calls fsync, so only some inputs do it.
    return data.length % 4 === 0 ? `${read} / ${openForWriting()}` : read;
  },
  tokens: ['SQLite format 3\0', 'CREATE TABLE ', 'entries', 'unfinished', '{}'],
  maxBytes: 64 << 10,
};
