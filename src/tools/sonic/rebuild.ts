/** Implements `sonic rebuild`: recreates a catalog from the remaining packs, and names everything that is lost. */
import path from 'node:path';
import { Catalog, holdsSeals, isCatalogLost } from '../../store/catalog/index.js';
import type { Settings } from '../../config/index.js';
import { writeMissingImage } from '../../maintenance/gc/index.js';
import { rebuildCatalog } from '../../maintenance/rebuild/index.js';
import { packOfCatalog, type RebuildReport } from '../../store/writer/index.js';
import {
  asTardisError,
  isDiskFull,
  type TardisError,
  throwIfAborted,
  toWire,
} from '../../errors/index.js';
import { displayName, displayText, type SetNumber } from '../../model/index.js';
import {
  bucketAt,
  type ClientDirectory,
  KEY_COPIES_DIRECTORY,
  KEYS_DIRECTORY,
  mendAllKeys,
  noteNeededKeys,
  packName,
  repairClientDirectory,
  stateOfKeys,
  withClient,
} from '../../store/index.js';
import { byteText, type System, textBytes } from '../../system/index.js';
import type { CheckResult, Finding, KeysFinding } from '../../maintenance/check/index.js';
import { ProgressLine } from '../output/progress-line.js';
import { interruptSignal } from '../shared/signals.js';
import { PARTLY } from '../output/exit-status.js';
import { jsonText, print } from '../output/output.js';
import { checkRebuilt, placeLost, printPlaced } from './after-rebuild.js';
import { jsonOf, textOf } from './report-check.js';
import { TimeLeft } from '../output/time-left.js';
import { counted, formatCount } from '../output/units.js';
import { adminHere } from '../opening/admin.js';
import { clientPlace, storeSystem, storeLimits } from '../opening/local-store.js';

type Options = Settings<'sonic rebuild'>;

const NOTHING_LEFT =
  'No packs are left: no backup can be restored from this store. Restore a copy of the store, or start again with a backup.';

export async function rebuild(options: Options): Promise<number> {
  const { client, isQuick, packsOnly } = options;
  const bucket = bucketAt(byteText(options.database));
  if (bucket !== undefined) {
    const { rebuildThere } = await import('./rebuild-bucket.js'); // most stores are directories
    return rebuildThere(bucket, options);
  }
  const system = storeSystem(options.umask);
  const directory = await repairClientDirectory(system, clientPlace(options), (damaged) =>
    packOfCatalog(system, damaged),
  );
  let shown = 'looking for packs';
  await withClient(system, directory, () => mendAllKeys(system, directory.path));
  using line = new ProgressLine(options.progress, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  const signal = interruptSignal(
    'sonic rebuild',
    'the old catalog is kept until a new one is complete',
  );
  const isLost = isCatalogLost(system, directory.catalogPath);
  line.start();
  const report = await rebuildCatalog(system, directory, {
    isQuick,
    packsOnly,
    signal,
    onProgress: (pack, lastPack) => {
      shown = `reading pack ${pack} of ${lastPack}${timeLeft.text(pack - 1, lastPack)}`;
    },
  });
  throwIfAborted(signal);
  shown = 'looking for lost data';
  line.refresh();
  const after = await settle(system, directory, report, { options, signal });
  line.stop();
  if (options.json) printJson(client, report, after);
  else printText(client, report, after, options);
  const isNothingLeft = isLost && report.point.commit === 0;
  if (isNothingLeft && !options.json) print(NOTHING_LEFT);
  const isClean = after.isWhole && after.keys.length + after.doubtful.length === 0;
  return isClean && !isNothingLeft ? 0 : PARTLY;
}

/** Results of the steps after the new catalog was written. */
interface Settled {
  readonly isWhole: boolean;
  /** Sets that may lack entries, from this loss or an earlier one. */
  readonly doubtful: readonly SetNumber[];
  /** Number of directories that had lost their parent directory and were moved to another place. */
  readonly placed: number;
  /** Versions that cannot be restored. */
  readonly lost: readonly Finding[];
  /** The error that prevented writing history to the packs, or marking damage. */
  readonly undone: TardisError | undefined;
  /** Key records without any intact copy. The backups cannot be decrypted without them. */
  readonly keys: readonly KeysFinding[];
  /** Files that are not the packs that their names indicate. */
  readonly strange: readonly Finding[];
  /** Files that the final check could not read. */
  readonly unreadable: readonly Finding[];
}

/** The settings of the command. */
interface Command {
  readonly options: Options;
  readonly signal: AbortSignal;
}

/** Moves orphans to a new place, adds missing history to the packs, and finds lost versions. */
async function settle(
  system: System,
  directory: ClientDirectory,
  report: RebuildReport,
  command: Command,
): Promise<Settled> {
  const { options } = command;
  if (holdsSeals(system, directory.catalogPath))
    await noteNeededKeys(system, directory.path, 'encryption');
  const { isMetadataLost } = report;
  const { isEncrypted, placed } = await placeLost(system, directory, options, isMetadataLost);
  let undone: TardisError | undefined;
  try {
    await writeMissingImage(system, directory, storeLimits(options));
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    undone = asTardisError(error);
  }
  const isWhole = report.damagedRecords + report.lostCommits === 0;
  const keys = unusableKeys(system, directory);
  const doubtful = doubtfulSets(system, directory);
  const strange = (await adminHere(system, options, undefined).strangePacks()) ?? [];
  if (isWhole && doubtful.length === 0) {
    return { isWhole, doubtful, placed, lost: [], undone, keys, strange, unreadable: [] };
  }
  const checked = await lostVersions(system, directory, command, isEncrypted);
  const { lost, unreadable, damagedRecords, notMarked } = checked;
  return {
    isWhole: isWhole && lost.length + damagedRecords === 0,
    doubtful,
    placed,
    lost,
    undone: undone ?? notMarked,
    keys,
    strange,
    unreadable,
  };
}

/**
 * Returns the sets in the new catalog that may lack entries. Sets from an earlier loss are included until they are
 * deleted.
 */
function doubtfulSets(system: System, directory: ClientDirectory): SetNumber[] {
  return Catalog.reading(system, directory.catalogPath, ({ sets }) =>
    sets
      .listed()
      .filter(({ isDoubtful }) => isDoubtful)
      .map(({ set }) => set),
  );
}

/** Returns the key records that a rebuild cannot restore, in the form of a check's findings. */
function unusableKeys(system: System, directory: ClientDirectory): KeysFinding[] {
  const { isGone, lost } = stateOfKeys(system, directory.path);
  const both = `${KEYS_DIRECTORY}, ${KEY_COPIES_DIRECTORY}`;
  const gone: KeysFinding[] = isGone ? [{ finding: 'keys', file: both, state: 'gone' }] : [];
  const damaged = lost.map((account): KeysFinding => {
    return { finding: 'keys', file: path.join(account, KEYS_DIRECTORY), state: 'lost' };
  });
  return [...gone, ...damaged];
}

/** Returns the versions in the new catalog that cannot be restored, and marks their contents as damaged. */
async function lostVersions(
  system: System,
  directory: ClientDirectory,
  { options, signal }: Command,
  isEncrypted: boolean,
): Promise<CheckResult & { readonly lost: Finding[]; readonly unreadable: Finding[] }> {
  const lost: Finding[] = [];
  const unreadable: Finding[] = [];
  const result = await checkRebuilt(system, directory, options, {
    read: { data: { kind: 'none' }, leastAgeMs: 0 },
    isEncrypted,
    signal,
    onFinding: (finding) => {
      if (finding.finding === 'version') lost.push(finding);
      else if (finding.finding === 'unreadable') unreadable.push(finding);
    },
    onRead: () => undefined,
  });
  return { ...result, lost, unreadable };
}

function printJson(client: string, report: RebuildReport, after: Settled): void {
  const { commits, damagedRecords, lostCommits, keptCatalog, knowsMore } = report;
  const { placed, lost, undone, keys } = after;
  const summary = {
    client,
    commits,
    damagedRecords,
    lostCommits,
    keptCatalog,
    knowsMore,
    placed,
    isDoubtful: report.isMetadataLost || after.doubtful.length > 0,
    strangePacks: report.strangePacks.map(packName),
    unreadable: after.unreadable,
    undone: undone && toWire(undone),
    keys,
  };
  print(jsonText({ ...summary, lost: lost.map(jsonOf) }));
}

function printText(client: string, report: RebuildReport, after: Settled, options: Options): void {
  const { damagedRecords, lostCommits, keptCatalog, isMetadataLost } = report;
  const { placed, lost, undone } = after;
  print(madeFrom(client, report, options));
  const doubtful: Finding[] =
    after.doubtful.length === 0 ? [] : [{ finding: 'doubtful', sets: after.doubtful }];
  for (const finding of [
    ...lost,
    ...after.keys,
    ...doubtful,
    ...after.strange,
    ...after.unreadable,
  ]) {
    print(displayText(textOf(finding)));
  }
  if (!after.isWhole) {
    const doubt = isMetadataLost ? '; sets made so far may lack entries' : '';
    const what =
      damagedRecords === 0
        ? 'Records are damaged or missing'
        : `${formatCount(damagedRecords)} records or packs are damaged or missing`;
    print(`${what}${doubt}. The next backup sends again what the source still has.`);
  }
  if (lostCommits > 0) {
    const known = counted(lostCommits, 'checkpoint');
    print(`The packs of ${known} are truncated or missing.`);
  }
  printPlaced(placed);
  if (keptCatalog !== undefined) {
    print(`The old catalog is kept beside the new one as ${displayName(textBytes(keptCatalog))}.`);
  }
  if (undone !== undefined) {
    const why = `${displayText(undone.code)}: ${displayText(undone.message)}`;
    print(`The findings could not be written to the packs (${why}).`);
    print(`${displayText(undone.row.guidance)} Then run the rebuild again.`);
  }
}

/** Describes the sources of the new catalog. */
function madeFrom(client: string, report: RebuildReport, options: Options): string {
  const { commits, knowsMore, lostCommits, isMetadataLost } = report;
  const checkpoints = counted(commits, 'checkpoint');
  if (knowsMore) {
    return `Packs are incomplete: the catalog of "${client}" was rebuilt from them and from the old catalog, which is intact.`;
  }
  const isUseless = !options.packsOnly && (isMetadataLost || lostCommits > 0);
  const why = isUseless ? ' (the old catalog was not usable)' : '';
  return `The catalog of "${client}" was rebuilt from ${checkpoints}${why}.`;
}
