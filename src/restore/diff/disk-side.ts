/** One side of a comparison: the current files on the disk. */
import { systemCode, TardisError } from '../../errors/index.js';
import {
  decodeRow,
  displayName,
  type Entry,
  EntryType,
  forEachRow,
  joinPath,
  lastComponent,
  MAX_ATTRIBUTES_BYTES,
  RowFlag,
  RowReader,
} from '../../model/index.js';
import type { System } from '../../system/index.js';
import { MOST_NAMES } from '../../workers/index.js';
import type { Seen, Side, Visit } from './side.js';

/**
 * Maximum number of rows that are made at once for a large directory. Only the names of such a directory are kept in
 * memory.
 */
const PAGE_NAMES = 2048;
const MISSING = new Set(['ENOENT', 'ENOTDIR']);

export class DiskSide implements Side {
  private readonly system: System;

  constructor(system: System) {
    this.system = system;
  }

  async find(path: Buffer): Promise<Seen | undefined> {
    try {
      const row = this.system.native.statRow(path, Buffer.from('x'));
      return { path, entry: sized(decodeRow(new RowReader(row), 0)), stored: undefined };
    } catch (error) {
      if (MISSING.has(systemCode(error) ?? '')) return undefined;
      throw unreadable(path, error);
    }
  }

  async roots(): Promise<readonly Buffer[]> {
    return [];
  }

  async *entries({ directory: { path } }: Visit): AsyncGenerator<Seen, void> {
    const { native } = this.system;
    const listed = this.listOrHold(path);
    if (typeof listed !== 'number') {
      yield* seenIn(listed, path);
      return;
    }
    try {
      const count = native.heldNames(listed);
      for (let from = 0; from < count; from += PAGE_NAMES) {
        yield* seenIn(native.heldRows(listed, from, Math.min(PAGE_NAMES, count - from)), path);
      }
    } finally {
      native.dropNames(listed);
    }
  }

  private listOrHold(path: Buffer): Buffer | number {
    try {
      return this.system.native.listOrHold(path, MOST_NAMES);
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  comeNext(): void {
    // Nothing to do: a directory on the disk is read when it is visited.
  }
}

function seenIn(rows: Buffer, directory: Buffer): Seen[] {
  const reader = new RowReader(rows);
  const seen: Seen[] = [];
  forEachRow(reader, (at) => {
    const entry = sized(decodeRow(reader, at));
    seen.push({ path: joinPath(directory, entry.name), entry, stored: undefined });
  });
  return seen;
}

/** True if the metadata of an entry on the disk could not be read. */
export function isHidden({ entry, stored }: Seen): boolean {
  return stored === undefined && (entry.flags & RowFlag.unreadable) !== 0;
}

/**
 * Returns the attributes of an entry on the disk, packed as in rows; undefined if it has none. Throws
 * SOURCE_UNREADABLE.
 */
export function attributesOnDisk(system: System, { path, entry }: Seen): Buffer | undefined {
  const { native } = system;
  const isDirectory = entry.type === EntryType.directory;
  const name = isDirectory ? Buffer.alloc(0) : lastComponent(path);
  try {
    const fd = native.openDirectory(isDirectory ? path : directoryOf(path));
    try {
      const packed = native.attributesAt(fd, name, false, MAX_ATTRIBUTES_BYTES);
      return packed.length === 0 ? undefined : packed;
    } finally {
      native.close(fd);
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Returns the directory that contains a path. */
export function directoryOf(path: Buffer): Buffer {
  const end = path.lastIndexOf(0x2f);
  return end <= 0 ? Buffer.from('/') : path.subarray(0, end);
}

/** Returns SOURCE_UNREADABLE for a system error. Throws any other error unchanged. */
export function unreadable(path: Buffer, error: unknown): TardisError {
  const code = systemCode(error);
  if (code === undefined) throw error;
  const text = `"${displayName(path)}" cannot be read: ${code}`;
  return new TardisError('SOURCE_UNREADABLE', text, { cause: code }, error);
}

/**
 * Returns the entry, but with size 0 if it is a directory. The size in a directory's row has another meaning: the state
 * of a mount.
 */
function sized(entry: Entry): Entry {
  return entry.type === EntryType.directory ? { ...entry, sizeBytes: 0 } : entry;
}
