/**
 * Implements `tardis --sets`: backs up each state of a directory that another tool has kept, as a set of its date. A
 * later run goes on where one was broken off, since the sets of the store are read first.
 */
import type { LocalServerOnDemand } from '../../client/index.js';
import { isSetAbove, type Settings } from '../../config/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { BackupSet } from '../../history/index.js';
import { type DatedState, datedTrees } from '../../import/index.js';
import { displayName, jsonName, setNameFault } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { jsonText } from '../output/json-text.js';
import { formatTable, formatTime } from '../output/units.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { backUp } from './run.js';

type Options = Settings<'tardis'>;

/** A state, the name of its set, and whether the store has that set. */
interface PlannedSet extends DatedState {
  readonly name: string;
  readonly isThere: boolean;
}

/** Returns a server for one session, whose clock stands at the date of a set. */
type DatedServer = (settings: Options, dateMs: number) => LocalServerOnDemand;

/**
 * Backs up the states that the store lacks, the oldest first. Returns the highest exit status of these backups. Throws
 * USAGE for options that do not fit, and for a state that is older than the newest set.
 */
export async function importSets(
  settings: Options,
  serverAt: DatedServer,
  signal: AbortSignal,
): Promise<number> {
  requireFitting(settings);
  const states = datedTrees(settings.importedSets!, Date.now());
  const sets = await setsThere(settings);
  const planned = planOf(states, sets, settings.keptAs[0]!);
  if (settings.dryRun) {
    printPlan(planned, settings.json);
    return 0;
  }
  let status = 0;
  let create = settings.create && sets.length === 0;
  for (const { directory, dateMs, name, isThere } of planned) {
    if (isThere) continue;
    const given = {
      ...settings,
      directories: [directory],
      setName: name,
      create,
      // Nothing may be kept from the set before, since what a past state lacks was not there.
      trustRoots: true,
      // Dates in the past would let rules for the present delete what was just imported.
      purge: false,
    };
    status = Math.max(status, await backUp(given, serverAt(given, dateMs), signal));
    create = false;
  }
  return status;
}

/** Throws USAGE for options that an import cannot follow. */
function requireFitting(settings: Options): void {
  const { keptAs, setName, sources, local, localServerCmd, otherStores, ifDue } = settings;
  const wrong = (why: string): never => {
    throw new TardisError('USAGE', `--sets: ${why}`);
  };
  if (!local || isSetAbove(settings, 'server', 'local') || localServerCmd !== undefined) {
    wrong('sets get their dates in a store of this machine only: give --local');
  }
  if (keptAs.length !== 1) wrong('give the path that the directory had, by one --kept-as');
  if (setName !== '') wrong('each set is named by its path and date: omit --name');
  if (sources.get('directories')?.source === 'command line') {
    wrong('the pattern names the directories: give no others');
  }
  if (otherStores.length > 0 || ifDue) wrong('omit --also-to and --if-due');
  if (settings.stdin !== undefined || settings.commands.length > 0) wrong('omit other sources');
}

/** Returns the sets of the client; none if the client or the store does not exist. */
async function setsThere(settings: Options): Promise<readonly BackupSet[]> {
  try {
    return await withReports({ ...settings, throughServer: undefined }, (history) =>
      history.sets(),
    );
  } catch (error) {
    const { code } = asTardisError(error);
    if (settings.create || settings.dryRun) {
      if (code === 'NO_SUCH_STORE' || code === 'NO_SUCH_CLIENT') return [];
    }
    throw error;
  }
}

/**
 * Returns the states with the names of their sets. Throws USAGE if a state that is not there is older than a complete set:
 * sets are ordered by their numbers, so it would have no right place.
 */
function planOf(
  states: readonly DatedState[],
  sets: readonly BackupSet[],
  keptAs: Buffer,
): PlannedSet[] {
  const complete = sets.filter(({ state }) => state === 'complete');
  const names = new Set(complete.map(({ firstName }) => firstName));
  const newestMs = complete.reduce((most, { openedAtMs }) => Math.max(most, openedAtMs), 0);
  return states.map((state) => {
    const date = new Date(state.dateMs).toISOString().replace('.000Z', 'Z');
    const name = `${displayName(keptAs)} ${date}`;
    const fault = setNameFault(name);
    if (fault !== undefined) {
      throw new TardisError('USAGE', `--kept-as: the name of a set, "${name}", ${fault}`);
    }
    const isThere = names.has(name);
    if (!isThere && complete.length > 0 && state.dateMs <= newestMs) {
      const what = `${displayName(state.directory)} (${formatTime(state.dateMs)})`;
      const why = `is not newer than the newest set (${formatTime(newestMs)}): import into a client of its own (-C NAME --create)`;
      throw new TardisError('USAGE', `--sets: ${what} ${why}`);
    }
    return { ...state, name, isThere };
  });
}

function printPlan(planned: readonly PlannedSet[], json: boolean): void {
  if (json) {
    const states = planned.map(({ directory, dateMs, name, isThere }) => ({
      directory: jsonName(directory),
      dateMs,
      setName: name,
      isThere,
    }));
    return print(jsonText({ version: JSON_VERSION, states }));
  }
  const rows = planned.map(({ directory, dateMs, name, isThere }) => [
    formatTime(dateMs),
    isThere ? 'there' : 'new',
    displayName(directory),
    name,
  ]);
  print(formatTable([['DATE', 'STORE', 'DIRECTORY', 'SET'], ...rows], []));
}
