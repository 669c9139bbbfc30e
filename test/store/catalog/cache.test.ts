import path from 'node:path';
import test from 'ava';
import { Catalog } from '../../../src/store/catalog/index.js';
import { nodeSystem, type SqlDatabase } from '../../../src/system/index.js';
import { scratch } from '../../helpers/scratch.js';

test('CatalogCache is the memory for pages of a catalog', (t) => {
  const real = nodeSystem();
  let opened: SqlDatabase | undefined;
  const system = {
    ...real,
    native: real.native,
    openDatabase: (...given: Parameters<typeof real.openDatabase>) => {
      opened = real.openDatabase(...given);
      return opened;
    },
  };
  const cacheOf = (name: string, bytes?: number): unknown => {
    const catalog = Catalog.openForWriting(system, path.join(scratch(t), name), {
      cacheBytes: bytes,
    });
    const pages = opened!.pragma('cache_size', { simple: true });
    catalog.close();
    return pages;
  };
  // A negative cache_size of SQLite is in KiB.
  t.is(cacheOf('usual.db'), -6 * 1024);
  t.is(cacheOf('small.db', 2 << 20), -2 * 1024);
});
