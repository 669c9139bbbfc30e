/**
 * The disk of a store in the world, and the process on it. Both may end in the middle of work: the process is killed, the disk is
 * full or broken, or the power is cut, after which any part of what was not synced is there.
 */
import fs from 'node:fs';
import type { System } from '../../src/system/index.js';
import { DiskTrace } from '../support/disk-trace.js';
import { faultySystem, type FaultMode } from '../support/faults.js';
import { seededRandom } from '../support/seeded-random.js';
import {
  ARRIVED,
  byChance,
  HOLLOW,
  LOST,
  NAMELESS,
  SimulatedDisk,
} from '../support/simulated-disk.js';
import { tracedSystem } from '../support/traced-system.js';
import { putState, STORE_MODES } from '../helpers/disk-states.js';
import { copyStore, Ledger, Plan } from '../helpers/faults.js';
import { removeScratch } from '../helpers/scratch.js';
import { SqliteDisk } from '../helpers/sqlite-disk.js';
import type { Trouble } from './acts.js';

const MODES: Readonly<Partial<Record<Trouble['what'], FaultMode>>> = {
  kill: { kind: 'kill' },
  full: { kind: 'fail-from', code: 'ENOSPC' },
  broken: { kind: 'fail-once', code: 'EIO' },
};
/** Parts of a thousand in the number of a power cut. */
const WHOLE = 1000;
const CHOICES = [LOST, ARRIVED, HOLLOW, NAMELESS];

export interface Ended {
  readonly error: unknown;
  /** True if trouble was in the work, so that it may have failed. */
  readonly wasHit: boolean;
  /** True if the power was cut before the end, whatever the work returned. */
  readonly isCut: boolean;
}

export class Disk {
  private plan: Plan | undefined;

  /** `memory` is a directory of the same machine, whose state is never newer than that of the store. */
  constructor(
    private readonly store: string,
    private readonly memory: string,
  ) {}

  /** True while a process works on that was killed: nothing that it does has an effect. */
  get isDead(): boolean {
    return this.plan?.isKilled === true;
  }

  /** Does work on a system that trouble hits, and leaves the store as the trouble left it. */
  async during(
    trouble: Trouble | undefined,
    system: System,
    work: (system: System) => Promise<unknown>,
  ): Promise<Ended> {
    if (trouble?.what === 'power') return this.cutOff(trouble, system, work);
    const mode = trouble && MODES[trouble.what];
    if (mode === undefined) {
      const error = await errorOf(() => work(system));
      return { error, wasHit: trouble !== undefined, isCut: false };
    }
    const places = [this.store, this.memory];
    const deadOf = (place: string): string => `${place} as it was`;
    const ledger = new Ledger(system);
    const plan = new Plan(trouble!.at, mode, () => {
      if (mode.kind === 'kill') for (const place of places) copyStore(place, deadOf(place));
    });
    this.plan = plan;
    const error = await errorOf(() => work(faultySystem(ledger.system, plan)));
    this.plan = undefined;
    const left = ledger.open;
    ledger.closeAll();
    const wasHit = plan.hit !== undefined;
    if (fs.existsSync(deadOf(this.store))) {
      for (const place of places) putBack(deadOf(place), place);
      return { error, wasHit, isCut: false }; // what was acknowledged before is there
    }
    if (left.length > 0 && !wasHit) throw new Error(`still open: ${left.join()}`);
    return { error, wasHit, isCut: false };
  }

  private async cutOff(
    { at }: Trouble,
    system: System,
    work: (system: System) => Promise<unknown>,
  ): Promise<Ended> {
    const sqlite = new SqliteDisk(this.store);
    const trace = new DiskTrace(this.store, () => sqlite.take());
    const before = `${this.memory} before`;
    copyStore(this.memory, before);
    let error: unknown;
    try {
      error = await errorOf(() => work(tracedSystem(system, trace)));
      trace.mark('end');
    } finally {
      sqlite.close();
    }
    const point = Math.ceil((trace.acts.length * at) / WHOLE);
    const disk = new SimulatedDisk(trace.start);
    for (const act of trace.acts.slice(0, point)) disk.apply(act);
    const choice = CHOICES[at % (2 * CHOICES.length)] ?? byChance(seededRandom(at));
    const state = disk.crash(choice);
    removeScratch(this.store);
    fs.mkdirSync(this.store);
    putState(state, this.store, STORE_MODES);
    const isCut = point < trace.acts.length;
    if (isCut) putBack(before, this.memory);
    else fs.rmSync(before, { recursive: true, force: true });
    return { error, wasHit: true, isCut };
  }
}

/** Puts a directory in the place of another one; an absent one too. */
function putBack(from: string, to: string): void {
  fs.rmSync(to, { recursive: true, force: true });
  if (fs.existsSync(from)) fs.renameSync(from, to);
}

/** Returns the error of work; undefined if it succeeds. */
async function errorOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}
