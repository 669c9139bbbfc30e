import test from 'ava';
import { Access } from '../../src/history/index.js';
import { AclTag, EntryType, type EntryTypeNumber, packAttributes } from '../../src/model/index.js';

const ALICE = 1000;
const BOB = 1001;
const STAFF = 50;

function access(uid: number, ...gids: number[]): Access {
  return new Access({ uid, gids: new Set(gids) });
}

function entry(permissions: number, type: EntryTypeNumber = EntryType.file) {
  return { type, permissions, uid: ALICE, gid: STAFF, attributes: undefined };
}

test('the class that fits first decides, as in the kernel', (t) => {
  const alice = access(ALICE, STAFF);
  const staff = access(BOB, BOB, STAFF);
  const other = access(BOB, BOB);
  for (const [mode, byAlice, byStaff, byOther] of [
    [0o400, true, false, false],
    [0o040, false, true, false],
    [0o004, false, false, true],
    [0o077, false, true, true],
    [0o707, true, false, true],
    [0o222, false, false, false],
  ] as const) {
    const shown = mode.toString(8);
    t.is(alice.mayRead(entry(mode)), byAlice, `${shown} by its owner`);
    t.is(staff.mayRead(entry(mode)), byStaff, `${shown} by its group`);
    t.is(other.mayRead(entry(mode)), byOther, `${shown} by others`);
  }
});

test('names in a directory want both read and search, going through it only search', (t) => {
  const other = access(BOB);
  for (const [mode, mayRead, maySearch] of [
    [0o755, true, true],
    [0o711, false, true],
    [0o744, false, false],
    [0o700, false, false],
  ] as const) {
    const directory = entry(mode, EntryType.directory);
    t.is(other.mayRead(directory), mayRead, mode.toString(8));
    t.is(other.maySearch(directory), maySearch, mode.toString(8));
  }
});

/** Returns a file of Alice's with an ACL in the format of the kernel's extended attribute. */
function withAcl(permissions: number, acl: readonly (readonly [number, number, number?])[]) {
  const value = Buffer.alloc(4 + acl.length * 8);
  value.writeUInt32LE(2);
  acl.forEach(([tag, rights, id = 0xffff_ffff], index) => {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(rights, 6 + index * 8);
    value.writeUInt32LE(id, 8 + index * 8);
  });
  const name = Buffer.from('system.posix_acl_access');
  return { ...entry(permissions), attributes: packAttributes([{ name, value }]) };
}

test('an ACL decides for all but the owner', (t) => {
  const { owner, user, owningGroup, group, mask, other } = AclTag;
  const GUESTS = 77;
  const file = withAcl(0o664, [
    [owner, 6],
    [user, 4, BOB],
    [user, 0, 1002],
    [owningGroup, 0],
    [group, 6, GUESTS],
    [mask, 6],
    [other, 4],
  ]);
  t.true(access(ALICE).mayRead(file), 'the owner');
  t.true(access(BOB, STAFF).mayRead(file), 'a user who is named, whatever his groups');
  t.false(access(1002, GUESTS).mayRead(file), 'a user who is named and may nothing');
  t.false(access(1003, STAFF).mayRead(file), 'the owning group, though the mode shows its mask');
  t.true(access(1003, STAFF, GUESTS).mayRead(file), 'one group of several allows it');
  t.true(access(1003).mayRead(file), 'others');
  const masked = withAcl(0o604, [
    [owner, 6],
    [user, 6, BOB],
    [owningGroup, 6],
    [mask, 0],
    [other, 4],
  ]);
  t.false(access(BOB).mayRead(masked), 'the mask takes it from who is named');
  t.false(access(1003, STAFF).mayRead(masked), 'and from groups');
});

test('links and nodes hide nothing; root sees all', (t) => {
  t.true(access(BOB).mayRead(entry(0, EntryType.symlink)));
  t.true(access(BOB).mayRead(entry(0, EntryType.fifo)));
  const root = new Access(undefined);
  t.true(root.isUnrestricted);
  t.true(root.mayRead(entry(0)));
  t.true(root.maySearch(entry(0, EntryType.directory)));
});
