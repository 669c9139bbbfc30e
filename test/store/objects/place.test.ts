import test from 'ava';
import { shownBucket } from '../../../src/store/objects/index.js';

test('a bucket is shown as the user writes it', (t) => {
  t.is(shownBucket({ bucket: 'b.example', prefix: 'a/b' }), 's3://b.example/a/b');
  t.is(shownBucket({ bucket: 'b.example', prefix: '' }), 's3://b.example');
});
