/**
 * Limits the parts of a backup that an ordinary user may see. The owners and permissions stored in the set decide: a
 * user may see the entries that this user could see at the source. Root may see everything. This check is meant for
 * honest users; the permissions of the store itself keep all others out (docs/inside/threat-model.md).
 */
import { TardisError } from '../../errors/index.js';
import {
  accessAcl,
  type AclEntry,
  AclTag,
  displayName,
  type Entry,
  EntryType,
} from '../../model/index.js';

/** The user on whose behalf a backup is read. */
interface Reader {
  readonly uid: number;
  readonly gids: ReadonlySet<number>;
}

type Owned = Pick<Entry, 'type' | 'permissions' | 'uid' | 'gid' | 'attributes'>;

const READ = 4;
const WRITE = 2;
const SEARCH = 1;

export class Access {
  constructor(
    /** The reader; undefined if everything may be seen. */
    private readonly reader: Reader | undefined,
  ) {}

  static ofThisProcess(): Access {
    const uid = process.geteuid?.() ?? 0;
    if (uid === 0) return new Access(undefined);
    return new Access({ uid, gids: new Set([process.getegid!(), ...process.getgroups!()]) });
  }

  get isUnrestricted(): boolean {
    return this.reader === undefined;
  }

  /** True if the reader may read a file's content, or list a directory with the metadata of its entries. */
  mayRead(entry: Owned): boolean {
    switch (entry.type) {
      case EntryType.file:
        return this.has(entry, READ);
      case EntryType.directory:
        return this.has(entry, READ | SEARCH);
      default:
        return true;
    }
  }

  /** True if the reader may pass through a directory to a name in it. */
  maySearch(entry: Owned): boolean {
    return this.has(entry, SEARCH);
  }

  private has(entry: Owned, wanted: number): boolean {
    const { reader } = this;
    if (reader === undefined) return true;
    const { permissions, uid, gid, attributes } = entry;
    const isOwner = uid === reader.uid;
    const acl = isOwner || attributes === undefined ? undefined : accessAcl(attributes);
    if (acl !== undefined) return isAllowedBy(acl, reader, { gid, permissions, wanted });
    // As in the kernel, the first class that matches decides, even if a later class would allow more.
    const shift = isOwner ? 6 : reader.gids.has(gid) ? 3 : 0;
    return covers(permissions >> shift, wanted);
  }
}

function covers(permissions: number, wanted: number): boolean {
  return (permissions & wanted) === wanted;
}

/**
 * True if an ACL allows the access to a reader other than the owner. A named user is checked first, then the
 * groups, then others. One of the matching groups must allow all of the access.
 */
function isAllowedBy(
  acl: readonly AclEntry[],
  reader: Reader,
  {
    gid,
    permissions,
    wanted,
  }: { readonly gid: number; readonly permissions: number; readonly wanted: number },
): boolean {
  const mask = acl.find(({ tag }) => tag === AclTag.mask)?.permissions ?? READ | WRITE | SEARCH;
  const named = acl.find(({ tag, id }) => tag === AclTag.user && id === reader.uid);
  if (named !== undefined) return covers(named.permissions & mask, wanted);
  const groups = acl.filter(
    ({ tag, id }) =>
      (tag === AclTag.owningGroup && reader.gids.has(gid)) ||
      (tag === AclTag.group && reader.gids.has(id)),
  );
  if (groups.length === 0) return covers(permissions, wanted);
  return groups.some((group) => covers(group.permissions & mask, wanted));
}

/** Returns the NO_ACCESS error for a path that the reader must not see. */
export function noAccess(path: Buffer): TardisError {
  return new TardisError('NO_ACCESS', `no permission to read "${displayName(path)}"`);
}
