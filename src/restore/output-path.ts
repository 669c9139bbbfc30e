/** Finds the directory that the path of an output leads to. */
import fs from 'node:fs';
import path from 'node:path';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';

/** Maximum number of links in a path, as that of the kernel. */
const MAX_LINKS = 40;
const ROOT_UID = 0;
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o002;

/**
 * Returns an absolute path without links. Throws TARGET_UNSAFE for a link that another user could exchange, since that user
 * would choose where this one writes. A part that does not exist, or is no directory, ends the search.
 */
export function pathWithoutLinks(full: Buffer): Buffer {
  const rest = full.toString('latin1').split('/');
  let at = '/';
  for (let links = 0; rest.length > 0; ) {
    const next = path.posix.join(at, rest.shift()!);
    const stat = fs.lstatSync(bytesOf(next), { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) {
      at = next;
      continue;
    }
    if (stat?.isSymbolicLink() !== true) return bytesOf(path.posix.join(next, ...rest));
    links += 1;
    if (links > MAX_LINKS) {
      throw new TardisError('TARGET_UNSAFE', `${displayName(full)} leads over too many links`);
    }
    requireOwn(bytesOf(next), stat, fs.lstatSync(bytesOf(at)));
    const target = fs.readlinkSync(bytesOf(next), { encoding: 'latin1' });
    rest.unshift(...target.split('/'));
    if (target.startsWith('/')) at = '/';
  }
  return bytesOf(at);
}

/** Throws TARGET_UNSAFE unless only root and this user can put the link into its directory. */
function requireOwn(link: Buffer, { uid }: fs.Stats, directory: fs.Stats): void {
  // In a user namespace, what belongs to the true root has another number, as the root directory shows.
  const trusted = new Set([ROOT_UID, process.geteuid?.(), fs.lstatSync('/').uid]);
  const isShared = (directory.mode & WRITABLE_BY_OTHERS) !== 0;
  const isKept = !isShared || ((directory.mode & STICKY) !== 0 && trusted.has(uid));
  if (trusted.has(directory.uid) && isKept) return;
  const why = `${displayName(link)} is a link that another user of this machine can change`;
  throw new TardisError('TARGET_UNSAFE', why);
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
