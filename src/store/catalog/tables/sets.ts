/**
 * Backup sets, roots and notes: their tables and queries. Statistics, marks and the client's configuration of a set are
 * msgpack maps like those in events, or NULL for empty ones. Values are checked, since a catalog may be damaged or hostile.
 */
import {
  type ClientConfig,
  type DirectoryId,
  isClientConfig,
  isSetMarks,
  NO_MARKS,
  type RootNumber,
  type SetMarks,
  type SetNumber,
} from '../../../model/index.js';
import type { RowOf, SqlDatabase } from '../../../system/index.js';
import { plainPackr } from '../../../system/msgpack/index.js';
import type { RootRecord, SetNote } from '../../index.js';

export type SetStats = Readonly<Record<string, number>>;

const packr = plainPackr();

const STAT_NAME = /^[A-Za-z]{1,64}$/;
const MAX_STATS = 64;
/** Maximum length of a column that is decoded. Valid columns are shorter. */
const MAX_COLUMN_BYTES = 66 << 10;

/** Returns the column `stats`. */
export function statsColumn(stats: SetStats): Buffer | null {
  return Object.keys(stats).length === 0 ? null : packr.pack(stats);
}

/** Returns the value of the column `marks`. */
export function marksColumn(marks: SetMarks): Buffer {
  return packr.pack(marks);
}

/** Returns the statistics in a column. Malformed ones are left out, and a check reports them. */
export function statsIn(column: unknown): Record<string, number> {
  const stats = unpacked(column);
  if (typeof stats !== 'object' || stats === null) return {};
  return Object.fromEntries(Object.entries(stats).filter(isStat).slice(0, MAX_STATS));
}

/** Returns the marks in a column; no marks if they are malformed. */
export function marksIn(column: unknown): SetMarks {
  const marks = unpacked(column);
  return isSetMarks(marks) ? marks : NO_MARKS;
}

/** Returns the column `config`. */
export function configColumn(config: ClientConfig): Buffer {
  return packr.pack(config);
}

/** Returns the configuration in a column; undefined if it is malformed. */
export function configIn(column: unknown): ClientConfig | undefined {
  const config = unpacked(column);
  return isClientConfig(config) ? config : undefined;
}

/** Returns the number of sets whose statistics or marks cannot be decoded. */
export function countUnreadableSets(database: SqlDatabase): number {
  const rows = database.query('SELECT stats, marks FROM backup_sets', ['blob?', 'blob?']).iterate();
  let count = 0;
  for (const [stats, marks] of rows) {
    const areStats = stats === null || isStats(unpacked(stats));
    if (!areStats || !(marks === null || isSetMarks(unpacked(marks)))) count += 1;
  }
  return count;
}

function isStats(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((stat) => Number.isFinite(stat));
}

function isStat(entry: [string, unknown]): entry is [string, number] {
  return STAT_NAME.test(entry[0]) && Number.isFinite(entry[1]);
}

/** Returns the decoded value of a column; undefined if the column is NULL, too long or damaged. */
function unpacked(column: unknown): unknown {
  if (!Buffer.isBuffer(column) || column.length > MAX_COLUMN_BYTES) return undefined;
  try {
    return packr.unpack(column);
  } catch {
    return undefined; // the value is not msgpack; the reason does not matter
  }
}

type SetState = 'unfinished' | 'complete' | 'superseded';

export interface BackupSet {
  readonly set: SetNumber;
  /** The current name. */
  readonly name: string;
  /** The original name, which the client's seal of the set covers. */
  readonly firstName: string;
  readonly state: SetState;
  readonly openedAtMs: number;
  readonly clientTimeMs: number;
  readonly closedAtMs: number | undefined;
  readonly stats: SetStats;
  readonly marks: SetMarks;
  /** True if the set may lack entries that were lost to damage, as found by a rebuild. */
  readonly isDoubtful: boolean;
  /** True if the set is complete and its client has sealed it, as clients that encrypt do. */
  readonly isSealed: boolean;
}

const SET_ROW = {
  set_number: 'integer',
  name: 'text',
  state: 'text',
  opened_at_ms: 'integer',
  client_time_ms: 'integer',
  closed_at_ms: 'integer?',
  stats: 'blob?',
  marks: 'blob?',
  doubtful: 'integer',
  sealed: 'integer',
} as const;

function toSet(row: RowOf<typeof SET_ROW>): BackupSet {
  const marks = marksIn(row.marks);
  return {
    set: row.set_number,
    name: marks.title === '' ? row.name : marks.title,
    firstName: row.name,
    state: isState(row.state) ? row.state : 'unfinished',
    openedAtMs: row.opened_at_ms,
    clientTimeMs: row.client_time_ms,
    closedAtMs: row.closed_at_ms ?? undefined,
    stats: statsIn(row.stats),
    marks,
    isDoubtful: row.doubtful === 1,
    isSealed: row.sealed === 1,
  };
}

const STATES: ReadonlySet<string> = new Set<SetState>(['unfinished', 'complete', 'superseded']);

function isState(text: string): text is SetState {
  return STATES.has(text);
}

/** Columns of what other tables say of a set: a rebuild has found that it may lack entries; its client has sealed it. */
const FOUND = `
  set_number <= coalesce((SELECT value FROM state WHERE key = 'doubtful.up_to_set'), 0) AS doubtful,
  state = 'complete' AND EXISTS (
    SELECT 1 FROM set_seals WHERE set_seals.set_number = backup_sets.set_number) AS sealed`;

export class SetTable {
  private readonly statements;

  constructor(private readonly database: SqlDatabase) {
    this.statements = {
      insert: database.prepare(
        `INSERT OR REPLACE INTO backup_sets (set_number, name, state, opened_at_ms, client_time_ms)
         VALUES (?, ?, 'unfinished', ?, ?)`,
      ),
      insertRoot: database.prepare('INSERT OR IGNORE INTO set_roots VALUES (?, ?)'),
      complete: database.prepare(
        `UPDATE backup_sets SET state = 'complete', closed_at_ms = ?, stats = ? WHERE set_number = ?`,
      ),
      setMarks: database.prepare('UPDATE backup_sets SET marks = ? WHERE set_number = ?'),
      // A completed set supersedes an unfinished one if it has all of that set's roots.
      supersede: database.prepare(
        `UPDATE backup_sets SET state = 'superseded'
         WHERE state = 'unfinished' AND set_number < ? AND NOT EXISTS (
           SELECT 1 FROM set_roots old WHERE old.set_number = backup_sets.set_number
             AND old.root_id NOT IN (SELECT root_id FROM set_roots WHERE set_number = ?))`,
      ),
      listed: database.query(
        `SELECT *, ${FOUND} FROM backup_sets WHERE state != 'superseded' ORDER BY set_number`,
        SET_ROW,
      ),
      all: database.query(`SELECT *, ${FOUND} FROM backup_sets ORDER BY set_number`, SET_ROW),
      one: database.query(`SELECT *, ${FOUND} FROM backup_sets WHERE set_number = ?`, SET_ROW),
      rootByPath: database.query(
        'SELECT root_id AS root, directory_id AS directory, device FROM roots WHERE path = ?',
        { root: 'integer', directory: 'integer', device: 'text' },
      ),
      roots: database.query('SELECT root_id AS root, path, directory_id AS directory FROM roots', {
        root: 'integer',
        path: 'blob',
        directory: 'integer',
      }),
      setDevice: database.prepare('UPDATE roots SET device = ? WHERE root_id = ?'),
      insertNewRoot: database.prepare(
        'INSERT OR IGNORE INTO roots (root_id, path, directory_id) VALUES (?, ?, ?)',
      ),
      rootsOfSet: database.query(
        `SELECT roots.root_id AS root, path, directory_id AS directory, device
         FROM set_roots JOIN roots USING (root_id) WHERE set_number = ? ORDER BY path`,
        { root: 'integer', path: 'blob', directory: 'integer', device: 'text' },
      ),
      insertNote: database.prepare('INSERT OR REPLACE INTO set_notes VALUES (?, ?, ?, ?, ?)'),
      notes: database.query(
        `SELECT directory_id AS directory, name, what, reason FROM set_notes
         WHERE set_number = ? ORDER BY directory_id, name`,
        { directory: 'integer', name: 'blob', what: 'text', reason: 'text' },
      ),
    };
  }

  open(set: SetNumber, name: string, openedAtMs: number, clientTimeMs: number): void {
    this.statements.insert.run(set, name, openedAtMs, clientTimeMs);
  }

  addRoot(set: SetNumber, root: RootRecord): void {
    this.statements.insertNewRoot.run(root.root, root.path, root.directory);
    this.statements.insertRoot.run(set, root.root);
    if (root.device !== undefined) this.statements.setDevice.run(root.device, root.root);
  }

  complete(set: SetNumber, closedAtMs: number, stats: SetStats): void {
    this.statements.complete.run(closedAtMs, statsColumn(stats), set);
    this.statements.supersede.run(set, set);
  }

  /** Replaces the marks of a set. */
  mark(set: SetNumber, marks: SetMarks): void {
    this.statements.setMarks.run(marksColumn(marks), set);
  }

  /** Deletes a set. Versions that only this set shows stay until garbage collection. */
  drop(set: SetNumber): void {
    for (const table of ['backup_sets', 'set_roots', 'set_notes', 'set_configs']) {
      this.database.prepare(`DELETE FROM ${table} WHERE set_number = ?`).run(set);
    }
  }

  /** Returns the listed sets: complete ones, and unfinished ones that are not superseded. */
  listed(): BackupSet[] {
    return this.statements.listed.all().map(toSet);
  }

  /** Returns all sets, including those that are not listed. */
  all(): BackupSet[] {
    return this.statements.all.all().map(toSet);
  }

  find(set: SetNumber): BackupSet | undefined {
    const row = this.statements.one.get(set);
    return row === undefined ? undefined : toSet(row);
  }

  findRoot(path: Buffer): { root: RootNumber; directory: DirectoryId; device: string } | undefined {
    return this.statements.rootByPath.get(path);
  }

  /** Returns the roots of all sets, also of deleted ones. */
  roots(): RootRecord[] {
    return this.statements.roots.all();
  }

  rootsOf(set: SetNumber): RootRecord[] {
    return this.statements.rootsOfSet.all(set);
  }

  addNote(set: SetNumber, note: SetNote): void {
    this.statements.insertNote.run(set, note.directory, note.name, note.what, note.reason);
  }

  notesOf(set: SetNumber): SetNote[] {
    return this.statements.notes.all(set);
  }
}
