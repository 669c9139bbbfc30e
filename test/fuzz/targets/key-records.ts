/** Key records from a store, a server or a key file. */
import { crc32 } from 'node:zlib';
import {
  decoyKeyRecord,
  isOfRecord,
  newKeyRecord,
  openKeyRecord,
  parseKeyRecord,
  SRP_BYTES,
  withoutKeys,
} from '../../../src/crypto/index.js';
import { loadNative } from '../../../src/system/native.js';
import { attempt, must, type Target } from '../engine/target.js';
import { LIGHT } from '../../helpers/light.js';

const CODES = ['KEYS_DAMAGED', 'STORE_NEWER', 'LOGIN_FAILED', 'KEYS_ELSEWHERE'] as const;
const WRAP_KEY = Buffer.alloc(32, 1);
const LENGTH_AT = 76;
/** Offset of the wrapped keys, after the fixed part of a record and its verifier. */
const WRAPPED_AT = 80 + SRP_BYTES;

function read(data: Buffer): string {
  const record = parseKeyRecord(data);
  must(record.bytes.equals(data), 'a key record is kept otherwise than it was given');
  const bare = withoutKeys({ ...record, isEncrypting: true });
  const isBareRight = bare.isEncrypting ? isOfRecord(record, bare) : true;
  must(isBareRight, 'a record without its keys is not found to be of itself');
  return `${record.hasKeys} ${record.isEncrypting} ${openKeyRecord(record, WRAP_KEY).length}`;
}

export const target: Target = {
  about: 'key records: refused, or kept as they are, with and without their keys',
  seeds: async () => {
    const { modPow } = loadNative();
    const { record } = await newKeyRecord(modPow, Buffer.from('password'), true, LIGHT);
    return [record.bytes, withoutKeys(record).bytes, (await decoyKeyRecord(modPow)).bytes];
  },
  fuzz: (data) => attempt(CODES, () => read(data)),
  repair: (data, random) => {
    if (data.length < WRAPPED_AT + 4) return data;
    if (random.next() < 0.8) data.writeUInt32LE(data.length - 4 - WRAPPED_AT, LENGTH_AT);
    data.writeUInt32LE(crc32(data.subarray(0, -4)), data.length - 4);
    return data;
  },
};
