/** Decides which files of a restore job the addon writes by `restoreStoredAside`. */
import { forEachRow, RowFlag, RowReader } from '../model/index.js';
import {
  isNewFile,
  NO_RECORD,
  PLACE_NUMBERS,
  RestoreHow,
  type RestoreInput,
} from './restore-types.js';

/** Maximum number of files of a job that need a decision, and of parts of a job that are left to another runner. */
const MOST_DECISIONS = 32;
/** Maximum number of packs that a job holds open. A few jobs run at once, and a process may open few files. */
const MOST_PACKS = 16;

/** Part of a job's files. */
export interface Part {
  readonly index: number;
  /** Offset of the first file's row. */
  readonly at: number;
  readonly files: number;
  /** Offset behind the last file's row. */
  readonly end: number;
}

export class AsidePlan {
  /** For each file, 1 if it is new, needs no decision and has no attributes and no holes. */
  private readonly plain: Uint8Array;
  private readonly input: RestoreInput;
  private parts = 0;

  constructor(input: RestoreInput) {
    this.input = input;
    const { places } = input;
    this.plain = new Uint8Array(places.length / PLACE_NUMBERS);
    const rows = new RowReader(input.rows);
    let index = 0;
    forEachRow(rows, (at) => {
      const how = places[index * PLACE_NUMBERS + 3]!;
      const isBare = (rows.flags(at) & (RowFlag.hasAttributes | RowFlag.sparse)) === 0;
      this.plain[index] = Number(isBare && isNewFile(how & ~RestoreHow.copied));
      index += 1;
    });
  }

  /**
   * True if the job's records were fetched, or lie in few packs of a directory on this machine, and few of its files need
   * a decision.
   */
  get isFit(): boolean {
    const { source, records } = this.input;
    if ('port' in source || this.decisions() > MOST_DECISIONS) return false;
    return 'stored' in source || new Set(records.map(({ object }) => object)).size <= MOST_PACKS;
  }

  /**
   * Notes that the addon cannot decode some records, by their numbers. Returns false if then too many files need a
   * decision.
   */
  without(records: ReadonlySet<number>): boolean {
    const { places } = this.input;
    for (let index = 0; index < this.plain.length; index += 1) {
      const [record, how] = [
        places[index * PLACE_NUMBERS + 1]!,
        places[index * PLACE_NUMBERS + 3]!,
      ];
      if (isNewFile(how) && record !== NO_RECORD && records.has(record)) this.plain[index] = 0;
    }
    return this.decisions() <= MOST_DECISIONS;
  }

  /**
   * Returns the part to leave to another runner, from the file that the addon did not write on: to the next file that it
   * may write, or to the end of the job if there were many parts already.
   */
  partFrom(index: number, at: number): Part {
    const { rows } = this.input;
    this.parts += 1;
    if (this.parts > MOST_DECISIONS) {
      return { index, at, files: this.plain.length - index, end: rows.length };
    }
    const reader = new RowReader(rows);
    let [files, end] = [0, at];
    do {
      end += reader.rowBytes(end);
      files += 1;
    } while (this.plain[index + files] === 0);
    return { index, at, files, end };
  }

  private decisions(): number {
    return this.plain.reduce((count, isPlain) => count + 1 - isPlain, 0);
  }
}
