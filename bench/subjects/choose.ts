import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled } from '../installed.js';
import { measure } from '../measure.js';
import { type Options, type PeerName, UsageError } from '../options.js';
import type { Workplace } from '../workplace.js';
import { borg } from './borg.js';
import { raw } from './raw.js';
import { rdiff } from './rdiff.js';
import { restic } from './restic.js';
import { rsync } from './rsync.js';
import { rustic } from './rustic.js';
import type { Subject } from './subject.js';
import { tardis } from './tardis.js';

/** Returns the requested peers, and those that take part if they are installed. */
export function peersOf(workplace: Workplace, options: Options): Subject[] {
  const names = [...options.peers, ...options.peersIfThere.filter(isInstalled)];
  return names.map((name) => peer(name, workplace, options));
}

function peer(name: PeerName, workplace: Workplace, options: Options): Subject {
  const place = workplace.place(name);
  switch (name) {
    case 'restic':
      return restic(place);
    case 'borg':
      return borg(place, { encryption: options.borgEncryption });
    case 'rustic':
      return rustic(place);
    case 'rsync':
      return rsync(place);
    case 'rdiff':
      return rdiff(place);
    case 'raw':
      return raw(place);
  }
}

/** Returns tardis without and with encryption, and the peers. */
export function plainAndEncrypted(
  workplace: Workplace,
  checkout: string,
  options: Options,
): Subject[] {
  const settings = { checkout, level: options.level };
  return [
    tardis(workplace.place('tardis'), settings),
    tardis(workplace.place('tardis-encrypted'), {
      ...settings,
      passwordFile: passwordFileOf(workplace),
    }),
    ...peersOf(workplace, options),
  ];
}

/** Writes a password, and returns the path of its file. */
export function passwordFileOf(workplace: Workplace): string {
  const path = join(workplace.root, 'password');
  writeFileSync(path, 'a password of the bench\n', { mode: 0o600 });
  return path;
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
