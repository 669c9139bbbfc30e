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
  readonly requested: string[] = [];
  readonly reported: string[] = [];
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
      this.requested.push(`${kind} ${name.slice(name.indexOf('/', 2) + 1)}`);
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
      warn: (line) => this.reported.push(line),
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
  await following.refreshIfDue(CLIENT);
  t.is(lab.seen().get('KeepLast'), '1');
  await lab.store('KeepDaily', 2);
  await following.refreshIfDue(CLIENT);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.applied, 2);
  lab.requested.length = 0;
  await following.refreshIfDue(CLIENT);
  t.deepEqual(lab.requested, ['read client.json', 'read keys/00000001.key', 'list g1/log/']);
  t.is(lab.applied, 2);
});

test('within the interval a reader requests nothing, unless an object is missing', async (t) => {
  const lab = await Lab.make(t);
  lab.stopClock(); // a busy machine would let the least interval pass
  const following = lab.following(HOUR_MS);
  await following.refreshIfDue(CLIENT);
  await lab.store('KeepDaily', 2);
  lab.requested.length = 0;
  await Promise.all([following.refreshIfDue(CLIENT), following.refreshIfDue(CLIENT)]);
  t.deepEqual(lab.requested, []);
  await following.again(CLIENT); // just looked at
  t.deepEqual(lab.requested, []);
  const later = lab.following(HOUR_MS);
  await Promise.all([later.again(CLIENT), later.again(CLIENT)]);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.requested.filter((one) => one === 'read client.json').length, 1);
});

test('a reader goes on with what it has while the bucket is away or silent, and reports it once', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(0);
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  t.is(await rejectedCode(following.refreshIfDue(CLIENT)), 'BUCKET_UNREACHABLE');
  lab.before = async () => undefined;
  await following.refreshIfDue(CLIENT);
  lab.reported.length = 0;
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  await following.refreshIfDue(CLIENT);
  await following.refreshIfDue(CLIENT);
  t.deepEqual(lab.reported, ['the bucket cannot be read: away [BUCKET_UNREACHABLE]']);
  t.is(lab.seen().get('KeepLast'), '1');
  const alive = setInterval(() => undefined, 100); // nothing else waits
  t.teardown(() => clearInterval(alive));
  let answer = (): void => undefined;
  lab.before = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  await following.refreshIfDue(CLIENT); // waits a short time only
  await lab.store('KeepDaily', 2);
  lab.before = async () => undefined;
  answer();
  await following.refreshIfDue(CLIENT);
  t.is(lab.seen().get('KeepDaily'), '2');
  t.is(lab.reported.at(-1), 'the bucket can be read again');
});

test('a client that is gone from the bucket is gone for its readers', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(0);
  await following.refreshIfDue(CLIENT);
  t.is(await rejectedCode(following.refreshIfDue('other')), 'NO_SUCH_CLIENT');
  t.is(await rejectedCode(following.look('../me')), 'CLIENT_NAME_INVALID');
});

test('strangers that name many clients cause few requests', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  const names = Array.from({ length: 2000 }, (_, index) => `name-${index}`);
  for (const name of names) await following.look(name);
  t.true(lab.requested.length >= 60 && lab.requested.length < 200, String(lab.requested.length));
});

test('strangers that name many clients push out no client that is in use', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  await following.refreshIfDue(CLIENT);
  for (let index = 0; index < 2000; index += 1) await following.look(`name-${index}`);
  lab.requested.length = 0;
  await following.refreshIfDue(CLIENT);
  t.deepEqual(lab.requested, []);
});

test('strangers that look for accounts cause few requests, and a logged-in user has one look in a while', async (t) => {
  const lab = await Lab.make(t);
  const following = lab.following(HOUR_MS);
  await following.look(CLIENT);
  lab.requested.length = 0;
  await Promise.all(Array.from({ length: 50 }, () => following.fetchAccounts(CLIENT)));
  t.deepEqual(lab.requested, ['read accounts/0000000001.json']);
  for (let index = 0; index < 2000; index += 1) await following.lookAccounts(`name-${index}`);
  t.true(lab.requested.length >= 60 && lab.requested.length < 200, String(lab.requested.length));
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  // A look that has failed does not count as one.
  const late = lab.following(HOUR_MS);
  for (let tries = 0; tries < 3; tries += 1) {
    t.is(await rejectedCode(late.fetchAccounts(CLIENT)), 'BUCKET_UNREACHABLE');
  }
});

test('a list of accounts that is damaged is reported to the operator, and not to strangers', async (t) => {
  const lab = await Lab.make(t);
  lab.objects.set('c/me/accounts/0000000001.json', {
    bytes: Buffer.from('no list'),
    modifiedMs: 0,
  });
  const following = lab.following(HOUR_MS);
  await following.look(CLIENT);
  for (let round = 0; round < 3; round += 1) await following.lookAccounts(CLIENT);
  t.is(lab.reported.length, 1);
  t.regex(lab.reported[0]!, /accounts of "me" cannot be used: .* is no JSON \[ACCOUNTS_DAMAGED\]/);
  t.is(await rejectedCode(following.fetchAccounts(CLIENT)), 'ACCOUNTS_DAMAGED');
  lab.before = async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  };
  t.is(await rejectedCode(following.lookAccounts(CLIENT)), 'BUCKET_UNREACHABLE');
});

test('a reader that begins with an older catalog reports a commit that the bucket has lost, even if none is new', async (t) => {
  for (const commits of [1, 2]) {
    const lab = await Lab.make(t);
    await lab.following(0).refresh(CLIENT);
    for (let more = 1; more < commits; more += 1) await lab.store('KeepDaily', more);
    const names = [...lab.objects.keys()].filter((name) => name.includes('/log/')).sort();
    lab.objects.delete(names[2 * commits - 2]!); // 1: one that the reader has applied; 2: the next one
    const code = await rejectedCode(lab.following(0).refresh(CLIENT));
    t.is(code, 'STORE_FORKED', `${commits}: ${names.join(' ')}`);
    t.is(lab.seen().get('KeepLast'), '1');
  }
});
