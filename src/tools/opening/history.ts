/** Opens the history that a reading tool uses, in a store on this machine or on a server, and selects one of its sets. */
import { isSetAbove, parseDate, type SettingsNamed, type Sourced } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import {
  Access,
  type BackupSet,
  type History,
  openLocalHistory,
  unsealedHistory,
} from '../../history/index.js';
import { displayText } from '../../model/index.js';
import type { RemotePlace } from '../../remote/index.js';
import { Catalog, comparePages } from '../../store/catalog/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { donePartly } from '../output/exit-status.js';
import { printWarning } from '../output/progress-line.js';
import { formatTime } from '../output/units.js';
import { openWithSameKeys, unlockClient } from './keys.js';
import { clientPlace, type PlaceSettings } from './local-store.js';
import { remotePlace, retryText, type ServerLoginSettings } from './server.js';

type BothSettings = ServerLoginSettings & PlaceSettings;
type HistorySettings = BothSettings & SettingsNamed<'reconnectSeconds'>;
type AdministeringSettings = HistorySettings & SettingsNamed<'throughServer'>;
type KeyedSettings = BothSettings & {
  /** Returns the keys for a store on this machine; by default as `unlockClient` does. */
  readonly unlock?: typeof unlockClient;
};
type ReadingSettings = KeyedSettings & SettingsNamed<'reconnectSeconds' | 'server'>;
type ReportSettings = KeyedSettings & SettingsNamed<'throughServer'>;

/** Settings for a lost connection. */
type Waiting = Pick<RemotePlace, 'patience' | 'onRetry' | 'keepsCatalog'>;

/** True if a server is used: the setting of the server has a source of higher precedence than that of the store. */
export function usesServer(settings: Sourced): boolean {
  return isSetAbove(settings, 'server', 'database');
}

interface Opening {
  /** Prints a line when a connection is lost, and when it is replaced. */
  readonly warn: (line: string) => void;
  /** True to compare the catalog of a store on this machine with the checksums of its pages, even if it is large. */
  readonly comparesAll?: boolean;
  /** True to fail if, after a lost connection, the server has another catalog. */
  readonly keepsCatalog?: boolean;
  /** False to fail at once if the first connection to a server fails. */
  readonly triesFirst?: boolean;
}

/**
 * Maximum size of a catalog that is compared with the checksums of its pages before a quick answer. The comparison of
 * 32 MiB takes about 50 milliseconds.
 */
const COMPARED_AT_ONCE_BYTES: number = 32 << 20;

/**
 * Opens the history that a tool reads. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, CATALOG_*, LOGIN_FAILED,
 * SERVER_UNREACHABLE, INSECURE_TCP_REFUSED, and other errors of opening.
 */
export async function openHistory(
  system: System,
  settings: ReadingSettings,
  { warn, comparesAll = false, keepsCatalog = false, triesFirst = true }: Opening,
): Promise<History> {
  const host = usesServer(settings) ? settings.server : undefined;
  const more = { ...waiting(settings, warn, triesFirst), keepsCatalog };
  const most = comparesAll ? Infinity : COMPARED_AT_ONCE_BYTES;
  return openAt(system, settings, { host, more, most });
}

/**
 * Warns if the catalog is damaged; the run then ends with status 3. A catalog of more than `mostBytes` is not read.
 * SQLite does not detect a flipped bit in a row, so without this a tool could print wrong rows.
 */
async function warnOfDamage(system: System, catalogPath: string, mostBytes: number): Promise<void> {
  if ((system.files.status(catalogPath)?.sizeBytes ?? 0) > mostBytes) return;
  const verdict = await comparePages(system, catalogPath, false);
  let what: string | undefined;
  if (verdict.kind === 'damaged') {
    const pages = verdict.pages === 1 ? 'a page' : `${verdict.pages} pages`;
    what = `${pages} of the catalog changed on the disk`;
  } else if (verdict.kind === 'unknown') {
    // Without page checksums, only values of wrong types can be found. Such a value would hide its row.
    const wrong = Catalog.reading(system, catalogPath, (catalog) => catalog.wrongColumns());
    if (wrong.length > 0) what = `the catalog has invalid values (${wrong.join(', ')})`;
  }
  if (what === undefined) return;
  const then = 'entries may be missing or wrong; `sonic rebuild` rebuilds it';
  printWarning(`${what}: ${then} [CATALOG_DAMAGED]`);
  donePartly();
}

/** Opens the history for a sub-command of `sonic`: through a server if one is named, otherwise from the store. */
export async function openAdministered(
  system: System,
  settings: AdministeringSettings,
  warn: (line: string) => void,
): Promise<History> {
  return openAt(system, settings, { host: settings.throughServer, more: waiting(settings, warn) });
}

/**
 * Opens the history for a tool that prints a report and does not wait for a lost server. Always closes the history.
 * Throws the errors of opening a store, or of logging in to a server.
 */
export async function withReports<T>(
  settings: ReportSettings,
  use: (history: History) => Promise<T>,
): Promise<T> {
  using history = await openAt(nodeSystem(), settings, { host: settings.throughServer });
  return await use(history);
}

/** Options of `openAt`. */
interface Reach {
  readonly host: string | undefined;
  /** Options of a lost connection; only for a server. */
  readonly more?: Waiting;
  /** Maximum size of a catalog that is compared with the checksums of its pages. */
  readonly most?: number;
}

/**
 * Opens a history. For a store on this machine whose client does not encrypt, compares a catalog of up to `most` bytes
 * with the checksums of its pages.
 */
async function openAt(
  system: System,
  settings: KeyedSettings,
  { host, more, most = COMPARED_AT_ONCE_BYTES }: Reach,
): Promise<History> {
  const { unlock = unlockClient } = settings;
  const openHere = async (): Promise<History> =>
    openUnlocked(system, clientPlace(settings), await unlock(system, settings));
  const history =
    host === undefined
      ? await openWithSameKeys(system, settings, openHere, (one) => one.close())
      : await openThere(system, { ...(await remotePlace(host, settings)), ...more });
  const { directory } = history;
  try {
    history.acceptOlder?.(warnOlder);
    // The entries of a client that encrypts are proven by their seals instead.
    if (history.contentKeys === undefined && directory !== undefined) {
      await warnOfDamage(system, directory.catalogPath, most);
    }
    return history;
  } catch (error) {
    history.close();
    throw error;
  }
}

/** Opens the history of a client on a server. Throws the errors of logging in. */
export async function openThere(system: System, place: RemotePlace): Promise<History> {
  const { openRemoteHistory } = await import('../../remote/index.js'); // most runs need no connection
  return openRemoteHistory(system, place);
}

/** Opens the history of a client on a server without a question to the user. Throws the errors of logging in. */
export async function openUnasked(host: string, settings: ServerLoginSettings): Promise<History> {
  return openThere(nodeSystem(), await remotePlace(host, { ...settings, neverPrompts: true }));
}

/** Warns that a store was rolled back. It can still be read, but the run ends with status 3. */
export function warnOlder(what: string): void {
  printWarning(`${displayText(what)} [STORE_ROLLED_BACK]`);
  donePartly();
}

function waiting(
  { reconnectSeconds, sources }: Sourced & SettingsNamed<'reconnectSeconds'>,
  warn: (line: string) => void,
  triesFirst = true,
): Waiting {
  const waitsForName = sources.get('reconnectSeconds')?.source !== 'built-in';
  return {
    patience: { forMs: reconnectSeconds * 1000, triesFirst, waitsForName },
    onRetry: (retry) => warn(retryText(retry)),
  };
}

/** Opens a store on this machine. With the keys of a client, all data of the client can be read. */
export function openUnlocked(
  system: System,
  place: ReturnType<typeof clientPlace>,
  keyring: Keyring | undefined,
): History {
  if (keyring === undefined) return openLocalHistory(system, place);
  const access = new Access(undefined);
  return unsealedHistory(openLocalHistory(system, { ...place, access }), keyring, system.native);
}

type SetChoice = SettingsNamed<'backup' | 'recentSet' | 'date'>;

/**
 * Returns a set by its number or name, by the word for the newest set, or by a date; undefined if the word is none of them. Throws
 * NO_SUCH_SET for a number or a date without a set.
 */
export async function setOfWord(
  history: History,
  word: string,
  recentSet: string,
  nowMs: number,
): Promise<BackupSet | undefined> {
  try {
    return await history.findSet(word === recentSet ? undefined : word);
  } catch (error) {
    const isDate =
      error instanceof TardisError && error.code === 'NO_SUCH_SET' && !/^\d+$/.test(word);
    if (!isDate) throw error;
    const momentMs = await parseDate(word, nowMs).catch(() => undefined);
    if (momentMs === undefined) return undefined;
    return chooseSet(history, { backup: undefined, recentSet, date: word }, nowMs);
  }
}

/** Returns the selected set. Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function chooseSet(
  history: History,
  { backup, recentSet, date }: SetChoice,
  nowMs: number,
): Promise<BackupSet> {
  if (date === undefined) return history.findSet(backup === recentSet ? undefined : backup);
  if (backup !== undefined) {
    throw usageError('--backup and --date both choose a set: give one of them');
  }
  const momentMs = await parseDate(date, nowMs);
  try {
    return await history.findSetAt(momentMs);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'NO_SUCH_SET') throw error;
    const wanted = formatTime(momentMs);
    throw new TardisError('NO_SUCH_SET', `${error.message} (${wanted})`, error.context, error);
  }
}
