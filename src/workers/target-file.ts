/** Operations on the target of a restore, for any thread. */
import {
  classOf,
  errorName,
  meant,
  systemCode,
  TardisError,
  toWire,
  type WireError,
} from '../errors/index.js';
import { displayName, InodeFlag, REPLACED } from '../model/index.js';
import { type FailedAttribute, OpenFd, OpenKind, type System } from '../system/index.js';
import type { RestoreJobFailure } from './restore-types.js';

const TEMPORARY_BYTES = 8;

/** System errors if another user has moved the target, or a directory above it, or put something in its place. */
const MOVED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', REPLACED]);

/** The directory that a restore writes beneath: `DirectoryPlace`, as it reaches a thread. */
export interface TargetPlace {
  readonly path: Uint8Array;
  readonly identity: Uint8Array;
}

/** Opens the target of a restore for a job. Throws TARGET_UNSAFE if its path leads elsewhere now. */
export function openTarget({ native }: System, { path, identity }: TargetPlace): number {
  try {
    return native.openListed(Buffer.from(path), Buffer.from(identity));
  } catch (error) {
    if (!MOVED.has(systemCode(error) ?? '')) throw error;
    const what = `${displayName(path)} was moved or replaced while files were restored into it`;
    throw new TardisError('TARGET_UNSAFE', what, {}, error);
  }
}

/** Returns an unused name for a file that will be renamed. */
export function temporaryName({ random }: System, prefix: string): string {
  return prefix + random.bytes(TEMPORARY_BYTES).toString('hex');
}

/** Renames a temporary file to `name`, replacing any file there. Removes the temporary file if that fails. */
export function moveOver({ native }: System, fd: number, temporary: Buffer, name: Buffer): void {
  try {
    native.renameAt(fd, temporary, fd, name);
  } catch (error) {
    native.unlinkAt(fd, temporary);
    throw error;
  }
}

/** Returns TARGET_FULL for the system's errors of a full disk or quota; undefined for all others. */
export function targetFull(error: unknown): TardisError | undefined {
  const code = systemCode(error) ?? '';
  if (classOf(code) !== 'full') return undefined;
  return new TardisError('TARGET_FULL', 'the target is full', { cause: code }, error);
}

/** Name of the inode flags among attributes that could not be set. */
export const FLAGS_OF_INODE = 'flags';

/** Texts for metadata that is not an extended attribute, by its name among attributes that could not be set. */
const METADATA: ReadonlyMap<string, string> = new Map([
  [FLAGS_OF_INODE, 'its flags (chattr)'],
  ['owner', 'its owner'],
  ['permissions', 'its permissions'],
  ['times', 'its times'],
]);

/**
 * Returns TARGET_IMMUTABLE if a change was not permitted because of a flag of a file or of its directory; undefined
 * otherwise. Both are beneath `rootFd`.
 */
export function immutableTarget(
  { native }: System,
  rootFd: number,
  { directory, name }: { readonly directory: Buffer; readonly name: Buffer },
  error: unknown,
): WireError | undefined {
  if (systemCode(error) !== 'EPERM') return undefined;
  using opened = new OpenFd(native, native.openBeneath(rootFd, directory, OpenKind.directory));
  for (const [what, at] of [
    ['what is there', name],
    ['the directory it is in', Buffer.alloc(0)],
  ] as const) {
    const flags = native.flagsAt(opened.fd, at);
    const how = flags & InodeFlag.immutable ? 'immutable' : 'append-only';
    if ((flags & (InodeFlag.immutable | InodeFlag.append)) === 0) continue;
    return { code: 'TARGET_IMMUTABLE', message: `${what} is ${how}`, context: { cause: 'EPERM' } };
  }
  return undefined;
}

/**
 * Returns the error of one entry of a restore; `place` is the restore's target, which a refused write names.
 */
export function targetError(error: unknown, place: Buffer): WireError {
  const wire = toWire(meant('writeTarget', error));
  if (classOf(systemCode(error)) !== 'refused') return wire;
  const message = `${wire.message} (restoring to ${displayName(place)})`;
  return { ...wire, message };
}

/** Returns the error of an attribute that could not be set on a restored file. */
export function attributeNotSet({ name, code }: FailedAttribute): WireError {
  const what = METADATA.get(name) ?? `its attribute "${name}"`;
  const message = `${what} could not be set`;
  const context = { cause: errorName(code), attribute: name };
  return { code: 'ATTRIBUTE_NOT_SET', message, context };
}

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
