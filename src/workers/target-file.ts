/** What writing to the target of a restore is, whichever thread does it. */
import { systemCode, TardisError, type WireError } from '../errors/index.js';
import type { FailedAttribute, System } from '../system/index.js';

const TEMPORARY_BYTES = 8;

/** A name nobody has, for what will be renamed. */
export function temporaryName({ random }: System, prefix: string): string {
  return prefix + random.bytes(TEMPORARY_BYTES).toString('hex');
}

/** Gives what was made beside `name` that name, in place of what has it; on failure it is removed. */
export function moveOver({ native }: System, fd: number, temporary: Buffer, name: Buffer): void {
  try {
    native.renameAt(fd, temporary, fd, name);
  } catch (error) {
    native.unlinkAt(fd, temporary);
    throw error;
  }
}

/** TARGET_FULL for what the system says of a full disk or quota; undefined for all else. */
export function targetFull(error: unknown): TardisError | undefined {
  const code = systemCode(error);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return undefined;
  return new TardisError('TARGET_FULL', 'the target is full', { cause: code }, error);
}

/** An attribute that could not be put: the file is there without it. */
export function attributeNotSet({ name, code }: FailedAttribute): WireError {
  const message = `its attribute "${name}" could not be set`;
  return { code: 'ATTRIBUTE_NOT_SET', message, context: { cause: code } };
}
