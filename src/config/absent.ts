/**
 * Names of the seeds that this release refuses, in one table: those of capabilities still to come, and
 * those that have no place in this design, with what to do instead. Using one is an error.
 */
import { TardisError } from '../errors/index.js';
import { NEOPHYTOS_ONLY } from './neophytos.js';

export type AbsentKind = 'variable' | 'client key' | 'server key' | 'option' | 'command';

export interface AbsentRow {
  readonly name: string;
  readonly kind: AbsentKind;
  /** What it belongs to, and will come with. */
  readonly capability?: string;
  /** What does its work here, where it will not come. */
  readonly instead?: string;
}

const later = (
  capability: string,
  kind: AbsentKind,
  names: readonly string[],
): readonly AbsentRow[] => names.map((name) => ({ name, kind, capability }));

const replaced = (
  names: readonly [kind: AbsentKind, name: string][],
  instead: string,
): readonly AbsentRow[] => names.map(([kind, name]) => ({ name, kind, instead }));

export const ABSENT: readonly AbsentRow[] = [
  ...later('web access', 'variable', [
    'TARDIS_REMOTE_PORT',
    'TARDIS_REMOTE_CONFIG',
    'TARDIS_REMOTE_PIDFILE',
  ]),
  ...replaced(
    [
      ['variable', 'TARDIS_SCHEMA'],
      ['server key', 'Schema'],
    ],
    'has no place here: the schema belongs to the program',
  ),
  ...replaced(
    [['server key', 'JournalFile']],
    'has no place here: commit records in the packs do its work',
  ),
  ...replaced(
    [
      ['option', '--names'],
      ['option', '--dirs'],
      ['option', '--files'],
      ['option', '--meta'],
    ],
    'has no place here: `sonic encrypt --all` does all of it as one job, which goes on where it was broken off',
  ),
  ...NEOPHYTOS_ONLY.map(({ option, ours, why }): AbsentRow => {
    const instead = ours === undefined ? 'has no place here' : `is written ${ours} here`;
    return { name: option, kind: 'option', instead: `of Neophytos ${instead}: ${why}` };
  }),
  ...replaced(
    [['option', '--noauthenticate']],
    'has no place here: contents are always checked, and what does not fit its digest is told and left out; ' +
      '--authenticate insists that the set is proven too',
  ),
  ...replaced(
    [
      ['server key', 'MonthPrio'],
      ['server key', 'WeekPrio'],
      ['server key', 'DayPrio'],
    ],
    'is of an older release: write Priorities, with one number for each of Formats',
  ),
  ...replaced([['client key', 'PassswordProg']], 'is a slip of the pen: write PasswordProg'),
  ...replaced(
    [
      ['client key', 'Force'],
      ['option', '--force'],
    ],
    'has no place here: a session whose client is gone makes way by itself, one that runs is not ended',
  ),
];

/** Refuses a name of the table (CAPABILITY_MISSING); any other name is left to the caller. */
export function refuseAbsent(kind: AbsentKind, name: string, where: string): void {
  const wanted = kind === 'option' ? name : name.toLowerCase();
  const found = ABSENT.find(
    (row) =>
      row.kind === kind && (kind === 'option' ? row.name : row.name.toLowerCase()) === wanted,
  );
  if (found === undefined) return;
  const why =
    found.instead ?? `belongs to a capability this release does not have: ${found.capability}`;
  throw new TardisError('CAPABILITY_MISSING', `${where}: "${found.name}" ${why}`, {
    name: found.name,
  });
}
