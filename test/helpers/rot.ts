/** Damages data as a failing disk would: in a row of a catalog, at a position of a file, or in a stored content. */
import fs from 'node:fs';
import path from 'node:path';
import { nodeSystem } from '../../src/system/index.js';

/** Flips one bit of a file. */
export function flipAt(file: string, at: number, bit = 0): void {
  const bytes = fs.readFileSync(file);
  bytes[at]! ^= 1 << bit;
  fs.writeFileSync(file, bytes);
}

/** Overwrites part of a content wherever it is stored below a directory. Returns a function that puts it back. */
export function spoilContent(directory: string, part: Buffer): () => void {
  const sound = new Map<string, Buffer>();
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(directory, name);
    if (!fs.statSync(file).isFile()) continue;
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf(part);
    if (at < 0) continue;
    sound.set(file, Buffer.from(bytes));
    fs.writeFileSync(file, bytes.fill(0, at, at + part.length));
  }
  if (sound.size === 0) throw new Error(`no file of ${directory} has the content`);
  return () => {
    for (const [file, bytes] of sound) fs.writeFileSync(file, bytes);
  };
}

/** Returns blobs of the catalog of the client "me", selected by a query for one column. */
export function blobsIn(store: string, sql: string): Buffer[] {
  const file = path.join(store, 'me', 'tardis.db');
  const catalog = nodeSystem().openDatabase(file, { readonly: true });
  try {
    return catalog.prepare(sql).pluck().all() as Buffer[];
  } finally {
    catalog.close();
  }
}

/** Flips one bit of a blob in the file of the catalog of the client "me", without SQLite, as a disk would. */
export function rotBlob(store: string, blob: Buffer, offset: number, bit = 2): void {
  const file = path.join(store, 'me', 'tardis.db');
  const bytes = fs.readFileSync(file);
  let found = 0;
  // A stale copy may be in the free space of another page.
  for (let at = bytes.indexOf(blob); at >= 0; at = bytes.indexOf(blob, at + blob.length)) {
    bytes[at + offset]! ^= 1 << bit;
    found += 1;
  }
  if (found === 0) throw new Error('the catalog has no such bytes');
  fs.writeFileSync(file, bytes);
}
