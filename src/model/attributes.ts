/**
 * Extended attributes of an entry, ACLs among them, packed behind its row (docs/formats.md, "Rows"):
 * for each, in the order of their names' bytes, a u16 with the length of the name, a u32 with that of
 * the value, name and value. An empty name stands for the exact modification time where nanoseconds
 * in 64 bits cannot tell it.
 */

/** One entry's attributes take at most this much, packed; what has more is told, and not kept. */
export const MAX_ATTRIBUTES_BYTES: number = 128 << 10;
/** The same, sealed as one. */
const MAX_PACKED_BYTES: number = MAX_ATTRIBUTES_BYTES + 64;
const HEAD_BYTES = 6;
const MAX_ATTRIBUTE_NAME_BYTES = 255;
/** The value of the empty name: seconds (i64), nanoseconds (u32). */
const TIME_BYTES = 12;
const NS_PER_SECOND = 1_000_000_000n;
const MAX_I64 = 2n ** 63n - 1n;
const MIN_I64 = -(2n ** 63n);

export interface Attribute {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** Nothing outside of this range is exact in a row: it holds the nearest time. */
export function isTimeBeyond(timeNs: bigint): boolean {
  return timeNs === MAX_I64 || timeNs === MIN_I64;
}

/** The attributes of a packed block that was checked, without the time; views, not copies. */
export function readAttributes(packed: Buffer | undefined): Attribute[] {
  return all(packed).filter(({ name }) => name.length > 0);
}

/** The exact modification time, where the row holds only the nearest it can. */
export function exactMtimeNs(mtimeNs: bigint, packed: Buffer | undefined): bigint {
  if (!isTimeBeyond(mtimeNs)) return mtimeNs;
  const time = all(packed).find(({ name }) => name.length === 0)?.value;
  if (time === undefined) return mtimeNs;
  return time.readBigInt64LE(0) * NS_PER_SECOND + BigInt(time.readUInt32LE(8));
}

/** Packed attributes without any but the exact time, if that is among them. */
export function timeAmong(packed: Buffer | undefined): Buffer {
  return packAttributes(all(packed).filter(({ name }) => name.length === 0));
}

const ACL_ACCESS = 'system.posix_acl_access';
const ACL_NAMES = new Set([ACL_ACCESS, 'system.posix_acl_default']);
const ACL_HEAD_BYTES = 4;
const ACL_ENTRY_BYTES = 8;
/** Entries of an ACL that name somebody: their tag (u16), permissions (u16), number (u32). */
const ACL_USER = 0x02;
const ACL_GROUP = 0x08;

/** What an entry of an ACL is about. */
export const AclTag = Object.freeze({
  owner: 0x01,
  user: ACL_USER,
  owningGroup: 0x04,
  group: ACL_GROUP,
  mask: 0x10,
  other: 0x20,
});

export interface AclEntry {
  readonly tag: number;
  /** As in modes: 4 to read, 2 to write, 1 to search. */
  readonly permissions: number;
  /** Of a user or group that is named. */
  readonly id: number;
}

/** The ACL that says who may do what, or undefined if there is none. */
export function accessAcl(packed: Buffer): AclEntry[] | undefined {
  const acl = all(packed).find(({ name }) => name.toString('latin1') === ACL_ACCESS)?.value;
  if (acl === undefined) return undefined;
  const entries: AclEntry[] = [];
  for (let at = ACL_HEAD_BYTES; at + ACL_ENTRY_BYTES <= acl.length; at += ACL_ENTRY_BYTES) {
    const [tag, permissions] = [acl.readUInt16LE(at), acl.readUInt16LE(at + 2)];
    entries.push({ tag, permissions, id: acl.readUInt32LE(at + 4) });
  }
  return entries;
}

export interface AclOwner {
  readonly isGroup: boolean;
  readonly id: number;
}

/** Users and groups that the ACLs among packed attributes name. */
export function aclOwners(packed: Buffer): AclOwner[] {
  const owners: AclOwner[] = [];
  forEachAclOwner(packed, (isGroup, acl, at) => owners.push({ isGroup, id: acl.readUInt32LE(at) }));
  return owners;
}

/** Gives the users and groups that ACLs name other numbers, in place. */
export function renumberAcls(packed: Buffer, renumber: (owner: AclOwner) => number): void {
  forEachAclOwner(packed, (isGroup, acl, at) => {
    acl.writeUInt32LE(renumber({ isGroup, id: acl.readUInt32LE(at) }), at);
  });
}

function forEachAclOwner(
  packed: Buffer,
  visit: (isGroup: boolean, acl: Buffer, at: number) => void,
): void {
  for (const { name, value } of all(packed)) {
    if (!ACL_NAMES.has(name.toString('latin1'))) continue;
    for (let at = ACL_HEAD_BYTES; at + ACL_ENTRY_BYTES <= value.length; at += ACL_ENTRY_BYTES) {
      const tag = value.readUInt16LE(at);
      if (tag === ACL_USER || tag === ACL_GROUP) visit(tag === ACL_GROUP, value, at + 4);
    }
  }
}

function all(packed: Buffer | undefined): Attribute[] {
  const attributes: Attribute[] = [];
  if (packed === undefined) return attributes;
  for (let at = 0; at < packed.length; ) {
    const nameEnd = at + HEAD_BYTES + packed.readUInt16LE(at);
    const end = nameEnd + packed.readUInt32LE(at + 2);
    attributes.push({
      name: packed.subarray(at + HEAD_BYTES, nameEnd),
      value: packed.subarray(nameEnd, end),
    });
    at = end;
  }
  return attributes;
}

/** Packs attributes; their names must be in order. */
export function packAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(
    attributes.flatMap(({ name, value }) => {
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt16LE(name.length, 0);
      head.writeUInt32LE(value.length, 2);
      return [head, name, value];
    }),
  );
}

/** Whether bytes of unknown origin are attributes as they should be. */
export function checkAttributes(packed: Buffer): boolean {
  if (packed.length > MAX_PACKED_BYTES) return false;
  let previous: Buffer | undefined;
  for (let at = 0; at < packed.length; ) {
    if (at + HEAD_BYTES > packed.length) return false;
    const nameBytes = packed.readUInt16LE(at);
    const valueBytes = packed.readUInt32LE(at + 2);
    const nameAt = at + HEAD_BYTES;
    const end = nameAt + nameBytes + valueBytes;
    if (nameBytes > MAX_ATTRIBUTE_NAME_BYTES || end > packed.length) return false;
    const name = packed.subarray(nameAt, nameAt + nameBytes);
    if (name.includes(0)) return false;
    if (nameBytes === 0 && valueBytes !== TIME_BYTES) return false;
    if (nameBytes === 0 && packed.readUInt32LE(nameAt + 8) >= Number(NS_PER_SECOND)) return false;
    if (previous !== undefined && Buffer.compare(previous, name) >= 0) return false;
    previous = name;
    at = end;
  }
  return true;
}
