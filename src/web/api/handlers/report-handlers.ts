/** Handlers of questions about many entries or sets: search, differences, space, and what a purge would delete. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  type BackupSet,
  begunMs,
  type History,
  type StoreFigures,
} from '../../../history/index.js';
import { retentionSet } from '../../../maintenance/gc/index.js';
import { displayName, type SetNumber } from '../../../model/index.js';
import {
  compareTrees,
  Contents,
  isDifference,
  type Seen,
  SetSide,
} from '../../../restore/diff/index.js';
import { decideRetention, ruleKey, rulesOfTexts } from '../../../retention/index.js';
import type { System } from '../../../system/index.js';
import { entryJson, pathJson } from '../entry-json.js';
import { invalidRequest } from '../problem.js';
import { pathIn } from '../raw-query.js';
import type { Handlers } from '../register.js';
import type { Change, ChangesPage, Entry } from '../schemas.js';
import { searchPage } from '../search.js';
import { setOf } from '../set-of.js';

/** Maximum number of differences before a page. For each page, the comparison is repeated from the beginning. */
const MAX_SKIPPED = 1_000_000;

export const REPORT_HANDLERS: Pick<Handlers, 'search' | 'changes' | 'space' | 'store' | 'purge'> = {
  search: async ({ lease: { history }, query }) => {
    const sets = query.set === undefined ? await history.sets() : [await setOf(history, query.set)];
    const pattern = Buffer.from(query.pattern, 'latin1');
    const { limit, after, kind, leastBytes, mostBytes, fromMs, untilMs } = query;
    const below = query.below === undefined ? undefined : pathIn(query.below);
    const limits = { kind, leastBytes, mostBytes, fromMs, untilMs, below };
    return searchPage(history, { pattern, sets, limit, after, limits });
  },
  changes: async ({ door: { system }, lease: { history }, query }) => {
    const to = await setOf(history, query.to);
    const from =
      query.from === undefined
        ? await setBefore(history, to)
        : (await setOf(history, query.from)).set;
    const path = query.path === undefined ? Buffer.from('/') : pathIn(query.path);
    const skipped = query.after === undefined ? 0 : Number(query.after);
    if (!(skipped <= MAX_SKIPPED)) throw invalidRequest('`after` is no cursor');
    const requested = { to: to.set, path, skipped, limit: query.limit };
    if (from === undefined) return { changes: [], unread: [] };
    return { from, ...(await changesPage(system, history, { from, ...requested })) };
  },
  space: async ({ lease: { history } }) => {
    const [sets, { numbers }] = [await history.sets(), await figuresOf(history)];
    const shown = sets.map((set) => ({
      set: set.set,
      openedAtMs: begunMs(set),
      closedAtMs: set.closedAtMs,
      scannedBytes: set.stats['scannedBytes'] ?? 0,
      storedBytes: set.stats['storedBytes'] ?? 0,
      sentBytes: set.stats['sentBytes'] ?? 0,
    }));
    return { sets: shown, figures: { ...numbers } };
  },
  store: async ({ lease: { history }, request }) => {
    const { space } = await history.reports.store();
    const { blockBytes, blocks, availableBlocks } = space;
    const certificateEndsAtMs = certificateEndMs(request.raw.socket);
    return {
      ...(blocks === 0
        ? {} // a bucket has no size
        : { availableBytes: availableBlocks * blockBytes, totalBytes: blocks * blockBytes }),
      certificateEndsAtMs,
    };
  },
  purge: async ({ door: { system }, lease: { history }, query }) => {
    const decision = decideRetention(await judgedSets(history), {
      rules: rulesOfTexts((rule) => String(query[rule])),
      nowMs: system.clock.nowMs(),
      leastAgeMs: 0,
      resistsFloods: false,
      keepsDoubtful: false,
      trustsClock: false,
    });
    const sets = decision.verdicts.map(({ set, reasons }) => ({
      set,
      isDeleted: reasons.length === 0,
      reasons: reasons.map((reason) => ({ ...reason })),
    }));
    const gone = new Set(sets.filter(({ isDeleted }) => isDeleted).map(({ set }) => set));
    const freedBytes = gone.size === 0 ? undefined : await history.reports.freedBy?.(gone);
    const { isClockInDoubt, unusedTags } = decision;
    return {
      isClockInDoubt,
      freedBytes,
      unusedTags: [...unusedTags],
      stored: Object.fromEntries(
        (await history.reports.settings()).map(({ key, value }) => [key, value]),
      ),
      sets,
    };
  },
};

/** Returns when the certificate of this program's end of a connection expires; undefined without TLS. */
function certificateEndMs(socket: Socket): number | undefined {
  if (!('getCertificate' in socket)) return undefined;
  const { valid_to: end } = { ...(socket as TLSSocket).getCertificate() } as { valid_to?: string };
  const endMs = Date.parse(end ?? '');
  return Number.isNaN(endMs) ? undefined : endMs;
}

/**
 * Figures that were computed recently, by history. They are cached, since computing them takes a pass over all
 * versions.
 */
const made = new WeakMap<
  History,
  { readonly figures: Promise<StoreFigures>; readonly atMs: number }
>();
const FIGURES_LAST_MS = 60_000;

function figuresOf(history: History): Promise<StoreFigures> {
  const nowMs = performance.now();
  const known = made.get(history);
  if (known !== undefined && nowMs - known.atMs < FIGURES_LAST_MS) return known.figures;
  const figures = history.reports.figures();
  made.set(history, { figures, atMs: nowMs });
  figures.catch(() => made.delete(history)); // the caller gets the error
  return figures;
}

async function judgedSets(history: History): Promise<ReturnType<typeof retentionSet>[]> {
  const textOf = await rootTexts(history);
  return (await history.sets()).map((set) => retentionSet(set, textOf(set)));
}

/** Returns a function that returns the roots of a set as one text, by which sets are compared. */
async function rootTexts(history: History): Promise<(set: BackupSet) => string> {
  const roots = await history.reports.rootsOfSets();
  return ({ set }) => (roots.get(set) ?? []).map((path) => path.toString('latin1')).join('\0');
}

/** Returns the newest complete set before `to` that has the same roots as `to`; undefined if there is none. */
async function setBefore(history: History, to: BackupSet): Promise<SetNumber | undefined> {
  const textOf = await rootTexts(history);
  const isBefore = (one: BackupSet): boolean =>
    one.set < to.set && one.state === 'complete' && textOf(one) === textOf(to);
  return (await history.sets()).findLast(isBefore)?.set;
}

interface ChangesRequest {
  readonly from: SetNumber;
  readonly to: SetNumber;
  readonly path: Buffer;
  readonly skipped: number;
  readonly limit: number;
}

async function changesPage(
  system: System,
  history: History,
  { from, to, path, skipped, limit }: ChangesRequest,
): Promise<ChangesPage> {
  const changes: Change[] = [];
  const unread: string[] = [];
  using contents = new Contents(system, history, false);
  const compared = compareTrees({
    system,
    before: new SetSide({ history, set: from, other: to }),
    after: new SetSide({ history, set: to, other: from }),
    contents,
    paths: [{ before: path, after: path }],
    recurse: true,
    entersOnly: false,
    metadata: true,
  });
  let place = 0;
  for await (const one of compared) {
    place += 1;
    if (place <= skipped) continue;
    if (changes.length + unread.length >= limit) {
      return { changes, unread, next: String(place - 1) };
    }
    if (!isDifference(one)) {
      unread.push(`${displayName(one.path)}: ${one.error.message}`);
      continue;
    }
    const { before, after, aspects } = one;
    const kind = before === undefined ? 'new' : after === undefined ? 'gone' : 'changed';
    const of = (seen: Seen | undefined): Entry | undefined =>
      seen?.stored === undefined ? undefined : entryJson(history, seen.stored);
    const sides = { before: of(before), after: of(after) };
    changes.push({ ...pathJson(one.path), kind, ...sides, aspects: [...aspects] });
  }
  return { changes, unread };
}

/** Rules that delete nothing by themselves. */
const ADDING: ReadonlySet<string> = new Set(['KeepTags', 'EndedAfter', 'Priorities']);

/** Returns rules without zeros, which are empty then. Throws REQUEST_INVALID if none of them deletes anything. */
export function checkedRules(given: Readonly<Record<string, string>>): Record<string, string> {
  const rules = Object.fromEntries(
    Object.entries(given).map(([key, words]) => [
      key,
      words === '0' && key !== 'KeepPeriods' ? '' : words.trim(),
    ]),
  );
  const keeping = Object.entries(rules).filter(([key]) => !ADDING.has(key));
  if (keeping.every(([, words]) => words === '')) throw invalidRequest('there is no rule');
  return rules;
}

/**
 * Returns the rules whose words differ from those that are stored with a client. Throws CONFIG_INVALID if they do not
 * fit the stored ones that stay, since each later purge would fail then.
 */
export function changedRules(
  rules: Readonly<Record<string, string>>,
  stored: readonly { readonly key: string; readonly value: string }[],
): [key: string, words: string][] {
  const before = new Map(stored.map(({ key, value }) => [key, value]));
  rulesOfTexts((rule) => rules[ruleKey(rule)] ?? before.get(ruleKey(rule)) ?? '');
  return Object.entries(rules).filter(([key, words]) => words !== (before.get(key) ?? ''));
}
