/** A login through a `tardisd` whose password changes between challenge and proof. */
import path from 'node:path';
import test from 'ava';
import { asTardisError } from '../../src/errors/index.js';
import { openRemoteHistory } from '../../src/history/remote/index.js';
import { removeAccount } from '../../src/store/index.js';
import { backupInline, inlineSystem, startInline } from '../helpers/inline.js';
import { giveAccount, PASSWORD } from '../helpers/rekeys.js';
import { file, makeTree, scratch } from '../helpers/tree.js';

test('a login counts for the key record that it began with only', async (t) => {
  const home = scratch(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  makeTree(path.join(home, 'tree'), [file('one', 'first')]);
  const system = inlineSystem();
  const password = { password: PASSWORD };
  await backupInline(system, place, [path.join(home, 'tree')], { create: true, ...password });
  await giveAccount(place, 'bob', ['list', 'read']);
  const daemon = await startInline(system, place.store);
  t.teardown(() => daemon.stop());
  const open = (meanwhile: () => Promise<void>) =>
    openRemoteHistory(system, {
      address: daemon.address,
      client: 'me',
      credentials: {
        password: undefined,
        account: 'bob',
        // Called when the challenge has come.
        ask: async () => {
          await meanwhile();
          return Buffer.from(PASSWORD);
        },
      },
    });
  (await open(async () => undefined)).close();
  const changed = open(async () => {
    await removeAccount(system, path.join(place.store, 'me'), 'bob');
    await giveAccount(place, 'bob', ['list', 'read']);
  });
  // The client would refuse the new keys with the same code, but in other words.
  const refused = await t.throwsAsync(changed, { message: /the password was changed/ });
  t.is(asTardisError(refused).code, 'LOGIN_FAILED');
});
