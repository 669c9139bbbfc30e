/** Table of the directories of a tree that the kernel has references to, in about 40 bytes each. */
import { FuseError, Errno } from './protocol.js';
import { MAX_DIRECTORIES } from './node-ids.js';

const FIRST_ROOM = 64;
const NONE = 0xffff_ffff;

export class DirectoryTable {
  count = 0;
  private parents = new Uint32Array(FIRST_ROOM);
  private places = new Uint32Array(FIRST_ROOM);
  private ids = new Float64Array(FIRST_ROOM);
  private devices = new Uint32Array(FIRST_ROOM);
  /** Hash table of the numbers of directories by their places; at most half full. */
  private buckets = new Uint32Array(FIRST_ROOM * 2).fill(NONE);
  private readonly deviceKeys: string[] = [];
  private readonly deviceNumbers = new Map<string, number>();

  /** Removes all directories. */
  clear(): void {
    this.count = 0;
    this.parents = new Uint32Array(FIRST_ROOM);
    this.places = new Uint32Array(FIRST_ROOM);
    this.ids = new Float64Array(FIRST_ROOM);
    this.devices = new Uint32Array(FIRST_ROOM);
    this.buckets = new Uint32Array(FIRST_ROOM * 2).fill(NONE);
    this.deviceKeys.length = 0;
    this.deviceNumbers.clear();
  }

  /** Returns the number of the parent directory. */
  parent(directory: number): number {
    return this.parents[directory]!;
  }

  /** Returns the position of a directory in its parent. */
  place(directory: number): number {
    return this.places[directory]!;
  }

  /** Returns the id of a directory in the catalog; negative if it is in no backup. */
  id(directory: number): number {
    return this.ids[directory]!;
  }

  /** Key of the device on which the entries of the directory are. */
  device(directory: number): string {
    return this.deviceKeys[this.devices[directory]!] ?? '';
  }

  find(parent: number, place: number): number | undefined {
    const found = this.buckets[this.bucketOf(parent, place)]!;
    return found === NONE ? undefined : found;
  }

  /** Adds a directory and returns its number. Throws ENOMEM if there are too many. */
  add(parent: number, place: number, id: number, device: string): number {
    if (this.count > MAX_DIRECTORIES) throw new FuseError(Errno.ENOMEM);
    if (this.count === this.parents.length) this.grow();
    const number = this.count;
    this.count += 1;
    this.parents[number] = parent;
    this.places[number] = place;
    this.ids[number] = id;
    this.devices[number] = this.deviceNumber(device);
    this.buckets[this.bucketOf(parent, place)] = number;
    return number;
  }

  /** True if this directory or one of its ancestors has this id. */
  isWithin(directory: number, id: number): boolean {
    for (let at = directory; ; at = this.parents[at]!) {
      if (this.ids[at] === id) return true;
      if (at === 0) return false;
    }
  }

  private deviceNumber(key: string): number {
    let number = this.deviceNumbers.get(key);
    if (number === undefined) {
      number = this.deviceKeys.push(key) - 1;
      this.deviceNumbers.set(key, number);
    }
    return number;
  }

  private bucketOf(parent: number, place: number): number {
    const mask = this.buckets.length - 1;
    let hash = Math.imul(parent ^ Math.imul(place, 0x9e37_79b1), 0x85eb_ca6b);
    hash = (hash ^ (hash >>> 15)) >>> 0;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const number = this.buckets[at]!;
      if (number === NONE) return at;
      if (this.parents[number] === parent && this.places[number] === place) return at;
    }
  }

  private grow(): void {
    const room = this.parents.length * 2;
    this.parents = grown(this.parents, new Uint32Array(room));
    this.places = grown(this.places, new Uint32Array(room));
    this.ids = grown(this.ids, new Float64Array(room));
    this.devices = grown(this.devices, new Uint32Array(room));
    this.buckets = new Uint32Array(room * 2).fill(NONE);
    for (let number = 0; number < this.count; number += 1) {
      this.buckets[this.bucketOf(this.parents[number]!, this.places[number]!)] = number;
    }
  }
}

function grown<A extends Uint32Array | Float64Array>(old: A, fresh: A): A {
  fresh.set(old);
  return fresh;
}
