/**
 * Deletes paths from the history of a catalog. This happens in a private copy, from which the client is then
 * rewritten. In each set, a path stands for the entry that the set had there. A directory that was elsewhere in other
 * sets keeps its entries in those.
 */
import { asTardisError, Opened } from '../../errors/index.js';
import {
  type ContentId,
  type DirectoryId,
  type ForgetReport,
  type SetNumber,
  splitPath,
  splitRoot,
} from '../../model/index.js';
import { PrivateFolder, type RowOf, type SqlDatabase, type System } from '../../system/index.js';
import { ROOTS_DIRECTORY } from './tables/directories.js';
import { IdSet } from './id-set.js';
import { marksIn } from './tables/sets.js';
import { snapshotCatalog } from './snapshot.js';
import { covered, intersection, type Span, spansWith, union, without } from './spans.js';

/**
 * An absolute path, with names as the catalog has them (possibly sealed), to be deleted from all sets up to
 * `lastSet`.
 */
interface ForgottenPath {
  readonly path: Buffer;
  readonly lastSet: SetNumber;
}

/** Entries to be deleted from a directory: those of one name, or all. */
interface Going {
  readonly directory: DirectoryId;
  readonly name: Buffer | undefined;
  readonly spans: readonly Span[];
}

const VERSION = `directory_id AS directory, name, first_set AS firstSet, last_set AS lastSet, type,
  size_bytes AS sizeBytes, content_id AS contentId, child_id AS childId`;
const VERSION_ROW = {
  directory: 'integer',
  name: 'blob',
  firstSet: 'integer',
  lastSet: 'integer?',
  type: 'integer',
  sizeBytes: 'integer',
  contentId: 'content?',
  childId: 'integer?',
} as const;
type Version = RowOf<typeof VERSION_ROW>;

/** Value for the last set of a version that is still open. */
const OPEN = Number.MAX_SAFE_INTEGER;

export class ForgettingCopy {
  private constructor(
    private readonly folder: PrivateFolder,
    readonly report: ForgetReport,
    /** Ids of the contents that the remaining entries need. */
    readonly needed: IdSet,
  ) {}

  /**
   * Copies a catalog and deletes the paths from the copy. Throws TEMPORARY_FULL if there is no space for the copy, and
   * the other errors of `snapshotCatalog`.
   */
  static make(
    system: System,
    catalogPath: string,
    paths: readonly ForgottenPath[],
  ): ForgettingCopy {
    using opened = new Opened();
    const folder = opened.add(new PrivateFolder(system), (one) => one.remove());
    try {
      const file = folder.file(FILE);
      snapshotCatalog(system, catalogPath, file);
      const copy = system.openDatabase(file, { readonly: false });
      const database = opened.add(copy, (one) => one.close());
      database.pragma('journal_mode = OFF'); // a failed copy is thrown away
      database.pragma('synchronous = OFF');
      const forgetting = new Forgetting(database);
      database.exec('BEGIN');
      for (const path of paths) forgetting.forget(path);
      const { report, needed } = forgetting.settle();
      database.exec('COMMIT');
      database.close();
      opened.move();
      return new ForgettingCopy(folder, report, needed);
    } catch (error) {
      throw asTardisError(folder.explain(error), `reading ${catalogPath}`);
    }
  }

  get catalogPath(): string {
    return this.folder.file(FILE);
  }

  close(): void {
    this.folder.remove();
  }
}

const FILE = 'left.db';

class Forgetting {
  private versions = 0;
  private fileBytes = 0;
  private isInNewest = false;
  private rootsBelow = 0;
  /** Sets that lose entries. */
  private touched: readonly Span[] = [];
  /** Sets that have the current root; only these show entries below it. */
  private having: readonly Span[] = [];
  private readonly contents = new Set<ContentId>();
  private readonly listed: readonly number[];
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = statementsOf(database);
    this.listed = this.statements.sets.all();
  }

  forget({ path, lastSet }: ForgottenPath): void {
    const names = splitPath(path);
    const roots = this.statements.roots.all();
    for (const root of roots) {
      const above = splitPath(splitRoot(root.path).directory);
      const common = Math.min(above.length, names.length);
      if (above.slice(0, common).some((name, index) => !name.equals(names[index]!))) continue;
      if (above.length >= names.length) {
        this.rootsBelow += 1; // a root's own path cannot be forgotten
        continue;
      }
      const having = new Set(this.statements.setsOf.all(root.root));
      this.having = spansWith(this.listed, (set) => having.has(set));
      this.forgetBelow(root.directory, names.slice(above.length), [{ first: 1, last: lastSet }]);
    }
  }

  /**
   * Deletes the entries that `names` lead to from `top` in the sets of `spans`. The names are looked up in all these
   * sets, since the directories on the way may differ between sets.
   */
  private forgetBelow(top: DirectoryId, names: readonly Buffer[], spans: readonly Span[]): void {
    let level = new Map<DirectoryId, readonly Span[]>([[top, spans]]);
    for (const name of names.slice(0, -1)) {
      const below = new Map<DirectoryId, readonly Span[]>();
      for (const [directory, there] of level) {
        for (const version of this.versionsOf(directory, name)) {
          if (version.childId === null) continue;
          const both = intersection([spanOf(version)], there);
          below.set(version.childId, union(below.get(version.childId) ?? [], both));
        }
      }
      level = below;
    }
    const going: Going[] = [...level].map(([directory, there]) => ({
      directory,
      name: names.at(-1)!,
      spans: there,
    }));
    for (let next = going.pop(); next !== undefined; next = going.pop()) {
      going.push(...this.take(next));
    }
  }

  /**
   * Deletes the selected versions. Returns the entries to be deleted next: those of directories that no other
   * entry leads to.
   */
  private take({ directory, name, spans }: Going): Going[] {
    if (spans.length === 0) return [];
    const children = new Map<DirectoryId, readonly Span[]>();
    for (const version of this.versionsOf(directory, name)) {
      const span = spanOf(version);
      const gone = intersection([span], spans);
      if (gone.length === 0) continue;
      this.count(version, gone);
      this.cut(version, without([span], gone));
      const { childId } = version;
      if (childId !== null) children.set(childId, union(children.get(childId) ?? [], gone));
    }
    for (const { first, last } of spans) {
      this.statements.dropNotes.run(directory, name ?? null, name ?? null, first, last);
    }
    return [...children].map(([child, gone]) => {
      const others = this.statements.ways.all(child).map(spanOf);
      return { directory: child, name: undefined, spans: without(gone, others) };
    });
  }

  private cut(version: Version, left: readonly Span[]): void {
    const { directory, name, firstSet } = version;
    const { move, insert, drop } = this.statements;
    // The first interval stays in its row; for each other interval, a copy of the row is inserted.
    const [start, ...rest] = left.filter((span) => this.isShown(directory, span));
    for (const { first, last } of rest) {
      insert.run(first, last === OPEN ? null : last, directory, name, firstSet);
    }
    if (start === undefined) drop.run(directory, name, firstSet);
    else move.run(start.first, start.last === OPEN ? null : start.last, directory, name, firstSet);
  }

  /**
   * True if a listed set of the span shows the directory's entries. Intervals that no listed set shows are deleted too.
   */
  private isShown(directory: DirectoryId, { first, last }: Span): boolean {
    return this.statements.shown.get(directory, first, last) !== undefined;
  }

  private count(version: Version, gone: readonly Span[]): void {
    const shown = intersection(gone, this.having);
    if (!this.listed.some((set) => covered(shown, set))) return;
    this.versions += 1;
    if (version.contentId !== null) {
      this.fileBytes += version.sizeBytes;
      this.contents.add(version.contentId);
    }
    this.touched = union(this.touched, shown);
    const newest = this.listed.at(-1);
    this.isInNewest ||=
      newest !== undefined && covered(intersection([spanOf(version)], this.having), newest);
  }

  private versionsOf(directory: DirectoryId, name: Buffer | undefined): Version[] {
    const { named, all } = this.statements;
    return name === undefined ? all.all(directory) : named.all(directory, name);
  }

  /** Returns the report, and the contents that the remaining entries need. */
  settle(): { report: ForgetReport; needed: IdSet } {
    const { needed: ids, sizeOf } = this.statements;
    const needed = new IdSet();
    for (const id of ids.iterate()) needed.add(id);
    const gone = [...this.contents].filter((id) => !needed.has(id));
    const contentBytes = gone.reduce((sum, id) => sum + sizeOf.get(id)!, 0);
    const report = {
      versions: this.versions,
      fileBytes: this.fileBytes,
      sets: this.listed.filter((set) => covered(this.touched, set)).length,
      lockedSets: this.lockedSets().filter((set) => covered(this.touched, set)).length,
      rootsBelow: this.rootsBelow,
      isInNewest: this.isInNewest,
      contents: gone.length,
      contentBytes,
      heldElsewhere: this.contents.size - gone.length,
    };
    return { report, needed };
  }

  /** Returns the listed sets that are locked. */
  private lockedSets(): SetNumber[] {
    const marked = this.statements.marked.all();
    return marked.filter(([, marks]) => marksIn(marks).isLocked).map(([set]) => set);
  }
}

function spanOf({ firstSet, lastSet }: Version): Span {
  return { first: firstSet, last: lastSet ?? OPEN };
}

function statementsOf(database: SqlDatabase) {
  database.exec('CREATE INDEX IF NOT EXISTS ways ON entries (child_id) WHERE child_id IS NOT NULL');
  return {
    roots: database.query('SELECT root_id AS root, path, directory_id AS directory FROM roots', {
      root: 'integer',
      path: 'blob',
      directory: 'integer',
    }),
    setsOf: database.query('SELECT set_number FROM set_roots WHERE root_id = ?', 'integer'),
    sets: database.query(
      "SELECT set_number FROM backup_sets WHERE state != 'superseded' ORDER BY set_number",
      'integer',
    ),
    shown: database.query(
      `SELECT 1 FROM directories JOIN set_roots USING (root_id) JOIN backup_sets USING (set_number)
       WHERE directory_id = ? AND set_number BETWEEN ? AND ? AND state != 'superseded' LIMIT 1`,
      'integer',
    ),
    marked: database.query(
      `SELECT set_number, marks FROM backup_sets WHERE marks IS NOT NULL AND state != 'superseded'`,
      ['integer', 'blob'],
    ),
    named: database.query(
      `SELECT ${VERSION} FROM entries WHERE directory_id = ? AND name = ?`,
      VERSION_ROW,
    ),
    all: database.query(
      `SELECT ${VERSION} FROM entries WHERE directory_id = ? AND directory_id != ${ROOTS_DIRECTORY}`,
      VERSION_ROW,
    ),
    ways: database.query(`SELECT ${VERSION} FROM entries WHERE child_id = ?`, VERSION_ROW),
    move: database.prepare(
      `UPDATE entries SET first_set = ?, last_set = ?
       WHERE directory_id = ? AND name = ? AND first_set = ?`,
    ),
    insert: database.prepare(
      `INSERT INTO entries SELECT directory_id, name, ?, ?, type, flags, size_bytes, content_id, child_id, metadata
       FROM entries WHERE directory_id = ? AND name = ? AND first_set = ?`,
    ),
    drop: database.prepare(
      'DELETE FROM entries WHERE directory_id = ? AND name = ? AND first_set = ?',
    ),
    dropNotes: database.prepare(
      `DELETE FROM set_notes WHERE directory_id = ? AND (? IS NULL OR name = ?)
         AND set_number BETWEEN ? AND ?`,
    ),
    needed: database.query(
      `SELECT content_id FROM entries WHERE content_id IS NOT NULL
       UNION SELECT part_id FROM content_parts
         WHERE content_id IN (SELECT content_id FROM entries WHERE content_id IS NOT NULL)`,
      'content',
    ),
    sizeOf: database.query('SELECT size_bytes FROM contents WHERE content_id = ?', 'integer'),
  };
}
