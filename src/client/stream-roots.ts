/** Files of a backup that are no files of this machine: what commands write, and standard input. Each is a root. */
import fs from 'node:fs';
import { usageError } from '../errors/index.js';
import {
  displayName,
  EntryType,
  fileRootPath,
  hiddenRoot,
  shownRoot,
  UNKNOWN_SIZE_BYTES,
  unseenRow,
} from '../model/index.js';
import type { StreamedFile } from '../pipeline/index.js';
import { type System, wallMs } from '../system/index.js';
import { rootParent } from '../transport/index.js';
import { readRoot, type Root } from './roots.js';

/** A source of bytes that becomes a file of the set. */
export interface StreamSource {
  /** Name of the file, which is in the directory "/" of the set. */
  readonly name: Buffer;
  readonly uid: number;
  readonly gid: number;
  /**
   * Passes all bytes to `take`, whose promise it awaits. Resolves with the reason why they are incomplete; undefined if
   * the source has ended well. Rejects with an error of `take`. Ends early when `signal` is aborted.
   */
  read(
    take: (bytes: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<string | undefined>;
}

/** Only the owner may read a stored stream: it is often a dump of secrets. */
const PERMISSIONS = 0o600;
const DIRECTORY = Buffer.from('/');
const NS_PER_MS = 1_000_000n;

/** Returns the path under which a stream is stored. */
export function streamPath(name: Buffer): Buffer {
  return fileRootPath(DIRECTORY, name);
}

/** Roots of streams, and their files, in the same order. */
interface StreamRoots {
  readonly roots: readonly Root[];
  readonly files: readonly StreamedFile[];
}

/**
 * Returns a root for each stream, which follow the roots of directories. Throws USAGE if one would hide
 * another one, or one of the `absent` roots that cannot be opened now.
 */
export function streamRoots(
  system: System,
  streams: readonly StreamSource[],
  walked: readonly Root[],
  { absent, signal }: { readonly absent: readonly Buffer[]; readonly signal: AbortSignal },
): StreamRoots {
  const roots: Root[] = [];
  const files: StreamedFile[] = [];
  for (const stream of streams) {
    const { name, uid, gid } = stream;
    const root = readRoot(system, DIRECTORY, name);
    const keptPath = streamPath(name);
    const slot = walked.length + roots.length;
    // The directory "/" may be that of another container each time, which is no doubt about a stream.
    roots.push({ ...root, keptPath, device: '', incomplete: '' });
    const timeNs = BigInt(wallMs(system.clock)) * NS_PER_MS;
    const row = unseenRow({
      name,
      type: EntryType.file,
      permissions: PERMISSIONS,
      uid,
      gid,
      linkCount: 1,
      sizeBytes: UNKNOWN_SIZE_BYTES,
      mtimeNs: timeNs,
    });
    files.push({
      slot,
      parent: rootParent(slot),
      rootRow: root.row,
      directoryPath: DIRECTORY,
      directory: root.listed,
      row,
      read: (take) => stream.read(take, signal),
    });
  }
  const paths = roots.map(({ keptPath }) => keptPath);
  requireShown(
    paths,
    walked.map(({ keptPath }) => keptPath),
  );
  requireShown(paths, absent);
  return { roots, files };
}

/** Throws USAGE if a set could not show something, since a stream has its path, or a path above it. */
function requireShown(streams: readonly Buffer[], others: readonly Buffer[]): void {
  if (streams.length === 0) return;
  const isWhole = others.some((path) => path.equals(DIRECTORY));
  const below = isWhole ? streams.map(shownRoot).filter((path) => fs.existsSync(path)) : [];
  const found = hiddenRoot([...others, ...below, ...streams]);
  if (found === undefined) return;
  const [file, hidden] = [displayName(found.file), displayName(found.hidden)];
  const what = found.file.equals(found.hidden)
    ? `two sources would both be stored as ${file}`
    : `a source would be stored as ${file}, and hide ${hidden}`;
  throw usageError(`${what}: give the source another name`);
}
