/** The directories to back up, looked at before anything is started. */
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName, RowReader, withAttributes } from '../model/index.js';
import { absolutePath, type System } from '../system/index.js';
import { rootParent } from '../transport/index.js';
import { type Failure, packBlock, readAttributesOf } from '../workers/index.js';

export interface Root {
  readonly path: Buffer;
  readonly row: Buffer;
  /** The row with its attributes. */
  readonly wholeRow: Buffer;
  /** Why its attributes could not be read; empty if they could. */
  readonly incomplete: string;
}

const ROOT_NAME = Buffer.from('root');
const ITSELF = Buffer.alloc(0);

/** Each directory once, by its real path. Throws SOURCE_MISSING. */
export function readRoots(system: System, directories: readonly Buffer[]): Root[] {
  const roots = new Map<string, Root>();
  for (const directory of directories) {
    const absolute = absolutePath(directory);
    try {
      // A root may be named through a symbolic link; it is kept under its real path.
      const bytes = fs.realpathSync.native(absolute, { encoding: 'buffer' });
      const key = bytes.toString('latin1');
      if (!roots.has(key)) roots.set(key, readRoot(system, bytes));
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      throw new TardisError(
        'SOURCE_MISSING',
        `cannot open the directory ${displayName(absolute)}: ${code}`,
        { cause: code },
      );
    }
  }
  return [...roots.values()];
}

function readRoot(system: System, path: Buffer): Root {
  const fd = system.native.openDirectory(path);
  try {
    const row = system.native.statRow(path, ROOT_NAME);
    const more = readAttributesOf(system, fd, new RowReader(row), 0, ITSELF);
    const wholeRow = withAttributes(row, more.packed);
    return { path, row, wholeRow, incomplete: more.failure ?? '' };
  } finally {
    system.native.close(fd);
  }
}

/** The roots as walk tasks, the first one on top of the stack. */
export function rootTasks(roots: readonly Root[]): ReturnType<typeof packBlock> {
  return packBlock(
    roots
      .map((root, index) => ({
        slot: index,
        parent: rootParent(index),
        path: root.path,
        row: root.row,
      }))
      .toReversed(),
  );
}

/** What is to be told of the roots themselves. */
export function rootFailures(roots: readonly Root[]): Failure[] {
  return roots.flatMap(({ path, incomplete: reason }, index) =>
    reason === ''
      ? []
      : [{ slot: rootParent(index), name: ROOT_NAME, path, what: 'incomplete' as const, reason }],
  );
}
