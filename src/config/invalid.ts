/** Errors for an invalid configuration. */
import { TardisError } from '../errors/index.js';
import { foreignHand } from '../system/index.js';
import { shownText } from './displayed-text.js';

/** Returns CONFIG_INVALID with its cause. */
export function configInvalid(message: string, cause?: unknown): TardisError {
  return new TardisError('CONFIG_INVALID', message, {}, cause);
}

/** Returns CONFIG_INVALID for a text that does not fit `wanted`; `where` names its place. */
export function mustBe(where: string, text: string, wanted: string): TardisError {
  return new TardisError(
    'CONFIG_INVALID',
    `${where} is "${shownText(text)}" but must be ${wanted}`,
    { where },
  );
}

/**
 * Throws CONFIG_UNSAFE if this process is root and another user can change a file that contains a command for it.
 * `where` names the command.
 */
export function requireOwnFile(file: Uint8Array, where: string): void {
  const hand = foreignHand(file);
  if (hand === undefined) return;
  const why = `${where} is a command that root does not run, since ${hand}`;
  throw new TardisError('CONFIG_UNSAFE', why, { where });
}
