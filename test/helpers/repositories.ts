/** Programs whose repositories are imported, and how tests use them. */
import { spawnSync } from 'node:child_process';
import type { ExecutionContext } from 'ava';

const PASSWORD = 'of the repository';

/** Programs that are tried, with the words that make a repository and a snapshot of a directory. */
export const REPOSITORIES = {
  restic: {
    make: () => ['init', '-q'],
    save: (source: string, date: string, _: string) => ['backup', '-q', '--time', date, source],
    env: (repository: string) => ({ RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: PASSWORD }),
  },
  borg: {
    make: (repository: string) => ['init', '-e', 'none', repository],
    save: (source: string, date: string, repository: string) => [
      'create',
      '--timestamp',
      date.replace(' ', 'T'),
      `${repository}::of-${date.slice(0, 10)}`,
      source,
    ],
    env: (_: string) => ({ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' }),
  },
} as const;

/** False, and the test passes, without the program, or with one of restic that changes no directory in place. */
export function mayUse(t: ExecutionContext, program: string): boolean {
  const words = program === 'restic' ? ['version'] : ['--version'];
  const { status, stdout } = spawnSync(program, words);
  const [, minor = ''] = /^restic 0\.(\d+)/.exec(String(stdout)) ?? [];
  const isUsable = status === 0 && (program !== 'restic' || Number(minor) >= 17);
  if (!isUsable) {
    t.log(`left out: ${program} is not installed, or too old`);
    t.pass();
  }
  return isUsable;
}
