/** The addon's scrypt, beside that of OpenSSL, and its refusals. */
import { scryptSync } from 'node:crypto';
import test from 'ava';
import { systemCode } from '../../src/errors/index.js';
import { nodeSystem } from '../../src/system/index.js';

const { native } = nodeSystem();
const MIB = 1 << 20;
/** A password with bytes that are no text. */
const PASSWORD = Buffer.from([0, 0x22, 0xc3, 0xff, 0x0a]);
const SALT = Buffer.alloc(16, 7);

test('keys are those of RFC 7914', async (t) => {
  const vectors = [
    [
      'password',
      'NaCl',
      1024,
      8,
      16,
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162',
    ],
    [
      'pleaseletmein',
      'SodiumChloride',
      16_384,
      8,
      1,
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2',
    ],
  ] as const;
  for (const [password, salt, count, r, p, key] of vectors) {
    const made = await native.scrypt(Buffer.from(password), Buffer.from(salt), count, r, p, 32);
    t.is(made.toString('hex'), key);
  }
});

test('keys are those of OpenSSL, whatever the costs and lengths', async (t) => {
  for (const [count, r, p, keyBytes] of [
    [2, 1, 1, 1],
    [16, 1, 3, 64],
    [64, 3, 2, 1024],
    [16_384, 8, 1, 32],
    [1024, 9, 2, 33],
  ] as const) {
    for (const password of [PASSWORD, Buffer.alloc(0), Buffer.alloc(300, 0x61)]) {
      const options = { N: count, r, p, maxmem: 1024 * MIB };
      const wanted = scryptSync(password, SALT, keyBytes, options);
      t.deepEqual(await native.scrypt(password, SALT, count, r, p, keyBytes), wanted, `${count}`);
    }
  }
});

test('costs and lengths beyond the bounds are refused', (t) => {
  const code = (count: number, r: number, p: number, keyBytes: number, password = PASSWORD) => {
    try {
      void native.scrypt(password, SALT, count, r, p, keyBytes);
      return undefined;
    } catch (error) {
      return systemCode(error);
    }
  };
  for (const count of [0, 1, 3, 1000, 2 ** 31, 2 ** 40])
    t.is(code(count, 1, 1, 32), 'EINVAL', `${count}`);
  t.is(code(1024, 0, 1, 32), 'EINVAL');
  t.is(code(1024, 1, 0, 32), 'EINVAL');
  t.is(code(2 ** 20, 9, 1, 32), 'EINVAL');
  t.is(code(2, 2 ** 40, 1, 32), 'EINVAL');
  t.is(code(2, 1, 2 ** 40, 32), 'EINVAL');
  t.is(code(2, 1, 1, 0), 'EINVAL');
  t.is(code(2, 1, 1, 1025), 'EINVAL');
  t.is(code(2, 1, 1, 32, Buffer.alloc(MIB + 1)), 'EINVAL');
});
