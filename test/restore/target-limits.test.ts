/** Attributes that the file system of a target does not keep. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { decodeRow, encodeRow, RowReader } from '../../src/model/index.js';
import { lossesOf } from '../../src/restore/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { withNative } from '../helpers/inline.js';
import { scratch } from '../helpers/scratch.js';

type Change = (entry: { permissions: number; mtimeNs: bigint }) => object;

const ALL = { permissions: true, times: true };

/** Returns a system whose files get other metadata than was set. */
function keeping(change: Change): System {
  return withNative((real) => ({
    statAt: (directory, name) => {
      const entry = decodeRow(new RowReader(real.statAt(directory, name)), 0);
      return encodeRow({ ...entry, ...change(entry) });
    },
  }));
}

function lossesIn(t: ExecutionContext, system: System, wanted = ALL): string[] {
  const home = scratch(t);
  const fd = system.native.openDirectory(Buffer.from(home));
  try {
    return lossesOf(system, fd, '.probe-', wanted);
  } finally {
    system.native.close(fd);
    t.deepEqual(fs.readdirSync(home), [], 'the probe is removed');
  }
}

const floor = (ns: bigint, unit: bigint): bigint => ns - (ns % unit);
const coarse =
  (unitNs: bigint): Change =>
  ({ mtimeNs }) => ({ mtimeNs: floor(mtimeNs, unitNs) });

test('a file system of Linux loses nothing', (t) => {
  t.deepEqual(lossesIn(t, nodeSystem()), []);
});

test('coarse times are named by their unit', (t) => {
  t.deepEqual(lossesIn(t, keeping(coarse(100n))), ['times finer than 100 nanoseconds']);
  t.deepEqual(lossesIn(t, keeping(coarse(1_000_000n))), ['times finer than milliseconds']);
  t.deepEqual(lossesIn(t, keeping(coarse(1_000_000_000n))), ['times finer than seconds']);
  t.deepEqual(lossesIn(t, keeping(coarse(2_000_000_000n))), ['times finer than two seconds']);
});

test('times after 2038 that wrap around are named', (t) => {
  const last = 2n ** 31n * 1_000_000_000n;
  const system = keeping(({ mtimeNs }) => ({ mtimeNs: mtimeNs > last ? mtimeNs - last : mtimeNs }));
  t.deepEqual(lossesIn(t, system), ['times after 2038']);
});

test('a time that is off by less than a unit, and no multiple of it, is another time', (t) => {
  const system = keeping(({ mtimeNs }) => ({ mtimeNs: mtimeNs + 1n }));
  t.deepEqual(lossesIn(t, system), ['times']);
});

test('lost permissions and lost times are named, if they are wanted', (t) => {
  const system = keeping(() => ({ permissions: 0o755, mtimeNs: 5n }));
  t.deepEqual(lossesIn(t, system), ['permissions', 'times']);
  t.deepEqual(lossesIn(t, system, { permissions: false, times: true }), ['times']);
  t.deepEqual(lossesIn(t, system, { permissions: true, times: false }), ['permissions']);
});

test('a file system that rejects the probe is left to each entry, and the probe is removed', (t) => {
  const system = withNative(() => ({
    finishFile: () => {
      throw Object.assign(new Error('of a test'), { code: 'EPERM' });
    },
  }));
  t.deepEqual(lossesIn(t, system), []);
});
