/**
 * Lists values for the completion of a shell: clients, sets, days, paths in a set. It never prompts and never contacts
 * a server. After an error it returns nothing.
 */
import { resolveSettings, rowsOf, type Settings, splitWords } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { begunMs, type History, listedPages, restBelow } from '../../history/index.js';
import { EntryType, joinPath, listAt, type SetNumber } from '../../model/index.js';
import { listClients } from '../../store/index.js';
import { absolutePath, byteText, type System, textBytes } from '../../system/index.js';
import { chooseSet, openUnlocked, usesServer } from '../opening/history.js';
import { keysOf, unlockClient } from '../opening/keys.js';
import { clientPlace } from '../opening/local-store.js';
import { counted, formatTime } from '../output/units.js';

export const LIVE_KINDS = ['clients', 'sets', 'days', 'paths'] as const;
export type LiveKind = (typeof LIVE_KINDS)[number];

/** One line for the shell: a value and its description. */
interface LiveValue {
  readonly value: string;
  readonly what: string;
}

interface LiveQuestion {
  readonly kind: LiveKind;
  /** The start of the value, as typed. */
  readonly prefix: string;
  /** The words typed before the prefix, without the name of the command. */
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const MOST_VALUES = 500;
/** Maximum number of entries of a directory that are read. */
const MOST_ENTRIES = 16_384;
const PAGE_ENTRIES = 1024;
/** The tool whose settings are used. They include all settings that locate the values. */
const TOOL = 'lstardis';
/** Settings that are read from the typed words. */
const WANTED: readonly string[] = [
  'database',
  'client',
  'server',
  'configFiles',
  'job',
  'backup',
  'date',
  'account',
  'keysFile',
  'passwordFile',
];

type Place = Settings<typeof TOOL>;
/** Returns the values that complete the typed words. Throws any error that prevents this. */
export async function liveValues(system: System, question: LiveQuestion): Promise<LiveValue[]> {
  const { kind, environment } = question;
  const home = environment['HOME'] ?? '';
  const words = question.words.map((word) => asMeant(word, home));
  const commandLine = givenIn(words);
  const settings = resolveSettings(TOOL, { commandLine, environment });
  if (usesServer(settings)) return [];
  const isTilde = question.prefix.startsWith('~/');
  const prefix = asMeant(question.prefix, isTilde ? '~' : home);
  if (kind === 'clients') {
    const clients = listClients(system, byteText(settings.database));
    return clients
      .filter((name) => name.startsWith(prefix))
      .slice(0, MOST_VALUES)
      .map(plainValue);
  }
  const keyring = await keyringOf(system, settings);
  const keys = keyring === 'locked' ? undefined : keyring;
  using history = openUnlocked(system, clientPlace(settings), keys);
  history.acceptOlder?.(() => undefined); // completion needs no warning
  if (kind === 'paths') return await pathsIn(history, system, { settings, typed: prefix, home });
  const named = await setsIn(history, keyring !== 'locked', kind);
  return named.filter(({ value }) => value.startsWith(prefix)).slice(0, MOST_VALUES);
}

function plainValue(value: string): LiveValue {
  return { value, what: '' };
}

/** Returns a word as the shell would pass it, although a quote in it may still be open. */
function asMeant(word: string, home: string): string {
  const closed = ['', '"', "'"].find((quote) => {
    try {
      splitWords(word + quote, 'a word');
      return true;
    } catch {
      return false; // this quote does not close the word; the next one may
    }
  });
  const meant = splitWords(word + (closed ?? ''), 'a word').join(' ');
  return meant.startsWith('~/') ? `${home}${meant.slice(1)}` : meant;
}

/** Returns the values of the settings in WANTED that the words contain. */
function givenIn(words: readonly string[]): Map<string, string[]> {
  const given = new Map<string, string[]>();
  const rows = rowsOf(TOOL).filter(([name]) => WANTED.includes(name));
  for (const [at, word] of words.entries()) {
    for (const [name, { flags = '' }] of rows) {
      const [short, long] = [/(?:^|\s)(-\w)\b/.exec(flags)?.[1], /--[a-z-]+/.exec(flags)?.[0]];
      let value: string | undefined;
      if (word === long || word === short) value = words[at + 1];
      else if (long !== undefined && word.startsWith(`${long}=`))
        value = word.slice(long.length + 1);
      else if (short !== undefined && word.startsWith(short)) value = word.slice(short.length);
      if (value !== undefined) listAt(given, name).push(value);
    }
  }
  return given;
}

/**
 * Returns the keys if a file has the password. Returns `locked` if a client with a password needs another source for
 * it, and undefined for a client without a password or without encryption.
 */
async function keyringOf(system: System, settings: Place): Promise<Keyring | 'locked' | undefined> {
  if (keysOf(system, clientPlace(settings), settings.account) === undefined) return undefined;
  const { passwordFile } = settings;
  const isFile =
    passwordFile !== undefined && system.files.status(byteText(passwordFile))?.isFile === true;
  if (!isFile) return 'locked';
  const sources = new Map(
    [...settings.sources].filter(([name]) => !/^password(Prog)?$/.test(name)),
  );
  return unlockClient(system, { ...settings, sources });
}

/** Returns the sets, newest first: all numbers and then all names; or the days of the sets. */
async function setsIn(
  history: History,
  hasNames: boolean,
  kind: 'sets' | 'days',
): Promise<LiveValue[]> {
  const sets = (await history.sets()).toReversed();
  if (kind === 'days') {
    const days = new Map<string, number>();
    for (const set of sets) {
      const [day = ''] = formatTime(begunMs(set)).split(' ');
      days.set(day, (days.get(day) ?? 0) + 1);
    }
    return [...days].map(([value, count]) => ({ value, what: counted(count, 'set') }));
  }
  const numbers = sets.map((one) => {
    const begun = formatTime(begunMs(one));
    const what = hasNames && isPlain(one.name) ? `${begun}, ${one.name}` : begun;
    return { value: String(one.set), what };
  });
  const named = hasNames ? sets.filter(({ name }) => isPlain(name)) : [];
  return [...numbers, ...named.map(({ set, name }) => ({ value: name, what: `set ${set}` }))];
}

/** True if a terminal shows every character of the text. */
function isPlain(text: string): boolean {
  return text !== '' && !/[\p{Cc}\p{Cf}\ufffd]/u.test(text);
}

/**
 * Returns completions of a typed path: the entries of its directory, in the selected set, whose names begin with its
 * last part.
 */
async function pathsIn(
  history: History,
  system: System,
  {
    settings,
    typed,
    home,
  }: { readonly settings: Place; readonly typed: string; readonly home: string },
): Promise<LiveValue[]> {
  const cut = typed.lastIndexOf('/') + 1;
  const [shown, begun] = [typed.slice(0, cut), textBytes(typed.slice(cut))];
  const written = shown.startsWith('~/') ? `${home}${shown.slice(1)}` : shown;
  const directory = absolutePath(textBytes(written === '' ? '.' : written));
  const { set } = await chooseSet(history, settings, system.clock.nowMs());
  const entries =
    (await listed(history, directory, set, begun)) ?? (await aboveRoots(history, directory, set));
  return entries
    .filter(({ name }) => name.subarray(0, begun.length).equals(begun))
    .slice(0, MOST_VALUES)
    .flatMap(({ name, isDirectory }) => {
      const text = name.toString('utf8');
      if (!isPlain(text)) return [];
      return [plainValue(`${shown}${text}${isDirectory ? '/' : ''}`)];
    });
}

interface Named {
  readonly name: Buffer;
  readonly isDirectory: boolean;
}

async function listed(
  history: History,
  path: Buffer,
  set: SetNumber,
  begun: Buffer,
): Promise<Named[] | undefined> {
  const entry = await history.find(path, set);
  if (entry?.childId === undefined) return undefined;
  if (!history.access.mayRead(entry)) return [];
  const found: Named[] = [];
  let seen = 0;
  const listing = { directory: entry.childId, set, limit: PAGE_ENTRIES, withDigests: false };
  for await (const page of listedPages(history, listing)) {
    for (const { name, type } of page) {
      if (!name.subarray(0, begun.length).equals(begun)) continue;
      found.push({ name, isDirectory: type === EntryType.directory });
    }
    seen += page.length;
    if (seen >= MOST_ENTRIES || found.length >= MOST_VALUES) break;
  }
  return found;
}

/** Returns the names in a directory that lead to roots below it. A set has no other entries above its roots. */
async function aboveRoots(history: History, path: Buffer, set: SetNumber): Promise<Named[]> {
  const names = new Map<string, Named>();
  for (const root of await history.roots(set)) {
    const [next] = restBelow(path, root.path) ?? [];
    if (next === undefined) continue;
    const isThere = (await history.find(joinPath(path, next), set))?.type;
    const isDirectory = isThere === undefined || isThere === EntryType.directory;
    names.set(next.toString('latin1'), { name: next, isDirectory });
  }
  return [...names.values()];
}
