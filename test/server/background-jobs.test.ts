// Pace: slow
/** The server's long work for readers: results, errors, limits, and what becomes of it when its end is sudden. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { openRemoteAdmin } from '../../src/remote/index.js';
import type { Admin } from '../../src/maintenance/admin/index.js';
import type { Finding } from '../../src/maintenance/check/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { codeOf, rejectedCode } from '../helpers/codes.js';
import { dataFiles } from '../helpers/damage.js';
import { inlineLab, inlineSystem, startInline } from '../helpers/inline.js';
import { giveKeys, PASSWORD } from '../helpers/rewrites.js';
import { threadsOf } from '../helpers/threads.js';
import { dir, file, noise, text } from '../helpers/tree.js';

const KIB = 1 << 10;
const ALL = { read: { data: { kind: 'all' }, leastAgeMs: 0 }, mark: false } as const;

async function lab(t: ExecutionContext) {
  const { place, backup } = inlineLab(t, [
    dir('a', [file('b', text(1, 900))]),
    file('large', noise(2, 300 * KIB)),
  ]);
  await backup();
  await giveKeys(place, false);
  const daemon = await startInline(inlineSystem(), place.store);
  t.teardown(() => daemon.stop());
  const password = Buffer.from(PASSWORD);
  const credentials = { password, ask: async () => password };
  const open = async (): Promise<Admin> => {
    const there = await openRemoteAdmin(nodeSystem(), {
      address: daemon.address,
      client: 'me',
      credentials,
    });
    t.teardown(() => there.close());
    return there;
  };
  return { place, open };
}

function hooks(signal = new AbortController().signal) {
  const findings: Finding[] = [];
  const steps: string[] = [];
  return {
    signal,
    findings,
    steps,
    onFinding: (finding: Finding) => void findings.push(finding),
    onProgress: ({ step }: { step: string }) => void steps.push(step),
  };
}

test.serial('checks return their results, one after the other', async (t) => {
  const { open } = await lab(t);
  const there = await open();
  const reported = hooks();
  const result = await there.check(ALL, reported);
  t.true(result.records > 0);
  t.deepEqual(reported.findings, []);
  t.is(result.omitted, 0);
  const none = { ...ALL, read: { data: { kind: 'none' }, leastAgeMs: 0 } } as const;
  t.true((await there.check(none, hooks())).records > 0);
  t.is((await there.sets()).length, 1, 'the session goes on');
});

test.serial('findings of a damaged store come one by one, before the result', async (t) => {
  const { place, open } = await lab(t);
  for (const name of dataFiles(place)) {
    fs.truncateSync(path.join(place.store, place.client, name), 1000);
  }
  const reported = hooks();
  const result = await (await open()).check(ALL, reported);
  t.true(reported.findings.some(({ finding }) => finding === 'version'));
  t.is(result.omitted, 0);
});

test.serial('an error of the work has its code, and the next work is done', async (t) => {
  const { open } = await lab(t);
  const there = await open();
  const request = {
    ...ALL,
    read: { data: { kind: 'percent', percent: 0.0001 }, leastAgeMs: 0 },
  } as const;
  t.is(await rejectedCode((await open()).check(request, hooks())), 'PROTOCOL_VIOLATION');
  t.is(
    await rejectedCode((await open()).freeUnneeded({ wasteRatio: 0.5 }, hooks())),
    'NOT_PERMITTED',
    'it has no right to purge',
  );
  t.true((await there.check(ALL, hooks())).records > 0);
});

test.serial('one work at a time for a reader, and two for all of them', async (t) => {
  const { open } = await lab(t);
  const readers = await Promise.all([open(), open(), open()]);
  const outcomes = await Promise.all(
    readers.map((there) => there.check(ALL, hooks()).then(() => 'done', codeOf)),
  );
  t.deepEqual(outcomes.toSorted(), ['CLIENT_BUSY', 'done', 'done']);
  t.true((await readers[0].check(ALL, hooks())).records > 0, 'there is room again');
});

test.serial('work that nobody waits for any more is ended', async (t) => {
  const { open } = await lab(t);
  const there = await open();
  const stop = new AbortController();
  const { result, threads } = await threadsOf(async () => {
    stop.abort();
    return rejectedCode(there.check(ALL, hooks(stop.signal)));
  });
  t.is(result, 'INTERRUPTED');
  t.is(threads.length, 1);
  const ended = new Promise((resolve) => {
    threads[0]!.once('exit', resolve);
    if (threads[0]!.threadId === -1) resolve(0); // it has ended already
  });
  there.close();
  await ended;
  t.true((await (await open()).check(ALL, hooks())).records > 0);
});

test.serial('a thread that dies fails its work with a code, and the session goes on', async (t) => {
  const { open } = await lab(t);
  const there = await open();
  const { result: error } = await threadsOf(async (threads) => {
    const running = there.check(ALL, hooks()).catch((reason: unknown) => reason);
    while (threads.length === 0) await new Promise(setImmediate);
    await threads[0]!.terminate();
    return running;
  });
  t.true(error instanceof TardisError);
  t.is(asTardisError(error).code, 'INTERNAL');
  t.true((await (await open()).check(ALL, hooks())).records > 0);
});
