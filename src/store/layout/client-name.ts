/**
 * Checks of client names. A client's name becomes the name of a directory, so only harmless characters are allowed.
 */
import { TardisError } from '../../errors/index.js';
import { displayLine } from '../../model/index.js';

const MAX_SHOWN_CHARS = 140;
const CLIENT_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function isClientName(name: string): boolean {
  return CLIENT_NAME.test(name);
}

/** Throws CLIENT_NAME_INVALID unless `client` is a client name. Call before the name is used in a path. */
export function checkClientName(client: string): void {
  if (!isClientName(client)) {
    throw new TardisError('CLIENT_NAME_INVALID', `"${shownName(client)}" is no client name`);
  }
}

/** Returns any name in a form for error messages: without control characters, and shortened. */
export function shownName(name: string): string {
  return displayLine(name.slice(0, MAX_SHOWN_CHARS));
}
