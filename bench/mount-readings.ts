/** Commands that read in a mount or in the source, and their figures. */
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.js';
import type { Measured } from './measure.js';
import { machineBusyMs } from './processes.js';

export const READINGS = [
  'mount',
  'list',
  'again',
  'names',
  'tar',
  'grep',
  'busy',
  'random',
  'deltas',
  'sequential',
  'memory',
] as const;
export type Reading = (typeof READINGS)[number];

/** Names of the columns, with their units. */
export const HEADINGS: Readonly<Record<Reading, string>> = {
  mount: 'mount s',
  list: 'ls -lR s',
  again: 'again s',
  names: 'ls s',
  tar: 'tar s',
  grep: 'grep s',
  busy: 'cores busy',
  random: 'random/s',
  deltas: 'in deltas/s',
  sequential: 'whole s',
  memory: 'MB',
};

/** Names below the tree that is backed up. */
export const PARTS = { files: 'files', names: 'names', large: 'large', edited: 'edited' } as const;

const RANDOM_READS = join(dirname(fileURLToPath(import.meta.url)), 'random-reads.js');
const GREP_PROCESSES = 8;
const GREP_FILES = 100;
/** A text that no file contains. */
const NEEDLE = 'Fjord banks vext dwarf quiz';
/** Exit status of xargs if a command ended with 1, as grep does if it finds nothing. */
const NOTHING_FOUND = 123;

export class Readings {
  /** Creates the readings. `tree` is the tree in a mount, or the source. */
  constructor(
    private readonly tree: string,
    private readonly bench: Bench,
  ) {}

  /** Lists all files with their metadata. Returns the time in milliseconds. */
  async list(): Promise<number> {
    return (await this.#shell('exec ls -lR "$1" > /dev/null', this.#path('files'))).wallMs;
  }

  /** Lists a directory with many names. Returns the time in milliseconds. */
  async names(): Promise<number> {
    return (await this.#shell('exec ls "$1" > /dev/null', this.#path('names'))).wallMs;
  }

  /**
   * Archives all small files. Returns the time in milliseconds. The output goes through a pipe, since tar would not
   * read the files if it wrote to /dev/null itself.
   */
  async tar(): Promise<number> {
    const script = 'tar cf - -C "$1" . | cat > /dev/null';
    return (await this.#shell(script, this.#path('files'))).wallMs;
  }

  /**
   * Searches all small files with several processes. Returns the time in milliseconds, and the average number of busy
   * processors.
   */
  async grep(): Promise<{ wallMs: number; busy: number }> {
    const each = `xargs -0 -P ${GREP_PROCESSES} -n ${GREP_FILES} grep -F -e '${NEEDLE}'`;
    const script = `find "$1" -type f -print0 | ${each} > /dev/null; test $? = ${NOTHING_FOUND}`;
    const beforeMs = machineBusyMs();
    const { wallMs } = await this.#shell(script, this.#path('files'));
    return { wallMs, busy: Math.min(cpus().length, (machineBusyMs() - beforeMs) / wallMs) };
  }

  /** Returns the number of random reads in a second, of the large file or of the file stored in deltas. */
  async random(part: 'large' | 'edited', seed: number): Promise<number> {
    const { readMs } = this.bench.options.mount;
    const words = [this.#path(part), String(seed), String(readMs)];
    const argv = [process.execPath, RANDOM_READS, ...words] as const;
    return Number((await this.bench.run({ argv })).output);
  }

  /** Reads the large file from beginning to end. Returns the time in milliseconds. */
  async sequential(): Promise<number> {
    const how = ['of=/dev/null', 'bs=1M', 'status=none'];
    return (await this.bench.run({ argv: ['dd', `if=${this.#path('large')}`, ...how] })).wallMs;
  }

  #path(part: keyof typeof PARTS): string {
    return join(this.tree, PARTS[part]);
  }

  #shell(script: string, path: string): Promise<Measured> {
    return this.bench.run({
      argv: ['bash', '-o', 'pipefail', '-c', script, 'bash', path],
      env: { LC_ALL: 'C' },
    });
  }
}
