/**
 * A file system of btrfs in the mount namespace of a test. Run as a program, this file makes the snapshots of a backup, and kills
 * itself before one of the calls of the addon that change anything: `node subvolumes.js TOP STEP`.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { Snapshots } from '../../src/client/index.js';
import { type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import { among, backup, type BackupReport, cleanEnvironment, run, succeed } from './commands.js';
import { LeftOut, Mounts, unlessLeftOut } from './mounts.js';
import { dir, file, makeTree, symlink } from './tree.js';
import { pause } from './until.js';

const IMAGE_BYTES = 256 << 20;
const OLD_SECONDS = 1_700_000_000;
/** More than the time within which a changed entry is unsettled. */
const SETTLED_MS = 2100;

export interface SnapshotReport extends BackupReport {
  readonly doubts: readonly string[];
  readonly snapshots: readonly {
    readonly name: string;
    readonly kind?: string;
    readonly why?: string;
  }[];
}

export class Subvolumes {
  /** The top of a subvolume with a tree. */
  readonly top: string;

  private constructor(
    readonly mounts: Mounts,
    readonly disk: string,
  ) {
    this.top = path.join(disk, 'sub');
  }

  /** Runs a test with such a file system, or logs why it is left out. */
  static test(body: (lab: Subvolumes, t: ExecutionContext) => Promise<void>) {
    return (t: ExecutionContext): Promise<void> =>
      unlessLeftOut(t, async () => {
        const mounts = await Mounts.open(t);
        const disk = mounts.mountImage('disk', IMAGE_BYTES, ['mkfs.btrfs', '-q'], 'btrfs');
        const lab = new Subvolumes(mounts, disk);
        lab.create(lab.top);
        const at = (name: string): string => path.join(lab.view(lab.top), name);
        makeTree(at('a'), [
          file('one', 'one'),
          symlink('link', 'one'),
          dir('b', [file('two', 'two')]),
        ]);
        for (const name of ['mount', 'bound']) fs.mkdirSync(at(name));
        for (const name of ['a/one', 'a/b/two']) {
          fs.utimesSync(at(name), OLD_SECONDS, OLD_SECONDS);
        }
        await body(lab, t);
      });
  }

  view(place: string): string {
    return this.mounts.view(place);
  }

  /** Makes a subvolume. */
  create(place: string): void {
    this.mounts.run('btrfs', 'subvolume', 'create', place);
  }

  /** Paths of all subvolumes from the top of the file system. */
  all(): string[] {
    const lines = this.mounts.run('btrfs', 'subvolume', 'list', this.disk).trim().split('\n');
    return lines.map((line) => line.replace(/^.* path /, '')).toSorted();
  }

  place(client = 'me'): string[] {
    return ['--local', '-D', path.join(this.mounts.home, 'store'), '-C', client];
  }

  get env(): Record<string, string> {
    return { XDG_STATE_HOME: path.join(this.mounts.home, 'state') };
  }

  /** Backs up, by default the top. */
  async save(words: readonly string[], source = this.top): Promise<SnapshotReport> {
    const { mountsOf } = this.mounts;
    const options = { mountsOf, env: this.env };
    return (await backup([...words, source], options)) as SnapshotReport;
  }

  async restored(name: string, words: readonly string[] = []): Promise<string> {
    const out = path.join(this.mounts.home, name);
    await succeed('regenerate', [...this.place().slice(1), ...words, '-o', out, this.top]);
    return path.join(out, path.basename(this.top));
  }

  /** Makes snapshots of the top in a process that kills itself. False if it came to its end. */
  wasKilledAt(step: number): boolean {
    const { mountsOf } = this.mounts;
    const program = [process.execPath, fileURLToPath(import.meta.url), this.top, String(step)];
    const { status, signal, stderr } = spawnSync('nsenter', [...among(mountsOf), ...program], {
      env: { ...cleanEnvironment(), ...this.env },
      encoding: 'utf8',
    });
    if (signal === 'SIGKILL') return true;
    if (status !== 0) throw new Error(stderr);
    return false;
  }

  run(words: readonly string[]): ReturnType<typeof run> {
    return run('tardis', words, { mountsOf: this.mounts.mountsOf, env: this.env });
  }
}

/** Waits until what was just changed is settled. */
export function settle(): Promise<void> {
  return pause(SETTLED_MS);
}

const STEPS: ReadonlySet<string | symbol> = new Set<keyof NativeCalls>([
  'makeDirectoryAt',
  'makeSnapshot',
  'deleteSnapshot',
  'flock',
  'unlock',
  'redirect',
  'endRedirects',
  'close',
]);

/** Returns a system whose process is killed before its `last`-th step. */
function killedAt(last: number): System {
  const system = nodeSystem();
  let steps = 0;
  const native = new Proxy(system.native, {
    get(target, name, receiver): unknown {
      const value: unknown = Reflect.get(target, name, receiver);
      if (STEPS.has(name)) steps += 1;
      if (steps === last) process.kill(process.pid, 'SIGKILL');
      return value;
    },
  });
  return { ...system, native };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [top, step] = process.argv.slice(2);
  const snapshots = await Snapshots.take(killedAt(Number(step)), [top!], true);
  if (snapshots.warnings.length > 0) throw new LeftOut(snapshots.warnings.join('; '));
  snapshots.release();
}
