/** A catalog whose tables contain values of other types and sizes than any writer stores. */
import { writeFileSync } from 'node:fs';
import type { Target } from '../engine/target.js';
import { CatalogGround } from '../samples/catalog.js';
import { type Column, columnsOf, setColumn } from '../samples/columns.js';

const ground = new CatalogGround();
let catalog: Buffer | undefined;
let columns: Column[] = [];
const HEAD_BYTES = 3;

/** Sets a column of all rows to a value. Returns the name of the column, or the code of an error. */
function change(data: Buffer): string {
  if (data.length < HEAD_BYTES) return 'unchanged';
  const column = columns[data[0]! % columns.length]!;
  return setColumn(ground.system, ground.file, column, data[1]!, data.subarray(HEAD_BYTES));
}

export const target: Target = {
  about: 'one wrong value anywhere in the tables of a catalog: read, or an error that says so',
  seeds: () => {
    catalog = ground.make();
    columns = columnsOf(ground.system, ground.file);
    return columns.flatMap((_, index) =>
      [0, 1, 2, 3, 4].map((kind) => Buffer.from([index, kind, 0, 0x7b, 0x7d])),
    );
  },
  fuzz: async (data) => {
    writeFileSync(ground.file, catalog!);
    const changed = change(data);
    return `${changed} ${await ground.read()}`;
  },
  tokens: ['{}', '[]', 'null', '1e999', '"a"', 'complete', Buffer.alloc(32), Buffer.alloc(8, 0xff)],
  maxBytes: 256,
};
