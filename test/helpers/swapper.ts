/** A local user who exchanges two names without end, as a process of this user. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { ExecutionContext } from 'ava';
import { type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import { addonPath } from '../../src/system/native.js';
import { inlineSystem } from './inline.js';
import { scratchInMemory, written } from './scratch.js';
import { leavesAll, leavesFiles } from '../support/leaves-all.js';

const BYTES = 8;

/** A process of the owner of a folder that swaps two names in it until the end of the test: mostly at once, sometimes after milliseconds. */
export class Swapper {
  /** A file with the number of swaps (u32), and a byte that ends them. */
  private readonly state: string;
  private readonly child: ChildProcess;

  constructor(t: ExecutionContext, folder: string, names: readonly [string, string]) {
    this.state = written(scratchInMemory(t), 'swaps', Buffer.alloc(BYTES));
    const { uid } = fs.statSync(folder);
    const swapping = `
      const fs = require('node:fs');
      const { addon, state, folder, names, uid } = JSON.parse(process.argv[1]);
      const native = require(addon);
      const file = fs.openSync(state, 'r+');
      const fd = native.openDirectory(Buffer.from(folder)); // this user may not come by its path
      process.setgroups([]); process.setgid(uid); process.setuid(uid);
      const [one, other] = names.map((name) => Buffer.from(name));
      const counts = new Uint32Array(2);
      const wait = new Int32Array(new SharedArrayBuffer(4));
      const isOver = () => fs.readSync(file, Buffer.from(counts.buffer), 4, 1, 4) === 1 && counts[1] > 0;
      while (counts[0] % 32 !== 0 || !isOver()) {
        native.exchangeAt(fd, one, fd, other);
        counts[0] += 1;
        fs.writeSync(file, Buffer.from(counts.buffer), 0, 4, 0);
        const spins = (counts[0] * 7919) % 4000;
        for (let spin = 0; spin < spins; spin += 1) Atomics.load(wait, 0);
        if (counts[0] % 512 < 3) Atomics.wait(wait, 0, 0, (counts[0] * 31) % 23);
      }`;
    const input = { addon: addonPath(), state: this.state, folder, names, uid };
    this.child = spawn(process.execPath, ['-e', swapping, JSON.stringify(input)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    t.teardown(() => this.child.kill('SIGKILL'));
  }

  get swaps(): number {
    return fs.readFileSync(this.state).readUInt32LE(0);
  }

  /** Ends the swapping. The names are then as they were. */
  async end(): Promise<void> {
    const over = fs.openSync(this.state, 'r+');
    fs.writeSync(over, Buffer.from([1]), 0, 1, 4);
    fs.closeSync(over);
    if (this.child.exitCode === null) await once(this.child, 'exit');
    if (this.child.exitCode !== 0) throw new Error('the swapping failed');
  }
}

/** The calls that open a file or directory, or look at one by its name. */
const OPENING = new Set([
  'listOrHold',
  'openDirectory',
  'openListed',
  'openListedAt',
  'openBeneath',
  'openOwnersAt',
  'readFileAt',
  'attributesAt',
  'statAt',
]);

/** Returns a system that swaps `x` and `y` of a folder before one of `each` calls of the addon, on average. */
export function swappedSystem(folder: string, random: { next(): number }, each: number): System {
  const { native } = nodeSystem();
  const [x, y] = [Buffer.from('x'), Buffer.from('y')];
  const swap = (): void => {
    const fd = native.openDirectory(Buffer.from(folder));
    native.exchangeAt(fd, x, fd, y);
    native.close(fd);
  };
  const calls = Object.entries(native).map(([name, call]: [string, unknown]) => [
    name,
    (...values: unknown[]): unknown => {
      if (OPENING.has(name) && random.next() * each < 1) swap();
      return (call as (...given: unknown[]) => unknown)(...values);
    },
  ]);
  return inlineSystem({
    native: {
      ...(Object.fromEntries(calls) as NativeCalls),
      readParcel: leavesAll,
      restoreFiles: leavesFiles,
    },
  });
}
