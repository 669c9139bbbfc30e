/** The plan of `tardis setup`: what is backed up, where, when, and whom a failure is reported to. Parses its answers. */
import path from 'node:path';
import {
  configInvalid,
  formatValue,
  type Found,
  nearest,
  parsePlace,
  readIni,
  type SettingName,
  splitList,
  splitWords,
} from '../../config/index.js';
import { displayName, displayText, type Schedule, SCHEDULES } from '../../model/index.js';
import { spanOf } from '../../retention/index.js';
import { isClientName, type JoinCode, joinText, parseJoinCode } from '../../store/index.js';
import { configPath, homeDirectory, isThere, mountedPlace } from '../../system/index.js';
import type { Scope } from './backup-timer.js';

/** Values of rules by their names: the number of periods of which the newest set is kept, or the age up to which all are. */
export type Keep = Readonly<Record<string, string>>;
/** Keys of the rules. */
export const RULES: Readonly<Record<string, string>> = {
  all: 'KeepWithin',
  hourly: 'KeepHourly',
  daily: 'KeepDaily',
  weekly: 'KeepWeekly',
  monthly: 'KeepMonthly',
  yearly: 'KeepYearly',
};
const MOST_KEPT = 10_000;

/** Whom a failure is reported to. */
export type Report =
  | { readonly kind: 'nobody' | 'desktop' }
  | { readonly kind: 'mail' | 'url'; readonly to: string };

/** Commands around each backup, as lists of words; empty for none. */
export interface Hooks {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export const NO_HOOKS: Hooks = Object.freeze({ before: [], after: [] });

export interface Plan {
  /** Absolute paths, as byte text. */
  readonly sources: readonly string[];
  /** Directories that are left out, as byte text. */
  readonly excludes: readonly string[];
  /** Place of the store: a directory or bucket; undefined with a server. */
  readonly store: string | undefined;
  readonly server: string | undefined;
  readonly client: string;
  /** File with the password; undefined if nothing is encrypted. */
  readonly passwordFile: string | undefined;
  /** Undefined if no timer starts backups. */
  readonly time: Schedule | undefined;
  readonly scope: Scope;
  /** Undefined if every set is kept, or the server decides. */
  readonly keep: Keep | undefined;
  readonly report: Report;
  readonly hooks: Hooks;
  /** Code by which the server makes this client, as it was given; undefined without one. */
  readonly code?: string | undefined;
  /** True if the store may be on the disk of the sources. */
  readonly mayShareDisk: boolean;
  /** Settings of a bucket that were given, beside its place. */
  readonly bucket: readonly (readonly [name: SettingName, value: Found['value']])[];
  /** Lines of the configuration that somebody has added: keys of [Tardis], then other sections. */
  readonly added: readonly string[];
}

/** A plan, and the new password that was typed for it. */
export interface Chosen {
  readonly plan: Plan;
  readonly password?: Buffer | undefined;
}

/** Settings that find a bucket. */
export const BUCKET_NAMES = [
  'endpoint',
  'region',
  'addressing',
  'bucketCa',
  'singleWriter',
  'lockDays',
] as const satisfies readonly SettingName[];

/** The questions, in the order of the summary; also the keys of a file of answers. */
export const QUESTIONS = [
  'Sources',
  'Exclude',
  'Place',
  'Client',
  'Encrypt',
  'When',
  'Keep',
  'Report',
  'HookBefore',
  'HookAfter',
] as const;
export type Question = (typeof QUESTIONS)[number];
/** Keys that only a file of answers has. */
const FILE_KEYS = ['PasswordFile', 'Timer', 'SameDisk'] as const;
type Key = Question | (typeof FILE_KEYS)[number];
export type Answers = ReadonlyMap<Key, string>;
const KEYS: readonly Key[] = [...QUESTIONS, ...FILE_KEYS];

/** Returns the file in which `tardis setup` keeps the password. */
export function passwordPath(): string {
  return configPath('password');
}

/** Directories of a system whose contents no package brings back. */
const OF_A_SYSTEM = [
  '/etc',
  '/home',
  '/root',
  '/srv',
  '/var/lib',
  '/var/spool',
  '/usr/local',
  '/opt',
];

/** Reads a file of answers: a section [Setup] with the questions as keys. Throws CONFIG_INVALID. */
export function answersIn(file: Buffer): Answers {
  const shown = displayName(file);
  const answers = new Map<Key, string>();
  for (const { name, line, entries } of readIni(file, shown, 'file of answers')) {
    if (name.toLowerCase() !== 'setup') {
      throw configInvalid(
        `${shown}:${line}: there is no section [${displayText(name)}]; write [Setup]`,
      );
    }
    for (const entry of entries) {
      const key = KEYS.find((one) => one.toLowerCase() === entry.key.toLowerCase());
      if (key === undefined) {
        const near = nearest(entry.key, KEYS);
        const hint = near === undefined ? '' : ` (the nearest one is "${near}")`;
        throw configInvalid(
          `${shown}:${entry.line}: [Setup] has no key "${displayText(entry.key)}"${hint}`,
        );
      }
      answers.set(key, entry.text.trim());
    }
  }
  return answers;
}

/** Returns the plan with one answer. Throws CONFIG_INVALID for an answer that cannot be used. */
export function answered(plan: Plan, key: Key, text: string): Plan {
  return PARSERS[key](plan, text);
}

const PARSERS: Readonly<Record<Key, (plan: Plan, text: string) => Plan>> = {
  Sources: (plan, text) => ({ ...plan, sources: sourcesIn(text) }),
  Exclude: (plan, text) => ({
    ...plan,
    excludes: isNone(text) ? [] : splitList(text, 'Exclude').map((one) => absolute(one, 'Exclude')),
  }),
  Place: placeIn,
  Client: (plan, client) => {
    if (!isClientName(client)) {
      throw configInvalid(`Client: "${displayText(client)}" cannot be the name of a client`);
    }
    if (plan.code === undefined || client === plan.client) return { ...plan, client };
    throw configInvalid(`Client: the code makes the client "${plan.client}" and no other`);
  },
  // The password itself is never an answer; a question or a file has it.
  Encrypt: (plan, text) => {
    const isOn = isYes(text, 'Encrypt');
    return { ...plan, passwordFile: isOn ? (plan.passwordFile ?? passwordPath()) : undefined };
  },
  PasswordFile: (plan, text) => ({ ...plan, passwordFile: absolute(text, 'PasswordFile') }),
  When: (plan, text) => ({ ...plan, time: isNone(text) ? undefined : timeIn(text) }),
  Timer: (plan, text) => ({ ...plan, scope: scopeIn(text) }),
  Keep: (plan, text) => ({
    ...plan,
    keep: isNone(text) || text === 'all' ? undefined : keepIn(text),
  }),
  Report: (plan, text) => ({ ...plan, report: reportIn(text) }),
  HookBefore: (plan, text) => ({
    ...plan,
    hooks: { ...plan.hooks, before: hookIn(text, 'HookBefore') },
  }),
  HookAfter: (plan, text) => ({
    ...plan,
    hooks: { ...plan.hooks, after: hookIn(text, 'HookAfter') },
  }),
  SameDisk: (plan, text) => ({ ...plan, mayShareDisk: isYes(text, 'SameDisk') }),
};

const NONE: readonly string[] = ['', 'none', 'no', 'never', 'nobody', 'nothing'];

function isNone(text: string): boolean {
  return NONE.includes(text.toLowerCase());
}

function isYes(text: string, where: string): boolean {
  if (/^(?:y|yes|true|on|1)$/i.test(text)) return true;
  if (/^(?:n|no|false|off|0)$/i.test(text)) return false;
  throw configInvalid(`${where} must be yes or no, not "${displayText(text)}"`);
}

function sourcesIn(text: string): string[] {
  const word = text.toLowerCase();
  if (word === 'home') return [homeDirectory()];
  if (word === 'system') return OF_A_SYSTEM.filter((one) => isThere(one));
  const sources = splitList(text, 'Sources').map((one) => absolute(one, 'Sources'));
  if (sources.length === 0) throw configInvalid('Sources names no directory');
  const missing = sources.find((one) => !isThere(one));
  if (missing !== undefined) throw configInvalid(`Sources: there is no ${displayText(missing)}`);
  return sources;
}

/** Returns an absolute path; `~` at its beginning is the home directory. */
function absolute(text: string, where: string): string {
  const full = text.replace(/^~(?=\/|$)/, () => homeDirectory());
  if (path.isAbsolute(full)) return path.normalize(full);
  throw configInvalid(`${where} must be an absolute path, not "${displayText(text)}"`);
}

const SERVER = /^server[\s:]+(\S+)$|^(ssh:\/\/\S+)$/i;

/** Returns the plan with the server and the client of a code. */
export function joinedBy(plan: Plan, code: JoinCode): Plan {
  const { server, client } = code;
  return { ...plan, server, client, code: joinText(code), store: undefined, keep: undefined };
}

function placeIn(plan: Plan, text: string): Plan {
  if (text.startsWith('join:')) {
    const code = parseJoinCode(text);
    if (code !== undefined) return joinedBy(plan, code);
    throw configInvalid('Place: the code is not whole; it is one line, which begins with join:');
  }
  const [, named, bySsh] = SERVER.exec(text) ?? [];
  const server = named ?? bySsh;
  if (server !== undefined) {
    return { ...plan, server, code: undefined, store: undefined, keep: undefined };
  }
  const place = /^[~/]/.test(text) ? absolute(text, 'Place') : text;
  const { kind } = parsePlace(place, 'Place');
  if (kind === 'directory' && !path.isAbsolute(place)) {
    throw configInvalid(
      `Place must be an absolute path, s3://BUCKET/PREFIX, ssh://USER@HOST/PLACE, "server HOST" or a code of a server, not "${displayText(text)}"`,
    );
  }
  return { ...plan, server: undefined, code: undefined, store: mountedPlace(place) };
}

function timeIn(text: string): Schedule {
  const time = SCHEDULES.find((one) => one === text.toLowerCase());
  if (time !== undefined) return time;
  throw configInvalid(`When must be ${SCHEDULES.join(', ')} or never, not "${displayText(text)}"`);
}

function scopeIn(text: string): Scope {
  if (text === 'user' || text === 'system') return text;
  throw configInvalid(`Timer must be user or system, not "${displayText(text)}"`);
}

/** Parses rules such as `all of 2d, 14 daily, 12 monthly`. */
function keepIn(text: string): Keep {
  const keep = new Map<string, string>();
  for (const part of text.split(/,|\band\b/)) {
    const [, count = '', period = '', age, unit = ''] =
      /^\s*(?:(\d{1,5})\s+(\w+)|all\s+of\s+(\d+)\s*(\w+))\s*$/.exec(part) ?? [];
    if (age !== undefined) {
      const span = age + unit.replace(/^(h|d|w|mo|y)[a-z]*$/i, '$1'); // `2 days` is 2d
      spanOf(span, 'Keep: all of');
      keep.set('all', span);
      continue;
    }
    const isRight = period !== 'all' && Object.hasOwn(RULES, period);
    if (!isRight || Number(count) === 0 || Number(count) > MOST_KEPT) {
      throw configInvalid(
        `Keep must be like "all of 2d, 14 daily, 12 monthly", or all, not "${displayText(text)}"`,
      );
    }
    keep.set(period, String(Number(count)));
  }
  return Object.fromEntries(keep);
}

/** Returns the rules that are stored with a client; undefined if it has none. */
export function keepStored(valueOf: (key: string) => string | undefined): Keep | undefined {
  const rules = Object.entries(RULES).map(([rule, key]) => [rule, valueOf(key) ?? ''] as const);
  const given = rules.filter(([, value]) => value !== '' && value !== '0');
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

function keepText(keep: Keep | undefined): string {
  if (keep === undefined) return 'all';
  return Object.entries(keep)
    .map(([rule, value]) => (rule === 'all' ? `all of ${value}` : `${value} ${rule}`))
    .join(', ');
}

function reportIn(text: string): Report {
  if (isNone(text)) return { kind: 'nobody' };
  if (text.toLowerCase() === 'desktop') return { kind: 'desktop' };
  if (/^https?:\/\//i.test(text)) return { kind: 'url', to: text };
  const isMail = splitList(text, 'Report').every((one) => /^[\w.+-]+(?:@[^\s@]+)?$/.test(one));
  if (isMail) return { kind: 'mail', to: text };
  throw configInvalid('Report must be an address of mail, a URL, desktop or nobody');
}

function hookIn(text: string, where: string): readonly string[] {
  return isNone(text) ? [] : splitWords(text, where);
}

function hookText(words: readonly string[]): string {
  return words.length === 0 ? 'none' : formatValue([...words], { type: 'command' });
}

const SHOWN: Readonly<Record<Question, (plan: Plan) => string>> = {
  Sources: ({ sources }) => listText(sources),
  Exclude: ({ excludes }) => (excludes.length === 0 ? 'none' : listText(excludes)),
  Place: ({ server, store }) => (server === undefined ? (store ?? '') : `server ${server}`),
  Client: ({ client }) => client,
  Encrypt: ({ passwordFile }) =>
    passwordFile === undefined ? 'no' : `yes, with the password in ${passwordFile}`,
  When: ({ time }) => time ?? 'never',
  Keep: ({ server, keep }) => (server === undefined ? keepText(keep) : 'as the server does'),
  Report: ({ report }) => ('to' in report ? report.to : report.kind),
  HookBefore: ({ hooks }) => hookText(hooks.before),
  HookAfter: ({ hooks }) => hookText(hooks.after),
};

/** Returns an answer that gives what the plan has. */
export function answerText(question: Question, plan: Plan): string {
  return SHOWN[question](plan);
}

/** Returns a list as `splitList` reads it. */
function listText(items: readonly string[]): string {
  return items.map((item) => formatValue([item], { type: 'texts' })).join(', ');
}
