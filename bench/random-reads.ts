/** Reads 4 KiB at random places of a file for some milliseconds, and prints the number of reads in a second. */
import { openSync, readSync, statSync } from 'node:fs';
import { Random } from './random.js';

const READ_BYTES = 4096;

const [path = '', seed = '1', durationMs = '3000'] = process.argv.slice(2);
const random = new Random(Number(seed));
const blocks = Math.floor(statSync(path).size / READ_BYTES);
const fd = openSync(path, 'r');
const target = Buffer.alloc(READ_BYTES);
const startMs = performance.now();
let reads = 0;
let tookMs = 0;
for (; tookMs < Number(durationMs); tookMs = performance.now() - startMs) {
  const read = readSync(fd, target, 0, READ_BYTES, random.below(blocks) * READ_BYTES);
  if (read !== READ_BYTES) throw new Error(`a read of ${READ_BYTES} bytes gave ${read}`);
  reads++;
}
process.stdout.write(`${((reads / tookMs) * 1000).toFixed(1)}\n`);
