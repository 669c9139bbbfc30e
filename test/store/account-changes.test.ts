/** Accounts of a client that change while another process reads or repairs them. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  listAccounts,
  lockAccounts,
  loginKeys,
  mendAllKeys,
  newestKeys,
  putAccount,
  removeAccount,
} from '../../src/store/index.js';
import { type Files, nodeSystem, type System } from '../../src/system/index.js';
import { type Checked, checkInline } from '../helpers/damage.js';
import { requestFor, requestInline } from '../helpers/forgets.js';
import { inlineLab } from '../helpers/inline.js';
import { giveAccount, giveKeys } from '../helpers/rewrites.js';
import { file } from '../helpers/tree.js';
import { untilLocked } from '../helpers/until.js';

const system = nodeSystem();

/** Makes a client with the accounts "desk" and "phone". */
async function withAccounts(t: ExecutionContext) {
  const { place, source, backup } = inlineLab(t, [file('a', 'a')]);
  await backup();
  await giveKeys(place, false);
  for (const name of ['desk', 'phone']) await giveAccount(place, name, ['list']);
  const client = path.join(place.store, 'me');
  const inAccount = (name: string, ...below: string[]): string =>
    path.join(client, 'accounts', name, ...below);
  return { place, source, client, inAccount };
}

function withFiles(change: Partial<Files>) {
  return { ...system, files: { ...system.files, ...change } };
}

const names = (client: string): string[] => listAccounts(system, client).map(({ name }) => name);

test('a repair of keys lets an account be removed, and puts nothing of it back', async (t) => {
  const { client, inAccount } = await withAccounts(t);
  const copies = inAccount('desk', 'packs', 'keys');
  fs.rmSync(copies, { recursive: true });
  let removed: Promise<void> | undefined;
  const syncDirectory = async (directory: string): Promise<void> => {
    await system.files.syncDirectory(directory);
    if (directory !== copies || removed !== undefined) return;
    removed = (await untilLocked((other) => removeAccount(other, client, 'phone'))).ended;
  };
  const mended = await mendAllKeys(withFiles({ syncDirectory }), client);
  await removed;
  t.deepEqual(
    mended.map(({ file: name }) => name),
    ['accounts/desk/packs/keys/00000001.key'],
  );
  t.deepEqual(names(client), ['desk']);
  t.false(fs.existsSync(inAccount('phone')));
});

test('a session leaves the keys of accounts that are being changed to the next one', async (t) => {
  const { place, source, client, inAccount } = await withAccounts(t);
  const copy = inAccount('desk', 'packs', 'keys', '00000001.key');
  fs.rmSync(copy);
  const lock = await lockAccounts(system, client);
  await requestInline(place, [requestFor(1, source, 1)]);
  t.false(fs.existsSync(copy));
  lock.release();
  await requestInline(place, [requestFor(2, source, 1)]);
  t.true(fs.existsSync(copy));
});

for (const verb of ['added', 'removed'] as const) {
  test(`a check beside an account that is being ${verb} finds no fault`, async (t) => {
    const { place, client, inAccount } = await withAccounts(t);
    const rights = inAccount('phone', 'rights');
    const keys = loginKeys(system, client, 'phone')!.bytes;
    if (verb === 'added') await removeAccount(system, client, 'phone');
    const change = (other: System): Promise<void> =>
      verb === 'added'
        ? putAccount(other, client, { name: 'phone', rights: ['list'] }, keys)
        : removeAccount(other, client, 'phone');
    let checked: Promise<Checked> | undefined;
    const syncDirectory = async (directory: string): Promise<void> => {
      await system.files.syncDirectory(directory);
      // Keys without rights: before the rights are written, or after they were deleted.
      const isHalf = fs.existsSync(inAccount('phone', 'keys')) && !fs.existsSync(rights);
      if (!isHalf || checked !== undefined) return;
      checked = (await untilLocked((other) => checkInline(place, {}, other))).ended;
    };
    await change(withFiles({ syncDirectory }));
    t.deepEqual((await checked!).findings, []);
  });
}

for (const place of ['keys', 'packs/keys']) {
  test(`an account that is removed while its ${place} is read has no keys`, async (t) => {
    const { inAccount } = await withAccounts(t);
    const remove = (): void => fs.rmSync(inAccount('phone'), { recursive: true, force: true });
    const list: Files['list'] = (directory) => {
      if (directory === inAccount('phone', place)) remove();
      return system.files.list(directory);
    };
    t.is(newestKeys(withFiles({ list }), inAccount('phone')), undefined);
    const open: Files['open'] = (name, how) => {
      if (name === inAccount('desk', place, '00000001.key')) {
        fs.rmSync(inAccount('desk'), { recursive: true, force: true });
      }
      return system.files.open(name, how);
    };
    t.is(
      newestKeys(withFiles({ open }), inAccount('desk'))?.number,
      place === 'keys' ? undefined : 1,
    );
  });
}
