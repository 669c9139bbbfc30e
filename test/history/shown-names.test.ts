/** Names that exist only in a mount. */
import test from 'ava';
import { type BackupSet, versionName } from '../../src/history/index.js';

const OPENED_MS = new Date(2026, 10, 21, 9, 5, 7).getTime();

test('a version is named by the time and name of its set, or by its number if no file can have the name', (t) => {
  const nameOf = (name: string): string => {
    const set = { set: 42, name, openedAtMs: OPENED_MS, state: 'complete' } as BackupSet;
    return versionName(set).toString();
  };
  t.is(nameOf('Daily-21'), '2026-11-21_090507_Daily-21');
  t.is(nameOf('..'), '2026-11-21_090507_..');
  t.is(nameOf('Daily/21'), '2026-11-21_090507_42');
  t.is(nameOf('a\0b'), '2026-11-21_090507_42');
  t.is(nameOf('x'.repeat(237)), `2026-11-21_090507_${'x'.repeat(237)}`);
  t.is(nameOf('x'.repeat(238)), '2026-11-21_090507_42');
});
