/**
 * Trees as literals. A literal is created on the disk, read back, and compared after a restore. Names are bytes.
 * The comparison covers all that a backup must restore: names, types, modes, owners, times to the nanosecond,
 * targets of symbolic links, groups of hard links, and contents.
 */
import { createCipheriv, createHash, hash as hashOnce } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import {
  encodeRow,
  EntryType,
  type EntryTypeNumber,
  packAttributes,
} from '../../src/model/index.js';
import { RESERVE_FILE } from '../../src/store/index.js';
import { failedAttributes, MetadataOption, nodeSystem } from '../../src/system/index.js';

export const isRoot = process.getuid?.() === 0;

export interface Metadata {
  readonly mode?: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs?: bigint;
  /** Owner; used only if root runs the test. */
  readonly uid?: number;
  readonly gid?: number;
  /** Extended attributes by name. */
  readonly attributes?: Readonly<Record<string, string | Buffer>>;
}

export type Name = string | Buffer;

export type TreeNode = Metadata & { readonly name: Buffer } & (
    | { readonly kind: 'directory'; readonly children: readonly TreeNode[] }
    | { readonly kind: 'file'; readonly bytes: Buffer }
    | { readonly kind: 'symlink'; readonly target: Buffer }
    /** `to`: names from the top of the tree to the linked file, created before this one. */
    | { readonly kind: 'hardlink'; readonly to: readonly Name[] }
    /** A file of `sizeBytes` with data in some places only. */
    | {
        readonly kind: 'sparse';
        readonly sizeBytes: number;
        readonly data: readonly (readonly [position: number, bytes: Buffer])[];
      }
    | { readonly kind: 'node'; readonly type: NodeType; readonly device: bigint }
  );

type NodeType = 'fifo' | 'socket' | 'characterDevice' | 'blockDevice';

const DEFAULT_MTIME_NS = 1_500_000_000_123_456_789n;
const SLASH = Buffer.from('/');

export function dir(name: Name, children: readonly TreeNode[] = [], meta: Metadata = {}): TreeNode {
  return { kind: 'directory', name: bytesOf(name), children, ...meta };
}

export function file(name: Name, content: string | Buffer = '', meta: Metadata = {}): TreeNode {
  return { kind: 'file', name: bytesOf(name), bytes: bytesOf(content), ...meta };
}

export function symlink(name: Name, target: Name, meta: Metadata = {}): TreeNode {
  return { kind: 'symlink', name: bytesOf(name), target: bytesOf(target), ...meta };
}

export function hardlink(name: Name, ...to: Name[]): TreeNode {
  return { kind: 'hardlink', name: bytesOf(name), to };
}

export function sparse(
  name: Name,
  sizeBytes: number,
  data: readonly (readonly [position: number, bytes: Buffer])[] = [],
  meta: Metadata = {},
): TreeNode {
  return { kind: 'sparse', name: bytesOf(name), sizeBytes, data, ...meta };
}

/** Returns a special file; device nodes need root. */
export function node(name: Name, type: NodeType, meta: Metadata = {}, device = 0n): TreeNode {
  return { kind: 'node', name: bytesOf(name), type, device, ...meta };
}

/** Creates a directory with `children`. */
export function makeTree(at: Name, children: readonly TreeNode[], meta: Metadata = {}): void {
  makeDirectory(bytesOf(at), bytesOf(at), children, meta);
}

/** Adds an entry to a directory of a tree; the directory's modification time becomes the present. */
export function addTo(directory: Name, node: TreeNode): void {
  make(bytesOf(directory), node, bytesOf(directory));
}

const { native } = nodeSystem();

/** Throws if attributes could not be set: the tree would not be the intended one. */
function whole(reported: Buffer | undefined): void {
  const failed = failedAttributes(reported);
  if (failed.length > 0) throw new Error(`attributes: ${JSON.stringify(failed)}`);
}

function make(directory: Buffer, node: TreeNode, top: Buffer): void {
  const full = join(directory, node.name);
  switch (node.kind) {
    case 'directory':
      makeDirectory(full, top, node.children, node);
      return;
    case 'file':
    case 'sparse': {
      const fd = fs.openSync(full, 'wx');
      try {
        if (node.kind === 'file') fs.writeFileSync(fd, node.bytes);
        else {
          native.resizeFile(fd, node.sizeBytes);
          for (const [position, bytes] of node.data) fs.writeSync(fd, bytes, 0, null, position);
        }
        whole(native.finishFile(fd, rowOf(EntryType.file, 0o644, node), 0, ownerOption()));
      } finally {
        fs.closeSync(fd);
      }
      return;
    }
    case 'symlink':
    case 'node': {
      const fd = fs.openSync(directory, fs.constants.O_DIRECTORY);
      try {
        if (node.kind === 'symlink') {
          const row = rowOf(EntryType.symlink, 0o777, node, { linkTarget: node.target });
          whole(native.symlinkAt(fd, node.name, node.target, row, 0, ownerOption()));
        } else {
          const row = rowOf(EntryType[node.type], 0o644, node, { device: node.device });
          whole(native.makeNodeAt(fd, node.name, row, 0, ownerOption()));
        }
      } finally {
        fs.closeSync(fd);
      }
      return;
    }
    case 'hardlink':
      fs.linkSync(
        node.to.reduce<Buffer>((above, name) => join(above, bytesOf(name)), top),
        full,
      );
  }
}

function makeDirectory(
  full: Buffer,
  top: Buffer,
  children: readonly TreeNode[],
  meta: Metadata,
): void {
  fs.mkdirSync(full);
  for (const child of children) make(full, child, top);
  const fd = fs.openSync(full, fs.constants.O_DIRECTORY);
  try {
    const row = rowOf(EntryType.directory, 0o755, meta);
    whole(native.setDirectoryMetadata(fd, row, 0, ownerOption()));
  } finally {
    fs.closeSync(fd);
  }
}

function ownerOption(): number {
  return isRoot ? MetadataOption.setOwner : 0;
}

function rowOf(
  type: EntryTypeNumber,
  mode: number,
  meta: Metadata,
  more: { readonly linkTarget?: Buffer; readonly device?: bigint } = {},
): Buffer {
  return encodeRow({
    name: Buffer.from('x'),
    type,
    flags: 0,
    permissions: meta.mode ?? mode,
    uid: meta.uid ?? process.getuid!(),
    gid: meta.gid ?? process.getgid!(),
    linkCount: 1,
    sizeBytes: 0,
    mtimeNs: meta.mtimeNs ?? DEFAULT_MTIME_NS,
    ctimeNs: 0n,
    birthTimeNs: 0n,
    inode: 0n,
    device: more.device ?? 0n,
    digest: undefined,
    linkTarget: more.linkTarget,
    attributes: packed(meta.attributes),
  });
}

function packed(attributes: Metadata['attributes'] = {}): Buffer | undefined {
  const all = Object.entries(attributes).map(([name, value]) => ({
    name: Buffer.from(name),
    value: bytesOf(value),
  }));
  if (all.length === 0) return undefined;
  return packAttributes(all.toSorted((a, b) => Buffer.compare(a.name, b.name)));
}

// --- looking and comparing -----------------------------------------------------------------------

/** Descriptions of files by their path below a directory, as Latin-1 ('' for the directory itself). */
export type Snapshot = ReadonlyMap<string, string>;

/** A name of a file that may have others. */
interface Linked {
  readonly shown: string;
  /** The words about it, of which the one at `at` names the first name of the file. */
  readonly words: string[];
  readonly at: number;
}

/** Reads a directory and everything below it. Names outside of it that a file may have do not count. */
export function look(directory: Name): Snapshot {
  const seen = new Map<string, string[]>();
  const groups = new Map<bigint, Linked[]>();
  const visit = (full: Buffer, below: Buffer, attributes: Buffer): void => {
    const shown = below.toString('latin1');
    const stat = fs.lstatSync(full, { bigint: true });
    const mode = (stat.mode & 0o7777n).toString(8).padStart(4, '0');
    const words = [typeOf(stat), mode, `${stat.uid}:${stat.gid}`, `${stat.mtimeNs}ns`];
    if (stat.isSymbolicLink()) {
      words.push(`-> ${fs.readlinkSync(full, { encoding: 'buffer' }).toString('latin1')}`);
    }
    if (stat.isFile()) words.push(`${stat.size} bytes`, digestOf(full, stat));
    if (stat.isCharacterDevice() || stat.isBlockDevice()) words.push(`device ${stat.rdev}`);
    if (!stat.isDirectory() && stat.nlink > 1n) {
      const names = groups.get(stat.ino) ?? [];
      groups.set(stat.ino, names);
      names.push({ shown, words, at: words.push('') - 1 });
    }
    if (attributes.length > 0) words.push(`attributes ${attributes.toString('latin1')}`);
    seen.set(shown, words);
    if (!stat.isDirectory()) return;
    const names = fs.readdirSync(full, { encoding: 'buffer' }).sort(Buffer.compare);
    const ofNames = attributesIn(full, names);
    for (const [at, name] of names.entries()) {
      visit(join(full, name), join(below, name), ofNames[at]!);
    }
  };
  const top = bytesOf(directory);
  visit(top, Buffer.alloc(0), attributesOf(top));
  for (const names of groups.values()) {
    if (names.length === 1) continue;
    for (const { words, at } of names) words[at] = `linked to ${names[0]!.shown}`;
  }
  return new Map([...seen].map(([name, words]) => [name, words.filter(Boolean).join(' ')]));
}

/** Returns the differences, one line each; empty if both are equal. */
export function differences(wanted: Snapshot, found: Snapshot): string[] {
  const lines: string[] = [];
  for (const [name, words] of wanted) {
    const other = found.get(name);
    if (other !== words) lines.push(`${JSON.stringify(name)}: ${words} | ${other ?? 'missing'}`);
  }
  for (const [name, words] of found) {
    if (!wanted.has(name)) lines.push(`${JSON.stringify(name)}: nothing | ${words}`);
  }
  return lines;
}

function typeOf(stat: fs.BigIntStats): string {
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFile()) return 'file';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isBlockDevice() ? 'block device' : 'character device';
}

const EXTENT_BYTES = 16;
const MOST_EXTENTS = 4096;

/** Digests of files that take long to read, by all that a change of the file would change. */
const digests = new Map<string, string>();
const LONG_BYTES = 1n << 20n;
/** A change within this time after another one may leave the time of the change as it is. */
const SAME_TIME_NS = 1_000_000_000n;

/** Returns a digest of a file, which is read once while it does not change. */
function digestOf(full: Buffer, stat: fs.BigIntStats): string {
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  if (stat.size < LONG_BYTES || nowNs - stat.ctimeNs < SAME_TIME_NS) return readDigest(full, stat);
  const { dev, ino, size, blocks, mtimeNs, ctimeNs } = stat;
  const key = [dev, ino, size, blocks, mtimeNs, ctimeNs].join(' ');
  const digest = digests.get(key) ?? readDigest(full, stat);
  digests.set(key, digest);
  return digest;
}

/**
 * Returns a digest of a file. For a file with holes it covers positions and bytes of its data, so that no hole is
 * read.
 */
function readDigest(full: Buffer, stat: fs.BigIntStats): string {
  if (stat.blocks === 0n && stat.size > LONG_BYTES) return `a hole of ${stat.size} bytes`;
  const fd = fs.openSync(full, 'r');
  try {
    const mayHaveHoles = stat.blocks * 512n < stat.size;
    const head = mayHaveHoles ? native.sparseHead(fd, Number(stat.size), MOST_EXTENTS) : undefined;
    const digest =
      head === undefined || head.length === 0 ? wholeDigest(fd) : sparseDigest(fd, head);
    return digest.slice(0, 32);
  } finally {
    fs.closeSync(fd);
  }
}

/** The place of what is read, which is one for all files: most are small, and a buffer takes longer than they do. */
const piece = Buffer.alloc(Number(LONG_BYTES));

/** Returns a digest of all bytes of an open file, whatever size it reports. */
function wholeDigest(fd: number): string {
  const firstBytes = fs.readSync(fd, piece, 0, piece.length, 0);
  if (firstBytes < piece.length && fs.readSync(fd, piece, firstBytes, 1, firstBytes) === 0)
    return hashOnce('sha256', piece.subarray(0, firstBytes));
  const hash = createHash('sha256');
  for (let at = 0; ; ) {
    const bytes = fs.readSync(fd, piece, 0, piece.length, at);
    if (bytes === 0) return hash.digest('hex');
    hash.update(piece.subarray(0, bytes));
    at += bytes;
  }
}

/** Returns a digest of the data of an open file with holes, and of its places. */
function sparseDigest(fd: number, head: Buffer): string {
  const hash = createHash('sha256').update(head);
  for (let at = EXTENT_BYTES; at < head.length; at += EXTENT_BYTES) {
    const data = Buffer.alloc(Number(head.readBigUInt64LE(at + 8)));
    fs.readSync(fd, data, 0, data.length, head.readBigUInt64LE(at));
    hash.update(data);
  }
  return hash.digest('hex');
}

const MOST_ATTRIBUTE_BYTES = 1 << 20;

/** Returns the attributes of an entry, packed. */
export function attributesOf(full: Buffer): Buffer {
  const slash = full.lastIndexOf(0x2f);
  const above = slash <= 0 ? Buffer.from('/') : full.subarray(0, slash);
  return attributesIn(above, [full.subarray(slash + 1)])[0]!;
}

/** Returns the attributes of entries of a directory, packed. */
function attributesIn(directory: Buffer, names: readonly Buffer[]): Buffer[] {
  const fd = fs.openSync(directory, fs.constants.O_DIRECTORY);
  try {
    return names.map((name) => native.attributesAt(fd, name, true, MOST_ATTRIBUTE_BYTES));
  } finally {
    fs.closeSync(fd);
  }
}

// --- material ------------------------------------------------------------------------------------

/** Returns incompressible bytes; the same for the same seed. */
export function noise(seed: number | string, bytes: number): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return cipher.update(Buffer.alloc(bytes));
}

/** Returns slightly compressible text, as different for each seed as noise. */
export function text(seed: number | string, bytes: number): Buffer {
  const letters = noise(seed, bytes).toString('hex').slice(0, bytes);
  return Buffer.from(letters);
}

/**
 * Returns the sum of the lengths of all files in a directory, except the store's reserve. The directory need not exist
 * yet, and files may vanish meanwhile.
 */
export function sizeOf(directory: string): number {
  if (!fs.existsSync(directory)) return 0;
  let bytes = 0;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.name === RESERVE_FILE) continue;
    const full = path.join(directory, entry.name);
    bytes += entry.isDirectory()
      ? sizeOf(full)
      : (fs.statSync(full, { throwIfNoEntry: false })?.size ?? 0);
  }
  return bytes;
}

export function bytesOf(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

function join(above: Buffer, name: Buffer): Buffer {
  return above.length === 0 ? name : Buffer.concat([above, SLASH, name]);
}
