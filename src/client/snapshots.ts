/**
 * Snapshots of what a backup reads (`--snapshot auto`), so that each file system is saved as of one moment. The addon opens
 * directories in them under their own paths, so nothing else of a backup knows of them. Directories without one are named, and
 * read live. Only btrfs has snapshots here: a kind must open them without a mount that others see.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { errnoText, Opened, requireSystemCode, systemCode } from '../errors/index.js';
import { displayName, jsonFields } from '../model/index.js';
import {
  byteText,
  directoryAt,
  exactPath,
  flockPatiently,
  isBelow,
  type Mount,
  mountOf,
  mountsHere,
  type NativeCalls,
  OpenKind,
  readState,
  readSubvolume,
  statePath,
  type System,
  textBytes,
  tryFlock,
  wallMs,
  writeState,
} from '../system/index.js';

/** Maximum number of snapshots of one run. */
const MOST_SNAPSHOTS = 64;
/** Maximum number of mounts and subvolumes in a subvolume. The addon looks up each of them by its path. */
const MOST_INSIDE = 4096;
/** Maximum number of subvolumes that are remembered, the newest first. */
const MOST_REMEMBERED = 256;
/** Inode of the empty directory that stands for a subvolume in a snapshot. */
const EMPTY_INODE = 2;
const KIND = 'btrfs';
/** Advice for a subvolume with an active swap file, of which no program can make a snapshot (ETXTBSY). */
const SWAP_ADVICE = 'put its active swap file into a subvolume of its own';
/** Types of file systems below a root that nobody would snapshot: what the kernel shows of itself, and memory. */
const WITHOUT_DATA =
  /^(?:autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs|sysfs|tmpfs|tracefs)$/;
const FORM = 1;

/** A directory with a snapshot, or with the reason why it is read live. */
export type SnapshotShown = { readonly path: Buffer } & (
  | { readonly kind: typeof KIND }
  | { readonly why: string }
);

/** The snapshot of a subvolume. */
interface Taken {
  readonly place: SnapshotPlace;
  readonly snapshot: OpenSnapshot;
}

export class Snapshots {
  readonly shown: SnapshotShown[] = [];
  private readonly taken = new Map<string, Taken>();
  private readonly looked = new Set<string>();
  private isFull = false;
  private readonly mounts: readonly Mount[] = mountsHere();
  private readonly sinceMs: number;
  /** Directories whose subvolumes get snapshots, as byte text. */
  private readonly wanted: string[];

  private constructor(
    private readonly system: System,
    private readonly isCrossing: boolean,
    roots: readonly string[],
  ) {
    this.sinceMs = wallMs(system.clock);
    const below = this.mounts.filter(
      ({ mountPoint, type }) =>
        !WITHOUT_DATA.test(type) && roots.some((root) => isBelow(mountPoint, root)),
    );
    this.wanted = [...roots, ...(isCrossing ? below.map(({ mountPoint }) => mountPoint) : [])];
  }

  /**
   * Makes snapshots for these directories, which are paths without links; with `isCrossing` also of the file systems and
   * subvolumes below them.
   */
  static async take(
    system: System,
    roots: readonly string[],
    isCrossing: boolean,
  ): Promise<Snapshots> {
    const snapshots = new Snapshots(system, isCrossing, roots);
    try {
      for (const root of snapshots.wanted) {
        await snapshots.takeFor(root);
        if (snapshots.isFull) break;
      }
    } catch (error) {
      snapshots.release();
      throw error;
    }
    return snapshots;
  }

  /** Deletes all snapshots. Returns a text for each that is left to the next run. */
  release(): string[] {
    const { native } = this.system;
    native.endRedirects();
    const left: string[] = [];
    for (const [top, { place, snapshot }] of this.taken) {
      using _ = place;
      left.push(...failedAt(top, () => snapshot.delete()));
    }
    this.taken.clear();
    return left;
  }

  /** Texts for the directories that are read live. */
  get warnings(): string[] {
    return this.shown.flatMap((each) =>
      'why' in each
        ? [
            `${displayName(each.path)}: no snapshot (${each.why}); it is read live (${each.why === 'ETXTBSY' ? SWAP_ADVICE : 'HookBefore can make one'})`,
          ]
        : [],
    );
  }

  private async takeFor(root: string): Promise<void> {
    const path = textBytes(root);
    let top: string | undefined;
    try {
      top = this.topOf(root);
      const isHeld =
        top === undefined ? this.system.native.isRedirected(path) : this.looked.has(top);
      if (isHeld) return;
      const why = top === undefined ? this.whyNone(root) : await this.takeAt(top);
      if (why !== '') this.shown.push(why === undefined ? { path, kind: KIND } : { path, why });
    } catch (error) {
      const code = requireSystemCode(error);
      this.shown.push({ path, why: code });
    }
    if (top !== undefined) this.looked.add(top);
  }

  /** Makes the snapshot of the subvolume with this top. Returns the reason if there is none; empty if none is needed. */
  private async takeAt(top: string): Promise<string | undefined> {
    if (process.geteuid?.() !== 0) return 'it needs root';
    this.isFull = this.taken.size >= MOST_SNAPSHOTS;
    if (this.isFull) return `${MOST_SNAPSHOTS} others have one; nor have those after it`;
    const place = SnapshotPlace.at(this.system, textBytes(top), true);
    if (typeof place === 'string') return place;
    let isKept = false;
    try {
      const code = remember(top);
      if (code !== undefined) return `it cannot be remembered: ${code}`;
      const busy = await place.clear();
      const snapshot = busy ?? (await place.take(this.system));
      if (typeof snapshot === 'string') return snapshot;
      this.taken.set(top, { place, snapshot });
      isKept = true;
      return this.redirect(top, { place, snapshot });
    } finally {
      if (!isKept) place[Symbol.dispose]();
    }
  }

  /** Leads the addon to a snapshot, and past what is not in it. */
  private redirect(top: string, { place, snapshot }: Taken): string | undefined {
    const { native } = this.system;
    const subvolumes = place.inside().map((inside) => path.join(top, byteText(inside)));
    const mounts = this.mounts.filter(({ mountPoint }) => isBelow(mountPoint, top));
    if (subvolumes.length + mounts.length > MOST_INSIDE) {
      this.taken.delete(top);
      using _ = place;
      snapshot.delete();
      return `more than ${MOST_INSIDE} mounts and subvolumes in it`;
    }
    native.redirect(textBytes(top), snapshot.fd, this.sinceMs);
    for (const inside of subvolumes) this.past(inside, undefined);
    for (const mount of mounts) {
      const fd = this.openBound(mount, top, snapshot);
      this.past(mount.mountPoint, fd);
      if (fd !== undefined) native.close(fd); // the addon has one of its own
    }
    if (this.isCrossing) this.wanted.push(...subvolumes);
    return undefined;
  }

  /** Redirects a directory that is in another place: to its own snapshot, to this descriptor, or to nowhere else. */
  private past(inside: string, fd: number | undefined): void {
    const own = this.taken.get(inside)?.snapshot.fd;
    this.system.native.redirect(textBytes(inside), own ?? fd, this.sinceMs);
  }

  /** Opens what is mounted on a directory in the snapshot, if it is of the same subvolume. */
  private openBound(mount: Mount, top: string, { fd }: OpenSnapshot): number | undefined {
    const { native } = this.system;
    const ofTop = mountOf(top, this.mounts);
    if (ofTop === undefined || ofTop.number !== mount.number) return undefined;
    const topRoot = path.join(ofTop.root, path.relative(ofTop.mountPoint, top));
    if (mount.root !== topRoot && !isBelow(mount.root, topRoot)) return undefined;
    try {
      const inner = textBytes(path.relative(topRoot, mount.root));
      const found = native.openBeneath(fd, inner, OpenKind.directory);
      if (fs.fstatSync(found).ino !== EMPTY_INODE) return found;
      native.close(found);
    } catch (error) {
      if (systemCode(error) === undefined) throw error; // it is in another subvolume, or no directory
    }
    return undefined;
  }

  /** Returns the top of the subvolume that a directory is in; undefined if no mount shows it. */
  private topOf(directory: string): string | undefined {
    const mount = mountOf(directory, this.mounts);
    if (mount?.type !== KIND) return undefined;
    for (let at = directory; ; at = path.dirname(at)) {
      if (fs.lstatSync(exactPath(at)).ino === TOP_INODE) return at;
      if (at === mount.mountPoint || at === '/') return undefined;
    }
  }

  private whyNone(directory: string): string {
    const type = mountOf(directory, this.mounts)?.type;
    return type === KIND ? 'the top of its subvolume is not mounted' : (type ?? 'unknown');
  }
}

/** Deletes the snapshots that ended runs of this user have left, wherever they made some. Returns a text for each failure. */
export async function clearLeftSnapshots(system: System): Promise<string[]> {
  const texts: string[] = [];
  for (const top of remembered()) {
    try {
      const place = SnapshotPlace.at(system, textBytes(top), false);
      if (typeof place === 'string') continue;
      using _ = place;
      await place.clear();
    } catch (error) {
      const code = requireSystemCode(error);
      if (!AWAY.has(code)) texts.push(leftText(top, code));
    }
  }
  return texts;
}

/** Error codes for a place that was removed, or whose file system is not mounted. */
const AWAY: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENOTTY', 'ELOOP']);

function failedAt(top: string, work: () => void): string[] {
  try {
    work();
    return [];
  } catch (error) {
    const code = requireSystemCode(error);
    return [leftText(top, code)];
  }
}

function leftText(top: string, code: string): string {
  return `${displayName(textBytes(top))}: a snapshot could not be deleted: ${errnoText(code)}; the next backup tries again`;
}

function stateFile(): string {
  return statePath('snapshots.json');
}

/** Returns the tops of the subvolumes in which this user's runs have made snapshots. */
function remembered(): string[] {
  // Without it, the directories of a backup are looked at in any case.
  const { form, tops } = jsonFields(readState(stateFile()));
  if (form !== FORM || !Array.isArray(tops)) return [];
  return tops.filter((top): top is string => typeof top === 'string' && top.startsWith('/'));
}

/** Remembers a subvolume, before a snapshot of it is made. Returns the system's error code on failure. */
function remember(top: string): string | undefined {
  const tops = remembered();
  if (tops.includes(top)) return undefined;
  const newest = [top, ...tops].slice(0, MOST_REMEMBERED);
  return writeState(stateFile(), `${JSON.stringify({ form: FORM, tops: newest })}\n`);
}

/** Name of the place of snapshots, as the addon has it (native/src/redirects.h). */
const PLACE = Buffer.from('.tardis-snapshots');
/** Form of their names: when they were made, and random digits. */
const NAME = /^\d{8}T\d{6}Z-[0-9a-f]{16}$/;
/** Inode of the top of each subvolume. */
const TOP_INODE = 256;
/** Bits of the mode that give others access. */
const TO_OTHERS = 0o077;

/** The reason why a subvolume has no snapshots; empty if it needs none, since it cannot be written. */
type Refusal = string;

/**
 * The directory at the top of a subvolume of btrfs in which its snapshots are. It is root's alone, since deleted files live on in
 * a snapshot. All work is done in open directories: the top may belong to a user who exchanges the names in it.
 */
class SnapshotPlace implements Disposable {
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
class OpenSnapshot {
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
