/**
 * Reads the log of a client: the packs that its commits cover, and the packs that its commits have deleted. For each
 * commit object it reads the version that counts, so that later changes of the object do not matter.
 */
import { asTardisError, recordDamaged } from '../../errors/index.js';
import {
  isLostMark,
  isOfLog,
  LABEL_BYTES,
  LOG_PREFIX,
  logPack,
  logPlace,
  movedTo,
  parseCommitObject,
  parseRecord,
  readEvent,
  readLabel,
  recordBytes,
  RecordKind,
} from '../../store/index.js';
import type { ObjectSource, ObjectVersion, ObjectVersions } from '../../store/objects/index.js';
import { versionedNames } from './names.js';

/** Maximum number of packs in a log. A log that covers more is treated as unreadable. */
const MAX_PACKS = 8_000_000;
const DAMAGE: ReadonlySet<string> = new Set(['RECORD_DAMAGED', 'OBJECT_DAMAGED', 'STORE_NEWER']);
/** Maximum size of a commit object that is read. */
const MAX_COMMIT_BYTES = 256 << 20;

export interface LogFacts {
  /** False if a commit object cannot be read. Then `covered` may lack packs. */
  readonly isWhole: boolean;
  /** True if each number up to that of the last commit has an object. */
  readonly isGapless: boolean;
  /** Packs that a commit covers. */
  readonly covered: ReadonlySet<number>;
  /** Packs that were deleted because they were unneeded. */
  readonly deleted: ReadonlySet<number>;
  /**
   * Number of the commit at which the log ends because a rewrite has made another generation; undefined if the log
   * continues.
   */
  readonly movedAt: number | undefined;
}

/**
 * Reads the commits of a client's generation that were stored until `untilMs`. The generation undefined is the first
 * one.
 */
export async function readLogFacts(
  versions: ObjectVersions,
  { client, generation }: { readonly client: string; readonly generation: string | undefined },
  untilMs: number,
): Promise<LogFacts> {
  const covered = new Set<number>();
  const deleted = new Set<number>();
  let isWhole = true;
  let [commits, last] = [0, 0];
  let movedAt: number | undefined;
  const prefix = `${logPlace(client, generation)}${LOG_PREFIX}`;
  for await (const { commit, oldest } of versionedNames(versions, prefix)) {
    if (commit === undefined || oldest === undefined || oldest.modifiedMs > untilMs) continue;
    commits += 1;
    last = Math.max(last, commit);
    try {
      const bytes = await bytesOf(versions, oldest);
      if (movedTo(bytes) !== undefined) {
        movedAt = commit;
        continue;
      }
      const facts = factsIn(bytes, commit);
      for (const one of facts.covered) if (covered.size < MAX_PACKS) covered.add(one);
      for (const one of facts.deleted) if (deleted.size < MAX_PACKS) deleted.add(one);
      isWhole &&= covered.size < MAX_PACKS;
    } catch (error) {
      if (!DAMAGE.has(asTardisError(error).code)) throw error;
      isWhole = false;
    }
  }
  return { isWhole, isGapless: commits === last, covered, deleted, movedAt };
}

/**
 * True if the bytes begin as a commit object does, or as a mark in the place of a lost commit. The rest is not read.
 */
export async function beginsAsCommit(source: ObjectSource, commit: number): Promise<boolean> {
  const pieces: Uint8Array[] = [];
  let got = 0;
  for await (const piece of source.open()) {
    pieces.push(piece);
    got += piece.length;
    if (got >= LABEL_BYTES) break;
  }
  const bytes = Buffer.concat(pieces);
  if (movedTo(bytes) !== undefined || isLostMark(bytes)) return true;
  try {
    return readLabel(bytes)?.pack === logPack(commit);
  } catch (error) {
    if (!DAMAGE.has(asTardisError(error).code)) throw error;
    return false;
  }
}

interface CommitFacts {
  readonly covered: readonly number[];
  readonly deleted: readonly number[];
}

/** Returns the facts in one commit object. Throws RECORD_DAMAGED if it is damaged, STORE_NEWER for a newer format. */
function factsIn(bytes: Buffer, commit: number): CommitFacts {
  const { body, records } = parseCommitObject(bytes, commit);
  const own = logPack(commit);
  const deleted: number[] = [];
  for (const { header, location } of records) {
    // The events of a very large commit are in a pack, and are not read here. Packs that they delete are brought back,
    // which only costs space.
    if (header.kind !== RecordKind.event || location.pack !== own) continue;
    const end = location.position + recordBytes(header);
    const event = readEvent(parseRecord(bytes.subarray(location.position, end)));
    if (event.type === 'deleted') deleted.push(...event.packs.filter((pack) => !isOfLog(pack)));
  }
  return { covered: body.ranges.map(({ pack }) => pack), deleted };
}

/**
 * Returns the bytes of a version. Throws RECORD_DAMAGED if it cannot be a commit object, OBJECT_DAMAGED if its bytes do
 * not match its checksum.
 */
async function bytesOf(versions: ObjectVersions, version: ObjectVersion): Promise<Buffer> {
  const { name, sizeBytes } = version;
  const isSmall = sizeBytes <= MAX_COMMIT_BYTES;
  const source = isSmall ? await versions.source(version) : undefined;
  if (source === undefined) throw recordDamaged(`${name} is no commit object`);
  const pieces: Uint8Array[] = [];
  for await (const piece of source.open()) pieces.push(piece);
  return Buffer.concat(pieces);
}
