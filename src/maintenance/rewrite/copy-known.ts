/**
 * States of source and target after a complete copy. If both are unchanged, the next copy has nothing to do, and makes
 * no snapshot of the source.
 */
import { Catalog, type CommitPoint } from '../../store/catalog/index.js';
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, reopenClient } from '../../store/index.js';
import { catchUp } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { type CopyOrigin, readOrigin } from './copy-origin.js';

/** Matches the text of a state (`pointText`), which may also come from a peer. */
const POINT = /^\d{1,16}(?:-\d{1,16}){3}$/;

/** Returns a text that identifies the state of a client by its last commit. Equal states have equal texts. */
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
    return undefined; // a copy reports the damage
  }
}

/** A target of a copy, and the facts that are known about it before the copy. */
interface KnownTarget {
  readonly target: ClientDirectory;
  /**
   * Facts about the last complete copy, if the target has not changed since; undefined if there may be something to
   * copy.
   */
  readonly done: (NonNullable<CopyOrigin['done']> & { readonly clientId: string }) | undefined;
}

/**
 * Returns a target, and the state in which the last copy left it. In a bucket, also brings the catalog of the target up
 * to date.
 */
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
