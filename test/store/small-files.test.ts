/** Small files of a store, and of a cache of a bucket, that two processes write at once: both succeed. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  accountOf,
  ACCOUNTS_DIRECTORY,
  changeQuota,
  fetchClient,
  lockByFile,
  newestKeys,
  removeTarget,
  requestBackup,
  requestedBackups,
} from '../../src/store/index.js';
import { type Files, nodeSystem, type System } from '../../src/system/index.js';
import { accountMachine, createMe } from '../helpers/bucket-accounts.js';
import { rejectedCode } from '../helpers/codes.js';
import { keyRecord } from '../helpers/records.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { untilLocked } from '../helpers/until.js';
import { MemoryObjectStore } from '../support/memory-object-store.js';

const system = nodeSystem();

/** Runs `first`, and `second` while `first` has written a file that does not have its name yet. Both must succeed. */
async function together(
  first: (system: System) => Promise<unknown>,
  second: (system: System) => Promise<unknown>,
): Promise<void> {
  let other: Promise<unknown> | undefined;
  const sync = async (fd: number): Promise<void> => {
    await system.files.sync(fd);
    other ??= (await untilLocked(second)).ended;
  };
  await first({ ...system, files: { ...system.files, sync } });
  await other!;
}

test('two administrators request a backup of one client at once', async (t) => {
  const store = scratchInMemory(t);
  const request = (by: string) => (process: System) =>
    requestBackup(process, store, { client: 'me', by });
  await together(request('me/one'), request('me/other'));
  t.is(requestedBackups(system, store).get('me')?.by, 'me/other');
  t.deepEqual(fs.readdirSync(store), ['.requests']);
  t.deepEqual(fs.readdirSync(path.join(store, '.requests')), ['me']);
});

test('of two changes of an account at once none is lost', async (t) => {
  const store = scratchInMemory(t);
  fs.mkdirSync(path.join(store, ACCOUNTS_DIRECTORY));
  fs.writeFileSync(path.join(store, ACCOUNTS_DIRECTORY, 'office'), 'Targets: desk shed\n');
  await together(
    (process) => changeQuota(process, store, 'desk', 1 << 20),
    async (process) => {
      t.is(accountOf(system, store, 'desk', (fault) => t.fail(fault.message))?.quotaBytes, 0);
      await removeTarget(process, store, { account: 'office', client: 'shed' });
    },
  );
  t.like(
    accountOf(system, store, 'desk', (fault) => t.fail(fault.message)),
    { quotaBytes: 1 << 20, targets: ['desk'] },
  );
  t.deepEqual(fs.readdirSync(store), [ACCOUNTS_DIRECTORY]);
});

test('two commands fetch a client of a bucket to one cache at once', async (t) => {
  const objects = new MemoryObjectStore();
  const keys = keyRecord(1);
  await createMe(accountMachine(t, objects), keys);
  const { access, directory } = accountMachine(t, objects);
  const fetchMe = (process: System) => fetchClient(process, access, 'me');
  await together(fetchMe, fetchMe);
  t.deepEqual(newestKeys(system, directory), { number: 1, bytes: keys });
  t.deepEqual(fs.readdirSync(access.cache), ['me']);
  t.deepEqual(fs.readdirSync(directory).sort(), ['format.json', 'keys']);
});

test('a lock whose file is deleted before it is opened is taken at the next attempt', async (t) => {
  const file = path.join(scratchInMemory(t), 'lock');
  let deleted = 0;
  const open: Files['open'] = (name, how) => {
    if (how === 'write' && deleted < 2) {
      deleted += 1;
      fs.rmSync(name);
    }
    return system.files.open(name, how);
  };
  const files = { ...system.files, open };
  (await lockByFile({ ...system, files }, file, 'busy')).release();
  t.is(deleted, 2);
  t.false(fs.existsSync(file));
  const missing = lockByFile(system, path.join(file, 'of', 'none'), 'busy');
  t.is(await rejectedCode(missing), 'IO_FAILED', 'a missing directory is not a busy lock');
});
