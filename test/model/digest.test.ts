import { createHash } from 'node:crypto';
import test from 'ava';
import * as fc from 'fast-check';
import {
  decodeParts,
  digestKey,
  encodeParts,
  type PartDigest,
  partsDigest,
} from '../../src/model/index.js';
import { sha256 } from '../helpers/rows.js';

const anyPart: fc.Arbitrary<PartDigest> = fc.record({
  digest: fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((digest): Buffer => Buffer.from(digest)),
  sizeBytes: fc.maxSafeNat(),
});

test('a list of parts comes back as it was', (t) => {
  fc.assert(
    fc.property(fc.array(anyPart), (parts) => {
      t.deepEqual(decodeParts(encodeParts(parts)), parts);
    }),
  );
});

test('the digest of parts is that of no file, not even of their list', (t) => {
  fc.assert(
    fc.property(fc.array(anyPart, { maxLength: 4 }), (parts) => {
      const list = encodeParts(parts);
      const digest = partsDigest(parts);
      t.is(digest.length, 32);
      t.notDeepEqual(digest, sha256(list));
      t.deepEqual(digest, createHash('sha512-256').update(list).digest());
    }),
  );
});

test('the digest of parts covers their digests, sizes and order', (t) => {
  const a = { digest: sha256('a'), sizeBytes: 10 };
  const b = { digest: sha256('b'), sizeBytes: 20 };
  const lists = [
    [],
    [a],
    [b],
    [a, b],
    [b, a],
    [a, a],
    [a, { ...b, sizeBytes: 21 }],
    [a, { ...b, sizeBytes: 20 + 2 ** 40 }],
    [a, { ...b, digest: sha256('c') }],
  ];
  const digests = new Set(lists.map((parts) => partsDigest(parts).toString('hex')));
  t.is(digests.size, lists.length);
});

test('keys of digests are equal when the digests are, also of views', (t) => {
  const both = Buffer.concat([sha256('a'), sha256('b')]);
  t.is(digestKey(both.subarray(32)), digestKey(sha256('b')));
  t.is(digestKey(new Uint8Array(sha256('a'))), digestKey(both.subarray(0, 32)));
  t.not(digestKey(sha256('a')), digestKey(sha256('b')));
});
