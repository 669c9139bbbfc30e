/**
 * Options, variables and keys of the predecessor programs (Tardis, Neophytos) that this release rejects. Using one is
 * an error, whose message gives the reason or the replacement.
 */
import { TardisError } from '../errors/index.js';
import { NEOPHYTOS_ONLY } from './neophytos.js';
import { MOUNT_SPELLINGS, OTHER_SPELLINGS } from './other-spellings.js';
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

const replaced = (
  names: readonly [kind: AbsentKind, name: string][],
  instead: string,
): readonly AbsentRow[] => names.map(([kind, name]) => ({ name, kind, instead }));

export const ABSENT: readonly AbsentRow[] = [
  ...replaced(
    [
      ['variable', 'TARDIS_SCHEMA'],
      ['server key', 'Schema'],
    ],
    'is not supported: the schema is part of the program',
  ),
  ...replaced(
    [
      ['server key', 'JournalFile'],
      ['variable', 'TARDIS_JOURNAL'],
    ],
    'is not supported: commit records in the packs replace the journal',
  ),
  ...replaced(
    [['server key', 'DBBackups']],
    'is not supported: the packs hold all that a catalog has, and `sonic rebuild --quick` makes it again',
  ),
  ...replaced(
    [
      ['option', '--names'],
      ['option', '--dirs'],
      ['option', '--files'],
      ['option', '--meta'],
    ],
    'is not supported: `sonic encrypt --all` does all steps as one job, which continues after an interruption',
  ),
  ...NEOPHYTOS_ONLY.map(({ option, ours, why }): AbsentRow => {
    const instead = ours === undefined ? 'is not supported' : `is replaced by ${ours}`;
    return { name: option, kind: 'option', instead: `of Neophytos ${instead}: ${why}` };
  }),
  ...replaced(
    [['option', '--noauthenticate']],
    'is not supported: contents are always checked, and those that do not match their digest are reported and left out; ' +
      '--authenticate requires proof of the set, too',
  ),
  ...replaced(
    [
      ['server key', 'MonthPrio'],
      ['server key', 'WeekPrio'],
      ['server key', 'DayPrio'],
    ],
    'is from an older Tardis: use Priorities, with one number for each of Formats',
  ),
  ...replaced(
    [
      ['variable', 'TARDIS_PWTIMEOUT'],
      ['client key', 'PasswordTimeout'],
    ],
    'is not needed: a prompt waits until it is answered',
  ),
  ...replaced([['option', '--clients']], 'is not supported: use `sonic clients`'),
  ...replaced(
    [
      ['server key', 'MonthFmt'],
      ['server key', 'WeekFmt'],
      ['server key', 'DayFmt'],
    ],
    'is from an older Tardis: use Formats, with one word for each kind of set',
  ),
  ...replaced(
    [
      ['server key', 'MonthKeep'],
      ['server key', 'WeekKeep'],
      ['server key', 'DayKeep'],
    ],
    'is from an older Tardis: use KeepPeriods, with one time for each of Formats (0: for ever)',
  ),
  ...OTHER_SPELLINGS.flatMap(({ tools, instead }) =>
    Object.entries(instead).map(
      ([name, end]): AbsentRow => ({ name, kind: 'option', tools, instead: end }),
    ),
  ),
  ...Object.entries(MOUNT_SPELLINGS).map(
    ([name, instead]): AbsentRow => ({ name, kind: 'mount option', instead }),
  ),
  ...replaced([['client key', 'PassswordProg']], 'is misspelt: write PasswordProg'),
  ...replaced(
    [
      ['client key', 'Force'],
      ['option', '--force'],
    ],
    'is not supported: a session whose client is gone ends by itself, and a running session is not ended',
  ),
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
