/**
 * Search by name over one or all sets, in pages. A page ends when it is full or its time is up. So the first results
 * come soon, however many names do not match.
 */
import {
  type BackupSet,
  FIRST_PLACE,
  type History,
  isAsOf,
  NamePlaces,
  type PlacedName,
  ROOTS_DIRECTORY,
  setsCovering,
} from '../../history/index.js';
import { type NamePattern, wordsPattern } from '../../excludes/index.js';
import { lastComponent, liesBelow, type SetNumber, shownRoots } from '../../model/index.js';
import { atOnce } from '../../system/index.js';
import { entryJson, pathJson } from './entry-json.js';
import { invalidRequest } from './problem.js';
import type { Entry, Found, FoundPage } from './schemas.js';

/** Time limit of a page. After it, the page ends with the results so far. */
const PAGE_MS = 400;
/** Number of entries that are requested at once. */
const REQUESTS_AT_ONCE = 16;
const MAX_PATTERN_BYTES = 4096;
/**
 * Maximum number of wildcards in a pattern. Each wildcard multiplies the time to match a name, and all requesters wait
 * during that time.
 */
const MAX_WILDCARDS = 32;
const WILDCARD = /[*?[]/g;
/** Maximum number of words, each of which is compared with every name. */
const MAX_WORDS = 16;
const NS_PER_MS = 1_000_000n;

/** Limits of what a search finds, beside the name. */
interface SearchLimits {
  readonly kind?: Entry['type'] | undefined;
  readonly leastBytes?: number | undefined;
  readonly mostBytes?: number | undefined;
  /** Bounds of the time of modification. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Directory that contains what is found; undefined for all. */
  readonly below?: Buffer | undefined;
}

interface SearchQuery {
  readonly pattern: Buffer;
  /** The sets to search, oldest first. */
  readonly sets: readonly BackupSet[];
  readonly limit: number;
  readonly after: string | undefined;
  readonly limits: SearchLimits;
}

/** A place in the store's order of names, and the number of matching names after it that were already returned. */
type Cursor = typeof FIRST_PLACE & { readonly skipped: number };
type Named = Parameters<NamePlaces['place']>[0][number];

/** Returns a page of the names that match. An empty page need not be the last page. Throws REQUEST_INVALID. */
export async function searchPage(history: History, query: SearchQuery): Promise<FoundPage> {
  const { pattern: text, sets, limit, after } = query;
  if (text.length === 0 || text.length > MAX_PATTERN_BYTES || text.includes(0)) {
    throw invalidRequest('the pattern is empty, too long, or has a NUL');
  }
  const wildcards = text.toString('latin1').match(WILDCARD)?.length ?? 0;
  if (wildcards > MAX_WILDCARDS) {
    throw invalidRequest(`the pattern has more than ${MAX_WILDCARDS} wildcards`);
  }
  if (text.toString('latin1').trim().split(/ +/).length > MAX_WORDS) {
    throw invalidRequest(`the pattern has more than ${MAX_WORDS} words`);
  }
  const pattern = wordsPattern(text);
  const roots = await history.reports.rootsOfSets();
  const places = new NamePlaces(history, sets, roots);
  const search = new Search(history, query, pattern, roots);
  const found = after === undefined ? await search.roots() : [];
  const untilMs = performance.now() + PAGE_MS;
  let place: Cursor | undefined =
    after === undefined ? { ...FIRST_PLACE, skipped: 0 } : cursorIn(after);
  while (place !== undefined && found.length < limit && performance.now() < untilMs) {
    const { literal, isMatch } = pattern;
    const page = await history.reports.named({ after: place, literal, isMatch });
    const names = namesOf(page.versions);
    // If a page of the store has more matches than fit, it is requested again from its start, since the names by which
    // it is sorted may be sealed.
    const end: number = place.skipped + limit - found.length;
    const placed = await newestPlaced(places, names.slice(place.skipped, end));
    found.push(...(await search.shown(placed)));
    if (end < names.length) place = { ...place, skipped: end };
    else place = page.next === undefined ? undefined : { ...page.next, skipped: 0 };
  }
  return { found, next: place === undefined ? undefined : cursorOf(place) };
}

/** Returns the versions of each name, newest first. Versions of a name must be adjacent, oldest first. */
function namesOf(versions: readonly Named[]): Named[][] {
  const names: Named[][] = [];
  for (const version of versions) {
    const last = names.at(-1);
    if (last !== undefined && isSamePlace(last[0]!, version)) last.unshift(version);
    else names.push([version]);
  }
  return names;
}

/** Returns for each name the newest version that one of the sets shows. A newer one may be only in sets that were deleted. */
async function newestPlaced(
  places: NamePlaces,
  names: readonly (readonly Named[])[],
): Promise<PlacedName<Named>[]> {
  const found: PlacedName<Named>[] = [];
  let left = names;
  for (let turn = 0; left.length > 0; turn += 1) {
    const placed = await places.place(left.map((versions) => versions[turn]!));
    found.push(...placed);
    const shown = new Set(placed.map(({ version }) => version));
    left = left.filter((versions) => !shown.has(versions[turn]!) && versions.length > turn + 1);
  }
  return found;
}

function isSamePlace(one: Named, other: Named): boolean {
  return one.directory === other.directory && one.name.equals(other.name);
}

/** Entries of the paths that have matching names, as a search shows them. */
class Search {
  private readonly complete: ReadonlySet<SetNumber>;

  constructor(
    private readonly history: History,
    private readonly query: SearchQuery,
    private readonly pattern: NamePattern,
    private readonly sets: ReadonlyMap<SetNumber, readonly Buffer[]>,
  ) {
    const complete = query.sets.filter(({ state }) => state === 'complete');
    this.complete = new Set(complete.map(({ set }) => set));
  }

  /** Returns the roots that match. They are searched separately, since the name of a root is not in a directory. */
  roots(): Promise<Found[]> {
    const paths = shownRoots(this.query.sets.flatMap(({ set }) => this.sets.get(set) ?? []));
    const matching = paths.filter((path) => this.pattern.isMatch(lastComponent(path)));
    const version = { directory: ROOTS_DIRECTORY };
    return this.shown(matching.map((path) => ({ path, version })));
  }

  /** Returns the newest entries of paths, except what the reader may not see. */
  async shown(
    placed: readonly (Pick<PlacedName<Named>, 'path'> & {
      readonly version: Pick<Named, 'directory'>;
    })[],
  ): Promise<Found[]> {
    const found: Found[] = [];
    await atOnce(placed.entries(), REQUESTS_AT_ONCE, async ([index, { path, version }]) => {
      const one = await this.newestAt(path, version);
      if (one !== undefined) found[index] = one;
    });
    return found.flat(); // without the empty places of those that are left out
  }

  /** Returns the newest entry at a path, unless that is in another directory, with which it is found too. */
  private async newestAt(
    path: Buffer,
    { directory }: Pick<Named, 'directory'>,
  ): Promise<Found | undefined> {
    const { history, query, pattern, complete } = this;
    const { sets, limits } = query;
    if (!pattern.isPathMatch(path) || !isBelow(limits, path)) return undefined;
    const covering = setsCovering(this.sets, sets, path);
    const versions = await history.versions(path);
    const newest = versions.findLast((one) => covering.some((set) => isAsOf(one, set)));
    if (newest?.entry.directory !== directory) return undefined;
    const within = covering.filter((one) => isAsOf(newest, one));
    // A set that is being written is shown only for what no complete one has.
    const set = within.findLast((one) => complete.has(one)) ?? within.at(-1)!;
    const at = await history.find(path, set);
    if (at === undefined) return undefined;
    const entry = entryJson(history, at, lastComponent(path));
    const { firstSet, lastSet } = newest;
    return isWithin(limits, entry)
      ? { ...pathJson(path), entry, firstSet, lastSet, set }
      : undefined;
  }
}

function isBelow({ below }: SearchLimits, path: Buffer): boolean {
  return below === undefined || liesBelow(path, below);
}

/** True if an entry is within the limits. One whose metadata is damaged is within no limit of size or time. */
function isWithin(limits: SearchLimits, { type, sizeBytes, modifiedNs, damage }: Entry): boolean {
  const { kind, leastBytes, mostBytes, fromMs, untilMs } = limits;
  if (kind !== undefined && type !== kind) return false;
  const ofSize = leastBytes !== undefined || mostBytes !== undefined;
  const ofTime = fromMs !== undefined || untilMs !== undefined;
  if ((ofSize && type !== 'file') || ((ofSize || ofTime) && damage !== undefined)) return false;
  if (ofSize && (sizeBytes < (leastBytes ?? 0) || sizeBytes > (mostBytes ?? Infinity)))
    return false;
  const modifiedMs = Number(BigInt(modifiedNs) / NS_PER_MS);
  return !ofTime || (modifiedMs >= (fromMs ?? -Infinity) && modifiedMs <= (untilMs ?? Infinity));
}

const CURSOR = /^(-?\d{1,16})\.([\w-]{0,6000})\.(\d{1,6})$/;

function cursorOf({ directory, name, skipped }: Cursor): string {
  return `${directory}.${name.toString('base64url')}.${skipped}`;
}

function cursorIn(text: string): Cursor {
  const [, directory, name, skipped] = CURSOR.exec(text) ?? [];
  const number = Number(directory);
  if (name === undefined || !Number.isSafeInteger(number)) {
    throw invalidRequest('`after` is no cursor');
  }
  return { directory: number, name: Buffer.from(name, 'base64url'), skipped: Number(skipped) };
}
