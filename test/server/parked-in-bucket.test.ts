/** A backup session in a bucket without a client: it ends when another machine has begun to write. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { InlineStorageHost } from '../../src/server/index.js';
import { sharedClient } from '../helpers/bucket-machines.js';
import { PLAIN_SET } from '../helpers/hand-made-peer.js';
import { inlineSystem } from '../helpers/inline.js';
import { StorageClient } from '../helpers/storage-client.js';

test('a parked session looks once for another one, goes on while the bucket is away, and ends when there is one', async (t) => {
  const on = await sharedClient(t, new Map());
  const host = new InlineStorageHost(inlineSystem());
  let isAway = false;
  const requests: string[] = [];
  const here = on((kind) => {
    requests.push(kind);
    if (isAway) throw new TardisError('BUCKET_FAILED', 'the bucket is away');
  });
  const parked = await StorageClient.open(host, here, 'backup');
  parked.send('openSet', PLAIN_SET);
  await parked.until(() => parked.names.includes('setOpened'));
  const park = async (): Promise<string[]> => {
    requests.length = 0;
    parked.handle.park();
    while (!requests.includes('head')) await new Promise(setImmediate);
    return [...requests];
  };
  t.true((await park()).includes('put'), 'a checkpoint is made');
  t.true(parked.names.includes('durable'));
  t.deepEqual(await park(), ['head']);
  isAway = true;
  t.deepEqual(await park(), ['head']);
  isAway = false;
  t.deepEqual(parked.failures, []);
  const other = await StorageClient.open(host, on(), 'backup');
  parked.handle.park();
  await parked.until(() => parked.failures.length > 0);
  t.deepEqual(
    parked.failures.map(({ code }) => code),
    ['STORE_TAKEN'],
  );
  requests.length = 0;
  parked.handle.park();
  await parked.handle.abandon();
  await other.handle.end();
  t.deepEqual(requests, []);
  t.deepEqual(other.failures, []);
  await host.close();
});
