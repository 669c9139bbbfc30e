/**
 * The directory at the top of a subvolume of btrfs in which its snapshots are. It is root's alone, since deleted files live on in
 * a snapshot. All work is done in open directories: the top may belong to a user who exchanges the names in it.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { Opened, systemCode } from '../errors/index.js';
import {
  directoryAt,
  flockPatiently,
  type NativeCalls,
  OpenKind,
  readSubvolume,
  type System,
  tryFlock,
  wallMs,
} from '../system/index.js';

/** Its name, as the addon has it (native/src/redirects.h). */
const PLACE = Buffer.from('.tardis-snapshots');
/** Names of snapshots: when they were made, and random digits. */
const NAME = /^\d{8}T\d{6}Z-[0-9a-f]{16}$/;
/** Inode of the top of each subvolume. */
export const TOP_INODE = 256;
/** Bits of the mode that give others access. */
const TO_OTHERS = 0o077;

/** The reason why a subvolume has no snapshots; empty if it needs none, since it cannot be written. */
type Refusal = string;

export class SnapshotPlace implements Disposable {
  private constructor(
    private readonly native: NativeCalls,
    /** Descriptors of the top of the subvolume and of the place. */
    private readonly topFd: number,
    private readonly fd: number,
    private readonly opened: Opened,
  ) {}

  /**
   * Opens the place of a subvolume with this top; makes it if `isMade` is true. Throws the system's errors, ENOTTY if the path
   * is in no subvolume of btrfs.
   */
  static at({ native }: System, top: Buffer, isMade: boolean): SnapshotPlace | Refusal {
    using opened = new Opened();
    const add = (fd: number): number => opened.add(fd, () => native.close(fd));
    const topFd = add(native.openListed(top, directoryAt(native, top).identity));
    const { isFixed } = readSubvolume(native.subvolumeOf(topFd));
    const { ino, dev } = fs.fstatSync(topFd);
    if (isFixed) return '';
    if (ino !== TOP_INODE) return 'not the top of a subvolume';
    if (isMade) makeIn(native, topFd);
    const fd = add(native.openBeneath(topFd, PLACE, OpenKind.directory));
    const place = fs.fstatSync(fd);
    const isRoots = place.uid === 0 && (place.mode & TO_OTHERS) === 0 && place.dev === dev;
    if (!isRoots) return `${PLACE.toString()} in it is not root's alone`;
    return new SnapshotPlace(native, topFd, fd, opened.move());
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }

  /** Returns the paths of the subvolumes directly below the top, from there. */
  inside(): Buffer[] {
    const paths = this.native.subvolumesIn(this.topFd);
    const inside: Buffer[] = [];
    for (let from = 0, end; (end = paths.indexOf(0, from)) >= 0; from = end + 1) {
      inside.push(paths.subarray(from, end));
    }
    return inside;
  }

  /** Makes a snapshot and opens it. It is locked as long as it is open. */
  async take(system: System): Promise<OpenSnapshot | Refusal> {
    return this.alone(() => {
      const name = Buffer.from(nameAt(wallMs(system.clock)));
      this.native.makeSnapshot(this.fd, this.topFd, name);
      const snapshot = this.snapshotAt(name);
      if (this.holds(snapshot)) return snapshot;
      snapshot.delete();
      return 'what was made is no snapshot of it, or cannot be locked';
    });
  }

  /** Deletes the snapshots that ended runs have left. That of a run which goes on is locked. */
  async clear(): Promise<Refusal | undefined> {
    return this.alone(() => {
      for (const text of fs.readdirSync(`/proc/self/fd/${this.fd}`)) {
        if (!NAME.test(text)) continue;
        const snapshot = this.snapshotAt(Buffer.from(text));
        if (this.holds(snapshot)) snapshot.delete();
        else snapshot.close();
      }
      return undefined;
    });
  }

  /** Runs something while no other run makes or deletes snapshots here. */
  private async alone<T>(work: () => T): Promise<T | Refusal> {
    const lock = await flockPatiently(this.native, this.fd);
    if (lock !== 'held') return 'another backup makes snapshots of it';
    try {
      return work();
    } finally {
      this.native.unlock(this.fd);
    }
  }

  private snapshotAt(name: Buffer): OpenSnapshot {
    const fd = this.native.openBeneath(this.fd, name, OpenKind.directory);
    return new OpenSnapshot(this.native, { placeFd: this.fd, fd, name });
  }

  /** Locks a snapshot. False if no run may delete it now, or it is not of this subvolume, or somebody can write to it. */
  private holds({ fd }: OpenSnapshot): boolean {
    if (fs.fstatSync(fd).ino !== TOP_INODE) return false;
    const own = readSubvolume(this.native.subvolumeOf(this.fd));
    const { parentId, isFixed } = readSubvolume(this.native.subvolumeOf(fd));
    return isFixed && parentId.equals(own.id) && tryFlock(this.native, fd) === 'held';
  }
}

/** A snapshot in its open place. */
export class OpenSnapshot {
  readonly fd: number;

  constructor(
    private readonly native: NativeCalls,
    private readonly at: { readonly placeFd: number; readonly fd: number; readonly name: Buffer },
  ) {
    this.fd = at.fd;
  }

  /** Deletes it, and closes its descriptor. Throws the system's errors. */
  delete(): void {
    try {
      this.native.deleteSnapshot(this.at.placeFd, this.at.name);
    } finally {
      this.close();
    }
  }

  close(): void {
    this.native.close(this.fd);
  }
}

function makeIn(native: NativeCalls, topFd: number): void {
  try {
    native.makeDirectoryAt(topFd, PLACE);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

function nameAt(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(8).toString('hex')}`;
}
