/**
 * Snapshots of what a backup reads (`--snapshot auto`), so that each file system is saved as of one moment. The addon opens
 * directories in them under their own paths, so nothing else of a backup knows of them. Directories without one are named, and
 * read live. Only btrfs has snapshots here: a kind must open them without a mount that others see.
 */
import fs from 'node:fs';
import path from 'node:path';
import { errnoText, requireSystemCode, systemCode } from '../errors/index.js';
import { displayName, jsonFields } from '../model/index.js';
import {
  byteText,
  exactPath,
  isBelow,
  type Mount,
  mountOf,
  mountsHere,
  OpenKind,
  readState,
  statePath,
  type System,
  textBytes,
  wallMs,
  writeState,
} from '../system/index.js';
import { type OpenSnapshot, SnapshotPlace, TOP_INODE } from './snapshot-place.js';

/** Maximum number of snapshots of one run. */
const MOST_SNAPSHOTS = 64;
/** Maximum number of mounts and subvolumes in a subvolume. The addon looks up each of them by its path. */
const MOST_INSIDE = 4096;
/** Maximum number of subvolumes that are remembered, the newest first. */
const MOST_REMEMBERED = 256;
/** Inode of the empty directory that stands for a subvolume in a snapshot. */
const EMPTY_INODE = 2;
const KIND = 'btrfs';
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
            `${displayName(each.path)}: no snapshot (${each.why}); it is read live (HookBefore can make one)`,
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
