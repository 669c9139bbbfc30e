/** Promises of the accounts of a client, wherever its store lies. */
import type { ExecutionContext, TestFn } from 'ava';
import {
  addTokenAccount,
  isAccount,
  isTokenAccount,
  isTokenOf,
  listAccounts,
  listTokenAccounts,
  loginKeys,
  putAccount,
  readRights,
  removeAccount,
  requireAccount,
  tokenHash,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { keyRecord } from '../helpers/records.js';

const SECRET = 'A'.repeat(43);
const OTHER = 'B'.repeat(43);
const [FIRST_KEYS, LATER_KEYS] = [keyRecord(1), keyRecord(2)];

export interface AccountsPlace {
  /** The client's directory, as the machine has it that changes accounts. */
  readonly writer: string;
  /** Returns the client's directory as another machine has it that has just looked. */
  reader(): Promise<string>;
}

export function accountsSuite(
  test: TestFn,
  name: string,
  make: (t: ExecutionContext) => Promise<AccountsPlace>,
): void {
  const system = nodeSystem();

  test(`${name}: accounts with passwords are created, changed, listed and removed`, async (t) => {
    const { writer, reader } = await make(t);
    await putAccount(system, writer, { name: 'phone', rights: ['add', 'list'] }, FIRST_KEYS);
    await putAccount(system, writer, { name: 'desk', rights: ['read'] }, LATER_KEYS);
    const there = await reader();
    t.deepEqual(listAccounts(system, there), [
      { name: 'desk', rights: ['read'] },
      { name: 'phone', rights: ['add', 'list'] },
    ]);
    t.deepEqual(loginKeys(system, there, 'phone'), { number: 1, bytes: FIRST_KEYS });
    t.deepEqual(loginKeys(system, there, 'desk')?.bytes, LATER_KEYS);
    await putAccount(system, writer, { name: 'phone', rights: ['purge'] }, undefined);
    t.deepEqual(readRights(system, await reader(), 'phone'), ['purge']);
    t.deepEqual(loginKeys(system, there, 'phone')?.bytes, FIRST_KEYS, 'the password stays');
    await removeAccount(system, writer, 'phone');
    t.deepEqual(
      listAccounts(system, await reader()).map(({ name: left }) => left),
      ['desk'],
    );
    t.false(isAccount(system, there, 'phone'));
    t.is(loginKeys(system, there, 'phone'), undefined);
    t.is(
      thrownCode(() => requireAccount(system, there, 'phone')),
      'NO_SUCH_ACCOUNT',
    );
    // A later account with that name has its own password.
    await putAccount(system, writer, { name: 'phone', rights: ['list'] }, LATER_KEYS);
    t.deepEqual(loginKeys(system, await reader(), 'phone')?.bytes, LATER_KEYS);
  });

  test(`${name}: an account with a token is one until it is removed`, async (t) => {
    const { writer, reader } = await make(t);
    await addTokenAccount(system, writer, { name: 'bot', rights: ['read'] }, tokenHash(SECRET));
    const there = await reader();
    const has = (account: string, secret: string): boolean =>
      isTokenOf(system, there, { client: 'me', account, secret });
    t.true(has('bot', SECRET));
    t.false(has('bot', OTHER));
    t.false(has('other', SECRET));
    t.true(isTokenAccount(system, there, 'bot'));
    t.false(isAccount(system, there, 'bot'), 'no password opens it');
    t.deepEqual(listTokenAccounts(system, there), [{ name: 'bot', rights: ['read'] }]);
    t.is(
      await rejectedCode(
        addTokenAccount(system, writer, { name: 'bot', rights: ['read'] }, tokenHash(OTHER)),
      ),
      'USAGE',
    );
    t.true(has('bot', SECRET));
    await putAccount(system, writer, { name: 'bot', rights: ['list'] }, undefined);
    await reader();
    t.true(has('bot', SECRET), 'a change of rights keeps the token');
    t.deepEqual(readRights(system, there, 'bot'), ['list']);
    await removeAccount(system, writer, 'bot');
    await reader();
    t.false(has('bot', SECRET));
    t.deepEqual(listTokenAccounts(system, there), []);
  });

  test(`${name}: names that leave the place of accounts are refused, and unknown ones too`, async (t) => {
    const { writer } = await make(t);
    const rights = ['list'] as const;
    for (const bad of ['../x', 'a/b', '.hidden', '', '__proto__/..']) {
      const put = putAccount(system, writer, { name: bad, rights }, FIRST_KEYS);
      t.is(await rejectedCode(put), 'ACCOUNT_INVALID', bad);
      t.is(
        thrownCode(() => readRights(system, writer, bad)),
        'ACCOUNT_INVALID',
      );
      t.is(await rejectedCode(removeAccount(system, writer, bad)), 'ACCOUNT_INVALID');
    }
    t.is(await rejectedCode(removeAccount(system, writer, 'nobody')), 'NO_SUCH_ACCOUNT');
    t.is(
      thrownCode(() => readRights(system, writer, 'nobody')),
      'NO_SUCH_ACCOUNT',
    );
    t.deepEqual(listAccounts(system, writer), []);
  });
}
