/**
 * Detects a catalog that was replaced by an older copy. Each checkpoint is written to the packs, then to the catalog.
 * So a catalog that lacks checkpoints of the packs is an older copy, and does not list later sets.
 */
import { Catalog, type CommitPoint, walkCommits } from '../../store/catalog/index.js';
import type { Backend } from '../../store/index.js';
import type { System } from '../../system/index.js';

/** Offset of the write version in SQLite's header. The value 2 means a write-ahead log. */
const WRITE_VERSION_AT = 18;
const BY_LOG = 2;

/**
 * Returns the number of checkpoints that the packs contain and the catalog lacks. Returns 0 if a running or killed
 * session explains the difference: it writes to the packs first. `seen` is the state of a copy of the catalog that was
 * made a moment ago.
 */
export async function commitsBehind(
  system: System,
  catalogPath: string,
  backend: Backend,
  seen: { readonly point: CommitPoint; readonly sequence: number },
): Promise<number> {
  let last = seen.point.commit;
  for await (const commit of walkCommits(backend, { ...seen, isThorough: true }).commits()) {
    if (commit.matches || !commit.isLast) last = Math.max(last, commit.body.commit);
  }
  if (last === seen.point.commit) return 0;
  // A session that is running, or was killed, may have written a commit record that is not in the catalog yet.
  const ahead = isWrittenByLog(system, catalogPath) ? 1 : 0;
  const known = Catalog.lastCommit(system, catalogPath);
  return last - known > ahead ? last - known : 0;
}

function isWrittenByLog({ files }: System, catalogPath: string): boolean {
  const fd = files.open(catalogPath, 'read');
  try {
    const byte = Buffer.alloc(1);
    return files.read(fd, byte, 0, 1, WRITE_VERSION_AT) === 1 && byte[0] === BY_LOG;
  } finally {
    files.close(fd);
  }
}
