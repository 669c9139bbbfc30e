/**
 * Checks repeatedly during a backup that its roots, and the mount points below them, are still the same
 * directories. After an unmount, the same path shows another directory.
 */
import fs from 'node:fs';
import { ifPossible } from '../errors/index.js';
import { directoryOf, liesBelow, ROOT_NAME } from '../model/index.js';
import type { Place, Presence } from '../pipeline/index.js';
import { rootParent } from '../transport/index.js';

/** Identifies a directory for the duration of a backup. */
export interface Identity {
  readonly device: bigint;
  /** Inode number; undefined if the file system reports a different one each time. */
  readonly inode: bigint | undefined;
  readonly birthTimeNs: bigint;
}

interface KnownPlace extends Place {
  readonly identity: Identity | undefined;
}

/** Returns the identity of the directory at `path`. Throws system errors. */
export function identityAt(path: Buffer): Identity {
  const { dev, ino, birthtimeNs } = fs.lstatSync(path, { bigint: true });
  const again = fs.lstatSync(path, { bigint: true });
  return { device: dev, inode: again.ino === ino ? ino : undefined, birthTimeNs: birthtimeNs };
}

export class RootPresence implements Presence {
  private readonly there = new Map<string, KnownPlace>();
  private readonly roots: readonly Place[];

  /** Paths that are read in a snapshot cannot disappear: `isHeld` is true for them. */
  constructor(
    roots: readonly { readonly path: Buffer; readonly identity: Identity }[],
    private readonly isHeld: (path: Buffer) => boolean = () => false,
  ) {
    this.roots = roots.map(({ path }, index) => ({
      slot: rootParent(index),
      name: ROOT_NAME,
      path,
    }));
    for (const [index, { path, identity }] of roots.entries()) {
      if (isHeld(path)) continue;
      this.there.set(path.toString('latin1'), { ...this.roots[index]!, identity });
    }
  }

  enter(path: Buffer): void {
    const key = path.toString('latin1');
    if (this.there.has(key) || this.isHeld(path)) return;
    const root = this.roots.find((one) => liesBelow(path, one.path));
    if (root !== undefined) this.there.set(key, { ...root, path, identity: mountAt(path) });
  }

  lost(): readonly Place[] {
    const lost: Place[] = [];
    for (const [key, { slot, name, path, identity }] of this.there) {
      if (identity !== undefined && isThere(path, identity)) continue;
      lost.push({ slot, name, path });
      this.there.delete(key);
    }
    return lost;
  }
}

/**
 * Returns the identity of a mount point that was just entered; undefined if no other file system is mounted
 * there any more.
 */
function mountAt(path: Buffer): Identity | undefined {
  return ifPossible(() => {
    const identity = identityAt(path);
    const above = fs.lstatSync(directoryOf(path), { bigint: true });
    return above.dev === identity.device ? undefined : identity;
  });
}

/**
 * True if `path` still has this identity. A network file system that was remounted has another device number, but the
 * same inode and birth time. Without a known inode, only the device is compared.
 */
function isThere(path: Buffer, known: Identity): boolean {
  const status = ifPossible(() => fs.lstatSync(path, { bigint: true }));
  if (status === undefined) return false;
  const { dev, ino, birthtimeNs } = status;
  if (known.inode === undefined) return dev === known.device;
  if (ino !== known.inode) return false;
  return dev === known.device || (birthtimeNs !== 0n && birthtimeNs === known.birthTimeNs);
}
