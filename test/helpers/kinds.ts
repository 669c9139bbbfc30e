/** Every kind of entry of a file system, as far as the user who runs the test may create it. */
import { spawnSync } from 'node:child_process';
import { makeScratch, removeScratch, written } from './scratch.js';
import {
  dir,
  file,
  hardlink,
  isRoot,
  noise,
  node,
  sparse,
  symlink,
  text,
  type TreeNode,
} from './tree.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const TIB = 2 ** 40;

/** Tests once if the test directory's file system supports user attributes and ACLs. */
function probe(): { attributes: boolean; acls: boolean } {
  const home = makeScratch();
  try {
    const probed = written(home, 'probe', '');
    const works = (...line: [string, ...string[]]): boolean =>
      spawnSync(line[0], [...line.slice(1), probed]).status === 0;
    return {
      attributes: works('setfattr', '-n', 'user.probe', '-v', '1'),
      acls: works('setfacl', '-m', 'u:4321:r'),
    };
  } finally {
    removeScratch(home);
  }
}

export const here: Readonly<{ attributes: boolean; acls: boolean }> = Object.freeze(probe());

/** Returns descriptions of what a test leaves out here; empty if nothing. */
export function leftOut(): string[] {
  return [
    ...(isRoot ? [] : ['device nodes, owners and attributes of root: not root']),
    ...(here.attributes ? [] : ['attributes: this file system has none']),
    ...(here.acls ? [] : ['ACLs: this file system has none']),
  ];
}

/** user::rwx, user:4321:r--, group::r-x, mask::r-x, other::r-x. */
export const ACL: Buffer = Buffer.from(
  '0200000001000700ffffffff02000400e110000004000500ffffffff10000500ffffffff20000500ffffffff',
  'hex',
);

function attributed(): TreeNode[] {
  if (!here.attributes) return [];
  const large = noise('large attribute', 60 * KIB);
  return [
    file('has attributes', 'a', { attributes: { 'user.first': '1', 'user.second': '' } }),
    file('empty with one', '', { attributes: { 'user.of-nothing': 'x' } }),
    file('large one', text(1, 3 * MIB), { attributes: { 'user.large': large } }),
    file('read-only with one', 'r', { mode: 0o444, attributes: { 'user.kept': 'yes' } }),
    dir('directory with one', [file('in it', 'x')], { attributes: { 'user.dir': 'd' } }),
    sparse('sparse with one', MIB, [[500 * KIB, Buffer.from('data')]], {
      attributes: { 'user.holes': 'too' },
    }),
  ];
}

function withAcls(): TreeNode[] {
  if (!here.acls) return [];
  const access = { 'system.posix_acl_access': ACL };
  return [
    file('has an ACL', 'acl', { mode: 0o755, attributes: access }),
    dir('has a default ACL', [file('without', 'none of its own')], {
      attributes: { 'system.posix_acl_default': ACL },
    }),
    dir('has both', [], { attributes: { ...access, 'system.posix_acl_default': ACL } }),
  ];
}

function ofRoot(): TreeNode[] {
  if (!isRoot) return [];
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  const owned = { uid: 12_345, gid: 54_321 };
  return [
    node('block', 'blockDevice', { mode: 0o660, ...owned }, 0x703n),
    node('character', 'characterDevice', { mode: 0o1666 }, 0x10_0305n),
    hardlink('second name of block', 'root', 'block'),
    node('fifo of others', 'fifo', { mode: 0o4606, ...owned }),
    file('capable', 'c', { mode: 0o755, attributes: { 'security.capability': capability } }),
    ...(here.attributes
      ? [symlink('link with one', 'x', { ...owned, attributes: { 'trusted.link': 'l' } })]
      : []),
  ];
}

/** Returns a directory for each feature beyond plain files; with `hasParts`, one of its sparse files is sent in parts. */
export function everyKind(hasParts = true): TreeNode[] {
  return [
    dir('special', [
      node('fifo', 'fifo', { mode: 0o640, mtimeNs: -123_456_789n }),
      hardlink('second name of fifo', 'special', 'fifo'),
      node('socket', 'socket', { mode: 0o755 }),
      symlink('link', 'fifo', { mtimeNs: 7n }),
      hardlink('second name of link', 'special', 'link'),
    ]),
    dir('holes', [
      sparse('all hole', 100_000),
      sparse('large and all hole', 300 * MIB),
      sparse('data at the end', 2 * MIB, [[2 * MIB - 4, Buffer.from('tail')]]),
      sparse('data in the middle', 10 * MIB, [[5 * MIB, text(2, 20 * KIB)]]),
      sparse('several', MIB, [
        [0, noise(3, 4 * KIB)],
        [256 * KIB, noise(4, 8 * KIB)],
        [900 * KIB, noise(5, 1)],
      ]),
      sparse('of 2 TiB', 2 * TIB, [[TIB, noise(6, 10 * KIB)]]),
      sparse('in parts', 400 * MIB, [
        [MIB, noise(7, hasParts ? 66 * MIB : MIB)],
        [300 * MIB, noise(8, 10 * KIB)],
      ]),
      file('no hole', Buffer.alloc(2 * MIB)),
    ]),
    dir('attributes', attributed()),
    dir('acls', withAcls()),
    dir('root', ofRoot()),
  ];
}
