// Pace: slow
/** Reports of a bucket that does not answer while its requests are sent again. */
import http from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { onLongWait, nodeSystem } from '../../../src/system/index.js';
import { bucketAt } from '../../helpers/buckets.js';
import { rejectedCode } from '../../helpers/codes.js';
import { listening } from '../../helpers/listener.js';

/** Time that passes between two looks at the clock, so that a test need not wait. */
const STEP_MS = 900;
const PATIENCE_MS = 10_000;

/** Collects the reports of the test's thread. */
function reports(t: ExecutionContext): string[] {
  const texts: string[] = [];
  onLongWait((text) => texts.push(text));
  t.teardown(() => onLongWait(() => undefined));
  return texts;
}

/** Returns a clock that advances at each look, and the store of a bucket that uses it. */
async function openAt(t: ExecutionContext, url: string) {
  const { clock } = nodeSystem();
  let nowMs = 0;
  const monotonicMs = (): number => {
    nowMs += STEP_MS;
    return nowMs;
  };
  const stepping = { ...clock, nowMs: () => clock.nowMs(), monotonicMs };
  const { store } = await bucketAt(url, { patienceMs: PATIENCE_MS, clock: stepping });
  t.teardown(() => store.close());
  return store;
}

test.serial('a request that is sent again for long is reported once, with its error', async (t) => {
  const texts = reports(t);
  const store = await openAt(t, 'http://127.0.0.1:1');
  t.is(await rejectedCode(store.readWhole('log/1', 100)), 'BUCKET_UNREACHABLE');
  t.is(texts.length, 1);
  t.regex(
    texts[0]!,
    /127\.0\.0\.1:1\): cannot connect: connection refused \(ECONNREFUSED\), trying again for up to \d s$/,
  );
});

test.serial(
  'after an answer the next silence is reported again, and short failures are not',
  async (t) => {
    const texts = reports(t);
    let failures = 0;
    const server = http.createServer((request, response) => {
      failures -= 1;
      const status = failures >= 0 ? 503 : 200;
      request.resume().on('end', () => response.writeHead(status, { etag: '"1"' }).end());
    });
    const port = await listening(t, server);
    const store = await openAt(t, `http://127.0.0.1:${port}`);
    for (const [fail, reported] of [
      [1, 0],
      [4, 1],
      [0, 1],
      [4, 2],
    ] as const) {
      failures = fail;
      await store.putOwn('nodes/a', Buffer.from('x'));
      t.is(texts.length, reported, `${fail} failures`);
    }
    t.true(texts[1]!.includes('503'), texts[1]);
  },
);
