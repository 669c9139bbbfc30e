/** Inode flags, which a restore sets after everything else. */
import test from 'ava';
import type { HistoryEntry } from '../../src/history/index.js';
import { EntryType, InodeFlag, packAttributes } from '../../src/model/index.js';
import { FlagsToSet } from '../../src/restore/index.js';

type Target = ConstructorParameters<typeof FlagsToSet>[0];

class FakeTarget {
  readonly calls: string[] = [];
  readonly there = new Map<string, number>();
  readonly failing = new Map<string, Error>();
  isDry = false;

  flagsOf(path: Buffer): number {
    return this.there.get(path.toString()) ?? 0;
  }

  setFlags(path: Buffer, flags: number): void {
    const error = this.failing.get(path.toString());
    if (error !== undefined) throw error;
    this.calls.push(`${path.toString()} ${flags}`);
  }
}

const { immutable, append, noDump } = InodeFlag;

function entry(type: number, flags: number): HistoryEntry {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(flags);
  const attributes = packAttributes([{ name: Buffer.from('flags'), value }]);
  return { type, attributes } as unknown as HistoryEntry;
}

const at = (text: string): Buffer => Buffer.from(text);

/** Adds a file and the directories above it, as a walk does. */
function flagged(target: FakeTarget, isRequested = true): FlagsToSet {
  const flags = new FlagsToSet(target as unknown as Target, isRequested);
  flags.add(entry(EntryType.directory, immutable | noDump), at(''), at('top'));
  flags.add(entry(EntryType.directory, append), at('top'), at('in'));
  flags.add(entry(EntryType.file, immutable), at('top/in'), at('file'));
  flags.add(entry(EntryType.file, noDump), at('top'), at('other'));
  return flags;
}

/** Sets the flags. Returns what failed. */
function setAll(flags: FlagsToSet, failed: readonly string[] = []): string[] {
  const reported: string[] = [];
  flags.set(failed.map(at), (path, work) => {
    for (const { name, code } of work()) reported.push(`${path.toString()} ${name} ${code}`);
  });
  return reported;
}

test('flags of files come before those of directories, and inner directories before outer ones', (t) => {
  const target = new FakeTarget();
  t.deepEqual(setAll(flagged(target)), []);
  const order = ['top/in/file', 'top/other', 'top/in', 'top'];
  t.deepEqual(
    target.calls.map((call) => call.split(' ')[0]),
    order,
  );
});

test('nothing is set if it was not requested, in a dry run, or for entries without such flags', (t) => {
  const dry = new FakeTarget();
  dry.isDry = true;
  t.deepEqual(setAll(flagged(dry)), []);
  t.deepEqual(dry.calls, []);
  const target = new FakeTarget();
  setAll(flagged(target, false));
  const flags = new FlagsToSet(target as unknown as Target, true);
  flags.add(entry(EntryType.file, 0), at(''), at('none'));
  flags.add(entry(EntryType.file, 0x8000_0000), at(''), at('unknown flags of a hostile store'));
  flags.add(entry(EntryType.symlink, immutable), at(''), at('link'));
  flags.add({ type: EntryType.file } as HistoryEntry, at(''), at('bare'));
  setAll(flags);
  t.deepEqual(target.calls, []);
});

test('an entry that failed gets no flags, and the directories above it report that they lack theirs', (t) => {
  const target = new FakeTarget();
  t.deepEqual(setAll(flagged(target), ['top/in/file']), ['top/in flags EBUSY', 'top flags EBUSY']);
  t.deepEqual(target.calls, [`top/other ${noDump}`]);
});

test('a failed directory does not bar its neighbours whose names only begin with its name', (t) => {
  const target = new FakeTarget();
  const flags = new FlagsToSet(target as unknown as Target, true);
  for (const name of ['a', 'ab']) flags.add(entry(EntryType.directory, append), at(''), at(name));
  t.deepEqual(setAll(flags, ['a/x']), ['a flags EBUSY']);
  t.deepEqual(target.calls, [`ab ${append}`]);
});

test('an error of the system is reported for its entry, and a bug is not hidden', (t) => {
  const target = new FakeTarget();
  target.failing.set('top/other', Object.assign(new Error('no'), { code: 'EPERM' }));
  t.deepEqual(setAll(flagged(target)), ['top/other flags EPERM']);
  t.is(target.calls.length, 3);
  target.failing.set('top', new TypeError('a bug'));
  t.throws(() => setAll(flagged(target)), { instanceOf: TypeError });
});

test('a directory is done only if it has a flag that bars changes, on the disk too', (t) => {
  const target = new FakeTarget();
  const flags = flagged(target);
  t.false(flags.isDone(at('top')));
  target.there.set('top', noDump);
  t.false(flags.isDone(at('top')));
  target.there.set('top', immutable | noDump);
  t.true(flags.isDone(at('top')));
  target.there.set('foreign', immutable);
  t.false(flags.isDone(at('foreign')), 'the set gives it no flag');
});
