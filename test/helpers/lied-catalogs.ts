/** Catalogs that a peer makes up for a copy, and the errors with which they are refused. */
import fs from 'node:fs';
import path from 'node:path';
import type { CopyFeed } from '../../src/maintenance/rewrite/index.js';
import { Codec, encode, encodedBound } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import type { Place } from './inline.js';

const system = nodeSystem();

/** Returns a feed whose catalog is the file that `change` leaves. */
async function withCatalog(
  feed: CopyFeed,
  { store, client }: Place,
  folder: string,
  change: (file: string) => void,
): Promise<CopyFeed> {
  const offer = await feed.open();
  const file = path.join(folder, 'lie.db');
  fs.copyFileSync(path.join(store, client, 'tardis.db'), file);
  change(file);
  const bytes = fs.readFileSync(file);
  return {
    ...feed,
    open: async () => ({ ...offer, catalogBytes: bytes.length }),
    piece: async () => packed(bytes),
  };
}

/** Returns a catalog of less than 4 MiB as one piece. */
function packed(bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 1 << 20) {
    const raw = bytes.subarray(at, at + (1 << 20));
    const frame = Buffer.alloc(4 + encodedBound(Codec.zstd, raw.length));
    const length = encode(Codec.zstd, 1, raw, frame, 4);
    frame.writeUInt32LE(length);
    frames.push(frame.subarray(0, 4 + length));
  }
  return Buffer.concat(frames);
}

/** Returns a change of a catalog by statements. */
export function changed(sql: string): (file: string) => void {
  return (file) => {
    const database = system.openDatabase(file, { readonly: false });
    database.exec(sql);
    database.pragma('journal_mode = DELETE');
    database.close();
  };
}

/** Changes of a catalog, each with its error. */
export const LIES: Readonly<Record<string, readonly [string, (file: string) => void]>> = {
  'a trigger': [
    'CATALOG_DAMAGED',
    changed('CREATE TRIGGER bad AFTER INSERT ON entries BEGIN DELETE FROM entries; END'),
  ],
  'a view in place of a table': [
    'CATALOG_DAMAGED',
    changed('ALTER TABLE set_notes RENAME TO x; CREATE VIEW set_notes AS SELECT * FROM x'),
  ],
  'another version': ['CATALOG_NEWER', changed('PRAGMA user_version = 999')],
  'an earlier version': ['CATALOG_OLDER', changed('PRAGMA user_version = 0')],
  'values of another type': ['CATALOG_DAMAGED', changed("UPDATE backup_sets SET name = x'00ff'")],
  'counters that are behind': [
    'CATALOG_DAMAGED',
    changed("INSERT INTO roots VALUES (1000000000, x'2f', 1, '')"),
  ],
  'an older state than the copy': [
    'COPY_DIFFERS',
    changed(
      "DELETE FROM set_roots WHERE set_number = 7; DELETE FROM backup_sets WHERE set_number = 7; UPDATE state SET value = 6 WHERE key = 'counter.set'",
    ),
  ],
  'another history than the copy': [
    'COPY_DIFFERS',
    changed('UPDATE backup_sets SET opened_at_ms = opened_at_ms + 1 WHERE set_number = 2'),
  ],
  'no database': ['CATALOG_DAMAGED', (file) => fs.writeFileSync(file, Buffer.alloc(8192, 7))],
  'half a database': ['CATALOG_DAMAGED', (file) => fs.truncateSync(file, 20_480)],
};

/** Returns a function that gives a feed another catalog: that of the place, changed. It is made in the folder. */
export function lying(
  place: Place,
  folder: string,
  change: (file: string) => void,
): { wrap: (feed: CopyFeed) => CopyFeed } {
  let lie: Promise<CopyFeed> | undefined;
  return {
    wrap: (feed) => ({
      ...feed,
      open: async () => (await (lie ??= withCatalog(feed, place, folder, change))).open(),
      piece: async (...given) => (await lie!).piece(...given),
    }),
  };
}
