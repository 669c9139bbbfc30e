/** Fills a file system to the last byte, and returns its free space. */
import fs from 'node:fs';

const MIB = 1 << 20;

/** Writes a file until the disk has no byte left. */
export function fillUp(file: string): void {
  const fd = fs.openSync(file, 'w');
  try {
    for (let bytes = MIB; bytes >= 1; ) {
      try {
        const written = fs.writeSync(fd, Buffer.alloc(bytes, 1));
        if (written < bytes) bytes = Math.max(1, bytes >> 1);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
        if (bytes === 1) return;
        bytes >>= 1;
      }
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** Returns the free bytes of the file system of a path. */
export function freeBytes(place: string): number {
  const { bavail, bsize } = fs.statfsSync(place);
  return bavail * bsize;
}
