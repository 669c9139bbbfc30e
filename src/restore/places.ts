/**
 * The directories of a restore's output: made when something is put into them, looked into only when
 * they were there before, given their metadata last.
 */
import { TardisError } from '../errors/index.js';
import type { ArchiveEntry } from '../archive/index.js';
import type { FailedAttribute } from '../system/index.js';
import {
  newDirectoryRow,
  EntryType,
  lastComponent,
  metadataOf,
  RowReader,
} from '../model/index.js';
import type { RestoreProgress } from './progress.js';
import { currentUmask, type RestorePolicy, type Verdict } from './policy.js';
import type { RestoreTarget, TargetName } from './target.js';
import type { OutputDirectory } from './walk.js';

export interface Place extends OutputDirectory {
  readonly above: Place | undefined;
  /**
   * `fresh`: made by this run, so nothing of others is in it; `there`: it was there before; `barred`:
   * something else is there and stays.
   */
  state: 'unmade' | 'fresh' | 'there' | 'barred';
}

export type Settled = number | 'unchanged' | 'kept';

/** A directory to be given its metadata. */
interface Unfinished {
  readonly path: Buffer;
  readonly row: Buffer;
}

export class RestorePlaces {
  readonly target: RestoreTarget;
  private readonly unfinished: Unfinished[] = [];
  private readonly policy: RestorePolicy;
  private readonly progress: RestoreProgress;
  private readonly isDry: boolean;

  constructor(
    target: RestoreTarget,
    policy: RestorePolicy,
    progress: RestoreProgress,
    isDry: boolean,
  ) {
    this.target = target;
    this.policy = policy;
    this.progress = progress;
    this.isDry = isDry;
  }

  open(plain: OutputDirectory, above: Place | undefined): Place {
    if (plain.path.length > 0) return { ...plain, above, state: 'unmade' };
    // The output itself.
    this.tidy(plain.path);
    return { ...plain, above, state: this.target.isNew ? 'fresh' : 'there' };
  }

  /** Makes a directory, and those above it, if it is not there. False: something else stays there. */
  make(place: Place): boolean {
    if (place.state !== 'unmade') return place.state !== 'barred';
    if (place.above !== undefined && !this.make(place.above)) return false;
    const isAboveNew = place.above?.state === 'fresh';
    const name = lastComponent(place.path);
    const at = { directory: place.above?.path ?? Buffer.alloc(0), name };
    const metadata = place.entry?.metadata ?? plainMetadata();
    const row = this.policy.row(metadata, name, undefined);
    if (this.isMadeNew(at, isAboveNew)) {
      place.state = 'fresh';
      this.progress.directories += 1;
      this.unfinished.push({ path: place.path, row });
      return true;
    }
    return this.useExisting(place, at, row);
  }

  private isMadeNew(at: TargetName, isAboveNew: boolean): boolean {
    if (!this.isDry) return this.target.makeDirectory(at);
    return isAboveNew || this.target.look(at) === undefined;
  }

  private useExisting(place: Place, at: TargetName, row: Buffer): boolean {
    const there = this.target.look(at);
    if (there === undefined) throw new TardisError('TARGET_EXISTS', 'it vanished at this moment');
    if (new RowReader(there).type(0) === EntryType.directory) {
      place.state = 'there';
      this.tidy(place.path);
      const isOurs = this.policy.isOursBefore(there);
      const isKnown = place.entry !== undefined;
      if (isOurs || (isKnown && this.policy.changesDirectories)) {
        this.unfinished.push({ path: place.path, row });
      }
      return true;
    }
    place.state = 'barred';
    const verdict = this.policy.decideDirectory(place.entry?.mtimeNs, there);
    if (typeof this.count(verdict) !== 'number') return false;
    if (!this.isDry) this.target.replaceByDirectory(at);
    place.state = 'fresh';
    this.progress.directories += 1;
    this.unfinished.push({ path: place.path, row });
    return true;
  }

  /** How an entry is to be put there (bits of RestoreHow), or why it is not, which is counted. */
  settle(entry: ArchiveEntry, directory: Place, name: Buffer): Settled {
    if (directory.state === 'fresh') return this.count(this.policy.unseen);
    const there = this.target.look({ directory: directory.path, name });
    return this.count(there === undefined ? this.policy.unseen : this.policy.decide(entry, there));
  }

  private count(verdict: Verdict): Settled {
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
        throw new TardisError('TARGET_EXISTS', 'something else is there');
    }
  }

  /** Removes what an earlier run would have renamed. */
  private tidy(directory: Buffer): void {
    if (this.policy.resume !== undefined && !this.isDry) this.target.removeTemporaries(directory);
  }

  /** What was restored is on the disk when this returns. */
  async sync(): Promise<void> {
    const { files, links, directories } = this.progress;
    if (!this.isDry && files + links + directories > 0) await this.target.sync();
  }

  /** Gives the directories their metadata, deepest first. */
  finish(attempt: (path: Buffer, work: () => FailedAttribute[]) => void): void {
    if (this.isDry) return;
    for (const { path, row } of this.unfinished.toReversed()) {
      attempt(path, () => this.target.finishDirectory(path, row));
    }
  }
}

/** Of a directory that no set knows of: as if somebody had just made it. */
function plainMetadata(): Buffer {
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const permissions = 0o777 & ~currentUmask();
  const row = newDirectoryRow({ name: Buffer.from('x'), permissions, ...owner }, Date.now());
  return metadataOf(new RowReader(row), 0);
}
