import test from 'ava';
import { parseStorePlace, shownBucket } from '../../../src/store/objects/index.js';
import { thrownCode } from '../../helpers/codes.js';

const parse = (text: string) => parseStorePlace(Buffer.from(text), '-D');

test('a place is a directory, unless it begins with s3://', (t) => {
  t.deepEqual(parse('/srv/tardis'), { kind: 'directory', path: Buffer.from('/srv/tardis') });
  t.deepEqual(parse('s3:/x'), { kind: 'directory', path: Buffer.from('s3:/x') });
  t.deepEqual(parse('s3://all-backups'), { kind: 'bucket', bucket: 'all-backups', prefix: '' });
  t.deepEqual(parse('s3://b.example/a/b-1/'), {
    kind: 'bucket',
    bucket: 'b.example',
    prefix: 'a/b-1',
  });
  t.deepEqual(parse('S3://Backups/a'), { kind: 'bucket', bucket: 'Backups', prefix: 'a' });
  t.is(shownBucket({ bucket: 'b.example', prefix: 'a/b' }), 's3://b.example/a/b');
  t.is(shownBucket({ bucket: 'b.example', prefix: '' }), 's3://b.example');
});

test('a bucket that cannot exist, and a prefix that leaves the store, are refused', (t) => {
  for (const text of [
    's3://',
    's3:///prefix',
    's3://b',
    's3://bucket/../x',
    's3://bucket//x',
    's3://bucket/a b',
    's3://bucket/ü',
    's3://bucket/a?x=1',
    's3://user@bucket/x',
    `s3://bucket/${'x'.repeat(513)}`,
  ]) {
    t.is(
      thrownCode(() => parse(text)),
      'CONFIG_INVALID',
      text,
    );
  }
});
