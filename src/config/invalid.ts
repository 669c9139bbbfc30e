/** Errors of a configuration that cannot be meant so. */
import { TardisError } from '../errors/index.js';
import { shownText } from './shown.js';

/** CONFIG_INVALID, with what it came from. */
export function configInvalid(message: string, cause?: unknown): TardisError {
  return new TardisError('CONFIG_INVALID', message, {}, cause);
}

/** CONFIG_INVALID for a text that stands somewhere and should be something else. */
export function mustBe(where: string, text: string, wanted: string): TardisError {
  return new TardisError(
    'CONFIG_INVALID',
    `${where} is "${shownText(text)}" but must be ${wanted}`,
    { where },
  );
}
