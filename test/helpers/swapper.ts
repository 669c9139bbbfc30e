/** A local user who exchanges two names without end. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ExecutionContext } from 'ava';
import { type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import { addonPath } from '../../src/system/native.js';
import { inlineSystem } from './inline.js';
import { leavesAll, leavesFiles } from '../support/leaves-all.js';

/** Swaps two names until the end of the test: mostly at once, sometimes after milliseconds. */
export class Swapper {
  private readonly counts = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;

  constructor(t: ExecutionContext, folder: string, names: readonly [string, string]) {
    this.worker = new Worker(
      `const { workerData } = require('node:worker_threads');
       const native = require(workerData.addon);
       const fd = native.openDirectory(Buffer.from(workerData.folder));
       const [one, other] = workerData.names.map((name) => Buffer.from(name));
       const wait = new Int32Array(new SharedArrayBuffer(4));
       for (let turn = 0; Atomics.load(workerData.counts, 1) === 0; turn += 1) {
         native.exchangeAt(fd, one, fd, other);
         Atomics.add(workerData.counts, 0, 1);
         const spins = (turn * 7919) % 4000;
         for (let spin = 0; spin < spins; spin += 1) Atomics.load(workerData.counts, 1);
         if (turn % 512 < 3) Atomics.wait(wait, 0, 0, (turn * 31) % 23);
       }
       if (Atomics.load(workerData.counts, 0) % 2 === 1) native.exchangeAt(fd, one, fd, other);
       native.close(fd);`,
      { eval: true, workerData: { addon: addonPath(), folder, names, counts: this.counts } },
    );
    t.teardown(() => this.worker.terminate());
  }

  get swaps(): number {
    return Atomics.load(this.counts, 0);
  }

  /** Ends the swapping. The names are then as they were. */
  async end(): Promise<void> {
    Atomics.store(this.counts, 1, 1);
    await once(this.worker, 'exit');
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
