/** Rows of every type of entry, with and without digest, link target, attributes, ACLs and an exact time. */
import { EntryType, packAttributes, RowFlag } from '../../../src/model/index.js';
import { entryOf, rowsOf, sha256 } from '../../helpers/rows.js';

const MAX_I64 = 2n ** 63n - 1n;

function acl(...entries: readonly (readonly [tag: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, id], index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(7, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  });
  return bytes;
}

export function sampleRows(): Buffer[] {
  const time = Buffer.alloc(12);
  time.writeBigInt64LE(2n ** 40n, 0);
  const value = Buffer.from('value');
  const attributes = packAttributes([
    { name: Buffer.alloc(0), value: time },
    { name: Buffer.from('system.posix_acl_access'), value: acl([1, 0], [2, 1000], [8, 100]) },
    { name: Buffer.from('user.x'), value },
  ]);
  const few = packAttributes([{ name: Buffer.from('user.x'), value }]);
  const file = entryOf('b', { sizeBytes: 5, digest: sha256('b') });
  const link = entryOf('c', { type: EntryType.symlink, linkTarget: Buffer.from('../b') });
  const types = Object.values(EntryType).filter((type) => type !== EntryType.symlink);
  return [
    rowsOf(entryOf('a'), file, link, entryOf('d', { type: EntryType.directory })),
    rowsOf(entryOf('a', { attributes, mtimeNs: MAX_I64 })),
    rowsOf(
      entryOf('a', { attributes: few, digest: sha256('a') }),
      entryOf('b', { attributes: few }),
    ),
    rowsOf(...types.map((type, index) => entryOf(`n${index}`, { type, device: 0x103n }))),
    rowsOf(entryOf('a', { flags: RowFlag.unreadable, type: EntryType.symlink })),
  ];
}
