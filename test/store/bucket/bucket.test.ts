// Pace: slow
/** A client whose records lie in an object store: what was acknowledged is there, also if others write and requests fail. */
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { applyEvent, Catalog, settingsOf } from '../../../src/store/catalog/index.js';
import { buildEvent, type ClientDirectory, reopenClient } from '../../../src/store/index.js';
import { changeSetting, StoreWriter } from '../../../src/store/writer/index.js';
import { codeOf } from '../../helpers/codes.js';
import { sharedClient } from '../../helpers/bucket-machines.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import type { Objects } from '../../support/memory-object-store.js';

const LIMITS = SMALL_STORE.store;

/** Stores a value that a fresh machine must see. */
function acknowledge(directory: ClientDirectory, key: string, value: number): Promise<void> {
  return changeSetting(inlineSystem(), directory, LIMITS, { text: key, value: String(value) });
}

/** Returns the settings that a machine without a catalog finds. */
async function seenBy(directory: ClientDirectory): Promise<ReadonlyMap<string, string>> {
  const system = inlineSystem();
  (await StoreWriter.open(system, directory, LIMITS)).close();
  return Catalog.reading(system, directory.catalogPath, (catalog) => settingsOf(catalog));
}

test('a client that is opened again stays in its bucket, in a thread that knows no bucket yet', async (t) => {
  const directory = (await sharedClient(t, new Map()))();
  t.deepEqual(reopenClient(inlineSystem(), directory), directory);
});

/** Faults that strike the first machine at one request, while the second one works. */
const FAULTS = ['stops', 'fails', 'is applied, and fails', 'fails, and is applied later'] as const;

/** Maximum number of requests of the first machine that are tried. */
const MOST_REQUESTS = 24;

for (const fault of FAULTS) {
  test(`nothing acknowledged is lost if a request ${fault}`, async (t) => {
    for (let at = 1; at <= MOST_REQUESTS; at += 1) {
      if (!(await strike(t, fault, at))) return;
    }
    t.fail('the first machine makes more requests');
  });
}

/** Returns false if the first machine makes fewer requests. */
async function strike(t: ExecutionContext, fault: (typeof FAULTS)[number], at: number) {
  const objects: Objects = new Map();
  const on = await sharedClient(t, objects);
  let requests = 0;
  let resume = (): void => undefined;
  let later = (): void => undefined;
  const paused = new Promise<void>((resolve) => {
    resume = resolve;
  });
  let strikes = (): void => undefined;
  const struck = new Promise<void>((resolve) => {
    strikes = resolve;
  });
  const first = on(async (_kind, _name, apply) => {
    requests += 1;
    if (requests !== at) return;
    strikes();
    if (fault === 'stops') return paused;
    if (fault === 'is applied, and fails') apply();
    if (fault === 'fails, and is applied later') later = apply;
    throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
  });
  const acknowledged = new Map<string, string>();
  const errors: string[] = [];
  const work = async (): Promise<void> => {
    for (let value = 1; value <= 3; value += 1) {
      await acknowledge(first, 'KeepDaily', value);
      acknowledged.set('KeepDaily', String(value));
    }
  };
  const done = work().catch((error: unknown) => void errors.push(codeOf(error)));
  await Promise.race([struck, done]);
  if (fault !== 'stops') await done;
  const second = on();
  await acknowledge(second, 'KeepWeekly', 1);
  later();
  await acknowledge(second, 'KeepWeekly', 2);
  resume();
  await done;
  const values = await seenBy(on());
  t.is(values.get('KeepWeekly'), '2', `${fault} at ${at}`);
  const least = Number(acknowledged.get('KeepDaily') ?? 0);
  t.true(Number(values.get('KeepDaily') ?? 0) >= least, `${fault} at ${at}`);
  t.true(errors.length > 0 || acknowledged.get('KeepDaily') === '3');
  return requests >= at;
}

test('of two sessions that write at once, one learns that the store was taken', async (t) => {
  const objects: Objects = new Map();
  const on = await sharedClient(t, objects);
  const [one, other] = [on(), on()];
  const store = await StoreWriter.open(inlineSystem(), one, LIMITS);
  await acknowledge(other, 'KeepDaily', 4);
  const event = { type: 'setting', key: 'KeepDaily', value: '5' } as const;
  applyEvent(store.catalog, event);
  store.appendOwn(buildEvent(store.nextSequence(), event));
  const error: unknown = await store.checkpoint().catch((thrown: unknown) => thrown);
  t.is(codeOf(error), 'STORE_TAKEN');
  store.abandon();
  t.is((await seenBy(on())).get('KeepDaily'), '4');
});
