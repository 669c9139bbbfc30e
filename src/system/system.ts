/** All access to the outside world in one object, so that a test can replace any part, from clock to network. */
import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from './clock.js';
import { type OpenDatabaseOptions, openSqlite, type SqlDatabase } from './database.js';
import { type Files, filesWith, STORE_UMASK } from './files.js';
import { loadNative, type NativeCalls } from './native.js';
import { type Network, systemNetwork } from './network.js';

/**
 * A later version of the catalog, and the upgrade to it from the version before it (src/store/catalog/versions.ts).
 */
export interface CatalogStep {
  /** Statements that turn a catalog of the version before into one of this version. */
  readonly sql: string;
  /** Digest of the tables and columns of this version. */
  readonly shape: string;
}

export interface System {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly native: NativeCalls;
  readonly network: Network;
  openDatabase(path: string, options: OpenDatabaseOptions): SqlDatabase;
  /** Versions of the catalog after those of this software; only a test has any. */
  readonly catalogSteps?: readonly CatalogStep[] | undefined;
}

let native: NativeCalls | undefined;

/**
 * Returns the real system. Files that it creates in a store never have the permissions in `umask`. The addon is
 * loaded at first use, since not every thread needs it.
 */
export function nodeSystem(umask: number = STORE_UMASK): System {
  return {
    clock: systemClock,
    random: systemRandom,
    files: filesWith(umask),
    network: systemNetwork,
    openDatabase: (path, options) => openSqlite(path, { ...options, umask }),
    get native() {
      native ??= loadNative();
      return native;
    },
  };
}

/**
 * Random bytes for names and identifiers. Keys and nonces never use this interface: they take the operating
 * system's generator directly, so that no injected source can weaken them.
 */
export interface Random {
  /** Returns new bytes, in memory that is the caller's. */
  bytes(count: number): Buffer;
}

const systemRandom: Random = Object.freeze({ bytes: (count: number) => randomBytes(count) });
