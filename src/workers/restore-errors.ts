/** The errors of single files of a restore job. */
import { meant, systemCode, TardisError, toWire, type WireError } from '../errors/index.js';
import type { FailedAttribute } from '../system/index.js';
import type { RestoreJobFailure } from './restore-types.js';
import { attributeNotSet } from './target-file.js';

/** Returns the failure of a file that was restored without an attribute. */
export function lacking(file: number, attribute: FailedAttribute): RestoreJobFailure {
  return { file, isRestored: true, digest: undefined, error: attributeNotSet(attribute) };
}

/** Returns the error of a file that could not be copied, for example since its original was changed meanwhile. */
export function notCopied(): TardisError {
  return new TardisError('IO_FAILED', 'the file with this content was changed', { isGone: true });
}

/** Returns the digest of the damaged basis that an error names; undefined if it names none. */
export function damagedOf(error: unknown): Buffer | undefined {
  const damaged = error instanceof TardisError ? error.context['damaged'] : undefined;
  return typeof damaged === 'string' ? Buffer.from(damaged, 'hex') : undefined;
}

/** Returns the error of a single file. */
export function describe(error: unknown): WireError {
  const wire = toWire(meant('writeTarget', error));
  const code = systemCode(error);
  return code === 'EEXIST' || code === 'EISDIR' ? { ...wire, code: 'TARGET_EXISTS' } : wire;
}

/** Returns the error of a file whose name belongs to another one that stays. */
export function anotherFile(): TardisError {
  return new TardisError('TARGET_EXISTS', 'another file is there');
}
