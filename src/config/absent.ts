/**
 * Options, variables and keys of the predecessor programs (Tardis, Neophytos) that this release rejects, or spells
 * otherwise. Using one is an error, whose message gives the reason or the replacement. None is an alias, since a short
 * letter may mean something else in another command.
 */
import { TardisError } from '../errors/index.js';
import { NEOPHYTOS_ONLY } from './neophytos.js';
import type { Tool } from './tools.js';
import { isNo } from './values.js';

export type AbsentKind =
  | 'variable'
  | 'client key'
  | 'server key'
  | 'option'
  | 'mount option'
  | 'command';

interface AbsentRow {
  readonly name: string;
  readonly kind: AbsentKind;
  /** The commands that reject an option; all if undefined. */
  readonly tools?: readonly Tool[];
  /** End of the error message: why the name is rejected, and its replacement if there is one. */
  readonly instead: string;
}

/** Returns the rows of names: by the names, separated by blanks, the end of their message. */
function all(
  kind: AbsentKind,
  spellings: Readonly<Record<string, string>>,
  tools?: readonly Tool[],
): AbsentRow[] {
  const ofTools = tools === undefined ? {} : { tools };
  return Object.entries(spellings).flatMap(([names, instead]) =>
    names.split(' ').map((name) => ({ name, kind, ...ofTools, instead })),
  );
}

/** Returns the rows of options that only some commands reject. */
const optionsOf = (tools: readonly Tool[], spellings: Readonly<Record<string, string>>) =>
  all('option', spellings, tools);

const NO_SCHEMA = 'is not supported: the schema is part of the program';
const NO_JOURNAL = 'is not supported: commit records in the packs replace the journal';
const NO_PROMPT_LIMIT = 'is not needed: a prompt waits until it is answered';
const NOT_FORCED =
  'is not supported: a session whose client is gone ends by itself, and a running session is not ended';
const BY_TIME =
  'is from an older Tardis: remove it; each run saves what has changed, and Formats names its set by the time';
const ALWAYS_SAVED =
  'is not needed: extended attributes and ACLs are always saved; a restore leaves them out with --no-set-attrs';
const ALWAYS_CHECKED =
  'is not needed: a content that does not match its digest is never restored, and is named';
const SET_AS_WORD = 'is written without an option: give the number or name of the set itself';
const DATE_OF_SET =
  'is not supported: `lstardis -d DATE` shows the set of a date; give its number or name itself';
const ONE_TAG =
  'is not supported: several sets may have one tag; `sonic tag --remove WORD SET` takes it from one';
const MESSAGES = 'is not needed: messages are as large as the link and the memory allow';
const RULES =
  'is not supported: --purge follows the rules of the server or those of `sonic setconfig`; see --keep-daily of `sonic purge`';
const LINKS_AS_SAVED = 'links are shown as they were backed up';

export const ABSENT: readonly AbsentRow[] = [
  ...all('variable', {
    TARDIS_SCHEMA: NO_SCHEMA,
    TARDIS_JOURNAL: NO_JOURNAL,
    TARDIS_PWTIMEOUT: NO_PROMPT_LIMIT,
  }),
  ...all('server key', {
    Schema: NO_SCHEMA,
    JournalFile: NO_JOURNAL,
    DBBackups:
      'is not supported: the packs hold all that a catalog has, and `sonic rebuild --quick` makes it again',
    'MonthPrio WeekPrio DayPrio':
      'is from an older Tardis: use Priorities, with one number for each of Formats',
    'MonthFmt WeekFmt DayFmt':
      'is from an older Tardis: use Formats, with one word for each kind of set',
    'MonthKeep WeekKeep DayKeep':
      'is from an older Tardis: use KeepPeriods, with one time for each of Formats (0: for ever)',
  }),
  ...all('client key', {
    PasswordTimeout: NO_PROMPT_LIMIT,
    PassswordProg: 'is misspelt: write PasswordProg',
    Force: NOT_FORCED,
  }),
  ...all('option', {
    '--names --dirs --files --meta':
      'is not supported: `sonic encrypt --all` does all steps as one job, which continues after an interruption',
    '--noauthenticate':
      'is not supported: contents are always checked, and those that do not match their digest are reported and left out; --authenticate requires proof of the set, too',
    '--clients': 'is not supported: use `sonic clients`',
    '--force': NOT_FORCED,
  }),
  ...NEOPHYTOS_ONLY.flatMap(({ option, ours, why }) => {
    const instead = ours === undefined ? 'is not supported' : `is replaced by ${ours}`;
    return all('option', { [option]: `of Neophytos ${instead}: ${why}` });
  }),
  ...optionsOf(['tardis'], {
    '-A -H': BY_TIME,
    '-s': 'is written --server HOST',
    '-p': 'is written --port N',
    '-l --log': 'is written --logfile FILE',
    '-S': 'is written --send-config',
    '-Z': 'is written --compress-data CODEC',
    '-z': 'is written --nocompress TYPE',
    '-d': 'is written --maxdepth N',
    '--nocompress-types': 'is written --nocompress-file FILE',
    '--cks-content': 'is written --checksum-content SIZE',
    '--signature': 'is written --send-sig',
    '-t': 'is written --tag WORD',
    '-M --movetag': ONE_TAG,
    '-Y': 'is written --compress-msgs CODEC',
    '-L --clones --minclones --ckbatchsize --chunksize --dirslice': MESSAGES,
    '--logmessages': 'is not supported: --stats prints what was sent',
    '--deltathreshold': 'is a setting of the server: MaxChangePercent',
    '--purge-priority --keep-days --keep-hours --keep-time': RULES,
    '--xattr --no-xattr --noxattr --acl --no-acl --noacl': ALWAYS_SAVED,
  }),
  ...optionsOf(['regenerate'], {
    '--verify-action --authfail-action': ALWAYS_CHECKED,
    '--recovername': 'is not supported: with --checksum a file has its digest as name',
    '--reduce-path': 'is written --output DIRECTORY, below which --hierarchy puts whole paths',
    '--set-acl': 'is written --set-attrs, which restores ACLs too',
    '--no-set-acl': 'is written --no-set-attrs, which leaves out ACLs too',
  }),
  ...optionsOf(['sonic tag'], {
    '-b --backup': SET_AS_WORD,
    '-t --tag': 'is written --add WORD, or --remove WORD',
    '-m --move': ONE_TAG,
  }),
  ...optionsOf(['sonic files', 'sonic info'], {
    '-b --backup': SET_AS_WORD,
    '-d --date': DATE_OF_SET,
  }),
  ...optionsOf(['sonic files'], {
    '-H --human': 'is the default: sizes have units; --bytes prints them as numbers',
    '--previous':
      'is not needed: changes since the set before are listed; --since SET takes another one',
  }),
  ...optionsOf(['sonic purge', 'sonic delete'], {
    '--confirm': 'is the default: sets are deleted after a question; --yes answers it',
    '--noconfirm --no-confirm': 'is written --yes',
  }),
  ...optionsOf(['sonic purge'], {
    '-d --date': 'is written --before DATE',
    '-b --backup':
      'is not supported: give --before with the time of that set, which `lstardis` prints',
    '--incomplete':
      'is not needed: an unfinished set goes when a set of its directories is complete; `sonic delete` deletes it before',
  }),
  ...optionsOf(['sonic delete', 'sonic priority', 'sonic rename'], { '-b --backup': SET_AS_WORD }),
  ...optionsOf(['sonic rename'], { '--name': 'is written --to NAME' }),
  ...optionsOf(['sonic priority'], { '--priority': 'is written --to N' }),
  ...optionsOf(['sonic keys'], { '--delete': 'is written --extract --remove' }),
  ...optionsOf(['sonic getconfig', 'sonic setconfig'], {
    '--key': 'is written without an option: give the key itself, and then its value',
  }),
  ...all('mount option', {
    dbname: 'is not supported: set TARDIS_DBNAME, in /etc/tardis/system.defaults for fstab',
    current: 'is not supported: set TARDIS_RECENT_SET, in /etc/tardis/system.defaults for fstab',
    verbose: 'is not needed: errors are always logged, in the file of log=FILE',
    cachetime: 'is written refresh=SECONDS',
    repoint: `is not supported: ${LINKS_AS_SAVED}`,
    norepoint: `is not needed: ${LINKS_AS_SAVED}`,
    crypt: 'is not needed: a client that encrypts is decrypted with its password or keys',
    nocrypt: 'is not supported: names that are sealed are not shown; leave it out',
    noauth:
      'is not supported: contents are always checked; allow-unproven shows what cannot be proven',
  }),
];

/** True for the client key `Force` with a value that means no. This has no effect, so it is not rejected. */
export function requestsNothing(kind: AbsentKind, name: string, text: string): boolean {
  return kind === 'client key' && name.toLowerCase() === 'force' && isNo(text);
}

/**
 * Throws CAPABILITY_MISSING if the name is in the table, for this command if it is one of some commands; otherwise does
 * nothing.
 */
export function refuseAbsent(kind: AbsentKind, name: string, where: string, tool?: Tool): void {
  const wanted = kind === 'option' ? name : name.toLowerCase();
  const found = ABSENT.find(
    (row) =>
      row.kind === kind &&
      (kind === 'option' ? row.name : row.name.toLowerCase()) === wanted &&
      (row.tools === undefined || (tool !== undefined && row.tools.includes(tool))),
  );
  if (found === undefined) return;
  throw new TardisError('CAPABILITY_MISSING', `${where}: "${found.name}" ${found.instead}`, {
    name: found.name,
  });
}
