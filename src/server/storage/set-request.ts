/** The beginning of a set: what a client asks for, and what it is told. */
import type { Catalog } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { changedMarks, NO_MARKS, type SetMarks } from '../../model/index.js';
import { nameByFormat, type NameFormat, withoutCount } from '../../retention/index.js';
import type { RootRecord } from '../../store/index.js';
import type { Head, HeldReason } from '../../transport/index.js';
import type { RootsRequest } from './set-roots.js';

/** What a client asks for when it opens a set. */
export interface SetRequest extends RootsRequest {
  /** Empty for a name made here. */
  readonly name: string;
  readonly nowMs: number;
  readonly clientTimeMs: number;
  readonly marks: SetMarks;
  /** Nothing may be stored as a delta, and what is one is wanted again. */
  readonly full: boolean;
}

export interface OpenedSet {
  readonly set: number;
  readonly name: string;
  /** Nothing was ever stored for this client: nothing needs to be asked. */
  readonly isEmpty: boolean;
  /** For each root whether it is held, and why. */
  readonly held: readonly HeldReason[];
}

/** Name and marks of a set that a client opens; by the formats where it gives no name. Throws PROTOCOL_VIOLATION. */
export function named(
  { sets }: Catalog,
  head: Head<'openSet'>,
  nowMs: number,
  formats: readonly NameFormat[] = [],
): Pick<SetRequest, 'name' | 'marks'> {
  if (head.name !== '') return { name: head.name, marks: marksIn(head) };
  const listed = sets.listed();
  const others = new Set(listed.map(({ firstName }) => firstName));
  // A set that was broken off stands for no period, nor does one of another job.
  const own = new Set(
    listed
      .filter(({ set, state }) => state === 'complete' && hasRoots(sets.rootsOf(set), head.paths))
      .map(({ firstName }) => withoutCount(firstName)),
  );
  const found = nameByFormat(
    formats,
    nowMs,
    (name) => own.has(name),
    (name) => others.has(name),
  );
  const { name, priority } = found ?? { name: '', priority: 0 };
  const marks = marksIn({ ...head, priority: head.priority === 0 ? priority : head.priority });
  return { name, marks };
}

function hasRoots(roots: readonly RootRecord[], paths: readonly Buffer[]): boolean {
  const wanted = new Set(paths.map((path) => path.toString('latin1')));
  return (
    wanted.size === roots.length && roots.every(({ path }) => wanted.has(path.toString('latin1')))
  );
}

/** What a client says of a set that it opens. */
function marksIn({ priority, expendable, tags }: Head<'openSet'>): SetMarks {
  const marks = changedMarks(NO_MARKS, { priority, isExpendable: expendable, addTags: tags });
  if (marks === undefined) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a set is to have marks that none can have');
  }
  return marks;
}

const NO_SEALED_SET = { set: 0, seal: Buffer.alloc(0) };
/** Sets that are looked at for one of the same roots. */
const MOST_LOOKED_AT = 16;

/** What a client that opens a set is told of earlier ones. */
export function setsBefore(
  { sets, seals }: Catalog,
  set: number,
): Pick<Head<'setOpened'>, 'sealedSet' | 'seal' | 'lastEntries'> {
  const { set: sealedSet, seal } = seals.newestSet() ?? NO_SEALED_SET;
  const rootsOf = (one: number): string =>
    sets
      .rootsOf(one)
      .map(({ root }) => root)
      .join();
  const roots = rootsOf(set);
  const last = sets
    .listed()
    .filter(({ state }) => state === 'complete')
    .slice(-MOST_LOOKED_AT)
    .findLast((one) => rootsOf(one.set) === roots);
  const entries = last?.stats['entries'] ?? 0; // as that client has told it
  return {
    sealedSet,
    seal,
    lastEntries: Number.isSafeInteger(entries) && entries > 0 ? entries : 0,
  };
}
