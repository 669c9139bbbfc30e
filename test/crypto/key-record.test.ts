// Pace: slow
/** The key record: its contents, the cost of a guess at its password, and the records that are refused. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import test from 'ava';
import {
  type KeyRecord,
  type MasterKey,
  changePassword,
  decoyKeyRecord,
  formerIds,
  KeyPurpose,
  loginPrivateKey,
  rememberKeyRecord,
  MAX_KEY_RECORD_BYTES,
  newKeyRecord,
  normalPassword,
  openKeyRecord,
  parseKeyRecord,
  replaceKeys,
  srpGroup,
  srpPower,
  srpPrivateKey,
  STRETCH,
  stretchPassword,
  unlockKeyRecord,
} from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { ownState } from '../helpers/scratch.js';
import { LIGHT } from '../helpers/light.js';

const { modPow } = nodeSystem().native;
const state = ownState(test);
const PASSWORD = Buffer.from('correct horse');

test('a record gives its keys to the right password only', async (t) => {
  const { record } = await newKeyRecord(modPow, PASSWORD, true);
  t.is(record.number, 1);
  t.deepEqual(record.parameters, STRETCH);
  const { keys } = await unlockKeyRecord(parseKeyRecord(record.bytes), PASSWORD);
  t.deepEqual(
    keys.map(({ purpose, epoch }) => [purpose, epoch]),
    [1, 2, 3, 4].map((purpose) => [purpose, 1]),
  );
  t.is(new Set(keys.map(({ key }) => key.toString('hex'))).size, keys.length);
  t.true(keys.every(({ key }) => key.length === 32 && !record.bytes.includes(key)));
  t.is(await rejectedCode(unlockKeyRecord(record, Buffer.from('other'))), 'LOGIN_FAILED');
});

test('a change of password keeps the keys, and shows neither password', async (t) => {
  const { record: first } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const next = Buffer.from('battery staple');
  t.is(await rejectedCode(changePassword(modPow, first, next, { password: next })), 'LOGIN_FAILED');
  const { record: second } = await changePassword(modPow, first, PASSWORD, { password: next });
  t.is(second.number, 2);
  t.deepEqual(second.keysetId, first.keysetId);
  t.notDeepEqual(second.salt, first.salt);
  t.notDeepEqual(second.verifier, first.verifier);
  t.deepEqual(
    (await unlockKeyRecord(second, next)).keys,
    (await unlockKeyRecord(first, PASSWORD)).keys,
  );
  t.is(await rejectedCode(unlockKeyRecord(second, PASSWORD)), 'LOGIN_FAILED');
  t.false([PASSWORD, next].some((password) => second.bytes.includes(password)));
});

test('keys that take the place of others name them, and no other ones', async (t) => {
  const [first, waiting] = [true, false].map((encrypts) =>
    newKeyRecord(modPow, PASSWORD, encrypts, LIGHT),
  );
  const former = async (
    record: KeyRecord,
  ): Promise<{ record: KeyRecord; keys: readonly MasterKey[] }> => ({
    record,
    keys: (await unlockKeyRecord(record, PASSWORD)).keys,
  });
  const before = await former((await first!).record);
  const second = await former((await replaceKeys(modPow, PASSWORD, before, LIGHT)).record);
  const third = await former((await replaceKeys(modPow, PASSWORD, second, LIGHT)).record);
  t.deepEqual(formerIds(third.keys), [before.record.keysetId, second.record.keysetId]);
  t.true(third.record.isEncrypting);
  t.is(third.record.number, 1);
  const secret = (keys: readonly MasterKey[]): string[] =>
    keys
      .filter(({ purpose }) => purpose !== KeyPurpose.former)
      .map(({ key }) => key.toString('hex'));
  const all = [before, second, third].flatMap(({ keys }) => secret(keys));
  t.is(new Set(all).size, 12, 'none is used again');
  t.deepEqual(
    formerIds((await former((await replaceKeys(modPow, PASSWORD, undefined, LIGHT)).record)).keys),
    [],
  );
  const next = (await changePassword(modPow, third.record, PASSWORD, { password: PASSWORD }))
    .record;
  t.deepEqual(
    formerIds((await former(next)).keys),
    formerIds(third.keys),
    'a new password keeps them',
  );

  // A machine that has seen the new keys refuses the old ones, and nothing else.
  rememberKeyRecord(before.record, before.keys);
  rememberKeyRecord(third.record, third.keys);
  for (const { record, keys } of [before, second]) {
    t.is(
      thrownCode(() => rememberKeyRecord(record, keys)),
      'STORE_ROLLED_BACK',
    );
  }
  rememberKeyRecord(third.record, third.keys);
  const plain = await former((await waiting!).record);
  rememberKeyRecord(plain.record, plain.keys);
  const encrypted = await former((await replaceKeys(modPow, PASSWORD, plain, LIGHT)).record);
  rememberKeyRecord(encrypted.record, encrypted.keys);
  const back = thrownCode(() => rememberKeyRecord(plain.record, plain.keys));
  t.is(back, 'STORE_ROLLED_BACK', 'a client that encrypts is not made to stop');
});

test('each fact about keys that cannot be remembered is reported', async (t) => {
  const { record } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const { keys } = await unlockKeyRecord(record, PASSWORD);
  const next = (await replaceKeys(modPow, PASSWORD, { record, keys }, LIGHT)).record;
  const { keys: others } = await unlockKeyRecord(next, PASSWORD);
  process.env['XDG_STATE_HOME'] = '/proc/nothing';
  try {
    const reported = rememberKeyRecord(next, others);
    t.is(reported.length, 2);
    t.regex(reported[0]!, /newest key record is not remembered.*\[MEMORY_NOT_WRITTEN\]$/);
    t.regex(reported[1]!, /replaced the former ones is not remembered.*\[MEMORY_NOT_WRITTEN\]$/);
  } finally {
    process.env['XDG_STATE_HOME'] = state;
  }
  t.deepEqual(rememberKeyRecord(next, others), []);
});

test('wrap key and login secret reveal nothing about each other, and the verifier comes from the latter', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const again = await stretchPassword(PASSWORD, record.salt, LIGHT);
  t.deepEqual(again, secrets);
  t.notDeepEqual(again.wrapKey, again.loginSecret);
  t.is(
    thrownCode(() => openKeyRecord(record, again.loginSecret)),
    'LOGIN_FAILED',
  );
  const verifierOf = (key: Buffer): Promise<Buffer> => srpPower(modPow, srpGroup(), key);
  t.deepEqual(await verifierOf(loginPrivateKey(record.salt, secrets)), record.verifier);
});

test('no guess at a record is cheaper than the memory-hard call', async (t) => {
  const { record } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const { salt } = record;
  // Derivations that a guesser would prefer; each leaves out scrypt.
  const cheap = [
    PASSWORD,
    createHash('sha256').update(PASSWORD).digest(),
    createHash('sha256').update(salt).update(PASSWORD).digest(),
  ];
  for (const secret of cheap) {
    const key = srpPrivateKey(srpGroup(), salt, 'tardis', secret);
    t.notDeepEqual(await srpPower(modPow, srpGroup(), key), record.verifier);
  }
  // Parameters that make a guess cheap, or that are so expensive that they block a client, are refused from any source.
  for (const bad of [
    { logN: 1, r: 8, p: 1 },
    { logN: 13, r: 8, p: 1 },
    { logN: 17, r: 1, p: 1 },
    { logN: 19, r: 8, p: 1 },
    { logN: 18, r: 8, p: 3 },
    { logN: 17, r: 8, p: 5 },
    { logN: 15, r: 8, p: 17 },
    { logN: 15, r: 255, p: 1 },
    { logN: 200, r: 8, p: 1 },
    { logN: 15, r: 8, p: 0 },
    { logN: 14.5, r: 8, p: 1 },
    { logN: Number.NaN, r: 8, p: 1 },
  ]) {
    t.is(await rejectedCode(stretchPassword(PASSWORD, salt, bad)), 'LOGIN_FAILED');
    if (!Object.values(bad).every((number) => Number.isInteger(number) && number < 256)) continue;
    const bytes = Buffer.from(record.bytes);
    bytes.set([bad.logN, bad.r, bad.p], 6);
    t.is(
      thrownCode(() => parseKeyRecord(withChecksum(bytes))),
      'KEYS_DAMAGED',
    );
  }
});

function withChecksum(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

test('each changed bit of a record is found, with and without a right checksum', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  for (let at = 0; at < record.bytes.length; at += 1) {
    const bytes = Buffer.from(record.bytes);
    bytes[at]! ^= 1 << (at % 8);
    t.is(
      thrownCode(() => parseKeyRecord(bytes)),
      'KEYS_DAMAGED',
      `byte ${at}`,
    );
    if (at >= bytes.length - 4) continue;
    // An attacker can write a new checksum; a client with the password detects the change all the same.
    const code = thrownCode(() => {
      openKeyRecord(parseKeyRecord(withChecksum(bytes)), secrets.wrapKey);
    });
    t.true(['KEYS_DAMAGED', 'STORE_NEWER', 'LOGIN_FAILED'].includes(code ?? ''), `byte ${at}`);
  }
  for (const length of [0, 3, 80, record.bytes.length - 1]) {
    t.is(
      thrownCode(() => parseKeyRecord(record.bytes.subarray(0, length))),
      'KEYS_DAMAGED',
    );
  }
  const huge = Buffer.concat([record.bytes, randomBytes(MAX_KEY_RECORD_BYTES)]);
  t.is(
    thrownCode(() => parseKeyRecord(huge)),
    'KEYS_DAMAGED',
  );
});

test('a decoy has the form of a record, and no password', async (t) => {
  const { record } = await newKeyRecord(modPow, PASSWORD, true);
  const decoy = await decoyKeyRecord(modPow);
  t.is(decoy.bytes.length, record.bytes.length);
  t.deepEqual(decoy.bytes.subarray(0, 16), record.bytes.subarray(0, 16));
  t.is(await rejectedCode(unlockKeyRecord(decoy, PASSWORD)), 'LOGIN_FAILED');
});

test('a password is the same however its letters are encoded', (t) => {
  t.deepEqual(normalPassword(Buffer.from('e\u0301')), normalPassword(Buffer.from('\u00e9')));
  t.deepEqual(normalPassword(Buffer.of(0xff, 0x61)), Buffer.of(0xff, 0x61));
  t.is(
    thrownCode(() => normalPassword(Buffer.alloc(0))),
    'PASSWORD_NEEDED',
  );
});
