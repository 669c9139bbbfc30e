/** Files that are one under several names: the first is restored, the others are linked to it. */
import type { ArchiveEntry } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { joinPath, RowReader } from '../model/index.js';
import { RestoreHow } from '../workers/index.js';
import type { Place, RestorePlaces } from './places.js';
import type { RestorePolicy, Verdict } from './policy.js';
import type { TargetName } from './target.js';

export interface HardLink {
  readonly at: TargetName;
  readonly existing: TargetName;
  readonly entry: ArchiveEntry;
  readonly directory: Place;
}

export class LinkGroups {
  /** The first name of each group. */
  private readonly first = new Map<string, TargetName>();
  private readonly links: HardLink[] = [];
  private readonly isWanted: boolean;

  constructor(isWanted: boolean) {
    this.isWanted = isWanted;
  }

  /** Whether it is a further name of a file met before; then it is linked when that one is there. */
  isFurther(entry: ArchiveEntry, directory: Place, at: TargetName): boolean {
    if (!this.isWanted || entry.linkCount <= 1) return false;
    const key = keyOf(entry, directory);
    const existing = this.first.get(key);
    if (existing === undefined) {
      this.first.set(key, at);
      return false;
    }
    this.links.push({ at, existing, entry, directory });
    return true;
  }

  toMake(): readonly HardLink[] {
    return this.links;
  }

  /** The first name stays what somebody else made of it: the next one is to be the first. */
  forget(entry: ArchiveEntry, directory: Place): void {
    this.first.delete(keyOf(entry, directory));
  }

  make(
    link: HardLink,
    places: RestorePlaces,
    policy: RestorePolicy,
    failedNames: ReadonlySet<string>,
  ): LinkOutcome {
    const { at, existing, entry, directory } = link;
    // What has that name may be somebody else's.
    if (failedNames.has(joinPath(existing.directory, existing.name).toString('latin1'))) {
      throw new TardisError('TARGET_EXISTS', 'the file it is linked to was not restored');
    }
    const { target } = places;
    let mayReplace = isReplacing(policy.unseen);
    if (directory.state === 'there') {
      const there = target.look(at);
      const first = there === undefined ? undefined : target.look(existing);
      if (there !== undefined && first !== undefined) {
        if (isSameFile(there, first)) return 'unchanged';
        const verdict = policy.decide(entry, there);
        if (verdict.do === 'keep') return 'kept';
        // The same content in a file of its own is good enough, unless all is to be as in the set.
        if (verdict.do === 'nothing' && !isReplacing(policy.unseen)) return 'unchanged';
        mayReplace = isReplacing(policy.unseen) || isReplacing(verdict);
        if (!mayReplace) throw new TardisError('TARGET_EXISTS', 'something else is there');
      }
    }
    if (!target.isDry) target.makeLink(at, existing, mayReplace);
    return 'made';
  }
}

export type LinkOutcome = 'made' | 'unchanged' | 'kept';

/** The same for the names of one file. */
export function keyOf(entry: ArchiveEntry, directory: { readonly root: number }): string {
  // The inode alone does not tell: several file systems may lie below one root.
  const { inode, ctimeNs, birthTimeNs, contentId, sizeBytes, type } = entry;
  return [directory.root, inode, ctimeNs, birthTimeNs, type, contentId ?? 0, sizeBytes].join('/');
}

function isReplacing(verdict: Verdict): boolean {
  return verdict.do === 'write' && (verdict.how & RestoreHow.replace) !== 0;
}

function isSameFile(one: Buffer, other: Buffer): boolean {
  return new RowReader(one).inode(0) === new RowReader(other).inode(0);
}
