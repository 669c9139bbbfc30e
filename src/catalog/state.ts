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

  /** Sets up to this number may lack entries: a rebuild has found records or packs missing. */
  readDoubtfulUpTo(): number {
    return this.read('doubtful.up_to_set');
  }

  writeDoubtfulUpTo(set: number): void {
    this.writeOne.run('doubtful.up_to_set', set);
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
