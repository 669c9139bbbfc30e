/** The space of an account, and the statistics of a set. */
import test from 'ava';
import { requireSpace, setStats, spaceDoubt } from '../../src/client/index.js';
import { BackupProgress } from '../../src/pipeline/index.js';
import { thrownCode } from '../helpers/codes.js';

test('a full account is refused, a nearly full one is warned, and one without a quota never', (t) => {
  const refused = (quotaBytes: number, usedBytes: number): string | undefined =>
    thrownCode(() => requireSpace({ quotaBytes, usedBytes }));
  t.is(refused(100, 100), 'QUOTA_EXCEEDED');
  t.is(refused(100, 120), 'QUOTA_EXCEEDED');
  t.is(refused(100, 99), undefined);
  t.is(refused(0, 1000), undefined);
  t.is(spaceDoubt({ quotaBytes: 1000, usedBytes: 899 }), undefined);
  t.regex(spaceDoubt({ quotaBytes: 1000, usedBytes: 900 })!, /uses 90 % .*\(900 of 1000 bytes\)/);
  t.is(spaceDoubt({ quotaBytes: 0, usedBytes: 1000 }), undefined);
});

test('the statistics of a set have each counter under its own name', (t) => {
  const progress = new BackupProgress();
  const names = Object.keys(setStats(progress));
  for (const [index, name] of names.entries()) {
    const value = name === 'notEntered' ? { count: index + 1 } : index + 1;
    Object.assign(progress, { [name]: value });
  }
  const expected = Object.fromEntries(names.map((name, index) => [name, index + 1]));
  t.deepEqual(setStats(progress), expected);
  for (const name of ['entries', 'scannedBytes', 'sentBytes', 'unreadable', 'protected'])
    t.true(names.includes(name), name);
});
