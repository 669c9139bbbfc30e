/** Errors for an invalid configuration. */
import { TardisError } from '../errors/index.js';
import { shownText } from './shown.js';

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
