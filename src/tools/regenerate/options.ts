/** Checks the options of `regenerate` for conflicts, and converts them for a restore. */
import type { PolicyOptions } from '../../restore/index.js';
import type { SettingName, Settings } from '../../config/index.js';
import { refuse, TardisError } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import { absolutePath } from '../../system/index.js';

export type RegenerateSettings = Settings<'regenerate'>;

/**
 * Conflicts between options. Each row has a setting, its option as users write it, and the settings that exclude it.
 */
const CONFLICTS: readonly [one: SettingName, written: string, others: readonly SettingName[]][] = [
  ['last', '--last', ['backup', 'date', 'byChecksum']],
  ['all', '--all', ['paths', 'byChecksum', 'toStdout', 'toDevice']],
  ['byChecksum', '--checksum', ['backup', 'date', 'hierarchy', 'include', 'leaveOut']],
  [
    'toStdout',
    '--stdout',
    ['output', 'tar', 'zip', 'overwrite', 'compareContents', 'dryRun', 'hierarchy'],
  ],
  ['toStdout', '--stdout', ['include', 'leaveOut']],
  ['toDevice', '--to-device', ['output', 'tar', 'zip', 'compareContents', 'dryRun', 'hierarchy']],
  ['toDevice', '--to-device', ['include', 'leaveOut', 'toStdout']],
  ['authenticate', '--authenticate', ['allowUnproven']],
  ['inPlace', '--in-place', ['output', 'tar', 'zip', 'toStdout', 'toDevice', 'byChecksum']],
  ['tar', '--tar', ['zip', 'output', 'compareContents', 'dryRun']],
  ['zip', '--zip', ['output', 'compareContents', 'dryRun']],
];

const WRITTEN: Readonly<Partial<Record<SettingName, string>>> = {
  paths: 'paths',
  byChecksum: '--checksum',
  leaveOut: '--exclude',
  toStdout: '--stdout',
  toDevice: '--to-device',
  compareContents: '--compare-contents',
  inPlace: '--in-place',
  dryRun: '--dry-run',
  allowUnproven: '--allow-unproven',
};

/** Throws USAGE for options that exclude each other, or if an option is missing. */
export function checkUsage(settings: RegenerateSettings): void {
  const isGiven = (name: SettingName): boolean =>
    settings.sources.get(name)?.source === 'command line';
  for (const [one, written, others] of CONFLICTS) {
    const other = isGiven(one) ? others.find(isGiven) : undefined;
    if (other !== undefined)
      refuse(`${written} cannot be used with ${WRITTEN[other] ?? `--${other}`}`);
  }
  const { all, paths, toStdout, toDevice, overwrite } = settings;
  if (!all && paths.length === 0) refuse('no path to restore was given; --all restores everything');
  if (toStdout && paths.length !== 1) refuse('--stdout writes one file: give one path');
  if (toDevice !== undefined && paths.length !== 1)
    refuse('--to-device writes one file: give one path');
  if (toDevice !== undefined && overwrite !== 'always') {
    const what = `${displayName(toDevice)} would lose what it contains`;
    throw new TardisError('TARGET_EXISTS', `${what}: give --overwrite to write it`);
  }
  if (writesToStdout(settings) && process.stdout.isTTY) {
    refuse('the output is a terminal: redirect it');
  }
}

/** Options by which the output is files, although no directory for them is named, or a report. */
const OF_FILES: readonly SettingName[] = [
  ...CONFLICTS.flatMap(([one, , others]) => (one === 'toStdout' ? others : [])),
  ...(['toDevice', 'inPlace', 'json', 'all'] as const),
];

/** True if no output is named, and standard output is a file or a pipe, which may be meant for the content of a file. */
export function mayBeContent({ sources }: Pick<RegenerateSettings, 'sources'>): boolean {
  const isGiven = OF_FILES.some((name) => sources.get(name)?.source === 'command line');
  return !isGiven && !process.stdout.isTTY;
}

/** Returns the settings with what `--in-place` stands for. */
export function inPlaceSettings(settings: RegenerateSettings): RegenerateSettings {
  if (!settings.inPlace) return settings;
  const { overwrite = 'always' } = settings;
  return { ...settings, output: Buffer.from('/'), hierarchy: true, overwrite };
}

/** Returns what is written, as the end of "Restored 3 files to "; undefined for standard output and a device. */
export function shownTarget(settings: RegenerateSettings): string | undefined {
  const { inPlace, toDevice, output } = settings;
  const archive = archiveOf(settings)?.file;
  if (writesToStdout(settings) || toDevice !== undefined) return undefined;
  if (inPlace) return 'where they were';
  return displayName(absolutePath(archive ?? output));
}

/** Returns the archive to write instead of files; undefined if there is none. */
export function archiveOf({
  tar,
  zip,
}: RegenerateSettings): { readonly file: Buffer; readonly isZip: boolean } | undefined {
  if (tar !== undefined) return { file: tar, isZip: false };
  return zip === undefined ? undefined : { file: zip, isZip: true };
}

/** True if the options name standard output as the output, for a file or an archive. */
export function writesToStdout(settings: RegenerateSettings): boolean {
  return settings.toStdout || archiveOf(settings)?.file.toString('latin1') === '-';
}

export function policyOf(settings: RegenerateSettings): PolicyOptions {
  const { overwrite, compareContents } = settings;
  const { setTimes, setPermissions, setOwner, setAttributes, setFlags } = settings;
  const metadata = { setTimes, setPermissions, setOwner, setAttributes, setFlags };
  return { overwrite, compareContents, ...metadata };
}
