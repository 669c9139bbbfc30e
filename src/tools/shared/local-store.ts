/** Locates the store on this machine that a tool uses, and sets the permissions and sizes of its files. */
import type { ServerSettings } from '../../client/index.js';
import { defaultOf } from '../../config/index.js';
import type { StoreLimits } from '../../store/writer/index.js';
import { byteText, nodeSystem, type System } from '../../system/index.js';

/** Returns the location of a client, for tools that read a store. */
export function clientPlace(settings: {
  readonly database: Buffer;
  readonly client: string;
  readonly catalogFile: string;
}): { store: string; client: string; catalogFile: string } {
  const { client, catalogFile } = settings;
  return { store: byteText(settings.database), client, catalogFile };
}

/** Returns a system whose new files and directories have permissions that are limited only by this umask. */
export function storeSystem(umask: number): System {
  process.umask(umask);
  return nodeSystem(umask);
}

/** Bytes of parity for 100 bytes of a store in a directory, if `Parity` is not set. */
export const USUAL_PARITY_PERCENT = 3;

/** Returns the limits of packs and parity for packs that a tool itself writes. */
export function storeLimits({
  parityPercent,
}: {
  readonly parityPercent?: number | undefined;
} = {}): StoreLimits {
  return {
    packBytes: defaultOf('packBytes'),
    packContentBytes: defaultOf('packContentBytes'),
    parityPercent: parityPercent ?? USUAL_PARITY_PERCENT,
  };
}

let noted: ServerSettings | undefined;

/** Records the settings with which a local server finds the bucket of this command. */
export function noteBucket(settings: ServerSettings): void {
  noted = settings;
}

/** Returns the settings; undefined if the store is a directory. */
export function bucketSettings(): ServerSettings | undefined {
  return noted;
}
