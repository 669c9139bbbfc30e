/** The outside world in one object: everything a test may want to replace (clock to network). */
import { type Clock, systemClock } from './clock.js';
import { type OpenDatabaseOptions, openSqlite, type SqlDatabase } from './database.js';
import { type Files, systemFiles } from './files.js';
import { loadNative, type NativeCalls } from './native.js';
import { type Network, systemNetwork } from './network.js';
import { type Random, systemRandom } from './random.js';

export interface System {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly native: NativeCalls;
  readonly network: Network;
  openDatabase(path: string, options: OpenDatabaseOptions): SqlDatabase;
}

let native: NativeCalls | undefined;

/** The real world. The addon is loaded at first use, since not every thread needs it. */
export function nodeSystem(): System {
  return {
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    network: systemNetwork,
    openDatabase: openSqlite,
    get native() {
      native ??= loadNative();
      return native;
    },
  };
}
