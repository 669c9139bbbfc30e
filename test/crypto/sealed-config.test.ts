/** Sealed configurations, and values that are none. */
import test from 'ava';
import { NameSealer, openConfig, sealConfig } from '../../src/crypto/index.js';
import type { ClientConfig } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { plainPackr } from '../../src/system/msgpack/index.js';
import { configWith } from '../helpers/client-configs.js';

const { native } = nodeSystem();
const packr = plainPackr();

/** Returns a sealer with keys that `byte` determines. */
function sealerOf(byte: number): NameSealer {
  return new NameSealer(native, Buffer.alloc(64, byte));
}

test('a sealed configuration shows nothing, is the same each time, and opens with its keys only', (t) => {
  const config = configWith('a private name');
  const sealed = sealConfig(sealerOf(1), config);
  t.false(sealed.bytes.includes('private') || sealed.bytes.includes('setName'));
  t.deepEqual(sealConfig(sealerOf(1), config), sealed);
  t.deepEqual(openConfig(sealerOf(1), sealed), config);
  t.throws(() => openConfig(sealerOf(2), sealed), { code: 'NOT_AUTHENTIC' });
  for (let at = 0; at < sealed.bytes.length; at += 7) {
    const bytes = Buffer.from(sealed.bytes);
    bytes[at]! ^= 1;
    t.throws(() => openConfig(sealerOf(1), { form: 'sealed', bytes }), { code: 'NOT_AUTHENTIC' });
  }
});

test('a value that the client sealed for something else is no configuration', (t) => {
  const names = sealerOf(1);
  const good = configWith('x');
  const elsewhere: ClientConfig[] = [
    good, // as a store makes it up for a client that encrypts
    { form: 'sealed', bytes: names.name(packr.pack(good)) },
    { form: 'sealed', bytes: Buffer.from(names.text('a tag').slice(1), 'base64url') },
    { form: 'sealed', bytes: Buffer.alloc(0) },
  ];
  const odd: unknown[] = [
    'text',
    {},
    { ...good, software: 1 },
    { ...good, settings: [{ name: '__proto__', value: 'x' }] },
    { ...good, settings: [{ name: 'a', value: 1 }] },
    { ...good, settings: { a: 'b' } },
    { ...good, settings: Array.from({ length: 1000 }, () => ({ name: 'a', value: '' })) },
    { form: 'sealed', bytes: Buffer.alloc(3) },
  ];
  const packed = [Buffer.from([0xc1]), ...odd.map((value) => packr.pack(value))];
  for (const bytes of packed) elsewhere.push({ form: 'sealed', bytes: names.config(bytes) });
  for (const config of elsewhere) {
    t.throws(() => openConfig(names, config), { code: 'NOT_AUTHENTIC' });
  }
});
