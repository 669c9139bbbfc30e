/** The key record: what it holds, what it costs to guess at, and what is refused of it. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import test from 'ava';
import {
  changePassword,
  decoyKeyRecord,
  KeyPurpose,
  loginPrivateKey,
  MAX_KEY_RECORD_BYTES,
  newKeyRecord,
  normalPassword,
  openKeyRecord,
  parseKeyRecord,
  srpGroup,
  srpPower,
  srpPrivateKey,
  STRETCH,
  stretchPassword,
  unlockKeyRecord,
} from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';

const { modPow } = nodeSystem().native;
const PASSWORD = Buffer.from('correct horse');
/** The least that is allowed, to save time. */
const LIGHT = { logN: 14, r: 8, p: 1 };

test('a record gives its keys to the right password only', async (t) => {
  const { record } = await newKeyRecord(modPow, PASSWORD, true);
  t.is(record.number, 1);
  t.deepEqual(record.parameters, STRETCH);
  const { keys } = await unlockKeyRecord(parseKeyRecord(record.bytes), PASSWORD);
  t.deepEqual(
    keys.map(({ purpose, epoch }) => [purpose, epoch]),
    Object.values(KeyPurpose).map((purpose) => [purpose, 1]),
  );
  t.is(new Set(keys.map(({ key }) => key.toString('hex'))).size, keys.length);
  t.true(keys.every(({ key }) => key.length === 32 && !record.bytes.includes(key)));
  t.is(await rejectedCode(unlockKeyRecord(record, Buffer.from('other'))), 'LOGIN_FAILED');
});

test('a change of password keeps the keys, and shows neither password', async (t) => {
  const { record: first } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const next = Buffer.from('battery staple');
  t.is(await rejectedCode(changePassword(modPow, first, next, next)), 'LOGIN_FAILED');
  const { record: second } = await changePassword(modPow, first, PASSWORD, next);
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

test('wrap key and login secret say nothing about each other, and the verifier comes from the latter', async (t) => {
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
  // What a guesser would rather compute: each leaves out scrypt.
  const cheap = [
    PASSWORD,
    createHash('sha256').update(PASSWORD).digest(),
    createHash('sha256').update(salt).update(PASSWORD).digest(),
  ];
  for (const secret of cheap) {
    const key = srpPrivateKey(srpGroup(), salt, 'tardis', secret);
    t.notDeepEqual(await srpPower(modPow, srpGroup(), key), record.verifier);
  }
  // And no parameters that make it cheap, or so dear that they stop a client, are taken from anybody.
  for (const bad of [
    { logN: 1, r: 8, p: 1 },
    { logN: 13, r: 8, p: 1 },
    { logN: 17, r: 1, p: 1 },
    { logN: 16, r: 8, p: 1 },
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
    // Who changes it on purpose makes a new checksum; the password's owner finds it all the same.
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
