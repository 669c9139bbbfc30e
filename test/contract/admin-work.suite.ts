/** Tests of the long work of `Admin`: checks and garbage collection, for every implementation. */
import fs from 'node:fs';
import path from 'node:path';
import type { Admin } from '../../src/maintenance/admin/index.js';
import type { Finding } from '../../src/maintenance/check/index.js';
import { openClientDirectory, packName, readFormat } from '../../src/store/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { flipAt } from '../helpers/rot.js';
import type { Change } from './admin.suite.js';

/** In a bucket, contents are forgotten with their packs, and a pack is rewritten for any waste here. */
const ANY_WASTE = { wasteRatio: 1e-6 };

function hooks(signal = new AbortController().signal) {
  const findings: Finding[] = [];
  const steps = new Set<string>();
  return {
    signal,
    findings,
    steps,
    onFinding: (finding: Finding) => void findings.push(finding),
    onProgress: ({ step }: { readonly step: string }) => void steps.add(step),
  };
}

/** Checks all contents. */
function checkAll(admin: Admin, reported: ReturnType<typeof hooks>, mark: boolean) {
  return admin.check({ read: { data: { kind: 'all' }, leastAgeMs: 0 }, mark }, reported);
}

export function checkSuite(change: Change): void {
  change(
    'a check reads all contents, and names damaged versions in the clear',
    async (t, means) => {
      const { admin, lab, read, isEncrypting, isThroughServer, isInBucket } = means;
      const damaged = path.join(lab.source, 'one of two');
      const history = await read();
      const entry = await history.find(Buffer.from(damaged), 6);
      const [pieces] = await history.locate([entry!]);
      const { object, position, recordBytes } = pieces![0]!;
      const file = path.join(lab.place.store, lab.place.client, object);
      const at = position + recordBytes - 1;
      if (!isInBucket) flipAt(file, at);
      const reported = hooks();
      const result = await checkAll(admin, reported, false);
      if (!isInBucket) flipAt(file, at);
      const named = reported.findings.flatMap((one) =>
        one.finding === 'version' ? [one.path] : [],
      );
      t.is(
        named.some((name) => name.equals(Buffer.from(damaged))),
        !isInBucket,
      );
      t.is(result.lostVersions, named.length);
      t.is(result.damagedRecords, isInBucket ? 0 : 1);
      t.true(result.recordsRead > 0 && result.bytesRead > 0);
      t.like(result, { omitted: 0, unprovenSets: 0, notMarked: undefined, marked: 0, cleared: 0 });
      t.is(result.isOpened, !isEncrypting || !isThroughServer, 'a server has no keys');
    },
  );

  change('a check that is interrupted ends with a code', async (t, { admin, openOther }) => {
    const stop = new AbortController();
    stop.abort();
    const other = await openOther();
    t.is(await rejectedCode(checkAll(other, hooks(stop.signal), false)), 'INTERRUPTED');
    other.close(); // which ends the work of a server
    t.true((await admin.sets()).length > 0);
  });

  change(
    'contents are marked as damaged, and a check that may mark clears it',
    async (t, means) => {
      const { admin, lab, isThroughServer, read } = means;
      const history = await read();
      const entry = await history.find(Buffer.from(path.join(lab.source, 'one of two')), 6);
      const mark = admin.markDamaged([entry!.digest!]);
      if (isThroughServer) {
        t.is(await rejectedCode(mark), 'CAPABILITY_MISSING');
        t.is((await checkAll(admin, hooks(), true)).cleared, 0);
        return;
      }
      await mark;
      const reported = hooks();
      const counts = async (mayMark: boolean) => (await checkAll(admin, reported, mayMark)).cleared;
      t.deepEqual([await counts(false), await counts(true), await counts(true)], [0, 1, 0]);
      t.deepEqual(reported.findings, [], 'the bytes are sound');
    },
  );

  change(
    'a misplaced pack is found, and its owner is named on the machine of the store only',
    async (t, { admin, lab, isThroughServer, isInBucket }) => {
      const system = inlineSystem();
      const other = { store: lab.place.store, client: 'other' };
      await backupInline(system, other, [lab.other], { create: true });
      const { path: directory } = openClientDirectory(system, other);
      const clientId = readFormat(system.files, directory)!.clientId;
      const file = packName(900);
      const misplaced = path.join(lab.place.store, lab.place.client, file);
      fs.copyFileSync(path.join(directory, packName(1)), misplaced);
      const expected = { finding: 'pack', file, pack: 1, clientId, isOwn: false } as const;
      const reported = hooks();
      try {
        const named = isThroughServer ? expected : { ...expected, client: 'other' };
        const packs = isInBucket ? [] : [named];
        t.deepEqual(await admin.strangePacks(), isThroughServer ? undefined : packs);
        const result = await checkAll(admin, reported, false);
        t.is(result.strangePacks, packs.length);
        t.deepEqual(
          reported.findings.filter(({ finding }) => finding === 'pack'),
          packs,
        );
      } finally {
        fs.rmSync(misplaced);
        fs.rmSync(directory, { recursive: true });
      }
    },
  );

  change('only the machine of the store knows what parity protects', async (t, means) => {
    const { admin, isThroughServer, isInBucket } = means;
    const summary = await admin.parity();
    // In a bucket, only a repair reads so much that it sees parity.
    t.is(summary === undefined, isThroughServer || isInBucket);
    if (summary !== undefined) t.true(summary.protected + summary.unprotected > 0);
  });
}

/** Needs sets that were deleted. */
export function freeingSuite(change: Change): void {
  change(
    'the space of deleted sets is freed once, and the rest stays readable',
    async (t, means) => {
      const { admin, isThroughServer } = means;
      const first = await admin.freeDeleted(ANY_WASTE, hooks());
      t.is(first === undefined, isThroughServer, 'a server frees it by itself');
      const report = first ?? (await admin.freeUnneeded(ANY_WASTE, hooks()));
      t.true(report.isDone && report.contents + report.packs > 0);
      const again = await admin.freeDeleted(ANY_WASTE, hooks());
      if (!isThroughServer) t.like(again, { isDone: true, contents: 0 });
      const reported = hooks();
      await checkAll(admin, reported, false);
      t.deepEqual(reported.findings, []);
    },
  );
}
