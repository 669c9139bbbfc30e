/**
 * The states of source and target after a copy that left nothing undone. If both are still the same, the next copy has nothing
 * to do, and takes no snapshot of the source.
 */
import { Catalog, type CommitPoint } from '../../store/catalog/index.js';
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, reopenClient } from '../../store/index.js';
import { catchUp } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { type CopyOrigin, readOrigin } from './copy-origin.js';

/** The form of a state. It comes from a peer, too. */
const POINT = /^\d{1,16}(?:-\d{1,16}){3}$/;

/** Returns a text that is equal for equal states of a client: it names the last commit. */
export function pointText({ commit, pack, position, checksum }: CommitPoint): string {
  return [commit, pack, position, checksum].join('-');
}

/** True for a text that `pointText` may have returned. */
export function isPointText(text: string): boolean {
  return POINT.test(text);
}

/** Returns the state of a client on this machine; undefined if it has none, or its catalog is damaged. */
export function pointAt(system: System, { catalogPath }: ClientDirectory): string | undefined {
  if (system.files.status(catalogPath) === undefined) return undefined;
  try {
    return Catalog.reading(system, catalogPath, ({ state }) =>
      state.isWritten() ? pointText(state.readCommitPoint()) : undefined,
    );
  } catch (error) {
    if (asTardisError(error).code !== 'CATALOG_DAMAGED') throw error;
    return undefined; // a copy reports it
  }
}

/** A target, and what is known of it before a copy. */
export interface KnownTarget {
  readonly target: ClientDirectory;
  /** The last copy, if the target has not changed since; undefined if there may be something to do. */
  readonly done: (NonNullable<CopyOrigin['done']> & { readonly clientId: string }) | undefined;
}

/** Returns what the last copy to a target left. In a bucket, the catalog of the target is brought up to date. */
export async function lookAtTarget(
  system: System,
  given: ClientDirectory,
  wanted: { readonly deletes: boolean; readonly keepsMarks: boolean },
): Promise<KnownTarget> {
  const origin = await readOrigin(system, given);
  const done = origin?.done;
  const isSufficient =
    done !== undefined && (done.deletes || !wanted.deletes) && (done.marks || wanted.keepsMarks);
  if (!isSufficient) return { target: given, done: undefined };
  let target = given;
  if (given.bucket !== undefined) {
    await catchUp(system, given);
    target = reopenClient(system, given);
  }
  const isUnchanged = pointAt(system, target) === done.target;
  return { target, done: isUnchanged ? { ...done, clientId: origin!.clientId } : undefined };
}

/** Returns the number of sets of a client. */
export function setsAt(system: System, { catalogPath }: ClientDirectory): number {
  return Catalog.reading(system, catalogPath, ({ sets }) => sets.listed().length);
}
