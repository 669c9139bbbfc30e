/** The store on this machine that a tool works on: where it is, how its files are made, how large they become. */
import { defaultOf } from '../config/index.js';
import type { StoreLimits } from '../keeper/index.js';
import { byteText, nodeSystem, type System } from '../system/index.js';

/** Where a client is, for tools that read a store. */
export function clientPlace(settings: {
  readonly database: Buffer;
  readonly client: string;
  readonly catalogFile: string;
}): { store: string; client: string; catalogFile: string } {
  const { client, catalogFile } = settings;
  return { store: byteText(settings.database), client, catalogFile };
}

/** The system, where files and directories get the permissions of the settings, and no others. */
export function storeSystem(umask: number): System {
  process.umask(umask);
  return nodeSystem(umask);
}

/** Of what a tool writes itself. */
export function storeLimits(): StoreLimits {
  return { packBytes: defaultOf('packBytes'), packContentBytes: defaultOf('packContentBytes') };
}
