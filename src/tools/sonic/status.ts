/**
 * Implements `sonic status`: shows the state of a client's backups, from the store, the timer of systemd and the
 * configuration. A store on this machine is read without its keys.
 */
import { isBucket, type Settings } from '../../config/index.js';
import { asTardisError, type TardisError } from '../../errors/index.js';
import {
  type BackupSet,
  type ClientOverview,
  type History,
  openLocalHistory,
  stateOf,
} from '../../history/index.js';
import {
  ageText,
  type ClientState,
  clientState,
  type ClientStateName,
  countErrors,
  displayName,
  displayText,
  jsonName,
  lateSeconds,
  nextBackupMs,
  NO_FACTS,
  type RunRecord,
  savedAtMs,
  shownRoots,
} from '../../model/index.js';
import { overviewOf } from '../../server/index.js';
import { closeSharedStores, shownStore } from '../../store/index.js';
import { byteText, type DiskSpace, nodeSystem, type System } from '../../system/index.js';
import { withReports } from '../opening/history.js';
import { backupMemoryOf, type Remembered } from '../opening/backup-memory.js';
import { clientPlace, newPlace, newPlaceText } from '../opening/local-store.js';
import { ownOverview, waitingFor } from '../opening/run-note.js';
import { counted, formatBytes, formatTable, formatTime } from '../output/units.js';
import { configuredPaths, configuredSettings, rootsFor } from '../shared/configured.js';
import { inBucket } from '../shared/tool-store.js';
import { jsonText, print, printJson } from '../output/output.js';
import { type BackupTimer, backupTimer } from './backup-timer.js';

type Options = Settings<'sonic status'>;

/** Exit status of each state. */
const STATUS_OF: Readonly<Record<ClientStateName, number>> = {
  good: 0,
  running: 0,
  warned: 3,
  late: 4,
  failed: 5,
  never: 6,
  unknown: 10,
};

type RootsOf = ReturnType<typeof rootsFor>;

/** Facts that the store shows. */
interface Look {
  /** Undefined if the store has no such client. */
  readonly overview: ClientOverview | undefined;
  readonly sets: readonly BackupSet[];
  /** Paths of the sources in the newest complete set; empty if their names are encrypted. */
  readonly roots: readonly Buffer[];
  readonly isEncrypted: boolean;
  readonly space: DiskSpace | undefined;
}

const NOTHING: Look = {
  overview: undefined,
  sets: [],
  roots: [],
  isEncrypted: false,
  space: undefined,
};

/** All that is shown. */
interface Shown {
  readonly state: ClientState;
  readonly newest: BackupSet | undefined;
  /** Time up to which all that is configured is saved, as far as that is known. */
  readonly savedMs: number | undefined;
  readonly configured: readonly Buffer[] | undefined;
  readonly look: Look;
  readonly timer: BackupTimer | undefined;
  readonly nowMs: number;
  /** Code of the error that hides the store; undefined if there is none. */
  readonly code: string | undefined;
  /** Facts that this machine remembers, for a store that is hidden. */
  readonly known: Remembered;
}

export async function status(options: Options): Promise<number> {
  const system = nodeSystem();
  const isUsual = isUsualStore(options);
  if (isUsual && !isStoreThere(system, options)) return nothingSetUp(options);
  const settings = configuredSettings(options);
  const { look, fault } = await lookIfThere(system, options, rootsFor(settings));
  // The usual store may be that of a server, which its users cannot read.
  if (isUsual && fault?.code === 'STORE_NOT_READABLE') return nothingSetUp(options);
  const nowMs = system.clock.nowMs();
  const timer = isFromFile(options) ? backupTimer() : undefined;
  const configured = settings?.directories;
  const { overview } = look;
  const own = { lateAfterMs: lateSeconds(options.schedule, options.overdueSeconds) * 1000 };
  const state =
    overview === undefined ? stateWithout(fault, nowMs) : stateOf(overview, { nowMs, ...own });
  const savedMs = overview && savedAtMs(overview);
  const known = rememberedOf(
    options,
    configuredPaths(settings),
    fault === undefined ? { savedMs, nowMs } : undefined,
  );
  // A newer set of something else is not the last good backup.
  const good = look.sets.findLast((set) => set.state === 'complete' && endOf(set) === savedMs);
  const about = { newest: good, savedMs: savedMs ?? known.lastGoodMs, configured };
  const shown: Shown = { ...about, state, look, timer, nowMs, code: fault?.code, known };
  print(options.json ? jsonText(jsonOf(options, shown)) : textOf(options, shown));
  return STATUS_OF[state.state];
}

/** Returns the state of a client of which nothing is known but an error; without one, there is no client yet. */
function stateWithout(fault: TardisError | undefined, nowMs: number): ClientState {
  const text = fault === undefined ? '' : displayText(fault.message);
  const state = clientState({ ...NO_FACTS, fault: text }, nowMs);
  return fault === undefined ? state : { ...state, advice: fault.row.guidance };
}

/** Returns what this machine remembers of the client, after it has noted what was seen now. */
function rememberedOf(
  options: Options,
  roots: readonly Buffer[] | undefined,
  seen: { readonly savedMs: number | undefined; readonly nowMs: number } | undefined,
): Remembered {
  const { client, throughServer: server, database } = options;
  const place = { client, server: server ?? '' };
  const memory = backupMemoryOf(place, server === undefined ? database : undefined, roots);
  if (seen !== undefined && isFromFile(options)) {
    const { savedMs = 0, nowMs } = seen;
    memory.note({ seenAtMs: nowMs, ...(savedMs > 0 && { lastGoodMs: savedMs }) }); // failure: it is noted next time
  }
  return memory.read();
}

function endOf({ closedAtMs, openedAtMs }: BackupSet): number {
  return closedAtMs ?? openedAtMs;
}

/** True if a configuration names what is backed up, so that a timer may belong to it. */
function isFromFile({ sources }: Options): boolean {
  return [...sources.values()].some(({ source }) => source === 'configuration file');
}

/** True if nothing names a store or a server. */
function isUsualStore({ sources, throughServer }: Options): boolean {
  return sources.get('database')?.source === 'built-in' && throughServer === undefined;
}

function isStoreThere({ files }: System, { database }: Options): boolean {
  return files.status(byteText(database)) !== undefined;
}

const FIRST_STEPS = [
  ['tardis setup', 'sets up backups: a few questions, then the first backup'],
  ['tardis -D /media/disk/backups --local --create ~', 'backs up a directory once'],
  ['tardis restore -D /media/disk/backups ~/letters', 'restores a file or directory'],
] as const;

function nothingSetUp({ json }: Options): number {
  const { state, reason, advice } = clientState(NO_FACTS, 0);
  if (json) printJson({ state, reason, advice });
  else {
    print('No backups are set up for this user.\n');
    print(
      formatTable(
        FIRST_STEPS.map(([line, what]) => [`  ${line}`, what]),
        [],
      ),
    );
    print('\n`tardis --help` lists all commands.');
  }
  return STATUS_OF[state];
}

/** Kinds of errors that concern the command or the program, not the state of the store. */
const OF_THE_COMMAND: readonly string[] = ['user', 'bug', 'interrupted'];
const NOT_THERE_STATUS = 10;

/** Returns what the store shows, and the error that hides it. Throws other errors, such as that of a wrong password. */
async function lookIfThere(
  system: System,
  options: Options,
  rootsOf: RootsOf,
): Promise<{ look: Look; fault?: TardisError }> {
  try {
    const look =
      options.throughServer === undefined ? lookNear(system, options, rootsOf) : lookThere(options);
    return { look: await look };
  } catch (thrown) {
    const fault = asTardisError(thrown);
    const { kind, exitStatus } = fault.row;
    if (OF_THE_COMMAND.includes(kind) && exitStatus !== NOT_THERE_STATUS) throw fault;
    // Without a backup, the store exists before its client.
    return fault.code === 'NO_SUCH_CLIENT' ? { look: NOTHING } : { look: NOTHING, fault };
  }
}

/** Reads a store on this machine, or in a bucket. Throws the errors of opening it. */
async function lookNear(system: System, options: Options, rootsOf: RootsOf): Promise<Look> {
  if (!isBucket(options.sources.get('database'))) return lookHere(system, options, rootsOf);
  try {
    return await lookHere(system, await inBucket('sonic status', options), rootsOf);
  } finally {
    await closeSharedStores();
  }
}

/** Reads a store on this machine without keys. Throws the errors of opening it. */
async function lookHere(system: System, options: Options, configured: RootsOf): Promise<Look> {
  const place = clientPlace(options);
  using history = openLocalHistory(system, place);
  const waiting = (client: string): RunRecord[] => waitingFor(options, client);
  const [overview] = await overviewOf(system, { ...place, waiting, configured }, [place.client]);
  const isEncrypted = overview?.protection === 'encrypted';
  return { ...(await lookIn(history, isEncrypted)), overview };
}

/** Reads a store through its server. Throws the errors of the login. */
function lookThere(options: Options): Promise<Look> {
  return withReports(options, async (history) => ({
    ...(await lookIn(history, history.contentKeys !== undefined)),
    overview: await ownOverview(history, waitingFor(options, options.client)),
  }));
}

async function lookIn(history: History, isEncrypted: boolean): Promise<Omit<Look, 'overview'>> {
  const sets = await history.sets();
  const { space } = await history.reports.store();
  const newest = sets.findLast(({ state }) => state === 'complete');
  const isReadable = newest !== undefined && (!isEncrypted || history.contentKeys !== undefined);
  const roots = isReadable ? await history.roots(newest.set) : [];
  const shown = shownRoots(roots.map(({ path: root }) => root));
  return { sets, roots: shown, isEncrypted, space };
}

/** Returns the time of the next backup; undefined if nothing plans one. */
function nextAt(
  { schedule }: Options,
  { timer, savedMs, nowMs, known }: Pick<Shown, 'timer' | 'savedMs' | 'nowMs' | 'known'>,
): number | undefined {
  const { failedAtMs } = known;
  return nextBackupMs(schedule, timer?.nextAtMs, { lastGoodMs: savedMs, failedAtMs }, nowMs);
}

function spaceOf({ space }: Look): { freeBytes: number; totalBytes: number } | undefined {
  if (space === undefined || space.blocks === 0) return undefined;
  const { availableBlocks, blocks, blockBytes } = space;
  return { freeBytes: availableBlocks * blockBytes, totalBytes: blocks * blockBytes };
}

function jsonOf(options: Options, shown: Shown): object {
  const { state, newest, look, timer, code, known, configured } = shown;
  const { client, throughServer, database } = options;
  const { entries, scannedBytes } = newest?.stats ?? {};
  return {
    ...state,
    code,
    client,
    ...(throughServer === undefined
      ? { store: shownStore(byteText(database)) }
      : { server: throughServer }),
    isEncrypted: look.isEncrypted,
    sources: (configured ?? look.roots).map(jsonName),
    lastGood: newest && {
      set: newest.set,
      name: newest.name,
      closedAtMs: endOf(newest),
      entries,
      scannedBytes,
      unread: countErrors(newest.stats),
    },
    ...(code !== undefined && { remembered: known }),
    nextAtMs: nextAt(options, shown),
    timer: timer?.name,
    sets: look.sets.filter(({ state: one }) => one === 'complete').length,
    ...spaceOf(look),
  };
}

function textOf(options: Options, shown: Shown): string {
  const { state, look, configured } = shown;
  const complete = look.sets.filter((set) => set.state === 'complete');
  const space = spaceOf(look);
  const rows = [
    ['last good', lastText(shown)],
    ['what', (configured ?? look.roots).map(displayName).join(', ')],
    ['where', whereText(options, shown)],
    ['next', nextText(options, shown)],
    ['sets', complete.length === 0 ? '' : String(complete.length)],
    [
      'space',
      space === undefined
        ? ''
        : `${formatBytes(space.freeBytes)} of ${formatBytes(space.totalBytes)} are free`,
    ],
    ['quota', quotaText(look)],
    ['last check', complete.length === 0 ? '' : (state.proof?.read ?? '')],
    ['last restore', complete.length === 0 ? '' : restoreText(shown)],
  ].filter(([, text]) => text !== '');
  const advice = state.advice === '' ? [] : [`What to do: ${state.advice}`];
  return [`${state.state}: ${state.reason}`, ...advice, '', formatTable(rows, [])].join('\n');
}

function lastText({ newest, nowMs, code, known: { lastGoodMs } }: Shown): string {
  if (newest === undefined) {
    if (code === undefined || lastGoodMs === undefined) return 'none';
    return `${formatTime(lastGoodMs)}, ${ageText(nowMs - lastGoodMs)} ago, as this machine remembers`;
  }
  const ago = `${formatTime(endOf(newest))}, ${ageText(Math.max(0, nowMs - endOf(newest)))} ago`;
  const { entries = 0, scannedBytes = 0 } = newest.stats;
  const unread = countErrors(newest.stats);
  const warned = unread === 0 ? '' : `; ${counted(unread, 'entry', 'entries')} not read`;
  const what = `${counted(entries, 'entry', 'entries')}, ${formatBytes(scannedBytes)}`;
  return `${ago}: set ${newest.set}, ${what}${warned}`;
}

function whereText(options: Options, shown: Shown): string {
  const { look, code, newest, nowMs } = shown;
  const { seenAtMs } = shown.known;
  const since = seenAtMs === undefined ? '' : `; last seen ${ageText(nowMs - seenAtMs)} ago`;
  const { client, throughServer, database } = options;
  const store = byteText(database);
  const place =
    throughServer === undefined
      ? code === 'NO_SUCH_STORE'
        ? `${displayText(shownStore(store))} (not there${since})`
        : newPlaceText(newPlace(store, store, []))
      : `the server ${displayText(throughServer)}`;
  const protection =
    newest === undefined ? '' : look.isEncrypted ? ', encrypted' : ', not encrypted';
  return `${place}; client "${displayText(client)}"${protection}`;
}

function nextText(options: Options, shown: Shown): string {
  const next = nextAt(options, shown);
  const { timer, nowMs } = shown;
  if (next === undefined)
    return timer === undefined ? 'no schedule' : `${timer.name} is not started`;
  const time = next <= nowMs ? 'now' : formatTime(next);
  if (timer === undefined) return `${time} by the schedule, but no timer of systemd runs it`;
  if (timer.nextAtMs === undefined)
    return `${time} by the schedule, but ${timer.name} is not started`;
  return `${time} (${timer.name} of the ${timer.scope})`;
}

function quotaText({ overview }: Look): string {
  const { quotaBytes = 0, accountBytes = 0, usedBytes = 0 } = overview ?? {};
  if (quotaBytes === 0) return '';
  const own =
    usedBytes === accountBytes ? '' : `, ${formatBytes(usedBytes)} of them by this client`;
  return `${formatBytes(accountBytes)} of ${formatBytes(quotaBytes)} are used${own}`;
}

function restoreText({ state: { proof } }: Shown): string {
  return proof === undefined ? '' : `${proof.reason} ${proof.advice}`.trim();
}
