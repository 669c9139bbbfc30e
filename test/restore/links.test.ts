/** Names that a restore treats as hard links of one file. */
import test from 'ava';
import type { History, HistoryEntry } from '../../src/history/index.js';
import {
  type Entry,
  EntryType,
  METADATA_FLAGS_AT,
  packAttributes,
  RowFlag,
} from '../../src/model/index.js';
import { deviceIn, Devices, keyOf } from '../../src/restore/index.js';
import { historyEntryOf } from '../helpers/rows.js';

const LINK = { type: EntryType.symlink, sizeBytes: 0, linkTarget: Buffer.from('to') };
const NODE = { type: EntryType.blockDevice, sizeBytes: 0, device: 7n };

function entry(more: Partial<Entry & { contentId: number; childId: number }> = {}): HistoryEntry {
  const changes = { contentId: 9, linkCount: 2, sizeBytes: 5, ...more };
  return historyEntryOf('name', changes as Partial<HistoryEntry>);
}

const key = (more?: Parameters<typeof entry>[0], device = 'device 1'): string =>
  keyOf(entry(more), device);

test('names are of one file only if all that is known of them agrees', (t) => {
  t.is(key(), key());
  t.is(key({ flags: RowFlag.unsettled }), key(), 'how it was read says nothing of the file');
  t.is(key({ linkCount: 3 }), key(), 'a link that was made in between');
  t.is(key({ name: Buffer.from('other') }), key());
  for (const other of [
    { contentId: 8 },
    { permissions: 0o600 },
    { uid: 9 },
    { gid: 9 },
    { sizeBytes: 6 },
    { mtimeNs: 9n },
    { ctimeNs: 9n },
    { birthTimeNs: 9n },
    { inode: 9n },
    { attributes: packAttributes([{ name: Buffer.from('user.a'), value: Buffer.from('a') }]) },
    LINK,
    NODE,
  ]) {
    t.not(key(other), key(), Object.keys(other).join());
  }
  t.not(key({}, 'device 2'), key());
});

test('links and nodes of a file system whose inodes lie are not taken for one', (t) => {
  t.is(key(LINK), key(LINK));
  t.not(key({ ...LINK, linkTarget: Buffer.from('elsewhere') }), key(LINK));
  t.is(key(NODE), key(NODE));
  t.not(key({ ...NODE, device: 8n }), key(NODE));
});

test('roots share a device by its numbers, and another file system below one is on its own', async (t) => {
  const directory = (childId: number, isOther = false): HistoryEntry => {
    const made = entry({ type: EntryType.directory, sizeBytes: 0, childId });
    if (isOther) made.metadata[METADATA_FLAGS_AT]! |= RowFlag.otherDevice;
    return made;
  };
  t.is(deviceIn(directory(5), 'device 1'), 'device 1');
  t.is(deviceIn(directory(5, true), 'device 1'), 'directory 5');
  const found = new Map([
    ['/a/mount', directory(5, true)],
    ['/a/mount/in', directory(6)],
    ['/a/plain', directory(7)],
  ]);
  const history = {
    find: async (path: Buffer) => found.get(path.toString()),
  } as unknown as History;
  const roots = ['/a', '/b', '/c', '/unknown', '/other'].map((path, index) => ({
    root: index + 1,
    path: Buffer.from(path),
    directory: index + 1,
    device: ['17', '17', '18', '', ''][index]!,
  }));
  const devices = new Devices(history, 1, roots);
  const above = (path: string): Promise<string> => devices.above(Buffer.from(path));
  t.is(await above('/a/file'), await above('/b'));
  t.is(await above('/a/plain/file'), await above('/b/file'));
  t.not(await above('/c/file'), await above('/b/file'));
  t.not(await above('/unknown/file'), await above('/other/file'));
  t.is(await above('/a/mount/in/file'), 'directory 5');
  t.is(await above('/a/mount'), await above('/a'), 'its own name is on the file system above');
});
