/** A native library that few sessions need, loaded by the thread that first uses it. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
let snappy: typeof import('snappy') | undefined;

export function loadSnappy(): typeof import('snappy') {
  snappy ??= require('snappy') as typeof import('snappy');
  return snappy;
}
