/** Restores hard links. The first name of a file is restored as a file, and its other names are linked to it. */
import type { HistoryEntry } from '../history/index.js';
import { TardisError } from '../errors/index.js';
import {
  joinPath,
  METADATA_FLAGS_AT,
  METADATA_FROM,
  RowOffset,
  RowReader,
} from '../model/index.js';
import { isNewFile, RestoreHow } from '../workers/index.js';
import type { Place, PlacedAs, RestorePlaces } from './places.js';
import type { RestorePolicy, Verdict } from './policy.js';
import type { RestoreTarget, TargetName } from './target.js';
import type { Visited } from './walk.js';

/** The first name of a file with several names. */
interface FirstName {
  readonly at: TargetName;
  /** True if nothing had the name before this run. */
  isNew: boolean;
}

interface HardLink {
  readonly at: TargetName;
  readonly first: FirstName;
  readonly entry: HistoryEntry;
  readonly directory: Place;
}

export class LinkGroups {
  /** The first name of each file, by the file's key. */
  private readonly first = new Map<string, FirstName>();
  private readonly links: HardLink[] = [];

  constructor(private readonly isRequested: boolean) {}

  /**
   * True if the entry is a further name of a file that was visited before. Then the name is recorded, and linked when
   * that file is restored.
   */
  isFurther({ entry, directory, device }: Visited<Place>, at: TargetName): boolean {
    if (!this.isRequested || entry.linkCount <= 1) return false;
    const key = keyOf(entry, device);
    const first = this.first.get(key);
    if (first === undefined) {
      this.first.set(key, { at, isNew: false });
      return false;
    }
    this.links.push({ at, first, entry, directory });
    return true;
  }

  /**
   * Returns the names to link. If this run has written the first name, those that exist come first: the first name becomes
   * one of theirs, and missing names are then linked to it.
   */
  toMake(target: RestoreTarget): readonly HardLink[] {
    const existing = ({ at, first, directory }: HardLink): boolean =>
      first.isNew && directory.state === 'there' && target.look(at) !== undefined;
    const there = new Set(this.links.filter(existing));
    return [...there, ...this.links.filter((link) => !there.has(link))];
  }

  /**
   * Notes how an entry is written under its first name. If another entry is kept there, the next name becomes the first.
   */
  settled({ entry, device }: Visited<Place>, how: PlacedAs): void {
    if (!this.isRequested || entry.linkCount <= 1) return;
    const key = keyOf(entry, device);
    if (how === 'kept') this.first.delete(key);
    else if (typeof how === 'number' && isNewFile(how)) this.first.get(key)!.isNew = true;
  }

  make(
    link: HardLink,
    places: RestorePlaces,
    policy: RestorePolicy,
    failedNames: ReadonlySet<string>,
  ): LinkOutcome {
    const { at, first: firstName, entry, directory } = link;
    const existing = firstName.at;
    const { target } = places;
    const there = directory.state === 'there' ? target.look(at) : undefined;
    // The file under the first name may be the user's.
    if (failedNames.has(joinPath(existing.directory, existing.name).toString('latin1'))) {
      const full = joinPath(at.directory, at.name);
      if (there !== undefined && policy.decide(entry, there, full).do === 'nothing') {
        return 'unchanged';
      }
      throw new TardisError('TARGET_EXISTS', 'the file it is linked to was not restored');
    }
    let mayReplace = isReplacing(policy.unseen);
    if (there !== undefined) {
      const first = target.look(existing);
      if (first !== undefined && isSameFile(there, first)) return 'unchanged';
      const verdict = policy.decide(entry, there, joinPath(at.directory, at.name));
      if (verdict.do === 'keep') return 'kept';
      // The file of this run becomes a name of the one that is there and has the same content.
      if (verdict.do === 'nothing' && firstName.isNew) {
        if (!target.isDry) target.makeLink(existing, at, true);
        firstName.isNew = false;
        return 'unchanged';
      }
      // An existing separate file with the same content suffices, unless everything must be as in the set.
      const isAgain = policy.hasFailed(joinPath(existing.directory, existing.name));
      if (verdict.do === 'nothing' && !isReplacing(policy.unseen) && !isAgain) return 'unchanged';
      // The first name may have got a new file, since the one that failed was not of this user.
      const isOld = isAgain && verdict.do === 'nothing' && policy.isKnownOwner(entry, there);
      mayReplace =
        isReplacing(policy.unseen) ||
        isReplacing(verdict) ||
        isOld ||
        isBegun(link, target, verdict);
      if (!mayReplace && policy.keepsSilently) return 'kept';
      if (!mayReplace) {
        throw new TardisError('TARGET_EXISTS', 'another version of it is there, or something else');
      }
    }
    if (!target.isDry) target.makeLink(at, existing, mayReplace);
    return 'made';
  }
}

type LinkOutcome = 'made' | 'unchanged' | 'kept';

/**
 * Returns a key that only the names of one file share. The inode alone is not enough: a file system may use it for
 * several files, or report it wrongly, and a snapshot has the inodes and times of its original on another device. So
 * the key also contains all metadata and the content. Entries that differ in anything are never linked.
 */
export function keyOf({ metadata, contentId }: HistoryEntry, device: string): string {
  const same = Buffer.from(metadata);
  same[METADATA_FLAGS_AT] = 0; // these flags describe how the entry was read
  same.writeUInt32LE(0, RowOffset.linkCount - METADATA_FROM); // may change during a backup
  return `${device}/${contentId ?? 0}/${same.toString('latin1')}`;
}

function isReplacing(verdict: Verdict): boolean {
  const bits = RestoreHow.replace | RestoreHow.begun;
  return verdict.do === 'write' && (verdict.how & bits) === RestoreHow.replace;
}

/** True if the verdict is on a half-done file, and it is a beginning of the file under the first name (which a dry run may lack). */
function isBegun({ at, first }: HardLink, target: RestoreTarget, verdict: Verdict): boolean {
  if (verdict.do !== 'write' || (verdict.how & RestoreHow.begun) === 0) return false;
  if (target.look(first.at) === undefined) return true;
  return target.isBeginning(at, first.at, (verdict.how & RestoreHow.torn) !== 0);
}

function isSameFile(one: Buffer, other: Buffer): boolean {
  return new RowReader(one).inode(0) === new RowReader(other).inode(0);
}
