/**
 * Backs up each state that another program has kept, as a set of its date. A later run goes on where one was broken off, since
 * the sets of the store are read first.
 */
import { resolveSettings, type Settings } from '../../config/index.js';
import { asTardisError, refuse, usageError } from '../../errors/index.js';
import type { BackupSet } from '../../history/index.js';
import { displayText, setNameFault } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { keysOf, promptFor } from '../opening/keys.js';
import { clientPlace } from '../opening/local-store.js';
import { givenPassword, requirePassword, withTyped } from '../opening/password.js';
import { formatTable, formatTime } from '../output/units.js';
import { complain } from '../output/command-names.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { byteText, nodeSystem } from '../../system/index.js';
import { localOnDemand } from '../tardis/local-server.js';
import { backUp, type KeptJobs } from '../tardis/run.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { openSource, type State, type StateRoot } from './import-sources.js';
import { Verification } from './verify-sets.js';

type Options = Settings<'tardis-import'>;

/** A state, and whether the store has its set. A set that is `late` could no longer get its place. */
interface PlannedSet {
  readonly state: State;
  readonly place: 'there' | 'new' | 'late';
}

/**
 * Backs up the states that the store lacks, the oldest first, and compares all with their sets if that is requested. Returns
 * the highest exit status. Throws USAGE for options that do not fit, and for a state that is older than the newest set.
 */
export async function importSets(options: Options, signal: AbortSignal): Promise<number> {
  requireFitting(options);
  const settings = await withPassword(withUsual(options));
  using source = await openSource(options, signal);
  const sets = await setsThere(settings);
  const planned = planOf(source.states, sets, options.verifySets);
  if (settings.dryRun) {
    onlyShows();
    printPlan(planned, settings.json);
    return 0;
  }
  using verification = options.verifySets ? new Verification(settings, signal) : undefined;
  const keptJobs: KeptJobs = {};
  const run = { signal, keptStretch: {}, keptJobs, program: 'tardis-import' } as const;
  let status = 0;
  let imported = 0;
  let create = settings.create && sets.length === 0;
  try {
    for (const { state, place } of planned) {
      if (place === 'late') verification?.missing(state);
      if (place === 'late' || (place === 'there' && verification === undefined)) continue;
      const { roots, lacks } = await state.show();
      for (const lack of lacks) complain('tardis-import', displayText(`${state.shown}: ${lack}`));
      if (lacks.length > 0) status = PARTLY;
      if (place === 'new') {
        const importing = () => importState({ ...settings, create }, state, roots, run);
        status = Math.max(status, await (verification?.whileWriting(importing) ?? importing()));
        imported += 1;
        noteNumbers({ sets: 1 });
        create = false;
      }
      await verification?.compare(state, roots);
    }
  } finally {
    await keptJobs.runner?.close();
  }
  return verification?.hasFound === true ? Math.max(status, PARTLY) : status;
}

/** Backs up one state. Returns the exit status. */
async function importState(
  settings: Settings<'tardis'>,
  { name, dateMs, priority = 0, tags = [] }: State,
  roots: readonly StateRoot[],
  run: Parameters<typeof backUp>[2],
): Promise<number> {
  const given = {
    ...settings,
    directories: roots.map(({ directory }) => directory),
    keptAs: roots.map(({ keptAs }) => keptAs),
    setName: name,
    priority,
    tags,
    // Nothing may be kept from the set before, since what a past state lacks was not there.
    trustRoots: true,
    // Dates in the past would let rules for the present delete what was just imported.
    purge: false,
  };
  return backUp(given, localOnDemand(given, { dateMs }), { ...run, datedMs: dateMs });
}

/** Throws USAGE unless one source is given, with the path of dated directories. */
function requireFitting(options: Options): void {
  const { importedSource, importedSets, keptAs, verifySets, dryRun } = options;
  if (importedSource === undefined && importedSets === undefined) {
    refuse('give a source: a directory, restic:REPOSITORY, borg:REPOSITORY, or --sets');
  }
  if (dryRun && verifySets) refuse('a dry run compares nothing: omit --verify or --dry-run');
  if (importedSource !== undefined && importedSets !== undefined) refuse('give one source');
  if (importedSets === undefined) {
    if (keptAs.length > 0) refuse('the source has the paths: omit --kept-as');
  } else if (keptAs.length > 1) refuse('give the path that the directory had, by one --kept-as');
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

/**
 * Returns the settings with the password itself, so that it is read or typed once. Throws PASSWORD_NEEDED, and the errors of
 * reading the keys of the client.
 */
async function withPassword(settings: Settings<'tardis'>): Promise<Settings<'tardis'>> {
  const { client } = settings;
  const has = hasPasswordThere(settings);
  const password = has
    ? await requirePassword(settings, promptFor(client, undefined))
    : await givenPassword(settings, { prompt: `New password of ${client}`, isNew: true });
  return password === undefined ? settings : withTyped(settings, byteText(password));
}

/** True if the client is there and has a password. */
function hasPasswordThere(settings: Settings<'tardis'>): boolean {
  try {
    return keysOf(nodeSystem(), clientPlace(settings)) !== undefined;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return false;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = asTardisError(error);
  return code === 'NO_SUCH_STORE' || code === 'NO_SUCH_CLIENT';
}

/** Returns the sets of the client; none if the client or the store does not exist. */
async function setsThere(settings: Settings<'tardis'>): Promise<readonly BackupSet[]> {
  try {
    return await withReports({ ...settings, throughServer: undefined }, (history) =>
      history.sets(),
    );
  } catch (error) {
    if (isMissing(error) && (settings.create || settings.dryRun)) return [];
    throw error;
  }
}

/**
 * Returns the states with the places of their sets. Sets are ordered by their numbers, so a state that is not there and is
 * older than a complete set has no right place: throws USAGE, unless sets may be late.
 */
function planOf(
  states: readonly State[],
  sets: readonly BackupSet[],
  mayBeLate: boolean,
): PlannedSet[] {
  const complete = sets.filter(({ state }) => state === 'complete');
  const names = new Set(complete.map(({ firstName }) => firstName));
  const newestMs = complete.reduce((most, { openedAtMs }) => Math.max(most, openedAtMs), 0);
  return states.map((state) => {
    const { name, dateMs, shown } = state;
    const fault = setNameFault(name);
    if (fault !== undefined) {
      throw usageError(`the name of a set, "${displayText(name)}", ${fault}`);
    }
    if (names.has(name)) return { state, place: 'there' };
    if (complete.length === 0 || dateMs > newestMs) return { state, place: 'new' };
    if (!mayBeLate) {
      const why = `is not newer than the newest set (${formatTime(newestMs)}): import into a client of its own (-C NAME --create)`;
      throw usageError(`${shown} (${formatTime(dateMs)}) ${why}`);
    }
    return { state, place: 'late' };
  });
}

function printPlan(planned: readonly PlannedSet[], json: boolean): void {
  if (json) {
    const states = planned.map(({ state: { dateMs, name, shown }, place }) => ({
      source: shown,
      dateMs,
      setName: name,
      isThere: place === 'there',
    }));
    return printJson({ states });
  }
  const rows = planned.map(({ state: { dateMs, name, shown }, place }) => [
    formatTime(dateMs),
    place,
    shown,
    displayText(name),
  ]);
  print(formatTable([['DATE', 'STORE', 'SOURCE', 'SET'], ...rows], []));
}
