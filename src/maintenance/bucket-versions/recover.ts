/**
 * Restores objects that somebody overwrote or deleted in a bucket that keeps versions. For a name that is written once,
 * the oldest version counts. Nothing is ever deleted: the bytes are written again, and become the current version. A
 * run may stop anywhere, since the next one finds the restored objects sound.
 */
import { configInvalid } from '../../config/index.js';
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import type {
  ObjectSource,
  ObjectStore,
  ObjectVersion,
  ObjectVersions,
} from '../../store/objects/index.js';
import { atOnce } from '../../system/index.js';
import { type Judged, judged, type JudgeOptions } from './judge.js';
import { beginsAsCommit } from './log-facts.js';

/** Number of objects that are written at once; each takes up to 40 MiB of memory. */
const AT_ONCE = 4;

interface RecoverOptions {
  /** True if objects are only reported. */
  readonly isPreview: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of names examined so far. */
  readonly onProgress?: (names: number) => void;
  /** Called with the result for each object whose original bytes readers do not get, and for each copied object. */
  readonly onFound?: (name: string, result: Result) => void;
}

/**
 * Result for an object. It is a state of the object, or `copied`, or `lost`: the bytes that count are damaged, or no
 * program of this package stored them.
 */
export type Result = 'changed' | 'hidden' | 'lost' | 'strange' | 'younger' | 'copied';

export interface RecoverReport {
  /** Number of names that were examined. */
  names: number;
  /** Number of objects that had other bytes, and were restored (in a preview: would be restored). */
  changed: number;
  /** Number of objects that had a delete marker, and were restored (in a preview: would be restored). */
  hidden: number;
  /** Number of objects that cannot be restored. */
  lost: number;
  /** Number of objects that no program of this package makes, and of names without a version that counts. */
  strange: number;
  /** Number of names without a version at the chosen time. */
  younger: number;
  /** Number of packs that were deleted because they were unneeded. */
  freed: number;
  /** Number of objects that the other store has now (in a preview: would have). */
  copied: number;
  /** Number of bytes that this run wrote. */
  writtenBytes: number;
}

/** Restores all objects of a store in place. Throws INTERRUPTED if it is aborted, and errors of a bucket. */
export async function recover(
  versions: ObjectVersions,
  options: RecoverOptions,
): Promise<RecoverReport> {
  const run = new Run(versions, options);
  const all = run.names({ untilMs: Infinity, isStrict: false });
  await atOnce(all, AT_ONCE, (found) => run.bringBack(found));
  return run.report;
}

/**
 * Copies all objects to another store, as they were at the time `untilMs`. Packs that were unneeded at that time are
 * left out. An object that exists in the other store stays; throws CONFIG_INVALID if it has another size or other
 * bytes.
 */
export async function recoverTo(
  versions: ObjectVersions,
  { target, untilMs, ...options }: RecoverOptions & { target: CopyTarget; untilMs: number },
): Promise<RecoverReport> {
  const run = new Run(versions, options);
  const all = run.names({ untilMs, isStrict: true });
  await atOnce(all, AT_ONCE, (found) => run.copy(found, target));
  return run.report;
}

/** The store to which objects are copied. */
type CopyTarget = Pick<ObjectStore, 'head' | 'putNew'>;

class Run {
  readonly report: RecoverReport = {
    names: 0,
    changed: 0,
    hidden: 0,
    lost: 0,
    strange: 0,
    younger: 0,
    freed: 0,
    copied: 0,
    writtenBytes: 0,
  };

  constructor(
    private readonly versions: ObjectVersions,
    private readonly options: RecoverOptions,
  ) {}

  /**
   * Yields the names of the store, except those of freed packs and those without a version that counts at the chosen
   * time. The exceptions are only counted.
   */
  async *names(how: JudgeOptions): AsyncGenerator<Judged> {
    const onStranger = ({ name }: ObjectVersion): void => this.leave('strange', name);
    for await (const found of judged(this.versions, { ...how, onStranger })) {
      throwIfAborted(this.options.signal);
      this.report.names += 1;
      this.options.onProgress?.(this.report.names);
      const { state, name, latest } = found;
      if (state === 'freed') this.report.freed += 1;
      else if (state === 'strange' || state === 'younger') {
        if (!latest.isMark) this.leave(state, name); // readers do not get a deleted object
      } else yield found;
    }
  }

  /**
   * Makes the version that counts the current one if readers get another one. Writes nothing in a preview. A sound
   * object is only examined (`lookAt`).
   */
  async bringBack(found: Judged): Promise<void> {
    const { name, state } = found;
    if (state === 'sound') return this.lookAt(found);
    if (state !== 'changed' && state !== 'hidden') return;
    const { isPreview, onFound } = this.options;
    if (!isPreview) {
      const source = await this.sourceOf(name, found.oldest!);
      if (source === undefined) return;
      await this.versions.putAgain(name, source);
      this.report.writtenBytes += source.sizeBytes;
    }
    this.report[state] += 1;
    onFound?.(name, state);
  }

  /**
   * Reads an object that nobody has changed, unless it is a pack or a copy of the catalog. Counts it as lost if it is
   * damaged or no program of this package stored it. Counts it as strange if it has the name of a commit but is none.
   */
  private async lookAt({ name, pack, commit, isSnapshot = false, latest }: Judged): Promise<void> {
    const isRead = !isSnapshot && (pack === undefined || commit !== undefined);
    const source = isRead ? await this.sourceOf(name, latest) : undefined;
    if (source === undefined || commit === undefined) return;
    if (!(await beginsAsCommit(source, commit))) this.leave('strange', name);
  }

  /**
   * Creates an object in another store, unless it exists there. Throws CONFIG_INVALID if it exists with another size or
   * other bytes.
   */
  async copy(found: Judged, target: CopyTarget): Promise<void> {
    const { name, oldest } = found;
    const { isPreview, onFound } = this.options;
    if (!isPreview) {
      const there = await target.head(name);
      if (there !== undefined && there.sizeBytes !== oldest!.sizeBytes) throw other(name);
      if (there === undefined) {
        const source = await this.sourceOf(name, found.oldest!);
        if (source === undefined) return;
        if ((await target.putNew(name, source)) === 'exists') throw other(name);
        this.report.writtenBytes += source.sizeBytes;
      }
    }
    this.report.copied += 1;
    onFound?.(name, 'copied');
  }

  /**
   * Returns the bytes of a version. If they are damaged, or no program of this package stored them, counts the object
   * as lost and returns undefined.
   */
  private async sourceOf(name: string, version: ObjectVersion): Promise<ObjectSource | undefined> {
    try {
      const source = await this.versions.source(version);
      if (source !== undefined) return source;
    } catch (error) {
      if (asTardisError(error).code !== 'OBJECT_DAMAGED') throw error;
    }
    this.leave('lost', name);
    return undefined;
  }

  private leave(result: 'strange' | 'younger' | 'lost', name: string): void {
    this.report[result] += 1;
    this.options.onFound?.(name, result);
  }
}

function other(name: string): Error {
  return configInvalid(`the store to copy to has another object ${name}: give an empty prefix`);
}
