import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../measure.js';
import { type Options, UsageError } from '../options.js';
import type { Workplace } from '../workplace.js';
import { borg } from './borg.js';
import { restic } from './restic.js';
import type { Subject } from './subject.js';
import { tardis } from './tardis.js';

/** Returns the requested peers that keep several versions and can be mounted. */
export function versionKeepers(
  workplace: Workplace,
  { peers, borgEncryption: encryption }: Options,
): Subject[] {
  return [
    ...(peers.includes('restic') ? [restic(workplace.place('restic'))] : []),
    ...(peers.includes('borg') ? [borg(workplace.place('borg'), { encryption })] : []),
  ];
}

/** Returns tardis without and with encryption, and these peers. */
export function plainAndEncrypted(
  workplace: Workplace,
  checkout: string,
  options: Options,
): Subject[] {
  const passwordFile = join(workplace.root, 'password');
  writeFileSync(passwordFile, 'a password of the bench\n');
  const settings = { checkout, level: options.level };
  return [
    tardis(workplace.place('tardis'), settings),
    tardis(workplace.place('tardis-encrypted'), { ...settings, passwordFile }),
    ...versionKeepers(workplace, options),
  ];
}

/** Returns the subjects that can run here; prints a line for each of the others. */
export async function chooseSubjects(
  workplace: Workplace,
  candidates: readonly Subject[],
  print: (line: string) => void,
): Promise<{ subjects: Subject[]; versions: Record<string, string> }> {
  const subjects: Subject[] = [];
  const versions: Record<string, string> = {};
  for (const subject of candidates) {
    try {
      const { output } = await measure(subject.version, { logFile: workplace.log });
      versions[subject.name] = output.split('\n')[0] ?? '';
      subjects.push(subject);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isOurs = subject.name.startsWith('tardis');
      print(
        isOurs && !existsSync(subject.version.argv[0])
          ? `${subject.name}: not built`
          : `${subject.name}: skipped: ${why}`,
      );
    }
  }
  if (subjects.length === 0) {
    throw new UsageError('nothing to measure');
  }
  return { subjects, versions };
}
