/**
 * Extended attributes of an entry (ACLs included), packed at the end of its row (docs/inside/formats.md, "Rows"). Each
 * attribute is: length of the name (u16), length of the value (u32), name, value. Attributes are sorted by the bytes of
 * their names. If nanoseconds in 64 bits cannot represent the modification time, the attribute with an empty name holds
 * the exact time. The attribute `flags` holds the flags of the inode.
 */
import { SECOND_NS } from './units.js';

/**
 * Largest size of the packed attributes of one entry. If an entry has more, its attributes are not stored, and
 * a note records that.
 */
export const MAX_ATTRIBUTES_BYTES: number = 128 << 10;
/**
 * Maximum size of the packed attributes in a row. It is above MAX_ATTRIBUTES_BYTES, since sealing makes attributes
 * longer.
 */
const MAX_PACKED_BYTES: number = MAX_ATTRIBUTES_BYTES + 64;
const HEAD_BYTES = 6;
const MAX_ATTRIBUTE_NAME_BYTES = 255;
/** Size of the value of the empty name: seconds (i64), nanoseconds (u32). */
const TIME_BYTES = 12;
const MAX_I64 = 2n ** 63n - 1n;
const MIN_I64 = -(2n ** 63n);

interface Attribute {
  readonly name: Buffer;
  readonly value: Buffer;
}

/**
 * Name of the attribute that holds the flags of an inode (chattr), as u32. No attribute of a file system has
 * this name.
 */
const FLAGS_NAME: Buffer = Buffer.from('flags');
const FLAGS_BYTES = 4;

/**
 * Inode flags that are stored: they control what may be done with a file. The numbers are those of Linux
 * (FS_…_FL).
 */
export const InodeFlag = Object.freeze({
  sync: 0x8,
  immutable: 0x10,
  append: 0x20,
  noDump: 0x40,
  noAtime: 0x80,
  dirSync: 0x1_0000,
});
const FLAG_LETTERS: readonly (readonly [flag: number, letter: string, tarName: string])[] = [
  [InodeFlag.sync, 'S', 'sync'],
  [InodeFlag.dirSync, 'D', 'dirsync'],
  [InodeFlag.immutable, 'i', 'schg'],
  [InodeFlag.append, 'a', 'sappnd'],
  [InodeFlag.noDump, 'd', 'nodump'],
  [InodeFlag.noAtime, 'A', 'noatime'],
];
const KEPT_FLAGS = FLAG_LETTERS.reduce((all, [flag]) => all | flag, 0);

/** Returns the stored inode flags from the packed attributes of an entry; 0 if there are none. */
export function inodeFlags(packed: Buffer | undefined): number {
  if (packed === undefined) return 0;
  const value = all(packed).find(({ name }) => name.equals(FLAGS_NAME))?.value;
  return value === undefined ? 0 : value.readUInt32LE(0) & KEPT_FLAGS;
}

/** Returns flags as the letters of chattr. */
export function flagLetters(flags: number): string {
  return FLAG_LETTERS.map(([flag, letter]) => ((flags & flag) === 0 ? '' : letter)).join('');
}

/** Returns flags as tar archives name them, separated by commas. */
export function flagsForTar(flags: number): string {
  return FLAG_LETTERS.filter(([flag]) => (flags & flag) !== 0)
    .map(([, , name]) => name)
    .join(',');
}

/**
 * True if a time in a row is a limit of 64 bits. The real time may then be beyond the limit; if so, the attributes hold
 * the exact time.
 */
export function isTimeBeyond(timeNs: bigint): boolean {
  return timeNs === MAX_I64 || timeNs === MIN_I64;
}

/** Returns the time to store in a row for `timeNs`: the nearest time that 64 bits can represent. */
export function timeInRow(timeNs: bigint): bigint {
  if (timeNs > MAX_I64) return MAX_I64;
  return timeNs < MIN_I64 ? MIN_I64 : timeNs;
}

/**
 * Returns the attributes in a checked packed block, without the exact time and the inode flags. The attributes are
 * views, not copies.
 */
export function readAttributes(packed: Buffer | undefined): Attribute[] {
  return all(packed).filter(({ name }) => name.length > 0 && !name.equals(FLAGS_NAME));
}

/**
 * Returns the exact modification time. `mtimeNs` is the time in the row. If it is a limit of 64 bits, an exact time
 * among the attributes replaces it.
 */
export function exactMtimeNs(mtimeNs: bigint, packed: Buffer | undefined): bigint {
  if (!isTimeBeyond(mtimeNs)) return mtimeNs;
  const time = all(packed).find(({ name }) => name.length === 0)?.value;
  if (time === undefined) return mtimeNs;
  return time.readBigInt64LE(0) * SECOND_NS + BigInt(time.readUInt32LE(8));
}

/** Returns packed attributes with only the exact time; empty if there is none. */
export function timeAmong(packed: Buffer | undefined): Buffer {
  return packAttributes(all(packed).filter(({ name }) => name.length === 0));
}

/** Returns packed attributes without the capabilities of a program. */
export function withoutCapabilities(packed: Buffer | undefined): Buffer {
  return packAttributes(all(packed).filter(({ name }) => !name.equals(CAPABILITIES)));
}

const CAPABILITIES = Buffer.from('security.capability');

/** Returns packed attributes with only those of the system, which decide who has access; empty if there are none. */
export function aclsAmong(packed: Buffer | undefined): Buffer {
  return packAttributes(all(packed).filter(({ name }) => name.indexOf(OF_SYSTEM) === 0));
}

const OF_SYSTEM = 'system.';
const ACL_PREFIX = 'system.posix_acl_';
const ACL_ACCESS = `${ACL_PREFIX}access`;
const ACL_NAMES = new Set([ACL_ACCESS, `${ACL_PREFIX}default`]);
const ACL_HEAD_BYTES = 4;
const ACL_ENTRY_BYTES = 8;
/**
 * Tags of the ACL entries that name a user or a group. An ACL entry is: tag (u16), permissions (u16), number
 * (u32).
 */
const ACL_USER = 0x02;
const ACL_GROUP = 0x08;

/** Tags of ACL entries. A tag is the kind of user or group that an entry applies to. */
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
  /** Bits as in file modes: 4 to read, 2 to write, 1 to search. */
  readonly permissions: number;
  /** Number of the user or group, if the entry names one. */
  readonly id: number;
}

/** Returns the entries of the access ACL, or undefined if there is none. */
export function accessAcl(packed: Buffer): AclEntry[] | undefined {
  const acl = all(packed).find(({ name }) => name.toString('latin1') === ACL_ACCESS)?.value;
  return acl && aclEntries(acl);
}

/** Returns the entries of an ACL as the system stores it. */
export function aclEntries(acl: Buffer): AclEntry[] {
  const entries: AclEntry[] = [];
  for (let at = ACL_HEAD_BYTES; at + ACL_ENTRY_BYTES <= acl.length; at += ACL_ENTRY_BYTES) {
    const [tag, permissions] = [acl.readUInt16LE(at), acl.readUInt16LE(at + 2)];
    entries.push({ tag, permissions, id: acl.readUInt32LE(at + 4) });
  }
  return entries;
}

/** Names of the tags in the text of an ACL. */
const TAG_NAMES: Readonly<Record<number, string>> = {
  [AclTag.owner]: 'user',
  [AclTag.user]: 'user',
  [AclTag.owningGroup]: 'group',
  [AclTag.group]: 'group',
  [AclTag.mask]: 'mask',
  [AclTag.other]: 'other',
};

/** Returns an ACL as text with numbers, such as `user::rw-,user:1000:r--,group::r--,mask::r--,other::---` (acl(5)). */
function aclText(acl: Buffer): string {
  const texts = aclEntries(acl).map(({ tag, permissions, id }) => {
    const named = tag === ACL_USER || tag === ACL_GROUP ? String(id) : '';
    const may = ['r', 'w', 'x'].map((letter, at) =>
      (permissions & (4 >> at)) === 0 ? '-' : letter,
    );
    return `${TAG_NAMES[tag] ?? 'other'}:${named}:${may.join('')}`;
  });
  return texts.join(',');
}

/** Returns the ACLs among packed attributes, as text, by their kind: `access` and `default`. */
export function aclTexts(packed: Buffer | undefined): (readonly [kind: string, text: string])[] {
  return all(packed).flatMap(({ name, value }) => {
    const text = name.toString('latin1');
    return ACL_NAMES.has(text) ? [[text.slice(ACL_PREFIX.length), aclText(value)] as const] : [];
  });
}

interface AclOwner {
  readonly isGroup: boolean;
  readonly id: number;
}

/** Returns the users and groups that the ACLs among packed attributes name. */
export function aclOwners(packed: Buffer): AclOwner[] {
  const owners: AclOwner[] = [];
  forEachAclOwner(packed, (isGroup, acl, at) => owners.push({ isGroup, id: acl.readUInt32LE(at) }));
  return owners;
}

/** Replaces the numbers of the users and groups that the ACLs name, in place. */
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

/** Packs attributes, which must be sorted by name. */
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

/** True if untrusted bytes are well-formed packed attributes. */
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
    if (name.equals(FLAGS_NAME) && valueBytes !== FLAGS_BYTES) return false;
    if (nameBytes === 0 && packed.readUInt32LE(nameAt + 8) >= Number(SECOND_NS)) return false;
    if (previous !== undefined && Buffer.compare(previous, name) >= 0) return false;
    previous = name;
    at = end;
  }
  return true;
}
