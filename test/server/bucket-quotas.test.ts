/** Quotas in a bucket: sessions here count exactly, those of other servers by what they have stored. */
import { pino } from 'pino';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { type Admission, InlineStorageHost, Quotas } from '../../src/server/index.js';
import { accountOf, fetchAccountFiles, putAccountFiles } from '../../src/store/index.js';
import { SpaceMeter, valueOf } from '../../src/store/writer/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { accountMachine, createMe } from '../helpers/bucket-accounts.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { MemoryObjectStore, type Objects } from '../support/memory-object-store.js';
import { pause, until } from '../helpers/until.js';

const system = nodeSystem();

/** One server, whose bucket has a store of these account files. */
async function serverOf(t: ExecutionContext, text: string) {
  const objects: Objects = new Map();
  const store = new MemoryObjectStore(objects);
  const machine = accountMachine(t, store);
  await createMe(machine);
  await putAccountFiles(system, store, new Map([['office', text]]));
  const bytes = new Map<string, number>();
  const state = { isAway: false, measured: 0 };
  const shared = {
    fetchAccountFiles: () => fetchAccountFiles(system, machine.access),
    usedBytes: async (client: string) => {
      state.measured += 1;
      if (state.isAway) throw new TardisError('BUCKET_UNREACHABLE', 'away');
      return bytes.get(client) ?? 0;
    },
    forgetUsed: () => undefined,
    refresh: async () => undefined,
  };
  const options = { baseDir: machine.access.cache, catalogFile: 'tardis.db' };
  const quotasOf = (more: object) =>
    new Quotas(
      system,
      new InlineStorageHost(system),
      { ...options, ...more },
      pino({ level: 'silent' }),
    );
  return {
    bytes,
    state,
    store,
    objects,
    machine,
    quotas: quotasOf({ shared, othersMs: 5 }),
    quotasOf,
  };
}

async function usedUntil(admission: Admission, wanted: number): Promise<void> {
  await until(() => valueOf(admission.grant.used) === wanted);
}

test('what other servers store meanwhile counts in sessions that are under way', async (t) => {
  const { bytes, quotas, state } = await serverOf(t, 'SpaceQuota: 1000\nTargets: me you her\n');
  bytes.set('you', 300);
  const mine = (await quotas.admit('me'))!;
  t.is(valueOf(mine.grant.used), 300);
  const meter = new SpaceMeter(mine.grant);
  meter.take(200);
  bytes.set('you', 500);
  bytes.set('her', 100);
  // A client with a session here does not count twice.
  bytes.set('me', 150);
  await usedUntil(mine, 800);
  t.is(
    thrownCode(() => meter.take(250)),
    'QUOTA_EXCEEDED',
  );
  const hers = (await quotas.admit('her'))!;
  new SpaceMeter(hers.grant).take(100);
  t.is(valueOf(mine.grant.used), 900, 'sessions here share one count');
  // While the bucket is away, what was counted stays.
  state.isAway = true;
  const before = state.measured;
  await until(() => state.measured >= before + 4);
  t.is(valueOf(mine.grant.used), 900);
  t.is(await rejectedCode(quotas.admit('you')), 'BUCKET_UNREACHABLE', 'and no session begins');
  state.isAway = false;
  bytes.set('you', 0);
  await usedUntil(mine, 400);
  mine.release();
  hers.release();
  await pause(20);
  const after = state.measured;
  await pause(20); // no event marks that nothing is measured for several intervals
  t.is(state.measured, after, 'without sessions nothing is measured');
  const again = (await quotas.admit('me'))!;
  t.is(valueOf(again.grant.used), 250, 'then the bucket counts again');
  again.release();
});

test('accounts of a bucket are those of its newest object, and a damaged one admits nobody', async (t) => {
  const { quotas, store, objects, machine, quotasOf } = await serverOf(
    t,
    'SpaceQuota: 1K\nTargets: me\n',
  );
  t.is(await quotas.admit('you'), undefined);
  t.is(await quotasOf({}).admit('me'), undefined, 'the access key is not under a quota');
  const ownerOf = (client: string) =>
    accountOf(system, machine.access.cache, client, () => undefined)?.name;
  t.is(ownerOf('me'), 'office');
  const files = new Map([['home', 'Targets: me\n']]);
  t.true(await putAccountFiles(system, store, files));
  t.false(await putAccountFiles(system, store, files), 'equal files make no object');
  t.is(await quotas.admit('me'), undefined);
  t.is(ownerOf('me'), 'home');
  const [first, second] = ['accounts/0000000001.json', 'accounts/0000000002.json'] as const;
  const [one, two] = [objects.get(first)!, objects.get(second)!];
  objects.delete(second);
  await quotas.admit('me');
  t.is(ownerOf('me'), 'home', 'an earlier one does not come back');
  objects.set(second, two);
  for (const [what, bytes] of [
    ['repeated', one.bytes],
    ['no JSON', Buffer.from('{')],
    ['wrong', Buffer.from('{"version":1,"number":3,"previous":"","body":{"files":{"a":1}}}')],
    ['huge', Buffer.alloc((16 << 20) + 1)],
  ] as const) {
    objects.set('accounts/0000000003.json', { ...two, bytes });
    const code = await rejectedCode(quotas.admit('me'));
    t.is(code, what === 'huge' ? 'BUCKET_ANSWER_INVALID' : 'ACCOUNTS_DAMAGED', what);
  }
  objects.delete('accounts/0000000003.json');
  for (const body of [{ files: { '../x': '' } }, { files: { a: 1 } }, { files: null }, {}]) {
    const record = { version: 1, number: 1, previous: '', body };
    objects.clear();
    objects.set(first, { ...one, bytes: Buffer.from(JSON.stringify(record)) });
    const fresh = accountMachine(t, store);
    t.is(await rejectedCode(fetchAccountFiles(system, fresh.access)), 'ACCOUNTS_DAMAGED');
  }
});

test('a server that knows no accounts finds them although the first object is lost', async (t) => {
  const { store, objects } = await serverOf(t, 'SpaceQuota: 1K\nTargets: me\n');
  await putAccountFiles(system, store, new Map([['home', 'SpaceQuota: 1K\nTargets: me\n']]));
  objects.delete('accounts/0000000001.json');
  const { access } = accountMachine(t, store);
  await fetchAccountFiles(system, access);
  t.is(accountOf(system, access.cache, 'me', () => undefined)?.name, 'home');
});

/** Returns a server whose catalogs have this many files, and cannot be brought up to date. */
async function serverWithFiles(t: ExecutionContext, text: string, files: number) {
  const { bytes, machine } = await serverOf(t, text);
  const storage = new InlineStorageHost(system);
  storage.measure = async () => ({ bytes: 1, files, directories: 2 });
  const shared = {
    fetchAccountFiles: () => fetchAccountFiles(system, machine.access),
    usedBytes: async (client: string) => bytes.get(client) ?? 0,
    forgetUsed: () => undefined,
    refresh: () => Promise.reject(new TardisError('CLIENT_BUSY', 'its garbage is collected')),
  };
  const options = { baseDir: machine.access.cache, catalogFile: 'tardis.db', shared };
  return { bytes, quotas: new Quotas(system, storage, options, pino({ level: 'silent' })) };
}

test('entries of a client count as they were while its catalog is not brought up to date', async (t) => {
  const text = 'SpaceQuota: 1000\nSpacePerFile: 10\nTargets: me you\n';
  const { bytes, quotas } = await serverWithFiles(t, text, 5);
  bytes.set('me', 100);
  const admission = (await quotas.admit('you'))!;
  t.is(valueOf(admission.grant.used), 150);
  admission.release();
});

test('costs of entries that are too large for a count use up the quota', async (t) => {
  const text = 'SpaceQuota: 1000\nSpacePerFile: 8191T\nTargets: me you\n';
  const { bytes, quotas } = await serverWithFiles(t, text, 1500);
  bytes.set('me', 100);
  const admission = (await quotas.admit('you'))!;
  t.is(
    thrownCode(() => new SpaceMeter(admission.grant).take(1)),
    'QUOTA_EXCEEDED',
  );
  admission.release();
});
