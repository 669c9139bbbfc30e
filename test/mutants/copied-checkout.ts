/** A copy of the checkout in which tests run: mutants are made there, and never in the checkout itself. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeScratch } from '../helpers/scratch.js';

const ROOT = process.cwd();
const LINKED = new Set(['node_modules', 'runtime']);
const LEFT = new Set(['.git', '.fuzz', 'dist/compiled', 'dist/packages', 'dist/sanitized']);
const NATIVE_BUILD = 'native/build';
const AVA = 'node_modules/ava/entrypoints/cli.js';
/** Gives a command processes and a memory file system of its own, of which nothing remains after it. Only root can. */
const ISOLATED = [
  ...'unshare --mount --pid --fork --kill-child --mount-proc sh -c'.split(' '),
  'mount -t tmpfs mutant /dev/shm && "$@"; exit $?',
  'sh',
];
/** Cases that tests choose at random: each run has the same ones. */
const SEED = process.env['TEST_SEED'] ?? '1';

export type Outcome = 'passed' | 'failed' | 'too long';

const running = new Set<ChildProcess>();
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'mutants-'));
fs.chmodSync(temporary, 0o755);
process.once('exit', () => {
  running.forEach(end);
  removeScratch(temporary);
});

/** Makes a folder for temporary files, into which commands that run as other users write too. */
export function temporaryFolder(): string {
  const made = fs.mkdtempSync(path.join(temporary, 'of-'));
  fs.chmodSync(made, 0o1777);
  return made;
}

/** Kills a command with all that it has started. */
function end({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has just ended
  }
}

export class CopiedCheckout {
  constructor(readonly folder: string) {}

  /**
   * Makes the copy as the checkout is now. Commands and threads run the modules of dist/src there, not their bundles. With
   * `isMeasured` the addon counts its lines; its build remains for the next time.
   */
  make(isMeasured: boolean): void {
    const { folder } = this;
    const build = path.join(folder, NATIVE_BUILD);
    const aside = `${folder}.native`;
    if (isMeasured && fs.existsSync(build)) fs.renameSync(build, aside);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const isLeft = (name: string): boolean =>
      LEFT.has(name) ||
      path.resolve(name) === path.dirname(folder) ||
      (isMeasured && name === NATIVE_BUILD);
    for (const name of fs.readdirSync(ROOT).filter((one) => !isLeft(one))) {
      const target = path.join(folder, name);
      const filter = (one: string): boolean => !isLeft(path.relative(ROOT, one));
      const options = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter };
      if (LINKED.has(name)) fs.symlinkSync(fs.realpathSync(name), target);
      else fs.cpSync(path.join(ROOT, name), target, options);
    }
    if (fs.existsSync(aside)) fs.renameSync(aside, build);
    for (const name of fs.globSync('*.js', { cwd: path.join(folder, 'dist/src/tools') })) {
      this.write(`dist/bundle/${name}`, `export { default } from '../src/tools/${name}';\n`);
    }
    // Threads of tests run bundles only if those are newer.
    fs.utimesSync(path.join(folder, 'dist/.tsbuildinfo'), new Date(), new Date());
    if (isMeasured && !this.buildNative({ CXXFLAGS: '--coverage', LDFLAGS: '--coverage' }))
      throw new Error('the addon that counts its lines cannot be built');
  }

  /** Replaces a file. */
  write(file: string, text: string): void {
    fs.writeFileSync(path.join(this.folder, file), text);
  }

  /** Puts a file of the checkout back, as one that is newer than all that was built of it. */
  restore(file: string): void {
    const target = path.join(this.folder, file);
    fs.rmSync(target, { force: true });
    fs.copyFileSync(path.join(ROOT, file), target);
  }

  /** Builds the addon again, as far as its sources have changed. Returns false if they do not compile. */
  buildNative(flags: Readonly<Record<string, string>> = {}): boolean {
    const env = { ...process.env, ...flags };
    const script = ['scripts/build-native.mjs'];
    return spawnSync(process.execPath, script, { cwd: this.folder, env }).status === 0;
  }

  /** Runs a file of tests, compiled as `dist/test/…`, until it ends or the time is over. */
  async run(file: string, limitMs: number, env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const own = temporaryFolder();
    const isolated = process.getuid?.() === 0 ? ISOLATED : [];
    const words = [...isolated, process.execPath, AVA, '--fail-fast', file];
    const child = spawn(words[0]!, words.slice(1), {
      cwd: this.folder,
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, TEST_SEED: SEED, TMPDIR: own, ...env },
    });
    running.add(child);
    let outcome: Outcome = 'failed';
    const timer = setTimeout(() => {
      outcome = 'too long';
      end(child);
    }, limitMs);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    clearTimeout(timer);
    running.delete(child);
    removeScratch(own);
    return status === 0 ? 'passed' : outcome;
  }
}
