import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './options.js';
import type { Place } from './subjects/subject.js';

/**
 * Multiple of the tree's size that must be free: for the tree itself, a restored copy, the stores of all subjects, and
 * space for their work.
 */
const TREES_NEEDED = 4;
const TMPFS_MAGIC = 0x01021994;
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  [TMPFS_MAGIC]: 'tmpfs',
  0xef53: 'ext4',
  0x9123683e: 'btrfs',
  0x58465342: 'xfs',
  0x794c7630: 'overlayfs',
  0x2fc12fc1: 'zfs',
};

/** The directory that contains all files of a run. It is removed at the end. */
export class Workplace {
  readonly root: string;
  readonly tree: string;
  readonly log: string;

  constructor(below: string) {
    if (!existsSync(below)) {
      throw new UsageError(`there is no ${below} to work in; choose a directory with --work DIR`);
    }
    this.root = mkdtempSync(join(below, 'tardis-bench-'));
    this.tree = join(this.root, 'tree');
    this.log = join(this.root, 'output');
  }

  /** True if the work place is in memory. */
  get inMemory(): boolean {
    return statfsSync(this.root).type === TMPFS_MAGIC;
  }

  /** Name of the work place's file system. */
  get fileSystem(): string {
    const type = statfsSync(this.root).type;
    return FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`;
  }

  /** Throws unless there is enough free space for a tree of this size. */
  requireRoomFor(treeBytes: number): void {
    const neededBytes = TREES_NEEDED * treeBytes;
    const freeBytes = this.#freeBytes();
    if (freeBytes < neededBytes) {
      const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
      throw new UsageError(
        `${this.root} has ${megabytes(freeBytes)} free, and ${TREES_NEEDED} times the tree is ` +
          `${megabytes(neededBytes)}: choose fewer --files, or another place with --work DIR`,
      );
    }
  }

  /** Empties a subject's place and returns its paths. */
  freshPlace(subject: string): Place {
    const place = this.place(subject);
    rmSync(join(this.root, subject), { recursive: true, force: true });
    mkdirSync(place.home, { recursive: true });
    mkdirSync(place.out);
    return place;
  }

  /** Removes what a subject has restored. */
  emptyOut(subject: string): void {
    const { out } = this.place(subject);
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out);
  }

  /** Returns the paths of a subject's place. */
  place(subject: string): Place {
    const base = join(this.root, subject);
    return {
      tree: this.tree,
      store: join(base, 'store'),
      out: join(base, 'out'),
      home: join(base, 'home'),
    };
  }

  /** Directory at which a subject's mount is measured. */
  get mountPoint(): string {
    return join(this.root, 'mount');
  }

  /** Removes the work place, and a mount that an interrupted run has left. */
  remove(): void {
    const lazily = process.geteuid?.() === 0 ? ['umount', '--lazy'] : ['fusermount3', '-u', '-z'];
    const [program, ...options] = lazily as [string, ...string[]];
    if (isMounted(this.mountPoint)) {
      spawnSync(program, [...options, this.mountPoint], { stdio: 'inherit' });
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 3 });
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.root);
    const onDiskBytes = bavail * bsize;
    if (!this.inMemory) {
      return onDiskBytes;
    }
    // A memory file system may promise more space than there is memory.
    const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
    return match === null ? onDiskBytes : Math.min(onDiskBytes, Number(match[1]) * 1024);
  }
}

/** True for a mount point, even one whose program has died. */
function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${directory} `);
}
