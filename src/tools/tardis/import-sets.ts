/**
 * Implements `tardis --sets`, `--import-store` and `--import-repository`: backs up each state that another tool has kept, as a set of its date. A
 * later run goes on where one was broken off, since the sets of the store are read first.
 */
import type { LocalServerOnDemand } from '../../client/index.js';
import { isSetAbove, type Settings } from '../../config/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { BackupSet } from '../../history/index.js';
import { displayText, setNameFault } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { jsonText } from '../output/json-text.js';
import { formatTable, formatTime } from '../output/units.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { complain } from '../output/front.js';
import { PARTLY } from '../output/output.js';
import { openSource, type State } from './import-sources.js';
import { backUp } from './run.js';

type Options = Settings<'tardis'>;

/** The settings that name a source, and their options. */
const SOURCES = [
  ['importedSets', '--sets'],
  ['importedStore', '--import-store'],
  ['importedRepository', '--import-repository'],
] as const;

/** A state, and whether the store has its set. */
interface PlannedSet {
  readonly state: State;
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
  using source = await openSource(settings, signal);
  const sets = await setsThere(settings);
  const planned = planOf(source.states, sets);
  if (settings.dryRun) {
    printPlan(planned, settings.json);
    return 0;
  }
  let status = 0;
  let create = settings.create && sets.length === 0;
  for (const { state, isThere } of planned) {
    if (isThere) continue;
    const { roots, lacks } = await state.show();
    for (const lack of lacks) complain('tardis', displayText(`${state.shown}: ${lack}`));
    const given = {
      ...settings,
      directories: roots.map(({ directory }) => directory),
      keptAs: roots.map(({ keptAs }) => keptAs),
      setName: state.name,
      priority: state.priority ?? 0,
      tags: [...(state.tags ?? [])],
      create,
      // Nothing may be kept from the set before, since what a past state lacks was not there.
      trustRoots: true,
      // Dates in the past would let rules for the present delete what was just imported.
      purge: false,
    };
    const datedMs = state.dateMs;
    const ended = await backUp(given, serverAt(given, datedMs), { signal, datedMs });
    status = Math.max(status, ended, lacks.length > 0 ? PARTLY : 0);
    create = false;
  }
  return status;
}

/** Throws USAGE for options that an import cannot follow. */
function requireFitting(settings: Options): void {
  const { keptAs, setName, sources, local, localServerCmd, otherStores, ifDue } = settings;
  const wrong = (why: string): never => {
    throw new TardisError('USAGE', `${option}: ${why}`);
  };
  const given = SOURCES.filter(([name]) => settings[name] !== undefined);
  const [, option] = given[0]!;
  if (!local || isSetAbove(settings, 'server', 'local') || localServerCmd !== undefined) {
    wrong('sets get their dates in a store of this machine only: give --local');
  }
  if (given.length > 1) wrong('give one source');
  if (settings.importedSets === undefined) {
    if (keptAs.length > 0) wrong('the source has the paths: omit --kept-as');
  } else if (keptAs.length !== 1) wrong('give the path that the directory had, by one --kept-as');
  if (setName !== '') wrong('each set has its own name: omit --name');
  if (sources.get('directories')?.source === 'command line') {
    wrong('it names the directories: give no others');
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
function planOf(states: readonly State[], sets: readonly BackupSet[]): PlannedSet[] {
  const complete = sets.filter(({ state }) => state === 'complete');
  const names = new Set(complete.map(({ firstName }) => firstName));
  const newestMs = complete.reduce((most, { openedAtMs }) => Math.max(most, openedAtMs), 0);
  return states.map((state) => {
    const { name, dateMs, shown } = state;
    const fault = setNameFault(name);
    if (fault !== undefined) {
      throw new TardisError('USAGE', `the name of a set, "${displayText(name)}", ${fault}`);
    }
    const isThere = names.has(name);
    if (!isThere && complete.length > 0 && dateMs <= newestMs) {
      const why = `is not newer than the newest set (${formatTime(newestMs)}): import into a client of its own (-C NAME --create)`;
      throw new TardisError('USAGE', `${shown} (${formatTime(dateMs)}) ${why}`);
    }
    return { state, isThere };
  });
}

function printPlan(planned: readonly PlannedSet[], json: boolean): void {
  if (json) {
    const states = planned.map(({ state: { dateMs, name, shown }, isThere }) => ({
      source: shown,
      dateMs,
      setName: name,
      isThere,
    }));
    return print(jsonText({ version: JSON_VERSION, states }));
  }
  const rows = planned.map(({ state: { dateMs, name, shown }, isThere }) => [
    formatTime(dateMs),
    isThere ? 'there' : 'new',
    shown,
    displayText(name),
  ]);
  print(formatTable([['DATE', 'STORE', 'SOURCE', 'SET'], ...rows], []));
}
