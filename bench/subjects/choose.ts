import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Bench } from '../bench.js';
import { type PeerName, UsageError } from '../options.js';
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
function peersOf(bench: Bench): Subject[] {
  const { peers, peersIfThere } = bench.options;
  return [...peers, ...peersIfThere.filter(isInstalled)].map((name) => peer(name, bench));
}

function peer(name: PeerName, { workplace, options }: Bench): Subject {
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
export function plainAndEncrypted(bench: Bench): Subject[] {
  const { workplace } = bench;
  const passwordFile = passwordFileOf(workplace);
  return [
    tardis(workplace.place('tardis'), bench),
    tardis(workplace.place('tardis-encrypted'), bench, { passwordFile }),
    ...peersOf(bench),
  ];
}

/** True if a program of this name is in one of the directories of PATH. */
export function isInstalled(program: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.some(
    (directory) => directory !== '' && isExecutable(join(directory, program)),
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Writes a password, and returns the path of its file. */
export function passwordFileOf(workplace: Workplace): string {
  const path = join(workplace.root, 'password');
  writeFileSync(path, 'a password of the bench\n', { mode: 0o600 });
  return path;
}

/** Returns the subjects that can run here; prints a line for each of the others. */
export async function chooseSubjects(
  bench: Bench,
  candidates: readonly Subject[],
): Promise<{ subjects: Subject[]; versions: Record<string, string> }> {
  const subjects: Subject[] = [];
  const versions: Record<string, string> = {};
  for (const subject of candidates) {
    try {
      const { output } = await bench.run(subject.version);
      versions[subject.name] = output.split('\n')[0] ?? '';
      subjects.push(subject);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isOurs = subject.name.startsWith('tardis');
      bench.print(
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
