/** Implements `lstardis --find`: lists every version of every name that matches a pattern, in any directory and set. */
import { ERROR_TABLE, TardisError } from '../../errors/index.js';
import { type NamePattern, namePattern } from '../../excludes/index.js';
import {
  type BackupSet,
  FIRST_PLACE,
  type History,
  isAsOf,
  isRestoredAlike,
  joinVersions,
  NamePlaces,
  type PathVersion,
  restBelow,
  setsCovering,
} from '../../history/index.js';
import {
  displayName,
  jsonName,
  lastComponent,
  type SetNumber,
  shownRoots,
} from '../../model/index.js';
import { complain } from '../output/command-names.js';
import { PARTLY } from '../output/exit-status.js';
import { jsonText, print } from '../output/output.js';
import { formatCount, formatTable } from '../output/units.js';
import { absolutePath, atOnce } from '../../system/index.js';
import { jsonEntry, type LsSettings, sizeText, timeOf, type View } from './list-entries.js';
import { listedSpan, spanText } from './list-versions.js';
import { type ProvenFinds, provenFinds } from './proofs.js';

/** Maximum number of paths that are collected for sorting; further paths are not shown. */
export const MOST_FOUND = 10_000;
/** Number of paths for which versions are requested at once. */
const REQUESTS_AT_ONCE = 16;

export interface FoundPath {
  readonly path: Buffer;
  /** Versions of the path, newest first; at least one. */
  readonly versions: readonly PathVersion[];
  /** The sets that have a root at or above the path. */
  readonly covering: readonly SetNumber[];
  /**
   * The first complete set that proves the path gone; undefined if the path still exists, or if no later set has a root
   * above it.
   */
  readonly goneSince: SetNumber | undefined;
}

interface Finding {
  /** Paths found, those with the newest versions first. */
  readonly paths: readonly FoundPath[];
  /** True if more paths matched than were collected. */
  readonly isCut: boolean;
}

interface Request {
  readonly history: History;
  /** Paths of the roots of each set. */
  readonly roots: ReadonlyMap<SetNumber, readonly Buffer[]>;
  /** The sets to search, oldest first. */
  readonly sets: readonly BackupSet[];
  readonly pattern: NamePattern;
  /** Absolute paths to search; an empty list searches everything. */
  readonly below: readonly Buffer[];
}

/** Finds all paths that match. Throws NO_SUCH_PATH if nothing matches, and the errors of the history. */
export async function findNames(given: Omit<Request, 'roots'>): Promise<Finding> {
  const request = { ...given, roots: await given.history.reports.rootsOfSets() };
  const finder = new Finder(request);
  finder.roots();
  await finder.entries();
  const { pattern } = request;
  const found = await finder.found();
  if (found.paths.length === 0) {
    throw new TardisError(
      'NO_SUCH_PATH',
      `no set has a name that matches "${displayName(pattern.text)}"`,
    );
  }
  return found;
}

class Finder {
  private isCut = false;
  private readonly byPath = new Map<string, Buffer>();
  private readonly places: NamePlaces;

  constructor(private readonly request: Request) {
    this.places = new NamePlaces(request.history, request.sets, request.roots);
  }

  /** Adds the roots whose last names match. A root has no name in a directory, so `entries` does not find it. */
  roots(): void {
    const { pattern, roots } = this.request;
    for (const path of shownRoots([...roots.values()].flat())) {
      if (pattern.isMatch(lastComponent(path))) this.add(path);
    }
  }

  async entries(): Promise<void> {
    const { reports } = this.request.history;
    const { literal, isMatch } = this.request.pattern;
    for (let after = FIRST_PLACE; !this.isCut; ) {
      const { versions, next } = await reports.named({ after, literal, isMatch });
      for (const { path } of await this.places.place(versions)) this.add(path);
      if (next === undefined) return;
      after = next;
    }
  }

  private add(path: Buffer): void {
    const { pattern, below } = this.request;
    const isBelow = below.length === 0 || below.some((one) => restBelow(one, path) !== undefined);
    const key = path.toString('latin1');
    if (!isBelow || !pattern.isPathMatch(path) || this.byPath.has(key)) return;
    if (this.byPath.size < MOST_FOUND) this.byPath.set(key, path);
    else this.isCut = true;
  }

  /**
   * Returns the paths with the versions of each. Versions are read by path, since the files of a directory that was
   * moved had other paths before.
   */
  async found(): Promise<Finding> {
    const listed = await this.request.history.sets();
    const paths: FoundPath[] = [];
    await atOnce(this.byPath.values(), REQUESTS_AT_ONCE, async (path) => {
      const found = await this.versionsAt(path, listed);
      if (found.versions.length > 0) paths.push(found);
    });
    return { paths: paths.sort(newestThenPath), isCut: this.isCut };
  }

  private async versionsAt(path: Buffer, listed: readonly BackupSet[]): Promise<FoundPath> {
    const { history, sets } = this.request;
    const all = await history.versions(path);
    const versions = all
      .toReversed()
      .filter((version) => sets.some(({ set }) => isAsOf(version, set)))
      .flatMap((version) => listedSpan(version, listed) ?? []);
    const last = all.at(-1)?.lastSet ?? Infinity;
    const covering = setsCovering(this.request.roots, listed, path);
    const without = sets.find(
      ({ set, state }) => state === 'complete' && set > last && covering.includes(set),
    );
    return { path, versions, covering, goneSince: without?.set };
  }
}

function newestThenPath(one: FoundPath, other: FoundPath): number {
  const [first, second] = [one.versions[0]!, other.versions[0]!];
  return second.firstSet - first.firstSet || Buffer.compare(one.path, other.path);
}

type SearchedHistory = Parameters<typeof findNames>[0]['history'];

/** Prints one line for each version that is found. Returns the exit status: 3 if some paths are not shown, or are not proven. */
export async function printFound(
  history: SearchedHistory,
  sets: readonly BackupSet[],
  wanted: Buffer,
  view: View,
): Promise<number> {
  const below = view.paths.map(absolutePath);
  const { paths, isCut } = await findNames({ history, sets, pattern: namePattern(wanted), below });
  const shown = view.deletions ? paths : paths.filter(({ goneSince }) => goneSince === undefined);
  const chosen = shown.map((path) => ({ ...path, versions: chosenOf(path, view) }));
  const { paths: proven, refused } = await provenOf(history, chosen);
  const joined = proven.map((path) => ({ ...path, versions: joinNewestFirst(path) }));
  const inOrder = view.reverse ? joined.toReversed() : joined;
  if (view.json) printJson(inOrder, view);
  else printTable(inOrder, view);
  for (const path of refused) {
    warn(
      `${displayName(path)}: left out, since the seals of the sets do not prove it [NOT_AUTHENTIC]`,
    );
  }
  if (refused.length > 0) warn(ERROR_TABLE.NOT_AUTHENTIC.guidance);
  if (isCut)
    warn(`there are more than ${formatCount(MOST_FOUND)} paths: give a narrower pattern, or paths`);
  return isCut || refused.length > 0 ? PARTLY : 0;
}

/** Returns the proven paths; all of them for a client that does not encrypt, since it has no seals. */
async function provenOf(
  history: SearchedHistory,
  paths: readonly FoundPath[],
): Promise<ProvenFinds> {
  if (history.contentKeys === undefined) return { paths, refused: [] };
  return provenFinds(history, paths);
}

function warn(text: string): void {
  complain('lstardis', text);
}

function chosenOf({ versions }: FoundPath, view: LsSettings): readonly PathVersion[] {
  return view.versions === 'last' ? versions.slice(0, 1) : versions;
}

function joinNewestFirst({ versions, covering }: FoundPath): PathVersion[] {
  return joinVersions(versions.toReversed(), isRestoredAlike, covering).toReversed();
}

function printJson(paths: readonly FoundPath[], view: View): void {
  for (const { path, versions, goneSince } of paths) {
    for (const { entry, firstSet, lastSet } of versions) {
      const plain = { ...jsonEntry(entry, view), ...jsonName(path), firstSet, lastSet, goneSince };
      print(jsonText(plain));
    }
  }
}

function printTable(paths: readonly FoundPath[], view: View): void {
  const rows = view.headers ? [['sets', 'modified', 'size', 'path']] : [];
  for (const { path, versions, goneSince } of paths) {
    for (const [index, version] of versions.entries()) {
      const { entry } = version;
      const isLast = index === 0 && goneSince !== undefined;
      const gone = isLast ? view.paint.part('gone', `  (gone since ${goneSince})`) : '';
      const name = view.paint.entry(entry, displayName(path));
      rows.push([spanText(version), timeOf(entry), sizeText(entry, view), `${name}${gone}`]);
    }
  }
  if (rows.length > 0) print(formatTable(rows, [2]));
}
