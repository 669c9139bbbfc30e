/** A mount that exists while it is measured. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandFailure, killOnExit, measure, ownEnvironment } from './measure.js';
import { peakResidentBytes } from './processes.js';
import type { Mounting } from './subjects/subject.js';

const LOOK_EVERY_MS = 2;
const MOST_LOOKS = 15_000;
const END_TRIES = 20;
const END_EVERY_MS = 250;

export class Mounted {
  private constructor(
    private readonly child: ChildProcess,
    private readonly place: { readonly at: string; readonly log: string },
    private readonly ended: () => void,
    /** Time in milliseconds until the mount answers. */
    readonly tookMs: number,
    /** Path of the backed-up tree in the mount. */
    readonly tree: string,
  ) {}

  /** Mounts at an empty directory. `log` receives the output of the command. Throws CommandFailure. */
  static async start(mounting: Mounting, place: { at: string; log: string }): Promise<Mounted> {
    const { command } = mounting;
    const before = (await stat(place.at)).dev;
    const [program, ...args] = command.argv;
    const log = openSync(place.log, 'w+');
    const startMs = performance.now();
    const child = spawn(program, args, {
      cwd: command.cwd,
      env: { ...ownEnvironment(), ...command.env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const ended = killOnExit(child.pid);
    for (let looks = 0; (await stat(place.at)).dev === before; looks++) {
      if (child.exitCode !== null || looks >= MOST_LOOKS) {
        ended();
        throw new CommandFailure(command, 'mounted nothing', readFileSync(place.log, 'utf8'));
      }
      await sleep(LOOK_EVERY_MS);
    }
    const tookMs = performance.now() - startMs;
    return new Mounted(child, place, ended, tookMs, mounting.shownTree);
  }

  /** The largest resident memory of the mount's process so far. */
  get residentBytes(): number {
    return peakResidentBytes(this.child.pid!);
  }

  /** Unmounts, and waits for the end of the process. */
  async end(): Promise<void> {
    const gone = this.child.exitCode === null ? once(this.child, 'exit') : undefined;
    const umount =
      process.geteuid?.() === 0 ? ['umount', this.place.at] : ['fusermount3', '-u', this.place.at];
    const command = { argv: umount as [string, ...string[]] };
    for (let left = END_TRIES; ; left--) {
      try {
        await measure(command, { logFile: this.place.log });
        break;
      } catch (error) {
        if (left === 0) throw error; // the mount is busy for a moment after a process has used it
        await sleep(END_EVERY_MS);
      }
    }
    await gone;
    this.ended();
  }
}
