/** A program that reads clients in a bucket sees what other machines store, without a restart and in few requests. */
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { Catalog, settingsOf } from '../../../src/store/catalog/index.js';
import { createClientDirectory, openClientDirectory } from '../../../src/store/index.js';
import type { Clock } from '../../../src/system/index.js';
import { catchUp, changeSetting, Following } from '../../../src/store/writer/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import { machine } from '../../helpers/history-in-bucket.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { scratch } from '../../helpers/scratch.js';
import type { Objects } from '../../support/memory-object-store.js';

const CLIENT = 'me';
const CATALOG = 'tardis.db';

/** A machine that writes, and one that reads. */
class Lab {
  readonly asked: string[] = [];
  readonly told: string[] = [];
  applied = 0;
  /** Called before each request of the reader. */
  before: () => Promise<void> = async () => undefined;
  readonly system = { ...inlineSystem(), clock: this.clock() };
  /** The time at which the clock stands still, if it does. */
  private stoppedMs: number | undefined;
  private readonly writer;
  private readonly reader;

  readonly objects: Objects = new Map();

  private constructor(home: string) {
    this.writer = machine(home, this.objects);
    this.reader = machine(home, this.objects, async (kind, name) => {
      this.asked.push(`${kind} ${name.slice(name.indexOf('/', 2) + 1)}`);
      await this.before();
    });
  }

  private clock(): Clock {
    const nowMs = (): number => Date.now();
    return { nowMs, monotonicMs: () => this.stoppedMs ?? performance.now() };
  }

  stopClock(): void {
    this.stoppedMs = performance.now();
  }

  static async make(t: ExecutionContext): Promise<Lab> {
    const lab = new Lab(scratch(t));
    await createClientDirectory(lab.system, { store: lab.writer.cache, client: CLIENT });
    await lab.store('KeepLast', 1);
    return lab;
  }

  async store(key: string, value: number): Promise<void> {
    const directory = openClientDirectory(this.system, {
      store: this.writer.cache,
      client: CLIENT,
    });
    await changeSetting(this.system, directory, SMALL_STORE.store, {
      text: key,
      value: String(value),
    });
  }

  following(everyMs: number): Following {
    const { system } = this;
    return new Following({
      system,
      access: this.reader,
      catalogFile: CATALOG,
      everyMs,
      tell: (line) => this.told.push(line),
      apply: async (directory) => {
        this.applied += 1;
        await catchUp(system, directory);
      },
    });
  }

  /** Returns the settings that the reader sees. */
  seen(): ReadonlyMap<string, string> {
    const place = { store: this.reader.cache, client: CLIENT, catalogFile: CATALOG };
    const { catalogPath } = openClientDirectory(this.system, place);
    return Catalog.reading(this.system, catalogPath, (catalog) => settingsOf(catalog));
  }
}

const HOUR_MS = 3_600_000;

test('a reader of a bucket sees new commits, and asks three times where there are none', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(0);
  await following.keepUp(CLIENT);
  t.is(lab.seen().get('KeepLast'), '1');
  await lab.store('KeepDaily', 2);
  await following.keepUp(CLIENT);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.applied, 2);
  lab.asked.length = 0;
  await following.keepUp(CLIENT);
  t.deepEqual(lab.asked, ['read client.json', 'read keys/00000001.key', 'head g1/log/0000000005']);
  t.is(lab.applied, 2);
});

test('within the interval a reader asks nothing, unless an object is missing', async (t) => {
  const lab = await Lab.make(t);
  lab.stopClock(); // a busy machine would let the least interval pass
  const following = lab.following(HOUR_MS);
  await following.keepUp(CLIENT);
  await lab.store('KeepDaily', 2);
  lab.asked.length = 0;
  await Promise.all([following.keepUp(CLIENT), following.keepUp(CLIENT)]);
  t.deepEqual(lab.asked, []);
  await following.again(CLIENT); // just looked at
  t.deepEqual(lab.asked, []);
  const later = lab.following(HOUR_MS);
  await Promise.all([later.again(CLIENT), later.again(CLIENT)]);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.asked.filter((one) => one === 'read client.json').length, 1);
});

test('a reader goes on with what it has while the bucket is away or silent, and tells so once', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(0);
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  t.is(await rejectedCode(following.keepUp(CLIENT)), 'BUCKET_UNREACHABLE');
  lab.before = async () => undefined;
  await following.keepUp(CLIENT);
  lab.told.length = 0;
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  await following.keepUp(CLIENT);
  await following.keepUp(CLIENT);
  t.deepEqual(lab.told, ['the bucket cannot be read: away [BUCKET_UNREACHABLE]']);
  t.is(lab.seen().get('KeepLast'), '1');
  const alive = setInterval(() => undefined, 100); // nothing else waits
  t.teardown(() => clearInterval(alive));
  let answer = (): void => undefined;
  lab.before = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  await following.keepUp(CLIENT); // waits a short time only
  await lab.store('KeepDaily', 2);
  lab.before = async () => undefined;
  answer();
  await following.keepUp(CLIENT);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.told.at(-1), 'the bucket can be read again');
});

test('a client that is gone from the bucket is gone for its readers', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(0);
  await following.keepUp(CLIENT);
  t.is(await rejectedCode(following.keepUp('other')), 'NO_SUCH_CLIENT');
  t.is(await rejectedCode(following.look('../me')), 'CLIENT_NAME_INVALID');
});

test('strangers who ask for many names cause few requests', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  const names = Array.from({ length: 2000 }, (_, index) => `name-${index}`);
  for (const name of names) await following.look(name);
  t.true(lab.asked.length >= 60 && lab.asked.length < 200, String(lab.asked.length));
});

test('strangers who ask for many names push out no client that is in use', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  await following.keepUp(CLIENT);
  for (let index = 0; index < 2000; index += 1) await following.look(`name-${index}`);
  lab.asked.length = 0;
  await following.keepUp(CLIENT);
  t.deepEqual(lab.asked, []);
});

test('strangers who ask for accounts cause few requests, and somebody who is logged in has one look in a while', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  await following.look(CLIENT);
  lab.asked.length = 0;
  await Promise.all(Array.from({ length: 50 }, () => following.fetchAccounts(CLIENT)));
  t.deepEqual(lab.asked, ['read accounts/0000000001.json']);
  for (let index = 0; index < 2000; index += 1) await following.lookAccounts(`name-${index}`);
  t.true(lab.asked.length >= 60 && lab.asked.length < 200, String(lab.asked.length));
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  // A look that has failed does not count as one.
  const late = lab.following(HOUR_MS);
  for (let tries = 0; tries < 3; tries += 1) {
    t.is(await rejectedCode(late.fetchAccounts(CLIENT)), 'BUCKET_UNREACHABLE');
  }
});

test('a list of accounts that is damaged is told to the operator, and not to strangers', async (t) => {
  const lab = await Lab.make(t);
  lab.objects.set('c/me/accounts/0000000001.json', {
    bytes: Buffer.from('no list'),
    modifiedMs: 0,
  });
  const following = lab.following(HOUR_MS);
  await following.look(CLIENT);
  for (let round = 0; round < 3; round += 1) await following.lookAccounts(CLIENT);
  t.is(lab.told.length, 1);
  t.regex(lab.told[0]!, /accounts of "me" cannot be used: .* is no JSON \[ACCOUNTS_DAMAGED\]/);
  t.is(await rejectedCode(following.fetchAccounts(CLIENT)), 'ACCOUNTS_DAMAGED');
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  t.is(await rejectedCode(following.lookAccounts(CLIENT)), 'BUCKET_UNREACHABLE');
});
