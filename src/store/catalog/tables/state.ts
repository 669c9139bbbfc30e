/** Single values of the catalog: counters, and the last applied commit. */
import type { PackNumber, SetNumber } from '../../../model/index.js';
import type { Counters } from '../../index.js';
import type { SqlDatabase } from '../../../system/index.js';

/** The last commit record that the catalog has applied. */
export interface CommitPoint {
  readonly commit: number;
  readonly pack: PackNumber;
  /** End of the commit record. */
  readonly position: number;
  /** Checksum of the commit record's body, which the next commit names. */
  readonly checksum: number;
}

/** The kinds of data that garbage collection may find to delete. */
interface Waste {
  /** True if there may be versions that no listed set shows. */
  readonly versions: boolean;
  /** True if there may be contents that no version names, or records and packs that consist mostly of such contents. */
  readonly contents: boolean;
}

/** Losses of a client whose catalog was missing when a backup began; zeros if there are none. */
interface FoundLoss {
  /** Sets up to this one may lack entries. */
  readonly doubtfulUpTo: SetNumber;
  /** Number of damaged or missing records and packs. */
  readonly records: number;
}

export const NO_LOSS: FoundLoss = { doubtfulUpTo: 0, records: 0 };

const WASTE_VERSIONS = 1;
const WASTE_CONTENTS = 2;

/** Place of the newest image. */
interface ImagePoint {
  /** 0 if there is no image. */
  readonly pack: PackNumber;
  readonly position: number;
  readonly bytes: number;
}

/** The newest copy of the catalog that the log names. */
interface SnapshotPoint {
  /** The last commit in the copy; 0 if there is no copy. */
  readonly commit: number;
  /** Bytes of the catalog that were in use when it was copied. */
  readonly usedBytes: number;
}

/** True if a set, root or directory has a number above its counter. */
const BEHIND = `SELECT
  (SELECT coalesce(max(set_number), 0) FROM backup_sets) > ? OR
  (SELECT coalesce(max(root_id), 0) FROM roots) > ? OR
  (SELECT coalesce(max(directory_id), 0) FROM directories) > ?`;

export class StateTable {
  private readonly readOne;
  private readonly writeOne;

  constructor(private readonly database: SqlDatabase) {
    this.readOne = database.query('SELECT value FROM state WHERE key = ?', 'integer');
    this.writeOne = database.prepare(
      'INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
  }

  private read(key: string): number {
    return this.readOne.get(key) ?? 0;
  }

  readCounters(): Counters {
    return {
      set: this.read('counter.set'),
      root: this.read('counter.root'),
      directory: this.read('counter.directory'),
      sequence: this.read('counter.sequence'),
    };
  }

  /**
   * True if a set, root or directory has a higher number than its counter. Then the counters are damaged, and would
   * assign numbers that are in use.
   */
  areCountersBehind(): boolean {
    const { set, root, directory } = this.readCounters();
    return this.database.query(BEHIND, 'integer').get(set, root, directory) === 1;
  }

  readCommitPoint(): CommitPoint {
    return {
      commit: this.read('commit.number'),
      pack: this.read('commit.pack'),
      position: this.read('commit.position'),
      checksum: this.read('commit.checksum'),
    };
  }

  /** False if the catalog was just created, for a new client or in place of a lost one. */
  isWritten(): boolean {
    return this.readOne.get('commit.number') !== undefined;
  }

  /**
   * Returns the last set that may lack entries because a rebuild found records or packs missing; 0 if there is none.
   */
  readDoubtfulUpTo(): SetNumber {
    return this.read('doubtful.up_to_set');
  }

  /** Marks all sets up to `set` as doubtful, in addition to those already marked. */
  raiseDoubtfulUpTo(set: SetNumber): void {
    if (set > this.readDoubtfulUpTo()) this.writeDoubtfulUpTo(set);
  }

  writeDoubtfulUpTo(set: SetNumber): void {
    this.writeOne.run('doubtful.up_to_set', set);
  }

  /** True if the catalog has data that the packs lack, so that an image of it must be written. */
  readImageRequested(): boolean {
    return this.read('image.is_wanted') !== 0;
  }

  writeImageRequested(isRequested: boolean): void {
    if (isRequested !== this.readImageRequested())
      this.writeOne.run('image.is_wanted', isRequested ? 1 : 0);
  }

  /** Returns the losses that a backup found when it rebuilt the catalog, and that were not yet reported to a client. */
  readFoundLoss(): FoundLoss {
    return { doubtfulUpTo: this.read('loss.doubtful'), records: this.read('loss.records') };
  }

  writeFoundLoss(loss: FoundLoss): void {
    const { doubtfulUpTo, records } = this.readFoundLoss();
    if (loss.doubtfulUpTo !== doubtfulUpTo) this.writeOne.run('loss.doubtful', loss.doubtfulUpTo);
    if (loss.records !== records) this.writeOne.run('loss.records', loss.records);
  }

  /** Returns which kinds of data garbage collection may find to delete. */
  readWaste(): Waste {
    const value = this.read('gc.waste');
    return { versions: (value & WASTE_VERSIONS) !== 0, contents: (value & WASTE_CONTENTS) !== 0 };
  }

  writeWaste({ versions, contents }: Waste): void {
    const value = (versions ? WASTE_VERSIONS : 0) | (contents ? WASTE_CONTENTS : 0);
    this.writeOne.run('gc.waste', value);
  }

  /** Returns the place of the newest image and the size of its records; zeros if there is none. */
  readImage(): ImagePoint {
    return {
      pack: this.read('image.pack'),
      position: this.read('image.position'),
      bytes: this.read('image.bytes'),
    };
  }

  writeImage({ pack, position, bytes }: ImagePoint): void {
    this.writeOne.run('image.pack', pack);
    this.writeOne.run('image.position', position);
    this.writeOne.run('image.bytes', bytes);
  }

  readSnapshot(): SnapshotPoint {
    return { commit: this.read('snapshot.commit'), usedBytes: this.read('snapshot.used_bytes') };
  }

  writeSnapshot({ commit, usedBytes }: SnapshotPoint): void {
    this.writeOne.run('snapshot.commit', commit);
    this.writeOne.run('snapshot.used_bytes', usedBytes);
  }

  write(counters: Counters, point: CommitPoint): void {
    this.writeOne.run('counter.set', counters.set);
    this.writeOne.run('counter.root', counters.root);
    this.writeOne.run('counter.directory', counters.directory);
    this.writeOne.run('counter.sequence', counters.sequence);
    this.writeOne.run('commit.number', point.commit);
    this.writeOne.run('commit.pack', point.pack);
    this.writeOne.run('commit.position', point.position);
    this.writeOne.run('commit.checksum', point.checksum);
  }
}
