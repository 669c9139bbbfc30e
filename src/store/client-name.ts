/** A client's name becomes a directory's name, so it is held to harmless characters. */
import { TardisError } from '../errors/index.js';

const CLIENT_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function isClientName(name: string): boolean {
  return CLIENT_NAME.test(name);
}

/** Throws CLIENT_NAME_INVALID before the name can reach a path. */
export function checkClientName(client: string): void {
  if (!isClientName(client)) {
    throw new TardisError('CLIENT_NAME_INVALID', `"${client.slice(0, 140)}" is no client name`);
  }
}
