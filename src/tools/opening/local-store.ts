/**
 * Locates the store on this machine that a tool uses, sets the permissions and sizes of its files, describes the disk of a
 * new one, and marks damage in it.
 */
import type { History } from '../../history/index.js';
import { defaultOf, type SettingsNamed } from '../../config/index.js';
import { asTardisError, unlessBug } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import type { RestoreFailure } from '../../restore/index.js';
import { listClients, shownStore } from '../../store/index.js';
import type { StoreLimits } from '../../store/writer/index.js';
import { byteText, diskOf, nodeSystem, shareHardware, type System } from '../../system/index.js';

const MOST_CLIENTS_NAMED = 6;

/** Settings that locate a client in a store on this machine. */
export type PlaceSettings = SettingsNamed<'database' | 'client' | 'catalogFile'>;

/** Returns the location of a client, for tools that read a store. */
export function clientPlace(settings: PlaceSettings): {
  store: string;
  client: string;
  catalogFile: string;
} {
  const { client, catalogFile } = settings;
  return { store: byteText(settings.database), client, catalogFile };
}

/**
 * Returns the only client of a store, for a command without -C; undefined if the store has the client that the settings
 * name, has several, or cannot be read. The command itself reports the latter.
 */
export function onlyClient(settings: PlaceSettings): string | undefined {
  const clients = clientsHere(nodeSystem(), clientPlace(settings).store);
  return clients.length === 1 && clients[0] !== settings.client ? clients[0] : undefined;
}

/** Returns the clients of a store; none if it cannot be read. */
export function clientsHere(system: System, store: string): readonly string[] {
  return unlessBug(() => listClients(system, store)) ?? [];
}

/** Returns ` (its clients: …)` with the names of the clients of a store; an empty text if there are none. */
export function itsClients(settings: PlaceSettings): string {
  const clients = clientsHere(nodeSystem(), clientPlace(settings).store);
  const more = clients.length > MOST_CLIENTS_NAMED ? ', …' : '';
  const names = clients.slice(0, MOST_CLIENTS_NAMED).join(', ');
  return names === '' ? '' : ` (its clients: ${names}${more})`;
}

/** Returns a system whose new files and directories have permissions that are limited only by this umask. */
export function storeSystem(umask: number): System {
  process.umask(umask);
  return nodeSystem(umask);
}

/** Maximum stored size of a streamed content in a pack. A larger one is a separate file. */
export const PACK_CONTENT_BYTES: number = 8 << 20;
/** Bytes of parity for 100 bytes of a store in a directory, if `Parity` is not set. */
export const USUAL_PARITY_PERCENT = 3;

/** Returns the limits of packs and parity for packs that a tool itself writes. */
export function storeLimits({
  parityPercent,
}: Partial<SettingsNamed<'parityPercent'>> = {}): StoreLimits {
  return {
    packBytes: defaultOf('packBytes'),
    packContentBytes: PACK_CONTENT_BYTES,
    parityPercent: parityPercent ?? USUAL_PARITY_PERCENT,
  };
}

/** A place that a command has made, for --json. */
export interface NewPlace {
  readonly path: string;
  /** Device of the disk, and the directory at which it is mounted; undefined in a bucket, or if the system hides it. */
  readonly device?: string;
  readonly mountPoint?: string;
  /** The first source that is on the same hardware. */
  readonly sharedWith?: string;
  /** True if there are sources, and all are on other hardware. */
  readonly isElsewhere?: true;
}

/** Returns the place at `path` in a store. `sources` are the paths of the data that is saved there. */
export function newPlace(store: string, path: string, sources: readonly Buffer[]): NewPlace {
  if (shownStore(store) !== store) return { path: shownStore(store) };
  const disk = diskOf(path);
  if (disk === undefined) return { path };
  const disks = sources.map((source) => ({ at: byteText(source), on: diskOf(byteText(source)) }));
  const shared = disks.find(({ on }) => on !== undefined && shareHardware(disk, on));
  const isElsewhere = shared === undefined && disks.length > 0 && disks.every(({ on }) => on);
  const { device, mountPoint } = disk;
  return {
    path,
    device,
    mountPoint,
    ...(shared && { sharedWith: shared.at }),
    ...(isElsewhere && { isElsewhere }),
  };
}

/** Returns the end of a sentence such as "The client is new: ". */
export function newPlaceText({
  path,
  device,
  mountPoint,
  sharedWith,
  isElsewhere,
}: NewPlace): string {
  const where =
    device === undefined || mountPoint === undefined
      ? displayText(path)
      : `${displayText(path)}, on ${displayText(device)} (mounted at ${displayText(mountPoint)})`;
  if (isElsewhere) return `${where}, another disk than what is saved`;
  if (sharedWith === undefined) return where;
  return `${where}, the disk of ${displayText(sharedWith)} too: its loss would take both`;
}

/**
 * Marks the damaged contents of the failures in the store of this machine, so that the next backup sends them again.
 * Calls `warn` with the result. For a store on a server (`isRemote`), only warns. Marks nothing if a rewrite has
 * replaced the client since `history` was opened: its records are then missing in their old places, and are sound.
 */
export async function noteDamage(
  system: System,
  settings: PlaceSettings,
  failures: readonly RestoreFailure[],
  {
    history: { reports },
    isRemote,
    warn,
  }: {
    readonly history: Pick<History, 'reports'>;
    readonly isRemote: boolean;
    readonly warn: (line: string) => void;
  },
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  if (isRemote) {
    warn("the damage is in the server's store; inform its operator");
    return;
  }
  try {
    if ((await reports.store()).isReplaced) {
      warn(
        'the client was rewritten meanwhile, and what failed may be sound: run the command again',
      );
      return;
    }
    const { adminHere } = await import('./admin.js'); // most runs find no damage
    await adminHere(system, settings, undefined).markDamaged(digests); // marking needs no keys
    warn('the damage was marked; the next backup sends the contents again');
  } catch (error) {
    const { code } = asTardisError(error);
    warn(`the damage could not be marked in the store [${code}]`);
  }
}
