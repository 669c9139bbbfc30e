/** Codes by which a machine makes its client: each works once, for one client, within an hour, and with a password. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newKeyRecord } from '../../src/crypto/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { addTarget, endOldJoinCodes, makeJoinCode, parseJoinCode } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { helloOf } from '../helpers/greetings.js';
import { LIGHT } from '../helpers/light.js';
import { makeClient, NETWORK, serviceOf } from '../helpers/logins.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { ManualClock } from '../support/manual-clock.js';

const HOUR_MS = 3_600_000;
const { bytes: keys } = (
  await newKeyRecord(nodeSystem().native.modPow, Buffer.from('a password'), true, LIGHT)
).record;

/** A store with one client, a server of it that lets no session create another, and a clock. */
async function office(t: ExecutionContext) {
  const store = scratchInMemory(t);
  const clock = new ManualClock(Date.now());
  const system = { ...nodeSystem(), native: nodeSystem().native, clock };
  await makeClient(store, 'old', 'secret');
  const service = serviceOf(store, { requirePassword: true }, system);
  const { cert: certificate } = await certificateIn(store, 'server');
  const server = 'backup.example:7420';
  return {
    store,
    clock,
    certificate,
    code: async (client: string) => {
      const { text } = await makeJoinCode(system, store, { client, server, certificate });
      return parseJoinCode(text)!;
    },
    /** Makes a code for a client that is added to the account of the old one, as the page of a server does. */
    added: async (client: string) => {
      const addedTo = await addTarget(system, store, { owned: 'old', client });
      const { text } = await makeJoinCode(system, store, { client, server, certificate, addedTo });
      return parseJoinCode(text)!;
    },
    endOld: () => endOldJoinCodes(system, store),
    make: (name: string) => makeJoinCode(system, store, { client: 'c', server: name, certificate }),
    /** Returns the code of the error; undefined if the client was made, and its password is challenged. */
    join: async (client: string, code: string, record: Uint8Array = keys) => {
      const hello = helloOf(client, { create: true, code, keys: Buffer.from(record) });
      try {
        (await service.begin(hello, NETWORK))?.abandon();
        return undefined;
      } catch (error) {
        return asTardisError(error).code;
      }
    },
  };
}

test('a code makes its client once, of two at the same time one, and no other client', async (t) => {
  const { store, code, join } = await office(t);
  t.is(await join('laptop', ''), 'NOT_PERMITTED');
  const { secret, client, server } = await code('laptop');
  t.deepEqual([client, server], ['laptop', 'backup.example:7420']);
  const file = path.join(store, '.joins', 'laptop');
  t.is(fs.statSync(file).mode & 0o777, 0o600);
  t.false(fs.readFileSync(file, 'utf8').includes(secret));
  for (const wrong of [`${secret.slice(1)}A`, secret.toLowerCase(), '\0', 'x'.repeat(3000)]) {
    t.is(await join('laptop', wrong), 'JOIN_CODE_INVALID');
  }
  for (const name of ['desk', 'old', '.joins', '../laptop']) {
    const expected = /^\w+$/.test(name) ? 'JOIN_CODE_INVALID' : 'CLIENT_NAME_INVALID';
    t.is(await join(name, secret), expected, name);
  }
  t.is(await join('laptop', secret, Buffer.alloc(0)), 'PASSWORD_NEEDED');
  t.is(await join('laptop', secret, Buffer.from('no record')), 'KEYS_DAMAGED');
  const both = await Promise.all([join('laptop', secret), join('laptop', secret)]);
  t.deepEqual(both.map(String).toSorted(), ['JOIN_CODE_INVALID', 'undefined']); // either may be first
  t.true(fs.existsSync(path.join(store, 'laptop', 'format.json')));
  fs.rmSync(path.join(store, 'laptop'), { recursive: true });
  t.is(await join('laptop', secret), 'JOIN_CODE_INVALID', 'also where the client is gone');
});

test('a code ends after an hour, by a clock that was set back too, and by a newer one', async (t) => {
  const { clock, code, join, make } = await office(t);
  const first = await code('laptop');
  const second = await code('laptop');
  t.is(await join('laptop', first.secret), 'JOIN_CODE_INVALID');
  clock.advance(HOUR_MS);
  t.is(await join('laptop', second.secret), 'JOIN_CODE_INVALID');
  const third = await code('laptop');
  clock.advance(-1);
  t.is(await join('laptop', third.secret), 'JOIN_CODE_INVALID');
  clock.advance(2);
  t.is(await join('laptop', third.secret), undefined);
  t.is(asTardisError(await t.throwsAsync(code('old'))).code, 'CLIENT_EXISTS');
  for (const name of ['', 'a b', 'a#b', 'a@b', 'https://a', '/tmp/socket']) {
    t.is(asTardisError(await t.throwsAsync(make(name))).code, 'USAGE', name);
  }
});

test('a code comes back if the client could not be made', async (t) => {
  const { store, code, join } = await office(t);
  const { secret } = await code('laptop');
  fs.writeFileSync(path.join(store, 'laptop'), 'a file is in the way');
  t.is(await join('laptop', secret), 'STORE_NOT_WRITABLE');
  fs.rmSync(path.join(store, 'laptop'));
  t.is(await join('laptop', secret), undefined);
});

test('a code that is not used in time takes its client out of the account again, and no other', async (t) => {
  const { store, clock, code, added, endOld, join } = await office(t);
  const file = path.join(store, '.accounts', 'ours');
  fs.mkdirSync(path.dirname(file));
  fs.writeFileSync(file, 'Targets: old kept\n');
  await endOld(); // there is no code yet
  await code('kept'); // its operator has put it there
  await added('unused');
  await added('unused'); // a newer code for the same client
  const { secret } = await added('used');
  t.is(await join('used', secret), undefined);
  await endOld();
  t.is(fs.readFileSync(file, 'utf8'), 'Targets: old kept unused used\n');
  clock.advance(HOUR_MS);
  await added('late');
  fs.writeFileSync(path.join(store, '.joins', 'odd'), 'no code\n');
  await endOld();
  t.is(fs.readFileSync(file, 'utf8'), 'Targets: old kept used late\n');
  t.deepEqual(fs.readdirSync(path.join(store, '.joins')).toSorted(), ['late', 'odd']);
});
