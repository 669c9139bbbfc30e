import test from 'ava';
import type { TardisError } from '../../src/errors/index.js';
import { ThreadStorageHost } from '../../src/server/index.js';
import { createClientDirectory } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { SMALL_STORE } from '../helpers/inline.js';
import { threadsOf } from '../helpers/threads.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { storageHostSuite } from './storage-host.suite.js';

storageHostSuite(() => new ThreadStorageHost(2));

test('a thread that dies fails its sessions and questions, and nothing waits for it', async (t) => {
  const directory = await createClientDirectory(nodeSystem(), {
    store: scratchInMemory(t),
    client: 'me',
  });
  const { result: host, threads } = await threadsOf(() => new ThreadStorageHost(1));
  const failures: TardisError[] = [];
  const events = {
    answer: () => undefined,
    closing: () => undefined,
    failed: (error: TardisError) => void failures.push(error),
  };
  const handle = await host.open(directory, 'backup', SMALL_STORE, events);
  t.is(threads.length, 1);
  const pending = [
    rejectedCode(host.open(directory, 'backup', SMALL_STORE, events)),
    rejectedCode(host.measure(directory, true)),
    rejectedCode(handle.end()),
  ];
  await threads[0]!.terminate();
  for (const code of await Promise.all(pending)) t.is(code, 'INTERNAL');
  t.true(failures.length > 0 && failures.every(({ code }) => code === 'INTERNAL'));
  t.is(await rejectedCode(host.open(directory, 'backup', SMALL_STORE, events)), 'INTERNAL');
  t.is(await rejectedCode(host.standing(directory, false)), 'INTERNAL');
  t.notThrows(() => handle.park());
  t.is(await rejectedCode(handle.abandon()), 'INTERNAL', 'as the end that was under way');
  t.notThrows(() => host.halt());
  await host.close();
});
