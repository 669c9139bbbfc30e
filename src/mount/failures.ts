/** Errors of requests, and the error numbers that programs get for them. */
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import type { NodePlace } from './node-ids.js';
import { Errno } from './protocol.js';
import type { Tree } from './tree.js';

/** Returns the error for a directory that contains itself, so that a walk would never end. */
export function circle(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'a directory in it leads back to one above it');
}

/** Returns the error number that a program gets for an error. */
export function errnoOf({ code }: TardisError): number {
  if (code === 'NO_ACCESS') return Errno.EACCES;
  return code === 'NO_SUCH_SET' ? Errno.ESTALE : Errno.EIO;
}

/** Returns the path of a node, for the log. Never rejects: a path that cannot be read is unknown. */
export async function pathForLog(
  treeOf: (number: number) => Tree,
  { tree, directory, entry }: NodePlace,
): Promise<string> {
  try {
    return displayName(await treeOf(tree).pathOf(directory, entry));
  } catch {
    return '(unknown)'; // the error that is reported is the first one
  }
}
