/**
 * Backs up each state that another program has kept, as a set of its date. A later run goes on where one was broken off, since
 * the sets of the store are read first.
 */
import { resolveSettings, type Settings } from '../../config/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { BackupSet } from '../../history/index.js';
import { displayText, setNameFault } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { jsonText } from '../output/json-text.js';
import { formatTable, formatTime } from '../output/units.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { complain } from '../output/front.js';
import { PARTLY } from '../output/output.js';
import { byteText } from '../../system/index.js';
import { localOnDemand } from '../tardis/local-server.js';
import { backUp } from '../tardis/run.js';
import { openSource, type State } from './import-sources.js';

type Options = Settings<'tardis-import'>;

/** A state, and whether the store has its set. */
interface PlannedSet {
  readonly state: State;
  readonly isThere: boolean;
}

/**
 * Backs up the states that the store lacks, the oldest first. Returns the highest exit status of these backups. Throws
 * USAGE for options that do not fit, and for a state that is older than the newest set.
 */
export async function importSets(options: Options, signal: AbortSignal): Promise<number> {
  requireFitting(options);
  const settings = withUsual(options);
  using source = await openSource(options, signal);
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
    for (const lack of lacks) complain('tardis-import', displayText(`${state.shown}: ${lack}`));
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
    const ended = await backUp(given, localOnDemand(given, { dateMs: datedMs }), {
      signal,
      datedMs,
    });
    status = Math.max(status, ended, lacks.length > 0 ? PARTLY : 0);
    create = false;
  }
  return status;
}

/** Throws USAGE unless one source is given, with the path of dated directories. */
function requireFitting({ importedSource, importedSets, keptAs }: Options): void {
  const wrong = (why: string): never => {
    throw new TardisError('USAGE', why);
  };
  if (importedSource === undefined && importedSets === undefined) {
    wrong('give a source: a directory, restic:REPOSITORY, borg:REPOSITORY, or --sets');
  }
  if (importedSource !== undefined && importedSets !== undefined) wrong('give one source');
  if (importedSets === undefined) {
    if (keptAs.length > 0) wrong('the source has the paths: omit --kept-as');
  } else if (keptAs.length !== 1) wrong('give the path that the directory had, by one --kept-as');
}

/**
 * Returns the settings of a backup to a store on this machine: those of the import, and the defaults of all others. No file
 * is read for these, since a server, hooks or an account there are not those of an import.
 */
function withUsual(settings: Options): Settings<'tardis'> {
  const commandLine = new Map([
    ['local', ['true']],
    ['database', [byteText(settings.database)]],
    ['defaultsFile', ['']],
  ]);
  const usual = resolveSettings('tardis', { commandLine, environment: {} });
  return { ...usual, ...settings, sources: new Map([...usual.sources, ...settings.sources]) };
}

/** Returns the sets of the client; none if the client or the store does not exist. */
async function setsThere(settings: Settings<'tardis'>): Promise<readonly BackupSet[]> {
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
