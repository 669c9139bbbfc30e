/** A client's name becomes a directory's name, so it is held to harmless characters. */
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';

const MAX_SHOWN_CHARS = 140;
const CLIENT_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function isClientName(name: string): boolean {
  return CLIENT_NAME.test(name);
}

/** Throws CLIENT_NAME_INVALID before the name can reach a path. */
export function checkClientName(client: string): void {
  if (!isClientName(client)) {
    const shown = displayName(Buffer.from(client.slice(0, MAX_SHOWN_CHARS)));
    throw new TardisError('CLIENT_NAME_INVALID', `"${shown}" is no client name`);
  }
}
