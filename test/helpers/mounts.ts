/**
 * Mounts for one test in a separate mount namespace, so that they vanish when the test ends, however it ends.
 * Commands see them with `mountsOf`; the test itself sees them through `view`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { among } from './commands.js';
import { folderIn, scratchInMemory, written } from './scratch.js';
import { isRoot } from './tree.js';
import { pause } from './until.js';

const POLL_MS = 5;
const MOST_POLLS = 4000;
const LYING_FUSE = fileURLToPath(
  new URL('../../../native/build/Release/lying-fuse', import.meta.url),
);

/** The reason why a test is left out on this machine. */
export class LeftOut extends Error {}

/** Logs why a test is left out and lets it pass; rethrows other errors. */
export async function unlessLeftOut(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
    t.log(`left out: ${error.message}`);
    t.pass();
  }
}

/** Mounts something until the end of the test, for this process too. Returns false if that is not possible here. */
export function mountHere(t: ExecutionContext, ...words: readonly string[]): boolean {
  if (!isRoot || spawnSync('mount', words).status !== 0) return false;
  t.teardown(() => spawnSync('umount', ['-l', words.at(-1)!]));
  return true;
}

/** Returns an empty folder of an overlay, which makes inode numbers up; undefined if none can be mounted here. */
export function overlayHere(t: ExecutionContext): string | undefined {
  const home = scratchInMemory(t);
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => {
    fs.mkdirSync(path.join(home, name));
    return path.join(home, name);
  });
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  const isMounted = mountHere(t, '-t', 'overlay', '-o', options, 'none', merged!);
  if (!isMounted) t.log('no overlay can be mounted here');
  return isMounted ? merged : undefined;
}

/** Makes a loop device of a file until the end of the test. Throws LeftOut if that is not possible here. */
export function loopHere(t: ExecutionContext, image: string): string {
  if (!isRoot) throw new LeftOut('a loop device needs root');
  const made = spawnSync('losetup', ['-f', '--show', image], { encoding: 'utf8' });
  if (made.status !== 0) throw new LeftOut(`losetup: ${made.error?.message ?? made.stderr}`);
  const device = made.stdout.trim();
  t.teardown(() => spawnSync('losetup', ['-d', device]));
  return device;
}

export class Mounts {
  /** A scratch directory in which mount points and images are made. */
  readonly home: string;
  private readonly holder: ChildProcess;

  private constructor(home: string, holder: ChildProcess) {
    this.home = home;
    this.holder = holder;
  }

  /** Runs a test with a mount namespace. Leaves it out, and logs why, if nothing can be mounted. */
  static during(t: ExecutionContext, work: (mounts: Mounts) => Promise<void>): Promise<void> {
    return unlessLeftOut(t, async () => work(await Mounts.open(t)));
  }

  /** Opens a mount namespace. Throws LeftOut if nothing can be mounted. */
  static async open(t: ExecutionContext): Promise<Mounts> {
    if (!isRoot) throw new LeftOut('mounting needs root');
    const home = scratchInMemory(t);
    // It runs until its input ends, which is when this process ends.
    const args = ['-m', '--propagation', 'private', 'sh', '-c', 'echo ready; exec cat'];
    const holder = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    t.teardown(async () => {
      if (holder.exitCode !== null) return;
      const ended = once(holder, 'exit');
      holder.stdin.end();
      await ended;
    });
    const first = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    if (!String(first[0]).startsWith('ready')) {
      throw new LeftOut("this machine gives no mount namespace of one's own");
    }
    return new Mounts(home, holder);
  }

  /** The process id to pass to commands that must see the mounts. */
  get mountsOf(): number {
    return this.holder.pid!;
  }

  /** Returns a path through which this process sees the mounts. */
  view(place: string): string {
    return `/proc/${this.mountsOf}/root${place}`;
  }

  /** Creates a directory in the scratch directory. */
  directory(name: string): string {
    const place = folderIn(this.home, name);
    return place;
  }

  /** Runs a program among the mounts. Throws LeftOut if it is missing or fails. */
  run(program: string, ...args: string[]): string {
    const inside = [...among(this.mountsOf), program, ...args];
    const { status, stdout, stderr } = spawnSync('nsenter', inside, { encoding: 'utf8' });
    if (status === 0) return stdout;
    const [why = ''] = (stderr ?? '').trim().split('\n');
    throw new LeftOut(`${program}: ${why}`);
  }

  /** Creates an image of this size, formats it with a program of mkfs, and mounts it. */
  mountImage(
    name: string,
    sizeBytes: number,
    [mkfs, ...options]: readonly [string, ...string[]],
    type: string,
    mountOptions = '',
  ): string {
    const image = written(this.home, `${name}.image`, '');
    fs.truncateSync(image, sizeBytes);
    this.run(mkfs, ...options, image);
    return this.mount(name, type, image, `loop${mountOptions === '' ? '' : `,${mountOptions}`}`);
  }

  /** Mounts a file system on a directory of this name. */
  mount(name: string, type: string, source: string, options: string): string {
    const place = this.directory(name);
    this.run('mount', '-t', type, '-o', options, source, place);
    return place;
  }

  /** Mounts a directory through the FUSE file system that misreports the properties in `lies`. */
  async lie(
    name: string,
    source: string,
    lies: Readonly<Record<string, string | number>>,
  ): Promise<string> {
    if (!fs.existsSync(LYING_FUSE)) throw new LeftOut('libfuse3 is not installed (libfuse3-dev)');
    const options = Object.entries({ source, ...lies }).map(([lie, value]) => `${lie}=${value}`);
    return this.serve(name, LYING_FUSE, ['-o', options.join(',')]);
  }

  /**
   * Starts a program that serves a file system until this process ends or it is unmounted. Returns the mount
   * point.
   */
  async serve(name: string, program: string, args: readonly string[]): Promise<string> {
    const place = this.directory(name);
    const before = fs.statSync(this.view(place)).dev;
    const inside = [...among(this.mountsOf), program, ...args, place];
    const server = spawn('nsenter', inside, { stdio: ['ignore', 'ignore', 'pipe'] });
    let printed = '';
    server.stderr.setEncoding('utf8').on('data', (more: string) => {
      printed += more;
    });
    server.once('error', (error) => {
      printed += error.message;
    });
    for (let polls = 0; fs.statSync(this.view(place)).dev === before; polls += 1) {
      if (server.exitCode !== null || polls >= MOST_POLLS) {
        throw new LeftOut(`${path.basename(program)}: ${printed.trim()}`);
      }
      await pause(POLL_MS);
    }
    return place;
  }
}
