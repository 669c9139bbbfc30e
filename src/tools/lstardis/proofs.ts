/**
 * Proves the versions of paths, and the sets without them, for a client that encrypts: those of one path, and the results of
 * `lstardis --find`. A server's answer alone proves only that the client made each entry with its name. The first and the last set of each version must
 * show it at its path. If a path is gone, the first set without it must not show it. It cannot be proven that the
 * result is complete.
 */
import { TardisError } from '../../errors/index.js';
import {
  type BackupSet,
  type History,
  type HistoryEntry,
  isSameContent,
  listedPages,
  type PathVersion,
  rootAbove,
} from '../../history/index.js';
import { type DirectoryId, listAt, type SetNumber } from '../../model/index.js';
import { isOfOneListing, PAGE_ENTRIES } from '../../restore/index.js';
import type { FoundPath } from './find-names.js';

export interface ProvenFinds {
  /** The proven part of the given paths, in their order. */
  readonly paths: readonly FoundPath[];
  /** Paths with versions that are left out, because they could not be proven. */
  readonly refused: readonly Buffer[];
}

/** A statement that a set must prove: that a path has a version, or that the path does not exist. */
interface Claim {
  readonly path: Buffer;
  /** The version that must be shown; undefined if the path must not exist. */
  readonly version: PathVersion | undefined;
  /** The first of these sets that has a root at or above the path must prove the statement. */
  readonly sets: readonly SetNumber[];
  isProven: boolean;
}

/**
 * The entry at each path of a set, or undefined if the path does not exist. Paths outside of the set's roots, and paths
 * that cannot be proven, have no item.
 */
type Shown = Map<string, HistoryEntry | undefined>;

/**
 * Leaves out everything that no set proves. Throws the errors of the history, except damage of a single set or
 * listing.
 */
export async function provenFinds(
  history: History,
  paths: readonly FoundPath[],
): Promise<ProvenFinds> {
  const spans = new Spans(await history.sets());
  const claims = new Map(paths.map((found) => [found, claimsOf(found, spans)]));
  await prove(
    history,
    [...claims.values()].flatMap((of) => [...of.values()].flat()),
  );
  const proven: FoundPath[] = [];
  const refused: Buffer[] = [];
  for (const [found, of] of claims) {
    const holds = (what: PathVersion | undefined): boolean =>
      of.get(what)?.every(({ isProven }) => isProven) !== false;
    const versions = found.versions.filter(holds);
    const isGone = holds(undefined);
    if (versions.length < found.versions.length || !isGone) refused.push(found.path);
    if (versions.length > 0 && isGone) proven.push({ ...found, versions });
  }
  return { paths: proven, refused };
}

interface Span {
  readonly up: readonly SetNumber[];
  readonly down: readonly SetNumber[];
}

/**
 * The sets that can prove a version: the complete sets that show it. If there is none, these are all sets that show it.
 */
class Spans {
  private readonly known = new Map<string, Span>();

  constructor(private readonly listed: readonly BackupSet[]) {}

  of({ firstSet, lastSet = Infinity }: PathVersion): Span {
    const key = `${firstSet}/${lastSet}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const within = this.listed.filter(({ set }) => set >= firstSet && set <= lastSet);
    const complete = within.filter(({ state }) => state === 'complete');
    const up = (complete.length > 0 ? complete : within).map(({ set }) => set);
    const span = { up, down: up.toReversed() };
    this.known.set(key, span);
    return span;
  }
}

/** Returns the claims to prove for each version. The key undefined has the claims that the path is gone. */
function claimsOf(
  { path, versions, goneSince }: FoundPath,
  spans: Spans,
): Map<PathVersion | undefined, Claim[]> {
  const claims = new Map<PathVersion | undefined, Claim[]>();
  for (const version of versions) {
    const { up, down } = spans.of(version);
    const claim = (sets: readonly SetNumber[]): Claim => ({ path, version, sets, isProven: false });
    claims.set(version, [claim(up), claim(down)]);
  }
  if (goneSince !== undefined) {
    claims.set(undefined, [{ path, version: undefined, sets: [goneSince], isProven: false }]);
  }
  return claims;
}

/**
 * Checks each claim in its first set. If a claim's path is below no root of that set, the claim is checked in its next
 * set.
 */
async function prove(history: History, claims: readonly Claim[]): Promise<void> {
  let left = claims;
  for (let turn = 0; left.length > 0; turn += 1) {
    const bySet = new Map<SetNumber, Claim[]>();
    for (const claim of left) {
      const set = claim.sets[turn];
      if (set === undefined) continue;
      listAt(bySet, set).push(claim);
    }
    const elsewhere: Claim[] = [];
    for (const [set, those] of bySet) elsewhere.push(...(await proveIn(history, set, those)));
    left = elsewhere;
  }
}

/** Checks claims in a set, and returns those whose paths are below no root of the set. */
async function proveIn(
  history: History,
  set: SetNumber,
  claims: readonly Claim[],
): Promise<Claim[]> {
  const shown: Shown = new Map();
  const elsewhere: Claim[] = [];
  const byRoot = new Map<string, { root: Buffer; below: Below[] }>();
  await unlessDamaged(async () => {
    const roots = await history.roots(set);
    for (const claim of claims) {
      const above = rootAbove(roots, claim.path);
      if (above === undefined) {
        elsewhere.push(claim);
        continue;
      }
      const { path: root } = above.root;
      const key = keyOf(root);
      const those = byRoot.get(key) ?? { root, below: [] };
      those.below.push({ path: claim.path, rest: above.rest });
      byRoot.set(key, those);
    }
  });
  for (const { root, below } of byRoot.values()) {
    await unlessDamaged(async () => {
      await look(history, set, { entry: await history.find(root, set), wanted: below, shown });
    });
  }
  for (const claim of claims) claim.isProven = holdsIn(shown, claim);
  return elsewhere;
}

/** A path to look up, and the part of it below the current directory. */
interface Below {
  readonly path: Buffer;
  readonly rest: readonly Buffer[];
}

/** Looks up paths at an entry and below it. Each directory is listed once. */
async function look(
  history: History,
  set: SetNumber,
  {
    entry,
    wanted,
    shown,
  }: {
    readonly entry: HistoryEntry | undefined;
    readonly wanted: readonly Below[];
    readonly shown: Shown;
  },
): Promise<void> {
  const isEnd = entry?.childId === undefined;
  const byName = new Map<string, Below[]>();
  for (const { path, rest } of wanted) {
    const [name, ...further] = rest;
    if (name === undefined) shown.set(keyOf(path), entry);
    else if (isEnd) shown.set(keyOf(path), undefined);
    else listAt(byName, keyOf(name)).push({ path, rest: further });
  }
  if (entry?.childId === undefined || byName.size === 0) return;
  const { childId } = entry;
  await unlessDamaged(async () => {
    const found = await entriesNamed(history, set, childId, byName);
    for (const [name, below] of byName) {
      const one = found.get(name);
      if (one?.damage === undefined) await look(history, set, { entry: one, wanted: below, shown });
    }
  });
}

async function entriesNamed(
  history: History,
  set: SetNumber,
  directory: DirectoryId,
  names: ReadonlyMap<string, unknown>,
): Promise<Map<string, HistoryEntry>> {
  const found = new Map<string, HistoryEntry>();
  const listing = { directory, set, limit: PAGE_ENTRIES, withDigests: true };
  for await (const page of listedPages(history, listing)) {
    for (const entry of page) {
      if (names.has(keyOf(entry.name))) found.set(keyOf(entry.name), entry);
    }
  }
  return found;
}

function holdsIn(shown: Shown, { path, version }: Claim): boolean {
  const key = keyOf(path);
  if (!shown.has(key)) return false;
  const entry = shown.get(key);
  if (entry === undefined || version === undefined) return entry === version;
  return entry.metadata.equals(version.entry.metadata) && isSameContent(entry, version.entry);
}

/** Runs `work`. Ignores damage of a single set or listing, so that the claims about it stay unproven. */
async function unlessDamaged(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isOfOneListing(error)) throw error;
  }
}

function keyOf(bytes: Buffer): string {
  return bytes.toString('latin1');
}

/** Returns the versions that their sets show at the path, and errors for all other given versions. */
export async function provenVersions(
  history: History,
  path: Buffer,
  versions: readonly PathVersion[],
): Promise<{ versions: readonly PathVersion[]; refused: readonly TardisError[] }> {
  if (history.contentKeys === undefined || versions.length === 0) return { versions, refused: [] };
  const { paths, refused } = await provenFinds(history, [
    { path, versions, covering: [], goneSince: undefined },
  ]);
  if (refused.length === 0) return { versions, refused: [] };
  const what = 'versions are left out, since the seals of the sets do not prove them';
  return { versions: paths[0]?.versions ?? [], refused: [new TardisError('NOT_AUTHENTIC', what)] };
}

/**
 * A version of the path, or a gap: sets without the path. A gap has no entry. `lastSet` is undefined if the newest set
 * is the last one.
 */
interface Gap {
  readonly entry: unknown;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
}

/**
 * Returns the versions and gaps in `shown`, without the gaps that the sets do not prove. Also returns an error for each
 * of those gaps.
 */
export async function provenGaps<T extends Gap>(
  history: History,
  path: Buffer,
  shown: readonly T[],
  sets: readonly BackupSet[],
): Promise<{ shown: readonly T[]; refused: readonly TardisError[] }> {
  if (history.contentKeys === undefined) return { shown, refused: [] };
  const complete = sets.filter(({ state }) => state === 'complete');
  const proven: T[] = [];
  const refused: TardisError[] = [];
  for (const one of shown) {
    const { entry, firstSet, lastSet = complete.at(-1)?.set ?? firstSet } = one;
    const wrong =
      entry === undefined
        ? ((await faultOf(history, path, firstSet)) ??
          (lastSet === firstSet ? undefined : await faultOf(history, path, lastSet)))
        : undefined;
    if (wrong === undefined) proven.push(one);
    else refused.push(wrong);
  }
  return { shown: proven, refused };
}

/** Returns an error unless a set proves that it lacks the path. */
async function faultOf(
  history: History,
  path: Buffer,
  set: SetNumber,
): Promise<TardisError | undefined> {
  try {
    const found = await history.find(path, set);
    const isCovered = rootAbove(await history.roots(set), path) !== undefined;
    if (found === undefined && isCovered) return undefined;
    const what = isCovered
      ? `set ${set} has the path, in a version that was left out`
      : `set ${set} does not show if the path was gone`;
    return new TardisError('NOT_AUTHENTIC', what);
  } catch (error) {
    if (isOfOneListing(error)) return error;
    throw error;
  }
}
