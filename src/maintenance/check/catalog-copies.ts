/**
 * Compares the copies of the catalog in a bucket with the log. A machine without a catalog ignores a wrong copy and
 * loses only time, so nothing but this check reports it.
 */
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import {
  type Backend,
  type SnapshotFacts,
  type SnapshotObjects,
  snapshotsOf,
  type StoredSnapshot,
} from '../../store/index.js';
import { MAX_STORED_BYTES } from '../../store/writer/index.js';
import type { CopyFinding } from './findings.js';

/** Maximum number of copies that are examined, the newest first. A machine without a catalog tries fewer. */
const MOST_LOOKED = 16;
/** Number of the newest copies named by commits that must be intact. Older ones may just be being removed. */
const MOST_KEPT = 2;
/**
 * Number of times that a copy is examined before it counts as damaged, since another machine may just be removing it.
 */
const MOST_LOOKS = 2;

/** A copy that cannot be used, and the finding about it. */
interface WrongCopy {
  readonly copy: StoredSnapshot;
  readonly finding: CopyFinding;
}

/** The copies of a client's catalog. */
export interface CopiesSeen {
  readonly wrong: readonly WrongCopy[];
  /** Numbers of the commits at which usable copies end. */
  readonly sound: readonly number[];
}

interface CopyLook {
  /** True to read the bytes of the copies; otherwise only the names and sizes of their pieces are examined. */
  readonly reads: boolean;
  readonly signal: AbortSignal;
}

/**
 * Examines the copies of the catalog of a client in a bucket. Finds none for a client in a directory. It sends one
 * request for a list, and one or two requests for each copy. Throws INTERRUPTED if it is aborted, and errors of a
 * bucket.
 */
export async function lookAtCopies(backend: Backend, look: CopyLook): Promise<CopiesSeen> {
  const snapshots = snapshotsOf(backend);
  if (snapshots === undefined) return { wrong: [], sound: [] };
  for (let looks = 1; ; looks += 1) {
    const seen = await lookOnce(snapshots, look);
    const isDamaged = seen.wrong.some(({ finding }) => finding.state === 'damaged');
    if (!isDamaged || looks === MOST_LOOKS) return seen;
  }
}

async function lookOnce(snapshots: SnapshotObjects, look: CopyLook): Promise<CopiesSeen> {
  const stored = await snapshots.stored();
  if (stored === undefined) return { wrong: [TOO_MANY], sound: [] };
  const wrong: WrongCopy[] = [];
  const sound: number[] = [];
  let named = 0;
  for (const copy of stored.slice(0, MOST_LOOKED)) {
    throwIfAborted(look.signal);
    const facts = await factsOf(snapshots, copy);
    if (facts === 'unknown') continue;
    if (typeof facts === 'string') {
      wrong.push({ copy, finding: found(copy, facts, WHY[facts]) });
      continue;
    }
    named += 1;
    if (named > MOST_KEPT) continue;
    const why =
      sizeFault(copy, facts) ?? (look.reads ? await byteFault(snapshots, facts, look) : undefined);
    if (why === undefined) sound.push(facts.commit);
    else wrong.push({ copy, finding: found(copy, 'damaged', why) });
  }
  return { wrong, sound };
}

const WHY = { foreign: 'it does not belong to the log', left: 'no commit names it' } as const;

const TOO_MANY: WrongCopy = {
  copy: { place: { commit: 0, id: '' }, name: 'snap', pieces: new Map() },
  finding: {
    finding: 'copy',
    copy: 'snap',
    state: 'foreign',
    why: 'there are more objects than copies have, so no machine uses a copy; they may be deleted',
  },
};

function found({ name }: StoredSnapshot, state: CopyFinding['state'], why: string): CopyFinding {
  return { finding: 'copy', copy: name, state, why };
}

/**
 * Returns the facts about a copy in the log, or the state of a copy without facts. The state is `foreign` if the log
 * lacks the copy's last commit, and `left` if the next commit does not name the copy. It is `unknown` if there is no
 * next commit yet, or if the commit that could name the copy is damaged. The check reports that commit by itself.
 */
async function factsOf(
  snapshots: SnapshotObjects,
  { place }: StoredSnapshot,
): Promise<SnapshotFacts | 'foreign' | 'left' | 'unknown'> {
  try {
    // A copy is made after its last commit, so without that commit it cannot be genuine.
    if ((await snapshots.commitBytes(place.commit)) === undefined) return 'foreign';
    const named = await snapshots.named(place);
    if (named !== undefined) return named.facts;
    return (await snapshots.commitBytes(place.commit + 1)) === undefined ? 'unknown' : 'left';
  } catch (error) {
    const { code } = asTardisError(error);
    if (code === 'RECORD_DAMAGED' || code === 'OBJECT_DAMAGED') return 'unknown';
    throw error;
  }
}

/** Returns the fault in the names and sizes of a copy's pieces; undefined if there is none. */
function sizeFault({ pieces }: StoredSnapshot, facts: SnapshotFacts): string | undefined {
  const count = facts.pieces.length;
  const isRight = (bytes = 0): boolean => bytes > 0 && bytes <= MAX_STORED_BYTES;
  const wrong = facts.pieces.findIndex((_, piece) => !isRight(pieces.get(piece)));
  if (wrong < 0) return undefined;
  return `piece ${wrong} of ${count} ${pieces.has(wrong) ? 'has a wrong size' : 'is missing'}`;
}

/** Reads a copy, and returns its fault; undefined if there is none. */
async function byteFault(
  snapshots: SnapshotObjects,
  facts: SnapshotFacts,
  { signal }: CopyLook,
): Promise<string | undefined> {
  for (const [piece] of facts.pieces.entries()) {
    throwIfAborted(signal);
    try {
      await snapshots.read(facts, piece, MAX_STORED_BYTES);
    } catch (error) {
      const { code } = asTardisError(error);
      if (code !== 'OBJECT_DAMAGED' && code !== 'BUCKET_ANSWER_INVALID') throw error;
      return `piece ${piece} of ${facts.pieces.length} is not what the log records`;
    }
  }
  return undefined;
}
