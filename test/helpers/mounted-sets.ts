/** Mounts of backup sets by `tardisfs`, in a mount namespace of the test. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { among, backup, run, Running } from './commands.js';
import { LeftOut, Mounts, unlessLeftOut } from './mounts.js';
import { dir, file, hardlink, node, noise, sparse, symlink, text, type TreeNode } from './tree.js';
import { pause } from './until.js';

const POLL_MS = 20;
const MOST_POLLS = 1000;
const MIB = 1 << 20;
const SERVER_MS = 600_000;

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
    return new Lab(await Mounts.open(t));
  }

  get place(): string[] {
    return ['-D', this.store, '-C', 'me'];
  }

  /** Writes a file with a password; returns its path. */
  password(text: string): string {
    const name = path.join(this.home, `password of ${text}`);
    fs.writeFileSync(name, `${text}\n`, { mode: 0o600 });
    return name;
  }

  /** Starts a server of the store on a unix socket, by which `server=` names it. */
  async serve(t: ExecutionContext): Promise<Running> {
    const args = ['-D', this.store, '--local', this.socket];
    const server = new Running('tardisd', args, { timeoutMs: SERVER_MS });
    t.teardown(() => server.signalGroup('SIGKILL'));
    await server.until('listening server', () => fs.existsSync(this.socket));
    return server;
  }

  get socket(): string {
    return path.join(this.home, 'socket');
  }

  async unmount(): Promise<void> {
    const { status, stderr } = this.inside('umount', this.point);
    if (status !== 0 || !(await this.ended())) throw new Error(`the mount goes on: ${stderr}`);
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
    const words = [...among(this.mounts.mountsOf), program, ...args];
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

/** Returns a tree with an entry of each kind. */
export function everything(): TreeNode[] {
  return [
    dir('docs', [
      file('letter.txt', 'hello\n', { mtimeNs: 1_234_567_890_123_456_789n }),
      file(Buffer.from([0x62, 0xff, 0xfe, 0x0a, 0x63]), 'bytes'),
      file('old', 'x', { mtimeNs: -1_500_000_000n }),
      hardlink('again', 'docs', 'letter.txt'),
      symlink('link', 'letter.txt'),
      symlink('nowhere', Buffer.from([0x2f, 0xff])),
      file('marked', 'm', { attributes: { 'user.note': 'value' }, mode: 0o4750, uid: 7, gid: 8 }),
    ]),
    dir(
      'many',
      Array.from({ length: 3000 }, (_, n) => file(`n${n}`, text(n, n % 900))),
    ),
    dir('empty'),
    node('fifo', 'fifo'),
    node('socket', 'socket'),
    node('device', 'characterDevice', {}, 0x0105n),
    sparse('holes', 30 * MIB, [
      [5 * MIB, noise(1, 70_000)],
      [20 * MIB + 17, noise(2, 5)],
    ]),
    file('large', noise(3, 5 * MIB + 123)),
    file('compressible', text(4, 3 * MIB)),
    file('none', ''),
  ];
}

/** Runs a program among the mounts; returns its output. */
export function outputOf({ mounts }: Pick<Lab, 'mounts'>, ...words: string[]): Promise<string> {
  const child = spawn('nsenter', [...among(mounts.mountsOf), ...words]);
  let printed = '';
  child.stdout.on('data', (more: Buffer) => (printed += more.toString('latin1')));
  child.stderr.on('data', (more: Buffer) => (printed += more.toString('latin1')));
  return new Promise((resolve) => child.once('close', () => resolve(printed)));
}

/** Reads a range of a file. */
export function rangeOf(name: string | Buffer, position: number, bytes: number): Buffer {
  const fd = fs.openSync(name, 'r');
  try {
    const target = Buffer.alloc(bytes);
    return target.subarray(0, fs.readSync(fd, target, 0, bytes, position));
  } finally {
    fs.closeSync(fd);
  }
}
