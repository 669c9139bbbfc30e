/**
 * One run of an operation on the backups of a client, as the journal has it: the request, its user, how it ended and
 * what it did. A record is one line of JSON. It comes from a store or a peer, so each field is checked.
 */
import { createHash } from 'node:crypto';
import { type Check, type Checked, isFlag, isId, isText, mapOf, where, wordOf } from './checks.js';
import { displayLine } from './names.js';
import { shownRoot } from './root-path.js';

const NUMBERS = [
  'set',
  'sets',
  'entries',
  'files',
  'unread',
  'bytes',
  'sentBytes',
  'storedBytes',
  'freedBytes',
  /** Bytes of records that a check has read, and of all records that the client has. */
  'readBytes',
  'totalBytes',
  /** Each record was read at this time or later, in milliseconds since 1970; absent if one never was. */
  'allReadSinceMs',
  /** Faults that a check has found. */
  'faults',
  /** Age from which the server that made the record, or the configuration of a backup, takes the client for late. */
  'lateAfterMs',
] as const;
export type RunNumbers = Readonly<Partial<Record<(typeof NUMBERS)[number], number>>>;

/** The part of a record that names files. */
export interface RunWords {
  readonly roots?: readonly string[];
  readonly rules?: string;
  readonly message?: string;
}

/** Number of records that decide how a client is: those of a week in which each hour has some. */
export const RECENT_RUNS = 1024;
/** Maximum number of records that one call adds, and that one answer has beside those of a page. */
export const MAX_ADDED_RUNS = 64;
export const MAX_READ_RUNS = 4096;

const MAX_TEXT_CHARS = 255;
/** Maximum length of the rules and of the message in the words of a record. */
const MAX_WORD_CHARS = 500;
/** Maximum length of words in JSON, and by how much sealing may make them longer. */
const MAX_WORDS_CHARS = 9000;
const SEALED_FACTOR = 1.4;
/** Maximum number of roots of which a record has the ids. */
export const MAX_RUN_ROOTS = 256;
/** Maximum size of a record in bytes. */
export const MAX_RUN_BYTES: number = 24 << 10;

/** Number of bytes of the id of a run, and its form. */
export const RUN_ID_BYTES = 8;
export const RUN_ID: RegExp = /^[0-9a-f]{16}$/;
/** Form of the id of a root. */
export const ROOT_ID: RegExp = /^[\w-]{12}$/;
const CODE = /^[A-Z][A-Z_]{0,63}$/;

/** Returns the check of a text of one line. */
const lineOf = (mostChars: number): Check<string> =>
  where(isText, (text) => text.length <= mostChars && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text));
const ofForm = (form: RegExp): Check<string> => where(isText, (text) => form.test(text));

/** The fields that every record has. */
const NEEDED = {
  /** 16 hexadecimal digits. Records with one id are about one run (`distinctRuns`). */
  id: ofForm(RUN_ID),
  /** `alert` is a message of a server about the client, `rewrite` the making of a new generation of its data. */
  kind: wordOf(
    'backup',
    'check',
    'restore',
    'purge',
    'collect',
    'copy',
    'import',
    'export',
    'rewrite',
    'alert',
  ),
  /** How the run was started. `due` is `--if-due` without a timer or cron. */
  way: wordOf('hand', 'timer', 'cron', 'due', 'page', 'server'),
  /** `stopped`: by the user. `cut`: the process or the session ended without a word. */
  end: wordOf('done', 'partly', 'failed', 'stopped', 'cut'),
  /** Times by the clock of the machine that ran, in milliseconds since 1970. */
  beganMs: isId,
  endedMs: isId,
  /** Name or number of the user, and name of the machine. A server adds the account of a login. */
  by: lineOf(MAX_TEXT_CHARS),
  machine: lineOf(MAX_TEXT_CHARS),
};
/** The fields that a record may have. One that is not as it should be is dropped. */
const OPTIONAL = {
  account: lineOf(MAX_TEXT_CHARS),
  /** Code of the error; absent for a run that is done. For an alert, its kind. */
  code: ofForm(CODE),
  /** True if a backup was to save each root of its configuration, or has none. */
  isWhole: isFlag,
  /** True if the journal got the record after later ones: its place in it is that of its time. */
  isLate: where(isFlag, (isLate) => isLate),
  /** The request and the words of the error, as JSON (`RunWords`); sealed as a text if the client encrypts. */
  words: lineOf(MAX_WORDS_CHARS),
};
const isRun = mapOf(NEEDED);

export type RunRecord = Checked<typeof isRun> & {
  readonly [Name in keyof typeof OPTIONAL]?: Checked<(typeof OPTIONAL)[Name]> | undefined;
} & {
  /** Ids of the roots that its configuration has (`rootId`); for a copy, that of its target. */
  readonly configured?: readonly string[] | undefined;
  readonly numbers: RunNumbers;
};
export type RunKind = RunRecord['kind'];
export type RunWay = RunRecord['way'];
export type RunEnd = RunRecord['end'];

/** Returns the record as one line without a line feed. */
export function encodeRun(run: RunRecord): string {
  return JSON.stringify(run);
}

/** Returns the record in an untrusted line; undefined if the line is none. Unknown fields are dropped. */
export function parseRun(line: string): RunRecord | undefined {
  if (line.length > MAX_RUN_BYTES) return undefined;
  const found = jsonFields(line);
  if (!isRun(found)) return undefined;
  const { configured, numbers, ...fields }: Readonly<Record<string, unknown>> = { ...found };
  const given = fieldsOf(numbers);
  const counts = NUMBERS.flatMap((name) => (isId(given[name]) ? [[name, given[name]]] : []));
  const checks = Object.entries({ ...NEEDED, ...OPTIONAL });
  const valid = checks.flatMap(([name, is]) => (is(fields[name]) ? [[name, fields[name]]] : []));
  const isRoots = Array.isArray(configured) && configured.length <= MAX_RUN_ROOTS;
  return {
    ...(Object.fromEntries(valid) as Checked<typeof isRun>),
    ...(isRoots && { configured: configured.filter(ofForm(ROOT_ID)) }),
    numbers: Object.fromEntries(counts) as RunNumbers,
  };
}

/** Returns the words of a record that is not sealed, or was opened; nothing if there are none. */
export function wordsOf({ words }: Pick<RunRecord, 'words'>): RunWords {
  const { roots, rules, message } = jsonFields(words);
  return {
    ...(Array.isArray(roots) && { roots: roots.filter((one) => typeof one === 'string') }),
    ...(typeof rules === 'string' && { rules }),
    ...(typeof message === 'string' && { message: displayLine(message) }),
  };
}

/** Returns words as the text of a record; undefined if they are empty. Long ones are cut. */
export function encodeWords({ roots = [], rules, message }: RunWords): string | undefined {
  if (roots.length === 0 && rules === undefined && message === undefined) return undefined;
  const cut = {
    rules: rules?.slice(0, MAX_WORD_CHARS),
    message: message?.slice(0, MAX_WORD_CHARS),
  };
  for (let count = Math.min(roots.length, MAX_RUN_ROOTS); ; count = Math.floor(count / 2)) {
    const text = JSON.stringify({ roots: roots.slice(0, count), ...cut });
    if (Buffer.byteLength(text) * SEALED_FACTOR <= MAX_WORDS_CHARS || count === 0) return text;
  }
}

/** Returns the id of a root by its path, which is sealed if the client encrypts. A file has one id in both forms of its path. */
export function rootId(path: Buffer): string {
  return createHash('sha256').update(shownRoot(path)).digest('base64url').slice(0, 12);
}

/**
 * Returns records in their order, each run once: of two with one id, the one of the run itself, then one that knows its
 * end, then the first. So nobody changes a record by adding another one. Clocks may be wrong, so times give no order, but
 * for records that came late.
 */
export function distinctRuns(runs: Iterable<RunRecord>): RunRecord[] {
  const byId = new Map<string, RunRecord>();
  for (const run of runs) {
    const known = byId.get(run.id);
    if (known === undefined || weightOf(run) > weightOf(known)) byId.set(run.id, run);
  }
  const found = [...byId.values()];
  const placed = found.filter(({ isLate }) => isLate !== true);
  for (const run of found.filter(({ isLate }) => isLate === true)) {
    placed.splice(placed.findLastIndex(({ endedMs }) => endedMs <= run.endedMs) + 1, 0, run);
  }
  return placed;
}

function weightOf({ way, end }: RunRecord): number {
  return (way === 'server' ? 0 : 2) + (end === 'cut' ? 0 : 1);
}

/** Returns records as a server takes them from a client: without what only a server reports, and with the account. */
export function runsOfClient(runs: readonly RunRecord[], login: string): RunRecord[] {
  return runs
    .filter(({ kind, way }) => kind !== 'alert' && way !== 'server')
    .map(({ account: _, ...run }) => ({ ...run, ...(login !== '' && { account: login }) }));
}

/** Returns the fields of an object in JSON; none if there is no text, or it is anything else. */
export function jsonFields(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text ?? ''));
  } catch {
    return {}; // the caller finds that its fields are missing
  }
}

/** Returns the fields of an untrusted value; none if it is no object. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
