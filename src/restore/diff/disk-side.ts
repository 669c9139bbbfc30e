/** One side of a comparison: the current files on the disk. */
import { errnoText, requireSystemCode, systemCode, TardisError } from '../../errors/index.js';
import {
  decodeRow,
  deviceOf,
  directoryOf,
  displayName,
  type Entry,
  EntryType,
  forEachRow,
  identityBelow,
  identityOf,
  joinPath,
  lastComponent,
  MAX_ATTRIBUTES_BYTES,
  pathBelow,
  RowFlag,
  RowReader,
  splitPath,
} from '../../model/index.js';
import {
  type DirectoryPlace,
  namedDirectoryAt,
  OpenedPlace,
  pathWithoutLinks,
  type System,
} from '../../system/index.js';
import { directoryOfFile, MOST_NAMES } from '../../workers/index.js';
import type { Seen, Side, Visit } from './side.js';

/**
 * Maximum number of rows that are made at once for a large directory. Only the names of such a directory are kept in
 * memory.
 */
const PAGE_NAMES = 2048;
/** Names a directory itself. */
const ITSELF = Buffer.alloc(0);
const MISSING = new Set(['ENOENT', 'ENOTDIR']);

/** A directory that was named, or contains what was named: its path as given, and without links. */
interface Start {
  readonly named: readonly Buffer[];
  readonly real: Buffer;
}

/**
 * The current files on the disk. A path that the user names may lead through links. Below it, links are not followed, and each
 * directory and file that is opened is the one that was listed.
 */
export class DiskSide implements Side {
  private readonly starts: Start[] = [];
  private readonly system: System;

  constructor(system: System) {
    this.system = system;
  }

  async find(path: Buffer): Promise<Seen | undefined> {
    const { native } = this.system;
    try {
      const above = this.realPath(directoryOf(path));
      const name = lastComponent(path);
      const place = namedDirectoryAt(native, above);
      using directory = new OpenedPlace(native, place);
      const row =
        name.length === 0 ? native.statRow(above, name) : native.statAt(directory.fd, name);
      return { ...seenAt(place, new RowReader(row), 0), path };
    } catch (error) {
      if (MISSING.has(systemCode(error) ?? '')) return undefined;
      throw unreadable(path, error);
    }
  }

  /** Returns the path of a directory without links. Below a path that was found before, none are followed. */
  private realPath(directory: Buffer): Buffer {
    const names = splitPath(directory);
    const above = this.starts.find(
      ({ named }) =>
        named.length <= names.length && named.every((name, index) => name.equals(names[index]!)),
    );
    if (above !== undefined) return pathBelow(above.real, names.slice(above.named.length));
    const real = pathWithoutLinks(directory, 'SOURCE_UNSAFE');
    this.starts.push({ named: names, real });
    return real;
  }

  async roots(): Promise<readonly Buffer[]> {
    return [];
  }

  async *entries({ directory: seen }: Visit): AsyncGenerator<Seen, void> {
    const { native } = this.system;
    const place = placeOf(seen);
    const listed = this.listOrHold(seen.path, place);
    if (typeof listed !== 'number') {
      yield* seenIn(listed, seen.path, place);
      return;
    }
    try {
      const count = native.heldNames(listed);
      for (let from = 0; from < count; from += PAGE_NAMES) {
        const rows = native.heldRows(listed, from, Math.min(PAGE_NAMES, count - from));
        yield* seenIn(rows, seen.path, place);
      }
    } finally {
      native.dropNames(listed);
    }
  }

  private listOrHold(path: Buffer, place: DirectoryPlace): Buffer | number {
    try {
      return this.system.native.listOrHold(place.path, MOST_NAMES, place.identity);
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  comeNext(): void {
    // Nothing to do: a directory on the disk is read when it is visited.
  }
}

/** Returns the place of a directory on the disk. */
function placeOf({ listed }: Seen): DirectoryPlace {
  const { directoryPath, directory, row } = listed!;
  const rows = new RowReader(row);
  return {
    path: joinPath(Buffer.from(directoryPath), rows.name(0)),
    identity: identityBelow(rows, 0, directory),
  };
}

function seenIn(rows: Buffer, path: Buffer, place: DirectoryPlace): Seen[] {
  const reader = new RowReader(rows);
  const seen: Seen[] = [];
  forEachRow(reader, (at) => {
    const { entry, ...one } = seenAt(place, reader, at);
    seen.push({ ...one, path: joinPath(path, entry.name), entry });
  });
  return seen;
}

function seenAt(place: DirectoryPlace, rows: RowReader, at: number): Omit<Seen, 'path'> {
  const { path: directoryPath, identity: directory } = place;
  const listed = { directoryPath, directory, row: Buffer.from(rows.row(at)) };
  return { entry: sized(decodeRow(rows, at)), stored: undefined, listed };
}

/** True if the metadata of an entry on the disk could not be read. */
export function isHidden({ entry, stored }: Seen): boolean {
  return stored === undefined && (entry.flags & RowFlag.unreadable) !== 0;
}

/**
 * Returns the attributes of an entry on the disk, packed as in rows; undefined if it has none. Throws
 * SOURCE_UNREADABLE.
 */
export function attributesOnDisk(system: System, seen: Seen): Buffer | undefined {
  const { native } = system;
  const isDirectory = seen.entry.type === EntryType.directory;
  try {
    const place = isDirectory ? placeOf(seen) : directoryOfFile(seen.listed!);
    using directory = new OpenedPlace(native, place);
    const rows = new RowReader(seen.listed!.row);
    const identity = identityOf(rows, 0, deviceOf(place.identity));
    const name = isDirectory ? ITSELF : rows.name(0);
    const packed = native.attributesAt(directory.fd, name, false, MAX_ATTRIBUTES_BYTES, identity);
    return packed.length === 0 ? undefined : packed;
  } catch (error) {
    throw unreadable(seen.path, error);
  }
}

/** Returns SOURCE_UNREADABLE for a system error. Throws any other error unchanged. */
export function unreadable(path: Buffer, error: unknown): TardisError {
  const code = requireSystemCode(error);
  const text = `"${displayName(path)}" cannot be read: ${errnoText(code)}`;
  return new TardisError('SOURCE_UNREADABLE', text, { cause: code }, error);
}

/**
 * Returns the entry, but with size 0 if it is a directory. The size in a directory's row has another meaning: the state
 * of a mount.
 */
function sized(entry: Entry): Entry {
  return entry.type === EntryType.directory ? { ...entry, sizeBytes: 0 } : entry;
}
