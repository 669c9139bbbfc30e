// Pace: long
/**
 * A store fails, hangs, lies or forgets at each request of a scenario, in each way. In every case an object is only
 * called created if it has our bytes then and later, no bytes are replaced, and nothing wrong is read.
 */
import test from 'ava';
import { ERROR_TABLE, isErrorCode } from '../../../src/errors/index.js';
import type { ObjectStore } from '../../../src/store/objects/index.js';
import { bucketAt, openTestBucket } from '../../helpers/buckets.js';
import { codeOf } from '../../helpers/codes.js';
import { S3_FAULTS, S3_LIES, type S3Fault } from '../../support/s3-faults.js';
import { S3Server } from '../../support/s3-server.js';

const PREFIX = 'backups/all/';
const MAX_BYTES = 1 << 20;
/** A hanging request ends soon, and there is time for another attempt. No other request ends for its time. */
const HANG_MS = 100;
const TIMES = { idleMs: 10_000, patienceMs: 20_000 };
/** Slots as two writers would commit them, and a pack that is larger than what is sent again without a look. */
const LARGE = Buffer.alloc(300_000, 'pack');

interface Step {
  readonly name: string;
  readonly result: string;
}

/** Two writers create objects, read and list them, and remove one. Each step is recorded. */
async function scenario(first: ObjectStore, second: ObjectStore): Promise<Step[]> {
  const steps: Step[] = [];
  const step = async (name: string, work: () => Promise<string>): Promise<void> => {
    let result: string;
    try {
      result = await work();
    } catch (error) {
      result = codeOf(error);
    }
    steps.push({ name, result });
  };
  await step('own', () => first.putOwn('nodes/a', Buffer.from('own')).then(() => 'done'));
  await step('pack', () => first.putNew('packs/1', LARGE));
  await step('slot', () => first.putNew('log/1', Buffer.from('first')));
  await step('rival', () => second.putNew('log/1', Buffer.from('second')));
  await step('next', () => second.putNew('log/2', Buffer.from('second')));
  await step('read', async () => String(await first.readWhole('log/1', MAX_BYTES)));
  await step('range', async () => {
    const target = Buffer.alloc(6);
    const bytes = await second.read('packs/1', 4, target, 6);
    return target.toString('latin1', 0, bytes);
  });
  await step('head', async () => String((await first.head('packs/1'))?.sizeBytes));
  await step('list', async () => {
    const names: string[] = [];
    for await (const name of second.list('')) names.push(name);
    return names.join(' ');
  });
  await step('remove', () => first.remove(['packs/1']).then(() => 'done'));
  return steps;
}

const EXPECTED: Readonly<Record<string, string>> = {
  own: 'done',
  pack: 'created',
  slot: 'created',
  rival: 'exists',
  next: 'created',
  read: 'first',
  range: 'packpa',
  head: String(LARGE.length),
  list: 'log/1 log/2 nodes/a packs/1',
  remove: 'done',
};

/** Runs the scenario with a fault at one request; -1 for none. */
async function runWith(fault: S3Fault, at: number): Promise<{ steps: Step[]; server: S3Server }> {
  const server = await S3Server.start({
    faultAt: ({ number }) => (number === at ? fault : undefined),
  });
  const times = fault.includes('hang') ? { ...TIMES, idleMs: HANG_MS } : TIMES;
  const stores = await Promise.all([bucketAt(server.url, times), bucketAt(server.url, times)]);
  const steps = await scenario(stores[0].store, stores[1].store);
  for (const { store } of stores) store.close();
  server.settle();
  server.close();
  return { steps, server };
}

/** The object that a step writes. */
const WRITTEN: Readonly<Record<string, string>> = {
  own: 'nodes/a',
  pack: 'packs/1',
  slot: 'log/1',
  rival: 'log/1',
  next: 'log/2',
};

/** Returns what is wrong with a run; empty if nothing. */
function faultsOf(fault: S3Fault, steps: readonly Step[], server: S3Server): string[] {
  const resultOf = (name: string): string => steps.find((step) => step.name === name)!.result;
  const stored = (name: string): string | undefined =>
    server.objects.bytesOf(PREFIX + name)?.toString('latin1');
  const isOwn = (step: string): boolean => resultOf(step) === 'created';
  const isLast = { slot: fault !== 'ignored condition', rival: true, next: true };
  const lost = Object.entries(isLast)
    .filter(([step, isSure]) => isSure && isOwn(step))
    .filter(([step]) => stored(WRITTEN[step]!) !== (step === 'slot' ? 'first' : 'second'))
    .map(([step]) => `${step} is called created, and is not ours`);
  const wrong = steps
    .filter(
      ({ name, result }) => !S3_LIES.has(fault) && !isRight(name, result, { resultOf, stored }),
    )
    .filter(({ result }) => !isErrorCode(result) || ERROR_TABLE[result].kind === 'bug')
    // A list and a part of an object have no checksum: records do, and nothing is decided by a list.
    .filter(({ name }) => fault !== 'wrong bytes' || !/^(?:range|list)$/.test(name))
    .map(({ name, result }) => `${name}: ${result}`);
  return [...wrong, ...lost];
}

interface Facts {
  resultOf(step: string): string;
  stored(name: string): string | undefined;
}

/** True if a step has the right result after those before it, which may have failed. */
function isRight(name: string, result: string, { resultOf, stored }: Facts): boolean {
  if (name === 'rival') return result === (resultOf('slot') === 'created' ? 'exists' : result);
  if (name === 'read') return result === stored('log/1');
  const isGone = resultOf('pack') !== 'created' && /^(?:ENOENT|undefined)$/.test(result);
  if (name !== 'list') return result === EXPECTED[name] || isGone;
  const sure = Object.keys(WRITTEN).filter((step) => /^(done|created)$/.test(resultOf(step)));
  const listed = result.split(' ');
  const known = EXPECTED['list']!.split(' ');
  return (
    sure.every((step) => listed.includes(WRITTEN[step]!)) &&
    listed.every((one) => known.includes(one))
  );
}

/** Faults that pass by: no step has another result. */
const PASSING: ReadonlySet<S3Fault> = new Set<S3Fault>([
  'internal',
  'slow down',
  'hang',
  'drop',
  'apply, drop',
  'apply, hang',
  'apply, internal',
  'cut',
  'drop, apply later',
]);

const resultsOf = (steps: readonly Step[]): Record<string, string> =>
  Object.fromEntries(steps.map(({ name, result }) => [name, result]));

for (const fault of S3_FAULTS) {
  test.serial(
    `nothing is called stored that is not, if at any request a store does this: ${fault}`,
    async (t) => {
      const clean = await runWith(fault, -1);
      t.deepEqual(resultsOf(clean.steps), EXPECTED);
      const requests = clean.server.requests.length;
      t.true(requests >= 10);
      for (let at = 0; at < requests; at += 1) {
        const { steps, server } = await runWith(fault, at);
        const moment = `${fault} at ${at}: ${JSON.stringify(steps)}`;
        t.deepEqual(faultsOf(fault, steps, server), [], moment);
        if (PASSING.has(fault)) t.deepEqual(resultsOf(steps), EXPECTED, moment);
      }
    },
  );
}

test('an object whose answer was lost counts as created although a network changes bytes of the comparison', async (t) => {
  const faults: readonly S3Fault[] = ['apply, drop', 'wrong bytes'];
  const { store, server } = await openTestBucket(t, { faultAt: ({ number }) => faults[number] });
  t.is(await store.putNew('packs/1', LARGE), 'created');
  t.is(server.requests.length, 3);
});
