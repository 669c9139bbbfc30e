/**
 * The memory of this machine of its backups of a client: when the last good one ended, when the store was last seen, and
 * when a fault was last reported, when a backup last began on a request, and when files were last restored and proven.
 * Messages need it while the store is away.
 */
import { isBucketText } from '../../config/index.js';
import type { ErrorCode } from '../../errors/index.js';
import { ageText, jsonFields } from '../../model/index.js';
import { shownStore } from '../../store/index.js';
import {
  absolutePath,
  byteText,
  deviceLink,
  lastingPlace,
  readState,
  stateName,
  statePath,
  writeState,
} from '../../system/index.js';
import { formatTime } from '../output/units.js';

const FACTS = [
  'lastGoodMs',
  'failedAtMs',
  'seenAtMs',
  'reportedAtMs',
  'requestedMs',
  'restoredMs',
] as const;
/** Times of a client; one that this machine does not know is missing. */
export type Remembered = Readonly<Partial<Record<(typeof FACTS)[number], number>>>;

/** Errors of a store that is away for now: its disk, its server or the network is not there. */
const OF_AWAY: ReadonlySet<ErrorCode> = new Set([
  'NO_SUCH_STORE',
  'SERVER_UNREACHABLE',
  'BUCKET_UNREACHABLE',
  'CONNECTION_LOST',
]);

/** True if a store may be there at another time, so that the error is no failure of the backup. */
export function isAway(code: ErrorCode): boolean {
  return OF_AWAY.has(code);
}

export class BackupMemory {
  private readonly file: string;
  private readonly ofClient: string;

  /**
   * `disk` is the path of the store, if its disk is named by its id. `roots` are those of a configuration: backups of others say
   * nothing about these.
   */
  constructor(
    place: string,
    client: string,
    readonly disk?: string,
    roots: readonly Buffer[] = [],
  ) {
    const names = roots.map((root) => root.toString('latin1')).sort();
    this.file = statePath('backups', `${stateName(place, client, ...names)}.json`);
    this.ofClient = statePath('backups', `${stateName(place, client)}.json`);
  }

  /** Returns what is remembered; nothing if the file is missing or damaged. */
  read(): Remembered {
    const { restoredMs } = jsonFields(readState(this.ofClient));
    const found: Readonly<Record<string, unknown>> = {
      ...jsonFields(readState(this.file)),
      restoredMs,
    };
    const known = FACTS.flatMap((fact) => {
      const value = found[fact];
      return typeof value === 'number' && value > 0 && value <= Date.now() ? [[fact, value]] : [];
    });
    return Object.fromEntries(known) as Remembered;
  }

  /** Adds facts. Returns the system's error code if they could not be written. */
  note(facts: Remembered): string | undefined {
    return writeState(this.file, `${JSON.stringify({ ...this.read(), ...facts })}\n`);
  }
}

/** Returns the memory of the backups of a configuration's roots, if it has some, to a store of this machine or a bucket; without a `store`, to the server. */
export function backupMemoryOf(
  { client, server }: { readonly client: string; readonly server: string },
  store: Buffer | undefined,
  roots?: readonly Buffer[],
): BackupMemory {
  const place = placeOf(server, store);
  const isOnDisk = store !== undefined && deviceLink(place) !== undefined;
  const disk = isOnDisk ? byteText(absolutePath(store)) : undefined;
  return new BackupMemory(place, client, disk, roots);
}

/** Returns the name of a place of backups, which lasts if the disk of a store is mounted elsewhere. */
export function placeOf(server: string, store: Buffer | undefined): string {
  if (store === undefined) return `server ${server}`;
  const text = shownStore(byteText(store));
  return isBucketText(text) ? text : lastingPlace(byteText(absolutePath(store)));
}

/** Returns a sentence about the last good backup, as far as this machine knows. */
export function lastGoodText({ lastGoodMs }: Remembered, nowMs: number): string {
  if (lastGoodMs === undefined) return 'This machine knows of no good backup.';
  const age = ageText(Math.max(0, nowMs - lastGoodMs));
  return `The last good backup ended at ${formatTime(lastGoodMs)}, ${age} ago.`;
}
