/** State of a client: its sets, its runs, and figures of its store. Read from the catalog and other files, without a lock. */
import {
  ALERT_KINDS,
  type AlertKind,
  contentIdOf,
  configuredRoots,
  countErrors,
  distinctRuns,
  lastAlert,
  NO_CONTENT,
  NO_FACTS,
  rootId,
  type RunFacts,
  runFacts,
  type RunRecord,
  serverLimitMs,
  type SetFacts,
  type SetNumber,
  usualLateMs,
} from '../../model/index.js';
import { type BackupSet, Catalog } from '../../store/catalog/index.js';
import { type ClientDirectory, isClientInUse, readRuns } from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { measureSpace } from './measure-space.js';

export interface GoodSet {
  readonly set: SetNumber;
  /** Time by the server's clock. */
  readonly openedAtMs: number;
  /** Time by the server's clock. */
  readonly closedAtMs: number;
  /** Figures sent by the client, and `storedBytes`. */
  readonly counts: Readonly<Record<string, number>>;
  /** True if the set may lack entries that were lost to damage. */
  readonly isDoubtful: boolean;
}

export interface StoreFigures {
  /** Number of bytes of the client's store; undefined for a client in a bucket, whose packs are not here. */
  readonly storedBytes: number | undefined;
  readonly damagedContents: number;
}

export interface ClientStanding {
  /** The newest complete set; undefined if there is none. */
  readonly newest: GoodSet | undefined;
  /** The newest complete set when each alert was last sent. */
  readonly alerted: Readonly<Partial<Record<AlertKind, SetNumber>>>;
  /** Age from which the client is late by its journal; 0 if the journal has none. */
  readonly intervalMs: number;
  /** The facts from which the state of the client follows, without the space. */
  readonly facts: SetFacts & RunFacts & { readonly isInUse: boolean };
  /**
   * Figures of the store. They are present only if requested, since each pack and content must be examined for them.
   */
  readonly figures: StoreFigures | undefined;
}

/** Number of contents counted by one statement. */
const COUNT_SLICE = 65_536;

/**
 * Returns the state of a client. Yields to other sessions of the thread. Throws errors of opening a catalog, and
 * system errors.
 */
export async function standingOf(
  system: System,
  directory: ClientDirectory,
  withFigures: boolean,
): Promise<ClientStanding> {
  const found = await standingInFiles(system, directory, withFigures);
  if (!withFigures) return { ...found, figures: undefined };
  const storedBytes =
    directory.bucket === undefined
      ? (await measureSpace(system, directory, false)).bytes
      : undefined;
  const { damagedContents } = found.facts;
  return { ...found, figures: { storedBytes, damagedContents } };
}

/**
 * Returns what the catalog and the journal of a client show. `waiting` are records that the journal does not have yet,
 * `configured` the ids of the roots that a configuration has now. Without `withDamage`, no damaged contents are counted. Throws
 * errors of opening a catalog, and of reading the journal.
 */
export async function standingInFiles(
  system: System,
  directory: ClientDirectory,
  withDamage: boolean,
  {
    waiting = [],
    configured,
  }: {
    readonly waiting?: readonly RunRecord[];
    readonly configured?: readonly string[] | undefined;
  } = {},
): Promise<Omit<ClientStanding, 'figures'>> {
  const runs = distinctRuns([...(await readRuns(system, directory)), ...waiting]);
  const { lateAfterMs, ...ofRuns } = runFacts(runs, system.clock.nowMs());
  const sent = { alerted: alertsIn(runs), intervalMs: serverLimitMs(runs) };
  const { catalogPath } = directory;
  if (system.files.status(catalogPath) === undefined) {
    return { ...sent, newest: undefined, facts: { ...NO_FACTS, ...ofRuns, lateAfterMs } };
  }
  using catalog = Catalog.openForReading(system, catalogPath);
  const listed = catalog.sets.listed();
  const complete = listed.filter(({ state }) => state === 'complete');
  const last = listed.findLast(({ state }) => state !== 'superseded');
  const isOpen = last?.state === 'unfinished';
  const { roots, savedBy } = savedRoots(
    catalog,
    complete,
    configured ?? configuredRoots(runs) ?? [],
  );
  const newest = goodSet(complete.at(-1));
  const facts = {
    ...ofRuns,
    completeSets: complete.length,
    newestSet: newest?.set ?? 0,
    newestAtMs: newest?.closedAtMs ?? 0,
    unread: savedBy.reduce((sum, { stats }) => sum + countErrors(stats), 0),
    isDoubtful: savedBy.some(({ isDoubtful }) => isDoubtful),
    isInUse: isOpen && isClientInUse(directory),
    unfinishedAtMs: isOpen ? last.openedAtMs : 0,
    lateAfterMs: lateAfterMs > 0 ? lateAfterMs : usualLateMs(complete.map(endOf)),
    damagedContents: withDamage ? await countDamaged(catalog) : 0,
    roots,
  };
  return { ...sent, newest, facts };
}

function alertsIn(runs: readonly RunRecord[]): ClientStanding['alerted'] {
  const sent = ALERT_KINDS.map((alert) => [alert, lastAlert(runs, alert)?.numbers.set]);
  return Object.fromEntries(sent) as ClientStanding['alerted'];
}

/**
 * Returns for each configured root the end of the newest complete set that has it, and the sets that save the roots: of
 * all these, or the newest one if no configuration is known.
 */
function savedRoots(
  { reports }: Catalog,
  complete: readonly BackupSet[],
  configured: readonly string[],
): { readonly roots: SetFacts['roots']; readonly savedBy: readonly BackupSet[] } {
  if (configured.length === 0) return { roots: [], savedBy: complete.slice(-1) };
  const newestOf = new Map<string, BackupSet>();
  const sets = new Map(complete.map((set) => [set.set, set]));
  const ids = new Map<string, string>();
  for (const [number, path] of reports.rootsOfSets()) {
    const set = sets.get(number);
    const key = path.toString('latin1');
    const id = ids.get(key) ?? rootId(path);
    ids.set(key, id);
    if (set !== undefined && set.set >= (newestOf.get(id)?.set ?? 0)) newestOf.set(id, set);
  }
  const found = configured.map((id) => ({ id, set: newestOf.get(id) }));
  const roots = found.map(({ id, set }) => ({
    id,
    set: set?.set ?? 0,
    atMs: set ? endOf(set) : 0,
  }));
  return { roots, savedBy: [...new Set(found.flatMap(({ set }) => set ?? []))] };
}

function endOf({ openedAtMs, closedAtMs = openedAtMs }: BackupSet): number {
  return closedAtMs;
}

function goodSet(set: BackupSet | undefined): GoodSet | undefined {
  if (set === undefined) return undefined;
  const { openedAtMs, closedAtMs = openedAtMs, stats, isDoubtful } = set;
  return { set: set.set, openedAtMs, closedAtMs, counts: stats, isDoubtful };
}

async function countDamaged({ damageCounts }: Catalog): Promise<number> {
  const breathe = yieldRegularly();
  let damaged = 0;
  let from = damageCounts.nextContent(NO_CONTENT);
  while (from !== undefined) {
    const end = contentIdOf(from + COUNT_SLICE);
    damaged += damageCounts.between(from, end);
    from = damageCounts.nextContent(end);
    await breathe();
  }
  return damaged;
}
