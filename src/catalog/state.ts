/** Single values of the catalog: counters, and the last commit it holds. */
import type { Counters } from '../store/index.js';
import type { SqlDatabase } from '../system/index.js';

/** Where the catalog stands: the last commit record it has applied. */
export interface CommitPoint {
  readonly commit: number;
  readonly pack: number;
  /** Just behind the commit record. */
  readonly position: number;
}

/** What may be cleared up. */
export interface Waste {
  /** Versions of names that no listed set shows. */
  readonly versions: boolean;
  /** Contents that no version names, and records and packs that hold little else. */
  readonly contents: boolean;
}

const WASTE_VERSIONS = 1;
const WASTE_CONTENTS = 2;

/** Where the newest image begins. */
export interface ImagePoint {
  /** 0: there is none. */
  readonly pack: number;
  readonly position: number;
  readonly bytes: number;
}

export class StateTable {
  private readonly readOne;
  private readonly writeOne;

  constructor(database: SqlDatabase) {
    this.readOne = database.prepare('SELECT value FROM state WHERE key = ?').pluck();
    this.writeOne = database.prepare(
      'INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
  }

  private read(key: string): number {
    return (this.readOne.get(key) as number | undefined) ?? 0;
  }

  readCounters(): Counters {
    return {
      set: this.read('counter.set'),
      root: this.read('counter.root'),
      directory: this.read('counter.directory'),
      sequence: this.read('counter.sequence'),
    };
  }

  readCommitPoint(): CommitPoint {
    return {
      commit: this.read('commit.number'),
      pack: this.read('commit.pack'),
      position: this.read('commit.position'),
    };
  }

  /** False: the catalog was made just now, of a new client or in the place of one that was lost. */
  isWritten(): boolean {
    return this.readOne.get('commit.number') !== undefined;
  }

  /** Sets up to this number may lack entries: a rebuild has found records or packs missing. */
  readDoubtfulUpTo(): number {
    return this.read('doubtful.up_to_set');
  }

  writeDoubtfulUpTo(set: number): void {
    this.writeOne.run('doubtful.up_to_set', set);
  }

  /** Whether something is there that no set shows, or no version names: see `Upkeep`. */
  readWaste(): Waste {
    const value = this.read('upkeep.waste');
    return { versions: (value & WASTE_VERSIONS) !== 0, contents: (value & WASTE_CONTENTS) !== 0 };
  }

  writeWaste({ versions, contents }: Waste): void {
    const value = (versions ? WASTE_VERSIONS : 0) | (contents ? WASTE_CONTENTS : 0);
    this.writeOne.run('upkeep.waste', value);
  }

  /** The commit that holds the newest image; `bytes` of its records; 0: there is none. */
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

  write(counters: Counters, point: CommitPoint): void {
    this.writeOne.run('counter.set', counters.set);
    this.writeOne.run('counter.root', counters.root);
    this.writeOne.run('counter.directory', counters.directory);
    this.writeOne.run('counter.sequence', counters.sequence);
    this.writeOne.run('commit.number', point.commit);
    this.writeOne.run('commit.pack', point.pack);
    this.writeOne.run('commit.position', point.position);
  }
}
