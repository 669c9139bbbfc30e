/**
 * What an ordinary user may see of a backup: what the owners and permissions stored in the set would
 * have let him see in the source. Root sees all. This keeps honest users to what is theirs; what keeps
 * the others out are the permissions of the store itself (docs/threat-model.md).
 */
import { TardisError } from '../errors/index.js';
import {
  accessAcl,
  type AclEntry,
  AclTag,
  displayName,
  type Entry,
  EntryType,
} from '../model/index.js';

/** Who asks. */
export interface Reader {
  readonly uid: number;
  readonly gids: ReadonlySet<number>;
}

type Owned = Pick<Entry, 'type' | 'permissions' | 'uid' | 'gid' | 'attributes'>;

const READ = 4;
const WRITE = 2;
const SEARCH = 1;

export class Access {
  /** Undefined: everything may be seen. */
  private readonly reader: Reader | undefined;

  constructor(reader: Reader | undefined) {
    this.reader = reader;
  }

  static ofThisProcess(): Access {
    const uid = process.geteuid?.() ?? 0;
    if (uid === 0) return new Access(undefined);
    return new Access({ uid, gids: new Set([process.getegid!(), ...process.getgroups!()]) });
  }

  get isUnrestricted(): boolean {
    return this.reader === undefined;
  }

  /** A file's content, or the names in a directory with what they are. */
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

  /** To go through a directory to a name one knows. */
  maySearch(entry: Owned): boolean {
    return this.has(entry, SEARCH);
  }

  private has(entry: Owned, wanted: number): boolean {
    const { reader } = this;
    if (reader === undefined) return true;
    const { permissions, uid, gid, attributes } = entry;
    const isOwner = uid === reader.uid;
    const acl = isOwner || attributes === undefined ? undefined : accessAcl(attributes);
    if (acl !== undefined) return isAllowedBy(acl, reader, gid, permissions, wanted);
    // As the kernel does: the first class that fits decides, even if a later one would allow more.
    const shift = isOwner ? 6 : reader.gids.has(gid) ? 3 : 0;
    return covers(permissions >> shift, wanted);
  }
}

function covers(permissions: number, wanted: number): boolean {
  return (permissions & wanted) === wanted;
}

/** For who is not the owner: a user who is named, then groups, of which one must allow all, then others. */
function isAllowedBy(
  acl: readonly AclEntry[],
  reader: Reader,
  gid: number,
  permissions: number,
  wanted: number,
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

/** The error for what must not be seen. */
export function noAccess(path: Buffer): TardisError {
  return new TardisError('NO_ACCESS', `no permission to read "${displayName(path)}"`);
}
