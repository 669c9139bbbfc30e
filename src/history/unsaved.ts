/**
 * The entries of a set that its backup could not save as they were, from the notes of the set. A reader that returns
 * such an entry, or the directory that lacks it, reports the entry once.
 */
import { errnoText, TardisError } from '../errors/index.js';
import {
  type DirectoryId,
  displayText,
  type ErrorNoteKind,
  isErrorNote,
  joinPath,
  type SetNumber,
  shownRoot,
  splitPath,
} from '../model/index.js';
import { ROOTS_DIRECTORY } from '../store/catalog/index.js';
import type { SetNote } from '../store/index.js';
import type { History, HistoryEntry } from './history.js';

interface Note {
  readonly name: Buffer;
  readonly what: ErrorNoteKind;
  readonly reason: string;
}

/** An entry that the set lacks. */
interface Absent {
  readonly name: Buffer;
  readonly error: TardisError;
}

/** The name in a note about a directory whose entries could not be listed. */
const ITSELF = Buffer.alloc(0);

const EARLIER = 'the set has what an earlier backup found of it';
/** A directory that was not listed is in the set even if no earlier backup listed it. */
const EARLIER_INSIDE = 'the set has what an earlier backup found in it, if any did';
const REFUSED = 'you have no permission to read what the set has of it';
const NOTHING = 'the set has nothing of it';

/** Texts about an entry that is in the set, by the kind of its note: what happened, and what the set has. */
const TEXTS: Readonly<
  Record<ErrorNoteKind, readonly [what: string, has: string, ofDirectory?: string]>
> = {
  unreadable: ['could not read it', EARLIER, EARLIER_INSIDE],
  incomplete: ['could not read all of its attributes', 'the set lacks them'],
  inconsistent: ['read other bytes than its size promised', 'its content may be wrong'],
  protected: ['took nothing from it', EARLIER, EARLIER_INSIDE],
};

export class Unsaved {
  private readonly notes = new Map<DirectoryId, Map<string, Note>>();

  private constructor(
    private readonly history: Pick<History, 'find' | 'access'>,
    private readonly set: SetNumber,
  ) {}

  /** Reads the notes of a set. */
  static async of(
    history: Pick<History, 'find' | 'access' | 'notes'>,
    set: SetNumber,
  ): Promise<Unsaved> {
    const unsaved = new Unsaved(history, set);
    for (const { directory, name, what, reason } of await history.notes(set)) {
      if (!isErrorNote(what)) continue;
      const noted = unsaved.notes.get(directory) ?? new Map<string, Note>();
      unsaved.notes.set(directory, noted.set(keyOf(name), { name, what, reason }));
    }
    return unsaved;
  }

  /**
   * Returns the error of an entry of the set; undefined if the entry was saved, or was reported before. If the reader
   * may not read the entry, the error reports that too, so that the caller need not.
   */
  take(entry: HistoryEntry): TardisError | undefined {
    if (this.notes.size === 0) return undefined;
    const { directory, name, childId } = entry;
    const own = this.takeNote(directory, name);
    const listing = childId === undefined ? undefined : this.takeNote(childId, ITSELF);
    const note = own ?? listing;
    return note && errorOf(note, this.has(note, entry));
  }

  /** Returns the remaining entries of a directory, of which the set has nothing. */
  takeAbsent(directory: DirectoryId): Absent[] {
    const noted = [...(this.notes.get(directory)?.values() ?? [])];
    this.notes.delete(directory);
    return noted.map((note) => ({ name: note.name, error: errorOf(note, NOTHING) }));
  }

  /**
   * Returns the error of the first directory above an absolute path that was not saved as it was, or of the name that
   * the set lacks. Returns undefined if there is none.
   */
  async onWayTo(path: Buffer): Promise<TardisError | undefined> {
    if (this.notes.size === 0) return undefined;
    let above: HistoryEntry | undefined;
    let source: Buffer = Buffer.from('/');
    for (const name of splitPath(path)) {
      above = await this.history.find(source, this.set);
      if (above !== undefined) {
        const { directory, childId } = above;
        const note = this.note(directory, above.name) ?? this.note(childId, ITSELF);
        if (note !== undefined) return errorOf(note, this.has(note, above));
      }
      source = joinPath(source, name);
      const missing = this.note(above?.childId, name);
      if (missing === undefined) continue;
      const isThere = (await this.history.find(source, this.set)) !== undefined;
      if (!isThere) return errorOf(missing, NOTHING);
    }
    return undefined;
  }

  /** Returns the text about what the set has of a noted entry. */
  private has({ what }: Note, entry: HistoryEntry): string {
    if (!this.history.access.mayRead(entry)) return REFUSED;
    const [, has, ofDirectory = has] = TEXTS[what];
    return entry.childId === undefined ? has : ofDirectory;
  }

  private note(directory: DirectoryId | undefined, name: Buffer): Note | undefined {
    return directory === undefined ? undefined : this.notes.get(directory)?.get(keyOf(name));
  }

  private takeNote(directory: DirectoryId, name: Buffer): Note | undefined {
    const note = this.note(directory, name);
    if (note !== undefined) this.notes.get(directory)?.delete(keyOf(name));
    return note;
  }
}

function keyOf(name: Buffer): string {
  return name.toString('latin1');
}

function errorOf({ what, reason }: Note, result: string): TardisError {
  const [happened] = TEXTS[what];
  const why = reason === '' ? ':' : `: ${displayText(errnoText(reason))};`;
  return new TardisError('UNREAD_AT_BACKUP', `the backup ${happened}${why} ${result}`);
}

export interface PlacedNote extends Pick<SetNote, 'what' | 'reason'> {
  readonly path: Buffer;
}

/** Returns the notes of a set. Where the path of a directory is not known, the path of a note is only its name. */
export async function placedNotes(
  history: Pick<History, 'notes' | 'roots' | 'reports'>,
  set: SetNumber,
): Promise<PlacedNote[]> {
  const notes = await history.notes(set);
  if (notes.length === 0) return [];
  const roots = await history.roots(set);
  const directories = [...new Set(notes.map(({ directory }) => directory))];
  const paths = await history.reports.directoryPaths(set, directories);
  const pathOf = new Map(directories.map((directory, index) => [directory, paths[index]]));
  const placed = ({ directory, name }: SetNote): Buffer => {
    if (directory === ROOTS_DIRECTORY) {
      const root = roots.find((one) => String(one.root) === name.toString('latin1'));
      return root === undefined ? name : shownRoot(root.path);
    }
    const above = pathOf.get(directory);
    if (above === undefined) return name;
    return name.length === 0 ? above : joinPath(above, name);
  };
  return notes.map((note) => ({ path: placed(note), what: note.what, reason: note.reason }));
}
