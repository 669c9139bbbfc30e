/** Trees of generated names, of every kind of entry, for tests that compare two readers of one tree. */
import { seededRandom } from '../support/seeded-random.js';
import { here } from './kinds.js';
import {
  dir,
  file,
  hardlink,
  isRoot,
  type Metadata,
  type Name,
  node,
  noise,
  sparse,
  symlink,
  text,
  type TreeNode,
} from './tree.js';

const MAX_DEPTH = 12;
const MAX_IN_DIRECTORY = 400;
const LARGE_BYTES = 300_000;
const NAME_MAX = 255;
const SLASH = 0x2f;
/** Seconds at which a clock or a format may turn over. */
const EXTREME_SECONDS = [0, -1, 1, 2 ** 31, -(2 ** 31), 4e9] as const;
const MAX_OWNERS = 70_000;

export type Choose = (limit: number) => number;

/** Returns a function that chooses whole numbers below a limit. */
export function chooser(seed: number): Choose {
  const random = seededRandom(seed);
  return (limit) => random.bytes(4).readUInt32LE(0) % limit;
}

/** An ACL that lets user 1234 read: version 2, then tag, permissions and id of each entry. */
export function accessAcl(): Buffer {
  const entries = [
    [1, 6, 0xffff_ffff],
    [2, 4, 1234],
    [4, 4, 0xffff_ffff],
    [16, 4, 0xffff_ffff],
    [32, 0, 0xffff_ffff],
  ] as const;
  const acl = Buffer.alloc(4 + entries.length * 8);
  acl.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + index * 8);
    acl.writeUInt16LE(permissions, 6 + index * 8);
    acl.writeUInt32LE(id, 8 + index * 8);
  }
  return acl;
}

class Maker {
  private readonly files: (readonly Name[])[] = [];
  private readonly choose: Choose;

  constructor(choose: Choose) {
    this.choose = choose;
  }

  fill(entries: number, way: readonly Name[]): TreeNode[] {
    const children: TreeNode[] = [];
    const taken = new Set<string>();
    for (let left = entries; left > 0; left -= 1) {
      const name = this.name(taken);
      const isDirectory = way.length < MAX_DEPTH && left > 1 && this.choose(20) === 0;
      if (!isDirectory) {
        children.push(this.leaf(name, [...way, name]));
        continue;
      }
      const below = this.choose(Math.min(left, MAX_IN_DIRECTORY));
      children.push(dir(name, this.fill(below, [...way, name]), this.metadata()));
      left -= below;
    }
    return children;
  }

  private name(taken: Set<string>): Buffer {
    for (;;) {
      const bytes = this.bytesOfName();
      const key = bytes.toString('latin1');
      if (key === '.' || key === '..' || taken.has(key)) continue;
      taken.add(key);
      return bytes;
    }
  }

  private bytesOfName(): Buffer {
    const { choose } = this;
    const isLong = choose(30) === 0;
    const length = isLong && choose(3) === 0 ? NAME_MAX : 1 + choose(isLong ? NAME_MAX : 20);
    switch (choose(5)) {
      case 0:
        return Buffer.from(
          Array.from({ length }, () => 'aAzZ09 ._-#~\n\\"\'*'[choose(16)]!).join(''),
        );
      case 1:
        return Buffer.from('äöß€語🙂é'.repeat(NAME_MAX).slice(0, Math.ceil(length / 5)));
      case 2:
        return Buffer.from(`file ${choose(1 << 30)}.txt`);
      case 3: // control characters and blanks, which trouble shells and terminals
        return Buffer.from(Array.from({ length }, () => 1 + choose(32)));
      default:
        return Buffer.from(Array.from({ length }, () => 1 + choose(255))).map((byte) =>
          byte === SLASH ? 0xff : byte,
        ) as Buffer;
    }
  }

  private metadata(): Metadata {
    const { choose } = this;
    const mtimeNs = BigInt(this.seconds()) * 1_000_000_000n + BigInt(choose(1_000_000_000));
    const owners = isRoot ? { uid: this.owner(), gid: this.owner() } : {};
    // The user who runs the test must be able to read a file, and to enter a directory and delete it.
    const mode = choose(0o10000) | (isRoot ? 0o100 : 0o700);
    const metadata = { mtimeNs, ...owners, mode };
    return here.attributes && choose(6) === 0
      ? { ...metadata, attributes: this.attributes() }
      : metadata;
  }

  private seconds(): number {
    const { choose } = this;
    if (choose(3) === 0) return EXTREME_SECONDS[choose(EXTREME_SECONDS.length)]!;
    return choose(1 << 30) - (choose(4) === 0 ? 1 << 30 : 0);
  }

  private owner(): number {
    return this.choose(this.choose(2) === 0 ? 3 : MAX_OWNERS);
  }

  private attributes(): Record<string, Buffer> {
    const value = noise(this.choose(1000), this.choose(60));
    const acl = { 'system.posix_acl_access': accessAcl() };
    return {
      'user.a': value,
      'user.with a long name': value,
      ...(here.acls && this.choose(3) === 0 ? acl : {}),
    };
  }

  private leaf(name: Buffer, way: readonly Name[]): TreeNode {
    const { choose } = this;
    const metadata = this.metadata();
    const plain = { ...metadata, attributes: {} };
    switch (choose(12)) {
      case 0:
        return symlink(name, this.bytesOfName(), plain);
      case 1:
        return node(name, choose(2) === 0 ? 'fifo' : 'socket', plain);
      case 2:
        if (!isRoot) return node(name, 'fifo', plain);
        return node(
          name,
          choose(2) === 0 ? 'characterDevice' : 'blockDevice',
          plain,
          BigInt((choose(200) << 8) | choose(200)),
        );
      case 3: {
        const bytes = noise(choose(1000), 1 + choose(5000));
        // Few are large: they are read, too, with their holes.
        const isLarge = choose(4) === 0;
        const sizeBytes = isLarge ? (2 + choose(20)) << 20 : 10_000 + choose(LARGE_BYTES);
        return sparse(name, sizeBytes, [[choose(isLarge ? 1 << 20 : 5000), bytes]], metadata);
      }
      case 4: {
        const to = this.files[choose(Math.max(1, this.files.length))];
        if (to !== undefined) return hardlink(name, ...to);
      }
    }
    this.files.push(way);
    const sizeBytes = choose(choose(40) === 0 ? LARGE_BYTES : 4000);
    const content =
      choose(2) === 0 ? noise(choose(1 << 20), sizeBytes) : text(choose(9), sizeBytes);
    return file(name, content, metadata);
  }
}

/** Returns a tree of about as many entries as are requested. */
export function randomTree(choose: Choose, entries: number): TreeNode[] {
  return new Maker(choose).fill(entries, []);
}
