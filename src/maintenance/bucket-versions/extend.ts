/**
 * Extends the locks of a store's objects before they end. The lock of a needed object is extended when less than half
 * of `LockDays` is left. The locks of unneeded packs are left to end.
 */
import { throwIfAborted } from '../../errors/index.js';
import type { ObjectVersion, ObjectVersions } from '../../store/objects/index.js';
import { atOnce } from '../../system/index.js';
import { type Judged, judged } from './judge.js';

/** Number of versions whose locks are requested at once. */
const AT_ONCE = 8;

interface ExtendOptions {
  /** Time for which an object is locked. */
  readonly retainMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the name of each object whose lock is not extended because no program of this package made it. */
  readonly onStrange?: (name: string) => void;
  /** Called with the number of names examined so far. */
  readonly onProgress?: (names: number) => void;
}

export interface ExtendReport {
  /** Number of objects that the store needs. */
  names: number;
  /** Number of locks that were extended. */
  extended: number;
  /** Number of objects whose lock was missing or had ended. They are among `extended`. */
  unlocked: number;
  /** Number of objects that somebody overwrote or deleted. */
  attacked: number;
  /**
   * Number of packs whose locks were left to end, since no commit covers them. They are from an interrupted backup or
   * from a thief.
   */
  uncovered: number;
  /** Number of objects whose locks were left to end, since no program here made them. */
  strange: number;
  /** Time when the first of the needed objects' locks ends, in ms since 1970; undefined if there is no such object. */
  firstEndMs: number | undefined;
}

/**
 * Extends the locks that are due. Throws INTERRUPTED if it is aborted, and errors of a bucket. A later run continues
 * the work.
 */
export async function extendLocks(
  versions: ObjectVersions,
  { retainMs, signal, onProgress, onStrange }: ExtendOptions,
): Promise<ExtendReport> {
  const report: ExtendReport = {
    names: 0,
    extended: 0,
    unlocked: 0,
    attacked: 0,
    uncovered: 0,
    strange: 0,
    firstEndMs: undefined,
  };
  const extend = async (found: Judged): Promise<void> => {
    const { oldest, latest, state } = found;
    if (!(await extendOne(found, oldest!))) return; // left to end, and counted
    // The version that a recovery or a repair has written may be the only sound one.
    if (state === 'sound' && latest.id !== oldest!.id) await extendOne(found, latest);
  };
  /** Extends the lock of a version if that is due. Returns false if the lock is left to end. */
  const extendOne = async (found: Judged, version: ObjectVersion): Promise<boolean> => {
    const nowMs = versions.nowMs();
    let untilMs = await versions.lockedUntilMs(version);
    if (untilMs < nowMs + retainMs / 2) {
      if (!(await found.isOurs())) {
        const isPack = found.pack !== undefined && found.commit === undefined;
        report[isPack ? 'uncovered' : 'strange'] += 1;
        onStrange?.(found.name);
        return false;
      }
      await versions.lockFor(version, retainMs);
      report.extended += 1;
      if (untilMs <= nowMs) report.unlocked += 1;
      untilMs = nowMs + retainMs;
    }
    report.firstEndMs = Math.min(untilMs, report.firstEndMs ?? Infinity);
    return true;
  };
  const needed = async function* (): AsyncGenerator<Judged> {
    for await (const found of judged(versions, { untilMs: Infinity, isStrict: false })) {
      throwIfAborted(signal);
      const { state } = found;
      if (state === 'freed' || state === 'strange' || state === 'younger') continue;
      report.names += 1;
      if (state !== 'sound') report.attacked += 1;
      onProgress?.(report.names);
      yield found;
    }
  };
  await atOnce(needed(), AT_ONCE, extend);
  return report;
}
