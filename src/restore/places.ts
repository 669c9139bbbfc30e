/**
 * Directories of a restore's output. A directory is created when the first entry is put into it. Only directories that
 * existed before are inspected. The metadata of all directories is set last.
 */
import { TardisError } from '../errors/index.js';
import type { HistoryEntry } from '../history/index.js';
import type { FailedAttribute } from '../system/index.js';
import {
  displayName,
  newDirectoryRow,
  EntryType,
  joinPath,
  metadataOf,
  RowReader,
} from '../model/index.js';
import { RestoreHow } from '../workers/index.js';
import type { FoldedNames } from './folded-names.js';
import { FlagsToSet } from './inode-flags.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';
import type { RestorePolicy, Verdict } from './policy.js';
import { currentUmask } from './restored-metadata.js';
import type { DirectoryStatus, RestoreTarget, TargetName } from './target.js';
import { type DirectoryFacts, OutputDirectory, type OutputPath } from './walk.js';

export class Place extends OutputDirectory {
  declare readonly above: Place | undefined;
  /**
   * State of the directory. `unmade`: not created yet. `fresh`: created by this run, so all entries in it are of this
   * run. `there`: existed before. `barred`: another entry has the name and stays.
   */
  state: 'unmade' | 'fresh' | 'there' | 'barred' = 'unmade';
  /** True if another user may exchange what is in the directory, or a directory above it, while root restores. */
  isExposed = false;
}

export type PlacedAs = number | 'unchanged' | 'kept';

/** A directory whose metadata is not set yet. */
interface Unfinished {
  readonly at: OutputPath;
  readonly row: Buffer;
  /** True if ACLs that the set does not have are removed. */
  readonly dropsAcls: boolean;
}

/** An existing directory that became writable for this run, with its permissions and its status before. */
interface Closed {
  readonly path: Buffer;
  readonly permissions: number;
  readonly status: DirectoryStatus;
}

const WRITABLE = 0o300;

export class RestorePlaces {
  private readonly unfinished: Unfinished[] = [];
  /** Existing directories that became writable for this run, with their permissions. */
  private readonly closed = new Map<string, Closed>();
  private readonly flags: FlagsToSet;
  private readonly isDry: boolean;

  /** Creates the output. `names` detects collisions if the file system of the target treats several names as equal. */
  constructor(
    readonly target: RestoreTarget,
    private readonly policy: RestorePolicy,
    private readonly progress: RestoreProgress,
    private readonly names: FoldedNames | undefined,
  ) {
    this.isDry = target.isDry;
    this.flags = new FlagsToSet(target, policy.setsFlags);
  }

  open(plain: DirectoryFacts): Place {
    const place = new Place(plain);
    if (plain.above !== undefined) return place;
    // The output directory itself.
    this.tidy(place);
    const { isNew } = this.target;
    place.isExposed = !isNew && this.mayOthersExchange(this.target.status(place.path));
    place.state = isNew ? 'fresh' : 'there';
    return place;
  }

  /**
   * Creates a directory and the directories above it, unless they exist. Returns false if another entry has its name
   * and stays.
   */
  make(place: Place): boolean {
    if (place.state !== 'unmade') return place.state !== 'barred';
    if (place.above !== undefined && !this.make(place.above)) return false;
    const isAboveNew = place.above?.state === 'fresh';
    const { name } = place;
    place.isExposed = place.above?.isExposed === true;
    if (place.above !== undefined) this.claim(place, place.above, name);
    const at = { directory: place.above?.path ?? Buffer.alloc(0), name };
    if (place.above !== undefined) this.makeWritable(place.above);
    const metadata = place.entry?.metadata ?? plainMetadata();
    const row = this.policy.row(metadata, name);
    if (this.isMadeNew(at, isAboveNew)) {
      this.settleNew(place, at, row);
      return true;
    }
    return this.useExisting(place, at, row);
  }

  private claim(place: Place, above: Place, name: Buffer): void {
    try {
      this.claimName(above, name);
    } catch (error) {
      place.state = 'barred';
      throw error;
    }
  }

  /**
   * Records the name of an entry of this restore. Throws TARGET_EXISTS if the file system treats it as equal to the
   * name of another one.
   */
  claimName(directory: Place, name: Buffer): void {
    const { path } = directory;
    this.names?.claim(directory, name, (one, other) => this.target.areOneName(path, one, other));
  }

  private isMadeNew(at: TargetName, isAboveNew: boolean): boolean {
    if (!this.isDry) return this.target.makeDirectory(at);
    return isAboveNew || this.target.look(at) === undefined;
  }

  private useExisting(place: Place, at: TargetName, row: Buffer): boolean {
    const there = this.target.look(at);
    if (there === undefined) throw new TardisError('TARGET_EXISTS', 'it vanished at this moment');
    const reader = new RowReader(there);
    if (reader.type(0) === EntryType.directory) {
      this.recognise(place, at, there);
      place.isExposed ||= this.mayOthersExchange({
        uid: reader.uid(0),
        mode: reader.permissions(0),
      });
      place.state = 'there';
      this.tidy(place);
      if (!this.isDry) this.target.noteDevice(place.path);
      const isOurs = this.policy.isOursBefore(place.entry, there);
      const isKnown = place.entry !== undefined && !place.isAbove;
      const hasFailed =
        this.policy.hasFailed(place.path) && this.policy.isKnownOwner(place.entry, there);
      const isWanted = this.policy.changesDirectories || hasFailed;
      if (isOurs || (isKnown && isWanted)) {
        this.finishLater(place, row, this.policy.setsAttributes);
      }
      return true;
    }
    place.state = 'barred';
    const verdict = this.policy.decideDirectory(place.entry?.mtimeNs, there);
    if (typeof this.count(verdict) !== 'number') return false;
    // A directory of one file in place of the link would hide what it leads to, which is in no set.
    if (place.isAbove && reader.type(0) === EntryType.symlink) {
      place.state = 'unmade'; // each entry below it is named
      throw new TardisError('TARGET_EXISTS', `a link is above it, ${displayName(place.path)}`);
    }
    if (!this.isDry) this.target.replaceByDirectory(at);
    this.settleNew(place, at, row);
    return true;
  }

  /** True if this is a restore by root, and another user may rename what is in a directory. */
  private mayOthersExchange({
    uid,
    mode,
  }: {
    readonly uid: number;
    readonly mode: number;
  }): boolean {
    const mayOthersWrite = (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
    return this.policy.isRoot && (uid !== 0 || mayOthersWrite);
  }

  /** Notes which directory is at an exposed place. Throws TARGET_EXISTS if it is certainly none of this restore. */
  private recognise(place: Place, at: TargetName, there?: Buffer): void {
    const { above, path, state } = place;
    if (above?.isExposed !== true || this.isDry) return;
    const row = there ?? this.target.look(at);
    if (row !== undefined) this.target.recognise(at, row);
    if (row !== undefined && !(state === 'fresh' && this.target.hasEntries(path))) return;
    place.state = 'barred';
    throw new TardisError('TARGET_EXISTS', 'something else is there');
  }

  /** Notes that a directory was created, and removes what it inherited from the one it is in. */
  private settleNew(place: Place, at: TargetName, row: Buffer): void {
    const { above } = place;
    const inherits = above === undefined || mayInherit(above);
    place.state = 'fresh';
    this.recognise(place, at);
    this.progress.directories += 1;
    this.finishLater(place, row, inherits);
    if (inherits && !this.isDry) this.target.dropInherited(place.path);
  }

  /**
   * Lets an ordinary user write into an existing directory of his own that forbids it. It gets its permissions back at
   * the end.
   */
  private makeWritable(place: Place): void {
    if (place.state !== 'there' || this.isDry || this.policy.isRoot) return;
    const { path } = place;
    const key = path.toString('latin1');
    if (this.closed.has(key)) return;
    if (!isOwnAndClosed(this.target.status(path))) return;
    this.target.changePermissions(path, (status) => {
      if (!isOwnAndClosed(status)) return undefined;
      const permissions = status.mode & 0o7777;
      this.closed.set(key, { path, permissions, status });
      return permissions | WRITABLE;
    });
  }

  private finishLater(place: Place, row: Buffer, dropsAcls: boolean): void {
    const { at, name, entry, above } = place;
    this.unfinished.push({ at, row, dropsAcls });
    if (entry !== undefined) this.flags.add(entry, above?.path ?? Buffer.alloc(0), name);
  }

  /**
   * Decides how an entry is written (bits of RestoreHow). If it is not to be written, counts it and returns the reason.
   */
  settle(entry: HistoryEntry, directory: Place, name: Buffer): PlacedAs {
    const at = { directory: directory.path, name };
    const there = directory.state === 'fresh' ? undefined : this.target.look(at);
    if (there === undefined) {
      this.flags.add(entry, directory.path, name);
      return this.writtenIn(directory, this.count(this.policy.unseen));
    }
    const verdict = this.policy.decide(entry, there, joinPath(directory.path, name));
    const settled = this.count(verdict);
    // An earlier run may have been interrupted before it set this entry's flags.
    const isOurs = settled === 'unchanged' && this.policy.isOursBefore(entry, there);
    if (isOurs || typeof settled === 'number') this.flags.add(entry, directory.path, name);
    return this.writtenIn(directory, settled);
  }

  /** Prepares a directory for an entry that is written into it, and adds what its place means for the entry. */
  private writtenIn(directory: Place, settled: PlacedAs): PlacedAs {
    if (typeof settled !== 'number') return settled;
    this.makeWritable(directory);
    return mayInherit(directory) ? settled | RestoreHow.inherits : settled;
  }

  /** True if the metadata of some directories is still to be set at the end. */
  get hasUnfinished(): boolean {
    return this.unfinished.length > 0;
  }

  private count(verdict: Verdict): PlacedAs {
    switch (verdict.do) {
      case 'write':
        return verdict.how;
      case 'nothing':
        this.progress.unchanged += 1;
        return 'unchanged';
      case 'keep':
        this.progress.kept += 1;
        return 'kept';
      case 'refuse':
        throw new TardisError('TARGET_EXISTS', 'another version of it is there, or something else');
    }
  }

  /** Removes the temporary files of an earlier run from a directory. */
  private tidy(place: Place): void {
    if (this.policy.resume !== undefined && !this.isDry) this.target.removeTemporaries(place.path);
  }

  /** Syncs the target, so that all restored data is on the disk on return. */
  async sync(): Promise<void> {
    const { files, links, directories } = this.progress;
    if (!this.isDry && files + links + directories > 0) await this.target.sync();
  }

  /**
   * Sets the metadata of the directories, deepest first, and then all flags. Calls of `attempt` may add to `failures`.
   */
  finish(
    attempt: (path: Buffer, work: () => FailedAttribute[]) => void,
    failures: readonly RestoreFailure[],
  ): void {
    if (this.isDry) return;
    for (const { at, row, dropsAcls } of this.unfinished.toReversed()) {
      const { path } = at;
      attempt(path, () =>
        this.flags.isDone(path) ? [] : this.target.finishDirectory(path, row, dropsAcls),
      );
      this.closed.delete(path.toString('latin1'));
    }
    for (const { path, permissions, status } of this.closed.values()) {
      attempt(path, () => {
        this.target.changePermissions(path, ({ dev, ino }) => {
          if (dev === status.dev && ino === status.ino) return permissions;
          throw new TardisError('TARGET_EXISTS', 'another directory is there now');
        });
        return [];
      });
    }
    this.flags.set(
      failures.map(({ path }) => path),
      attempt,
    );
  }
}

/** True for a directory of this user that forbids its owner to write into it. */
function isOwnAndClosed({ uid, mode }: DirectoryStatus): boolean {
  return uid === process.geteuid?.() && (mode & WRITABLE) !== WRITABLE;
}

/** True if entries made in a directory may inherit ACLs and flags; those that this run created have none. */
function mayInherit({ state, above }: Place): boolean {
  return state !== 'fresh' || above === undefined;
}

/** Returns the metadata for a directory that no set contains, as if the user had just created it. */
function plainMetadata(): Buffer {
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const permissions = 0o777 & ~currentUmask();
  const row = newDirectoryRow({ name: Buffer.from('x'), permissions, ...owner }, Date.now());
  return metadataOf(new RowReader(row), 0);
}
