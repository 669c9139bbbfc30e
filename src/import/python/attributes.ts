/** Extended attributes and ACLs of entries, from the texts in which Tardis (Python) stores them to those of rows. */
import {
  AclTag,
  MAX_ATTRIBUTES_BYTES,
  checkAttributes,
  packAttributes,
} from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';

const ACL_NAME = 'system.posix_acl_access';
const ACL_VERSION = 2;
const ACL_HEAD_BYTES = 4;
const ACL_ENTRY_BYTES = 8;
const NO_ID = 0xffff_ffff;
/** Numbers of entries of one ACL; more do not fit into an attribute of Linux. */
const MAX_ACL_ENTRIES = 8191;

type Owners = Pick<NativeCalls, 'userId' | 'groupId'>;

/**
 * Returns packed attributes from the JSON of extended attributes and the text of an ACL; undefined if they are malformed or
 * too large. An ACL among the attributes counts, since it has numbers, not names.
 */
export function packedAttributes(
  native: Owners,
  xattrs: Buffer | undefined,
  acl: Buffer | undefined,
): Buffer | undefined {
  const values = xattrs === undefined ? new Map<string, Buffer>() : xattrsOf(xattrs);
  if (values === undefined) return undefined;
  if (acl !== undefined && !values.has(ACL_NAME)) {
    const packed = aclOf(native, acl.toString('utf8'));
    if (packed === undefined) return undefined;
    values.set(ACL_NAME, packed);
  }
  const attributes = [...values]
    .map(([name, value]) => ({ name: Buffer.from(name), value }))
    .sort((one, other) => Buffer.compare(one.name, other.name));
  const packed = packAttributes(attributes);
  return packed.length <= MAX_ATTRIBUTES_BYTES && checkAttributes(packed) ? packed : undefined;
}

/** Reads an object of names and values in base64. */
function xattrsOf(json: Buffer): Map<string, Buffer> | undefined {
  let read: unknown;
  try {
    read = JSON.parse(json.toString('utf8'));
  } catch {
    return undefined; // the caller reports malformed attributes
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const values = new Map<string, Buffer>();
  for (const [name, value] of Object.entries(read)) {
    if (typeof value !== 'string' || !name.includes('.')) return undefined;
    values.set(name, Buffer.from(value, 'base64'));
  }
  return values;
}

/** Returns the ACL of a text such as `user::rw-`, one entry on a line. */
function aclOf(native: Owners, text: string): Buffer | undefined {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  const entries = lines.filter((line) => line !== '').map((line) => aclEntry(native, line));
  if (entries.length > MAX_ACL_ENTRIES || entries.includes(undefined)) return undefined;
  const sorted = (entries as [number, number, number][]).sort(
    ([tag, , id], [otherTag, , otherId]) => tag - otherTag || id - otherId,
  );
  const acl = Buffer.alloc(ACL_HEAD_BYTES + sorted.length * ACL_ENTRY_BYTES);
  acl.writeUInt32LE(ACL_VERSION, 0);
  for (const [index, [tag, permissions, id]] of sorted.entries()) {
    const at = ACL_HEAD_BYTES + index * ACL_ENTRY_BYTES;
    acl.writeUInt16LE(tag, at);
    acl.writeUInt16LE(permissions, at + 2);
    acl.writeUInt32LE(id, at + 4);
  }
  return acl;
}

function aclEntry(
  native: Owners,
  line: string,
): [tag: number, permissions: number, id: number] | undefined {
  const match = /^(user|group|mask|other):([^:]*):([r-])([w-])([x-])$/.exec(line);
  if (match === null) return undefined;
  const [, kind, name, read, write, search] = match;
  const permissions = (read === 'r' ? 4 : 0) | (write === 'w' ? 2 : 0) | (search === 'x' ? 1 : 0);
  if (name === '') {
    const tags = {
      user: AclTag.owner,
      group: AclTag.owningGroup,
      mask: AclTag.mask,
      other: AclTag.other,
    };
    return [tags[kind as keyof typeof tags], permissions, NO_ID];
  }
  const isNumber = /^\d{1,10}$/.test(name!);
  const id = isNumber
    ? Number(name)
    : kind === 'user'
      ? native.userId(Buffer.from(name!))
      : native.groupId(Buffer.from(name!));
  if (id === undefined || id >= NO_ID || !['user', 'group'].includes(kind!)) return undefined;
  return [kind === 'user' ? AclTag.user : AclTag.group, permissions, id];
}
