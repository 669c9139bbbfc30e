/**
 * Records who may read and write the files of contents. A client that encrypts compresses small contents together only
 * if these are equal: the size of what is compressed together shows whether a guess beside a secret is right.
 */
import type { RowReader } from '../model/index.js';

/** Numbers of each content: owner, group, and what others than the owner may do. */
const ACCESS_NUMBERS = 3;
const ALL_READ = 0o004;
const OTHERS_READ = 0o044;
const OTHERS_WRITE = 0o022;

/** Returns the access to files by the offsets of their rows. */
export function accessOf(rows: RowReader, rowOffsets: Uint32Array): Uint32Array {
  const access = new Uint32Array(rowOffsets.length * ACCESS_NUMBERS);
  for (const [index, at] of rowOffsets.entries()) {
    const shared = rows.permissions(at) & (OTHERS_READ | OTHERS_WRITE);
    // Where all read and only the owner writes, the group does not matter.
    const isPublic = (shared & (ALL_READ | OTHERS_WRITE)) === ALL_READ;
    const rest = isPublic ? [0, ALL_READ] : [rows.gid(at), shared];
    access.set([rows.uid(at), ...rest], index * ACCESS_NUMBERS);
  }
  return access;
}

/** Returns a key that is equal for contents with equal access, and for all contents if `access` is empty. */
export function accessKey(access: Uint32Array, index: number): string {
  return access.subarray(index * ACCESS_NUMBERS, (index + 1) * ACCESS_NUMBERS).join();
}
