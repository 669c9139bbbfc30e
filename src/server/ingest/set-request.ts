/** Opening of a set: the client's request, and the server's answer. */
import type { BackupSet, Catalog } from '../../store/catalog/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { protocolViolation } from '../../errors/index.js';
import {
  changedMarks,
  machineText,
  NO_MARKS,
  type SetMachine,
  type SetMarks,
  type SetNumber,
} from '../../model/index.js';
import { nameByFormat, type NameFormat } from '../../retention/index.js';
import { packName, type RootRecord } from '../../store/index.js';
import type { Head, ProtectionReason } from '../../transport/index.js';
import type { RootsRequest } from './set-roots.js';

/** A client's request to open a set. */
export interface SetRequest extends RootsRequest {
  /** Name of the set; empty if the server chooses it. */
  readonly name: string;
  readonly nowMs: number;
  readonly clientTimeMs: number;
  readonly marks: SetMarks;
  /** True to store nothing as a delta, and to request contents again that are stored as deltas. */
  readonly full: boolean;
}

export interface OpenedSet {
  readonly set: SetNumber;
  readonly name: string;
  /** True if nothing was ever stored for this client, so that the client has nothing to query. */
  readonly isEmpty: boolean;
  /** For each root, the reason why it is protected; empty if it is not. */
  readonly protection: readonly ProtectionReason[];
}

interface Naming {
  readonly nowMs: number;
  readonly formats: readonly NameFormat[];
  /** The administrator who has requested a backup; undefined if none has. */
  readonly requestedBy: string | undefined;
}

/**
 * Returns name and marks for a set that a client opens after the `listed` ones. Without a name from the client, date and time or
 * the name formats give one. Throws PROTOCOL_VIOLATION.
 */
export function named(
  { sets }: Catalog,
  head: Head<'openSet'>,
  listed: readonly BackupSet[],
  { nowMs, formats, requestedBy }: Naming,
): Pick<SetRequest, 'name' | 'marks'> {
  const given = { ...marksIn(head), ...(requestedBy === undefined ? {} : { requestedBy }) };
  if (head.name !== '') return { name: head.name, marks: given };
  const others = new Set(listed.map(({ firstName }) => firstName));
  // Unfinished sets and sets of other series are not the first ones of a period.
  const earlier = listed
    .filter(({ state, marks }) => state === 'complete' && machineText(marks) === machineText(given))
    .map(({ set, firstName, openedAtMs, marks: { priority } }) => {
      const hasSameRoots = (): boolean => hasRoots(sets.rootsOf(set), head.paths);
      return { firstName, openedAtMs, priority, hasSameRoots };
    });
  const { name, priority } = nameByFormat(formats, nowMs, earlier, (text) => others.has(text));
  return { name, marks: head.priority === 0 ? { ...given, priority } : given };
}

function hasRoots(roots: readonly RootRecord[], paths: readonly Buffer[]): boolean {
  const wanted = new Set(paths.map((path) => path.toString('latin1')));
  return (
    wanted.size === roots.length && roots.every(({ path }) => wanted.has(path.toString('latin1')))
  );
}

/** Returns the marks that a client requests for a set. Throws PROTOCOL_VIOLATION. */
function marksIn({ priority, expendable, tags, machine }: Head<'openSet'>): SetMarks {
  const change = { priority, isExpendable: expendable, addTags: tags };
  const marks = changedMarks(machine === undefined ? NO_MARKS : { ...NO_MARKS, machine }, change);
  if (marks === undefined) throw protocolViolation('invalid marks');
  return marks;
}

/** Returns the machine of the newest listed set if it and the machine of a new set are known and different. */
function otherMachine(listed: readonly BackupSet[], own: SetMarks): SetMachine | undefined {
  const before = listed.findLast(({ marks }) => marks.machine !== undefined)?.marks;
  if (own.machine === undefined || before === undefined) return undefined;
  return machineText(before) === machineText(own) ? undefined : before.machine;
}

const NO_SEALED_SET = { set: 0, seal: Buffer.alloc(0) };
/** Maximum number of sets that are searched for one with the same roots. */
const MOST_LOOKED_AT = 16;
/** Maximum number of foreign files among the packs that are reported to a client by name. */
const MOST_NAMED = 16;

/**
 * Returns the fields of the answer `setOpened` that describe the sets `listed` before a new one, which has these marks, and the
 * state of the store.
 */
export function setsBefore(
  { catalog: { sets, seals, state }, strangePacks }: StoreWriter,
  listed: readonly BackupSet[],
  { set, marks }: { readonly set: SetNumber; readonly marks: SetMarks },
): Pick<
  Head<'setOpened'>,
  | 'sealedSet'
  | 'seal'
  | 'lastEntries'
  | 'doubtfulUpTo'
  | 'lostRecords'
  | 'strangePacks'
  | 'otherMachine'
> {
  const { set: sealedSet, seal } = seals.newestSet() ?? NO_SEALED_SET;
  const rootsOf = (one: SetNumber): string =>
    sets
      .rootsOf(one)
      .map(({ root }) => root)
      .join();
  const roots = rootsOf(set);
  const last = listed
    .filter(({ state }) => state === 'complete')
    .slice(-MOST_LOOKED_AT)
    .findLast((one) => rootsOf(one.set) === roots);
  const entries = last?.stats['entries'] ?? 0; // as reported by the client
  const { doubtfulUpTo, records: lostRecords } = state.readFoundLoss();
  return {
    doubtfulUpTo,
    lostRecords,
    otherMachine: otherMachine(listed, marks),
    strangePacks: strangePacks.slice(0, MOST_NAMED).map(packName),
    sealedSet,
    seal,
    lastEntries: Number.isSafeInteger(entries) && entries > 0 ? entries : 0,
  };
}
