/** Mounts of backup sets by `tardisfs`, in a mount namespace of the test. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { backup, BIN, pause, run } from './commands.js';
import { LeftOut, Mounts, unlessLeftOut } from './mounts.js';

const POLL_MS = 20;
const MOST_POLLS = 1000;

/** Runs a test with a mount namespace, or logs why it is left out. */
export function mounted(body: (lab: Lab, t: ExecutionContext) => Promise<void>) {
  return (t: ExecutionContext): Promise<void> =>
    unlessLeftOut(t, async () => body(await Lab.open(t), t));
}

export class Lab {
  readonly mounts: Mounts;
  readonly home: string;
  readonly source: string;
  readonly store: string;
  readonly point: string;

  private constructor(mounts: Mounts) {
    this.mounts = mounts;
    this.home = mounts.home;
    this.source = path.join(this.home, 'source');
    this.store = path.join(this.home, 'store');
    this.point = mounts.directory('mount');
    fs.chmodSync(this.home, 0o755);
  }

  static async open(t: ExecutionContext): Promise<Lab> {
    if (!fs.existsSync('/dev/fuse')) throw new LeftOut('there is no /dev/fuse');
    const mounts = await Mounts.open(t);
    mounts.run('ls', path.join(BIN, 'tardisfs')); // below a root of its own, as in CI, the namespace has another one
    return new Lab(mounts);
  }

  get place(): string[] {
    return ['-D', this.store, '-C', 'me'];
  }

  async save(more: readonly string[] = []): Promise<void> {
    const first = fs.existsSync(this.store) ? [] : ['--create'];
    await backup([...this.place, '--local', ...first, ...more, this.source]);
  }

  mount(options: string, ...more: string[]): ReturnType<typeof run> {
    const args = ['-o', options, this.point, ...more];
    return run('tardisfs', args, { mountsOf: this.mounts.mountsOf });
  }

  async mountStore(more = ''): Promise<void> {
    const { status, stderr } = await this.mount(`database=${this.store},client=me${more}`);
    if (status !== 0) throw new Error(stderr);
  }

  /** Runs a program that sees the mount; returns its status and output. */
  inside(program: string, ...args: string[]) {
    const words = ['-m', '-t', String(this.mounts.mountsOf), program, ...args];
    return spawnSync('nsenter', words, { encoding: 'utf8' });
  }

  /** Returns the path of something in the mount, as programs inside see it. */
  at(...names: string[]): string {
    return path.join(this.point, ...names);
  }

  /** Returns the path of something in the mount, as this process sees it. */
  view(...names: string[]): string {
    return this.mounts.view(this.at(...names));
  }

  /** Path of the source in the newest set. */
  get shown(): string {
    return this.at('Current', this.source);
  }

  /** Returns what rsync would change to make the source of the shown tree. */
  differences(): string {
    const args = ['-anHAXic', '--delete', `${this.source}/`, `${this.shown}/`];
    const { status, stdout, stderr } = this.inside('rsync', ...args);
    return status === 0 ? stdout : `${status}: ${stdout}${stderr}`;
  }

  servers(): number[] {
    return fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && isServing(name, this.point))
      .map(Number);
  }

  async ended(): Promise<boolean> {
    for (let polls = 0; polls < MOST_POLLS; polls += 1) {
      if (this.servers().length === 0) return true;
      await pause(POLL_MS);
    }
    return false;
  }
}

function isServing(pid: string, point: string): boolean {
  try {
    const line = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return line.includes('tardisfs.js') && line.includes(point);
  } catch {
    return false; // it ended
  }
}

/** Waits until `holds` returns true. */
export async function until(holds: () => boolean): Promise<void> {
  for (let polls = 0; !holds(); polls += 1) {
    if (polls >= MOST_POLLS) throw new Error('it never happened');
    await pause(POLL_MS);
  }
}
