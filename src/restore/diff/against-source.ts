/**
 * Compares a backup set with the directories that it was made from, and reads each file again. An entry that still has
 * the times of the set has not changed since, so the set must contain it as it is on the disk.
 */
import type { History, BackupSet } from '../../history/index.js';
import { directoryOf, shownRoot } from '../../model/index.js';
import { byteText, type System } from '../../system/index.js';
import { Contents } from './contents.js';
import {
  type Aspect,
  compareTrees,
  type Difference,
  isDifference,
  type NotCompared,
} from './differences.js';
import { DiskSide } from './disk-side.js';
import { SetSide } from './set-side.js';
import type { Seen } from './side.js';

export interface SourceFinding {
  readonly finding: 'source';
  /**
   * Kind of the finding. `differs`: the entry has the times of the set, but differs from the entry in the set.
   * `unsaved`: the entry is older than the set but not in it, because of an exclude rule or because a backup missed
   * it. `unread`: the entry could not be compared.
   */
  readonly what: 'differs' | 'unsaved' | 'unread';
  readonly path: Buffer;
  readonly aspects: readonly Aspect[];
  /** Reason if the entry is `unread`; otherwise empty. */
  readonly why: string;
}

/** Counters of a comparison with the source, which also serve as its progress. */
export interface SourceCounts {
  files: number;
  bytes: number;
  /** Entries that changed after the set, or are gone. */
  changed: number;
  differing: number;
  unsaved: number;
  unread: number;
}

interface Request {
  readonly system: System;
  readonly history: History;
  readonly set: BackupSet;
  readonly counts: SourceCounts;
  readonly signal: AbortSignal | undefined;
}

export function newSourceCounts(): SourceCounts {
  return { files: 0, bytes: 0, changed: 0, differing: 0, unsaved: 0, unread: 0 };
}

/**
 * Compares the roots of a set, and yields and counts the findings. Throws only errors that end the whole comparison.
 */
export async function* compareWithSource(request: Request): AsyncGenerator<SourceFinding, void> {
  const { history, set } = request;
  const comparison = new SourceComparison(request);
  try {
    for (const { path } of await history.roots(set.set)) {
      yield* comparison.root(shownRoot(path));
    }
  } finally {
    comparison.close();
  }
}

class SourceComparison {
  private readonly contents: Contents;

  constructor(private readonly request: Request) {
    this.contents = new Contents(request.system, request.history, true, request.signal);
  }

  async *root(path: Buffer): AsyncGenerator<SourceFinding, void> {
    const { system, history, set, signal } = this.request;
    const device = this.deviceOf(path);
    if (device === undefined) {
      yield this.count({ what: 'unread', path, aspects: [], why: 'it is not on this machine' });
      return;
    }
    const compared = compareTrees({
      system,
      before: new SetSide({ history, set: set.set, other: undefined }),
      after: new DiskSide(system),
      contents: { areSame: (before, after) => this.areSame(before, after) },
      paths: [{ before: path, after: path }],
      recurse: true,
      entersOnly: false,
      metadata: true,
      signal,
    });
    for await (const one of compared) {
      const found = isDifference(one) ? this.judge(one, device) : unread(one);
      if (found === undefined) this.request.counts.changed += 1;
      else if (found !== 'foreign') yield this.count(found);
    }
  }

  /**
   * True if a file has the times and the content of the set. The file is read only if its times are those of the set;
   * otherwise it counts as changed.
   */
  private async areSame(before: Seen, after: Seen): Promise<boolean> {
    if (!hasSameTimes(before, after)) return false;
    const { counts } = this.request;
    counts.files += 1;
    counts.bytes += after.entry.sizeBytes;
    return this.contents.areSame(before, after);
  }

  /**
   * Returns the finding about a difference; undefined if the entry changed after the set or is gone. Returns `foreign`
   * if the entry is on another file system, which the set need not contain.
   */
  private judge(
    { path, before, after, aspects }: Difference,
    device: string,
  ): Uncounted | 'foreign' | undefined {
    if (after === undefined) return undefined;
    if (before !== undefined) {
      return hasSameTimes(before, after) ? { what: 'differs', path, aspects, why: '' } : undefined;
    }
    const { openedAtMs, clientTimeMs } = this.request.set;
    const beganNs = BigInt(Math.round(Math.min(openedAtMs, clientTimeMs))) * 1_000_000n;
    if (after.entry.ctimeNs >= beganNs) return undefined;
    if (this.deviceOf(directoryOf(path)) !== device) return 'foreign';
    return { what: 'unsaved', path, aspects: [], why: '' };
  }

  /** Returns the device number of the file system that a path is on; undefined if the path does not exist. */
  private deviceOf(path: Buffer): string | undefined {
    return this.request.system.files.status(byteText(path))?.identity.split('/')[0];
  }

  private count(found: Uncounted): SourceFinding {
    const { counts } = this.request;
    if (found.what === 'differs') counts.differing += 1;
    else counts[found.what] += 1;
    return { finding: 'source', ...found };
  }

  close(): void {
    this.contents.close();
  }
}

type Uncounted = Omit<SourceFinding, 'finding'>;

function unread({ path, error }: NotCompared): Uncounted {
  return { what: 'unread', path, aspects: [], why: `${error.message} [${error.code}]` };
}

function hasSameTimes(before: Seen, after: Seen): boolean {
  const [one, other] = [before.entry, after.entry];
  return one.mtimeNs === other.mtimeNs && one.ctimeNs === other.ctimeNs;
}
