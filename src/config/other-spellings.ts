/**
 * Options of Tardis (Python) that are spelled otherwise here, or are not needed, by command. A short letter may mean
 * something else in another command, so none of them is an alias.
 */
import type { Tool } from './tools.js';

interface Spelling {
  readonly tools: readonly Tool[];
  /** The replacement of each option, as the end of a sentence about it. */
  readonly instead: Readonly<Record<string, string>>;
}

const ALWAYS_SAVED =
  'is not needed: extended attributes and ACLs are always saved; a restore leaves them out with --no-set-attrs';
const CONFIRMED = 'is the default: sets are deleted after a question; --yes answers it';
const SET_AS_WORD = 'is written without an option: give the number or name of the set itself';
const DATE_OF_SET =
  'is not supported: `lstardis -d DATE` shows the set of a date; give its number or name itself';

const ONE_TAG =
  'is not supported: several sets may have one tag; `sonic tag --remove WORD SET` takes it from one';
const MESSAGES = 'is not needed: messages are as large as the link and the memory allow';
const RULES =
  'is not supported: --purge follows the rules of the server or those of `sonic setconfig`; see --keep-daily of `sonic purge`';

export const OTHER_SPELLINGS: readonly Spelling[] = [
  {
    tools: ['tardis'],
    instead: {
      '-A': 'is from an older Tardis: remove it; each run saves what has changed, and Formats names its set by the time',
      '-H': 'is from an older Tardis: remove it; each run saves what has changed, and Formats names its set by the time',
      '-s': 'is written --server HOST',
      '-p': 'is written --port N',
      '-l': 'is written --logfile FILE',
      '--log': 'is written --logfile FILE',
      '-S': 'is written --send-config',
      '-Z': 'is written --compress-data CODEC',
      '-z': 'is written --nocompress TYPE',
      '-d': 'is written --maxdepth N',
      '--nocompress-types': 'is written --nocompress-file FILE',
      '--cks-content': 'is written --checksum-content SIZE',
      '--signature': 'is written --send-sig',
      '-t': 'is written --tag WORD',
      '-M': ONE_TAG,
      '--movetag': ONE_TAG,
      '-Y': 'is written --compress-msgs CODEC',
      '-L': MESSAGES,
      '--clones': MESSAGES,
      '--minclones': MESSAGES,
      '--ckbatchsize': MESSAGES,
      '--chunksize': MESSAGES,
      '--dirslice': MESSAGES,
      '--logmessages': 'is not supported: --stats prints what was sent',
      '--deltathreshold': 'is a setting of the server: MaxChangePercent',
      '--purge-priority': RULES,
      '--keep-days': RULES,
      '--keep-hours': RULES,
      '--keep-time': RULES,
      '--xattr': ALWAYS_SAVED,
      '--no-xattr': ALWAYS_SAVED,
      '--noxattr': ALWAYS_SAVED,
      '--acl': ALWAYS_SAVED,
      '--no-acl': ALWAYS_SAVED,
      '--noacl': ALWAYS_SAVED,
    },
  },
  {
    tools: ['regenerate'],
    instead: {
      '--verify-action':
        'is not needed: a content that does not match its digest is never restored, and is named',
      '--authfail-action':
        'is not needed: a content that does not match its digest is never restored, and is named',
      '--recovername': 'is not supported: with --checksum a file has its digest as name',
      '--reduce-path': 'is written --output DIRECTORY, below which --hierarchy puts whole paths',
      '--set-acl': 'is written --set-attrs, which restores ACLs too',
      '--no-set-acl': 'is written --no-set-attrs, which leaves out ACLs too',
    },
  },
  {
    tools: ['sonic tag'],
    instead: {
      '-b': SET_AS_WORD,
      '--backup': SET_AS_WORD,
      '-t': 'is written --add WORD, or --remove WORD',
      '--tag': 'is written --add WORD, or --remove WORD',
      '-m': ONE_TAG,
      '--move': ONE_TAG,
    },
  },
  {
    tools: ['sonic files', 'sonic info'],
    instead: {
      '-b': SET_AS_WORD,
      '--backup': SET_AS_WORD,
      '-d': DATE_OF_SET,
      '--date': DATE_OF_SET,
    },
  },
  {
    tools: ['sonic files'],
    instead: {
      '-H': 'is the default: sizes have units; --bytes prints them as numbers',
      '--human': 'is the default: sizes have units; --bytes prints them as numbers',
      '--previous':
        'is not needed: changes since the set before are listed; --since SET takes another one',
    },
  },
  {
    tools: ['sonic purge', 'sonic delete'],
    instead: {
      '--confirm': CONFIRMED,
      '--noconfirm': 'is written --yes',
      '--no-confirm': 'is written --yes',
    },
  },
  {
    tools: ['sonic purge'],
    instead: {
      '-d': 'is written --before DATE',
      '--date': 'is written --before DATE',
      '-b': 'is not supported: give --before with the time of that set, which `lstardis` prints',
      '--backup':
        'is not supported: give --before with the time of that set, which `lstardis` prints',
      '--incomplete':
        'is not needed: an unfinished set goes when a set of its directories is complete; `sonic delete` deletes it before',
    },
  },
  {
    tools: ['sonic delete', 'sonic priority', 'sonic rename'],
    instead: { '-b': SET_AS_WORD, '--backup': SET_AS_WORD },
  },
  { tools: ['sonic rename'], instead: { '--name': 'is written --to NAME' } },
  { tools: ['sonic priority'], instead: { '--priority': 'is written --to N' } },
  { tools: ['sonic keys'], instead: { '--delete': 'is written --extract --remove' } },
  {
    tools: ['sonic getconfig', 'sonic setconfig'],
    instead: { '--key': 'is written without an option: give the key itself, and then its value' },
  },
];

/** Mount options of `tardisfs` that are spelled otherwise or are not needed. */
export const MOUNT_SPELLINGS: Readonly<Record<string, string>> = {
  dbname: 'is not supported: set TARDIS_DBNAME, in /etc/tardis/system.defaults for fstab',
  current: 'is not supported: set TARDIS_RECENT_SET, in /etc/tardis/system.defaults for fstab',
  verbose: 'is not needed: errors are always logged, in the file of log=FILE',
  cachetime: 'is written refresh=SECONDS',
  repoint: 'is not supported: links are shown as they were backed up',
  norepoint: 'is not needed: links are shown as they were backed up',
  crypt: 'is not needed: a client that encrypts is decrypted with its password or keys',
  nocrypt: 'is not supported: names that are sealed are not shown; leave it out',
  noauth:
    'is not supported: contents are always checked; allow-unproven shows what cannot be proven',
};
