/** Key files: text with sections of wrapped keys. */
import {
  type KeyRecord,
  keyFileText,
  KeyFileText,
  newKeyRecord,
  parseKeyRecord,
} from '../../../src/crypto/index.js';
import { loadNative } from '../../../src/system/native.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';
import { LIGHT } from '../../helpers/light.js';

const CODES = ['KEY_FILE_INVALID', 'STORE_NEWER'] as const;
const CLIENT = 'me';

let record: KeyRecord;
let other: KeyRecord;

function read(data: Buffer): string {
  const file = KeyFileText.parse(data, 'keys');
  must(file.lack(CLIENT).length > 0, 'a lack without words');
  const found = file.find(record.keysetId);
  const changed = KeyFileText.parse(file.with(CLIENT, [record]), 'keys');
  const [now] = changed.find(record.keysetId);
  must(now?.bytes.equals(record.bytes) === true, 'a record that was put is not found');
  const without = KeyFileText.parse(changed.without(record.keysetId), 'keys');
  must(without.find(record.keysetId).length === 0, 'a section that was removed is there');
  return magnitude(found.length);
}

export const target: Target = {
  about: 'key files: refused, or a section is put, found and removed again',
  seeds: async () => {
    const { modPow } = loadNative();
    ({ record } = await newKeyRecord(modPow, Buffer.from('password'), true, LIGHT));
    ({ record: other } = await newKeyRecord(modPow, Buffer.from('other'), true, LIGHT));
    const one = keyFileText(CLIENT, parseKeyRecord(record.bytes));
    const two = KeyFileText.parse(one, 'keys').with('other', [other]);
    return [
      Buffer.alloc(0),
      one,
      two,
      Buffer.from(two.toString('latin1').replaceAll('\n', '\r\n')),
    ];
  },
  fuzz: (data) => attempt(CODES, () => read(data)),
  tokens: ['\n[me]\n', '\nkeys = ', '\nrecord 1\n', '\n  ', '\r\n', '# tardis key file 1\n', '=='],
  maxBytes: 16 << 10,
};
