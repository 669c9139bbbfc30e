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
    throw new TardisError('CLIENT_NAME_INVALID', `"${shownName(client)}" is no client name`);
  }
}

/** A name of any kind in an error: with no control characters, and not too much of it. */
export function shownName(name: string): string {
  return displayName(Buffer.from(name.slice(0, MAX_SHOWN_CHARS)));
}
