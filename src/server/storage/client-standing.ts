/** State of a client: its sets, its proofs, and figures of its store. Read from the catalog and other files, without a lock. */
import {
  contentIdOf,
  NO_CONTENT,
  type ProofTimes,
  type SetNumber,
  usualLateMs,
} from '../../model/index.js';
import { type BackupSet, Catalog } from '../../store/catalog/index.js';
import { type ClientDirectory, isClientInUse, proofTimes } from '../../store/index.js';
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
  readonly completeSets: number;
  /** Start of the unfinished set after it; 0 if there is none. */
  readonly unfinishedAtMs: number;
  /** True if a process writes to the unfinished set. */
  readonly isInUse: boolean;
  /** Age from which the newest complete set is older than usual; 0 if that is unknown. */
  readonly usualLateMs: number;
  /** When the backups were last proven. */
  readonly proofs: ProofTimes;
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
  const { damagedContents, ...sets } = await standingInFiles(system, directory, withFigures);
  if (!withFigures) return { ...sets, figures: undefined };
  const storedBytes =
    directory.bucket === undefined
      ? (await measureSpace(system, directory, false)).bytes
      : undefined;
  return { ...sets, figures: { storedBytes, damagedContents } };
}

/**
 * Returns what the catalog and other files of a client show. Without `withDamage`, no damaged contents are counted. Throws errors of
 * opening a catalog.
 */
export async function standingInFiles(
  system: System,
  directory: ClientDirectory,
  withDamage: boolean,
): Promise<Omit<ClientStanding, 'figures'> & Pick<StoreFigures, 'damagedContents'>> {
  const proofs = proofTimes(system, directory.path);
  const none = { proofs, completeSets: 0, unfinishedAtMs: 0, usualLateMs: 0, damagedContents: 0 };
  const { catalogPath } = directory;
  if (system.files.status(catalogPath) === undefined) {
    return { ...none, isInUse: false, newest: undefined };
  }
  using catalog = Catalog.openForReading(system, catalogPath);
  const listed = catalog.sets.listed();
  const complete = listed.filter(({ state }) => state === 'complete');
  const last = listed.findLast(({ state }) => state !== 'superseded');
  const isOpen = last?.state === 'unfinished';
  return {
    proofs,
    newest: goodSet(complete.at(-1)),
    completeSets: complete.length,
    isInUse: isOpen && isClientInUse(directory),
    unfinishedAtMs: isOpen ? last.openedAtMs : 0,
    usualLateMs: usualLateMs(
      complete.map(({ openedAtMs, closedAtMs }) => closedAtMs ?? openedAtMs),
    ),
    damagedContents: withDamage ? await countDamaged(catalog) : 0,
  };
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
