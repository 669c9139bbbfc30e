/** Returns inode numbers. They are hashes, so that they are equal at each mount. */
import type { HistoryEntry } from '../history/index.js';
import { EntryType } from '../model/index.js';
import { keyOf } from '../restore/index.js';
import type { Inode } from './attributes.js';

const LEAST_INODE = 16;
/** Stands for the directory of a set. Other directories without an id have lower numbers. */
const SET_DIRECTORY = -2;

/** Hash function: mixes bytes into two numbers of 32 bits (murmur's mixing of one byte at a time). */
class Mixer {
  private low = 0x9e37_79b9;
  private high = 0x85eb_ca6b;

  number(value: number): void {
    this.word(value >>> 0);
    this.word(Math.floor(value / 0x1_0000_0000) >>> 0);
  }

  bytes(bytes: Uint8Array): void {
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      this.word(
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
      );
    }
    let rest = bytes.length - at + 1;
    for (; at < bytes.length; at += 1) rest = (rest << 8) | bytes[at]!;
    this.word(rest);
  }

  private word(word: number): void {
    this.low = Math.imul(this.low ^ word, 0xcc9e_2d51);
    this.low = ((this.low << 15) | (this.low >>> 17)) >>> 0;
    this.high = Math.imul(this.high ^ ((word << 16) | (word >>> 16)), 0x1b87_3593);
    this.high = (((this.high << 13) | (this.high >>> 19)) + this.low) >>> 0;
  }

  inode(): Inode {
    let low = Math.imul(this.low ^ (this.high >>> 15), 0x85eb_ca6b) >>> 0;
    const high = Math.imul(this.high ^ (low >>> 13), 0xc2b2_ae35) >>> 0;
    low = (low ^ (high >>> 16)) >>> 0;
    if (high === 0 && low < LEAST_INODE) low += LEAST_INODE;
    return { low, high };
  }
}

/** Returns the inode number of a directory of a set. Directories without an id of their own have negative ids. */
export function inodeOfDirectory(set: number, directory: number): Inode {
  const mixer = new Mixer();
  mixer.number(set);
  mixer.number(directory < 0 ? 2 ** 52 + directory : directory);
  return mixer.inode();
}

/** Returns the inode number of the directory of a set at the top level, which is known before the set is read. */
export function inodeOfSet(set: number): Inode {
  return inodeOfDirectory(set, SET_DIRECTORY);
}

/** Returns the inode number of a directory that has only a path. */
export function inodeOfPath(path: Buffer): Inode {
  const mixer = new Mixer();
  mixer.number(0);
  mixer.bytes(path);
  return mixer.inode();
}

/** Returns the inode number of an entry: equal for all names of one file, if it has several. */
export function inodeOf(
  set: number,
  directory: number,
  entry: HistoryEntry,
  device: string,
): Inode {
  const mixer = new Mixer();
  mixer.number(set);
  const isLinked = entry.linkCount > 1 && entry.type !== EntryType.directory;
  if (isLinked) {
    mixer.bytes(Buffer.from(keyOf(entry, device), 'latin1'));
  } else {
    mixer.number(directory);
    mixer.bytes(entry.name);
  }
  return mixer.inode();
}
