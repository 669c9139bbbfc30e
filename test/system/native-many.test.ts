import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { RowReader } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

const { native } = nodeSystem();

/** Returns the names and inodes of a listing, in its order. */
function listed(folder: string): [name: string, inode: bigint][] {
  const listing = native.listDirectory(Buffer.from(folder));
  const rows = new RowReader(listing);
  const found: [string, bigint][] = [];
  for (let at = 0; at < listing.length; at += rows.rowBytes(at)) {
    found.push([rows.name(at).toString(), rows.inode(at)]);
  }
  return found;
}

test('a directory of so many names that its rows come in pieces is listed whole, and in order', (t) => {
  const folder = scratchInMemory(t);
  const names = Array.from({ length: 12_000 }, (_, index) => `${index}-${'x'.repeat(index % 200)}`);
  for (const name of names) fs.writeFileSync(path.join(folder, name), '');
  const wanted = names
    .map((name) => Buffer.from(name))
    .sort((a, b) => Buffer.compare(a, b))
    .map((name) => name.toString());
  const found = listed(folder);
  t.true(native.listDirectory(Buffer.from(folder)).length > 2 << 20);
  t.deepEqual(
    found.map(([name]) => name),
    wanted,
  );
  for (const [name, inode] of [found[0]!, found[6000]!, found.at(-1)!]) {
    t.is(inode, fs.lstatSync(path.join(folder, name), { bigint: true }).ino);
  }
  // Memory kept from this listing must not show in the next one.
  const small = scratchInMemory(t);
  t.deepEqual(listed(small), []);
  fs.writeFileSync(path.join(small, 'one'), '');
  t.deepEqual(
    listed(small).map(([name]) => name),
    ['one'],
  );
});
