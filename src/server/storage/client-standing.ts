/** State of a client: its newest complete set, and figures of its store. Read from the catalog, without a lock. */
import { contentIdOf, NO_CONTENT, type SetNumber } from '../../model/index.js';
import { type BackupSet, Catalog } from '../../store/catalog/index.js';
import type { ClientDirectory } from '../../store/index.js';
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
  const isThere = system.files.status(directory.catalogPath) !== undefined;
  const { newest, completeSets, damagedContents } = isThere
    ? await fromCatalog(system, directory.catalogPath, withFigures)
    : { newest: undefined, completeSets: 0, damagedContents: 0 };
  if (!withFigures) return { newest, completeSets, figures: undefined };
  const storedBytes =
    directory.bucket === undefined
      ? (await measureSpace(system, directory, false)).bytes
      : undefined;
  return { newest, completeSets, figures: { storedBytes, damagedContents } };
}

async function fromCatalog(system: System, catalogPath: string, withDamage: boolean) {
  using catalog = Catalog.openForReading(system, catalogPath);
  const complete = catalog.sets.listed().filter(({ state }) => state === 'complete');
  const damagedContents = withDamage ? await countDamaged(catalog) : 0;
  return { newest: goodSet(complete.at(-1)), completeSets: complete.length, damagedContents };
}

function goodSet(set: BackupSet | undefined): GoodSet | undefined {
  if (set === undefined) return undefined;
  const { openedAtMs, closedAtMs = openedAtMs, stats } = set;
  return { set: set.set, openedAtMs, closedAtMs, counts: stats };
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
