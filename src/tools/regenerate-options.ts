/** Which options of `regenerate` go together, and what they mean to a restore. */
import type { PolicyOptions } from '../restore/index.js';
import type { Found, SettingName, Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';

export type RegenerateSettings = Settings<'regenerate'>;

/** What does not go with what, by the names of the settings and as they are written. */
const CONFLICTS: readonly [one: SettingName, written: string, others: readonly SettingName[]][] = [
  ['last', '--last', ['backup', 'date', 'all', 'byChecksum']],
  ['all', '--all', ['paths', 'byChecksum', 'toStdout']],
  ['byChecksum', '--checksum', ['backup', 'date', 'hierarchy', 'include', 'leaveOut']],
  [
    'toStdout',
    '--stdout',
    ['output', 'tar', 'overwrite', 'compareContents', 'dryRun', 'hierarchy'],
  ],
  ['toStdout', '--stdout', ['include', 'leaveOut']],
  ['tar', '--tar', ['output', 'compareContents', 'dryRun']],
];

const WRITTEN: Readonly<Partial<Record<SettingName, string>>> = {
  paths: 'paths',
  byChecksum: '--checksum',
  leaveOut: '--exclude',
  toStdout: '--stdout',
  compareContents: '--compare-contents',
  dryRun: '--dry-run',
};

/** Throws USAGE for what does not go together. */
export function checkUsage(settings: RegenerateSettings, found: ReadonlyMap<string, Found>): void {
  const wrong = (text: string): never => {
    throw new TardisError('USAGE', text);
  };
  const isGiven = (name: SettingName): boolean => found.get(name)?.source === 'command line';
  for (const [one, written, others] of CONFLICTS) {
    const other = isGiven(one) ? others.find(isGiven) : undefined;
    if (other !== undefined) wrong(`${written} does not go with ${WRITTEN[other] ?? `--${other}`}`);
  }
  const { all, paths, toStdout, tar } = settings;
  if (!all && paths.length === 0) wrong('no path to restore was given; --all is everything');
  if (toStdout && paths.length !== 1) wrong('--stdout writes one file: name one path');
  if ((toStdout || isStdout(tar)) && process.stdout.isTTY) {
    wrong('the output is a terminal: redirect it');
  }
}

/** Whether an archive goes to standard output. */
export function isStdout(tar: Buffer | undefined): boolean {
  return tar?.toString('latin1') === '-';
}

export function policyOf(settings: RegenerateSettings): PolicyOptions {
  const { overwrite, compareContents } = settings;
  const { setTimes, setPermissions, setOwner, setAttributes } = settings;
  return { overwrite, compareContents, setTimes, setPermissions, setOwner, setAttributes };
}

export const REGENERATE_HELP = `
Each PATH becomes OUTPUT/its-last-component (with --hierarchy, OUTPUT/its-whole-path), checked against
its digests. What is there already and has the same type, size and time stays; a file that is replaced
makes way only when the new one is whole. A restore that was broken off goes on when the same command
is run again. Who is not root restores what the owners and permissions in the set let him read.

A date without a time means the end of that day, in local time. Ages: 30min, 12h, 3d, 2w, 6mo, 1y.

Examples:
  regenerate -D /srv/tardis -o /tmp/back /home/me/letters
  regenerate -D /srv/tardis -b 3 /etc/fstab
  regenerate -D /srv/tardis -d "3 days ago" --overwrite=newer -o /home/me /home/me/letters
  regenerate -D /srv/tardis --include '*.c' --dry-run /home/me/src
  regenerate -D /srv/tardis --stdout /etc/fstab | less
  regenerate -D /srv/tardis --all --tar - | zstd > all.tar.zst

Exit status: 0 done, 1 failed, 3 done but some files could not be restored, 10 no such store or
client, 11 the same restore is running, 130 interrupted.`;
