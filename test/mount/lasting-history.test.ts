/** A history that is opened again: after its store was away, and when another catalog is in its place. */
import test from 'ava';
import type { History, StoreState } from '../../src/history/index.js';
import { TardisError } from '../../src/errors/index.js';
import { LastingHistory } from '../../src/mount/index.js';

const SPACE = { blockBytes: 4096, blocks: 10, freeBlocks: 5, availableBlocks: 4 };

interface Fake {
  readonly history: History;
  state: StoreState | undefined;
  isClosed: boolean;
}

/** A history of a client of this name; without a state it is lost. */
function fake(client: string, catalog: string): Fake {
  const made: Fake = {
    state: { catalog, isReplaced: false, space: SPACE },
    isClosed: false,
    history: {
      client,
      sets: async () => {
        if (made.state === undefined) throw lost();
        return [];
      },
      objects: () => ({ read: async () => client.length, close: () => undefined }),
      reports: {
        store: async () => {
          if (made.state === undefined) throw lost();
          return made.state;
        },
      },
      close: () => {
        made.isClosed = true;
      },
    } as unknown as History,
  };
  return made;
}

function lost(): TardisError {
  return new TardisError('SERVER_UNREACHABLE', 'nobody answers');
}

test('a sound history is read on, and its size is that of the last look', async (t) => {
  const first = fake('first', 'a');
  const reopen = (): Promise<History> => Promise.reject(new Error('opened again'));
  const lasting = await LastingHistory.of(first.history, { reopen, warn: (line) => t.log(line) });
  t.true(await lasting.look());
  t.is(lasting.space, SPACE);
  first.state = { ...first.state!, space: { ...SPACE, freeBlocks: 1 } };
  t.true(await lasting.look());
  t.is(lasting.space.freeBlocks, 1);
  t.deepEqual(await lasting.history.sets(), []);
  lasting.close();
  t.true(first.isClosed);
});

test('a store that is away and comes back is read on, with the same numbers', async (t) => {
  const [first, second] = [fake('first', 'a'), fake('later one', 'a')];
  const lines: string[] = [];
  let isBack = false;
  const reopen = async (): Promise<History> => {
    if (!isBack) throw lost();
    return second.history;
  };
  const lasting = await LastingHistory.of(first.history, {
    reopen,
    warn: (line) => lines.push(line),
  });
  lasting.onReplaced = async () => t.fail('the catalog is the same');
  const objects = lasting.history.objects();
  first.state = undefined;
  await t.throwsAsync(lasting.history.sets(), { code: 'SERVER_UNREACHABLE' });
  t.false(await lasting.look());
  t.false(await lasting.look());
  t.deepEqual(lines, ['the store cannot be read: nobody answers [SERVER_UNREACHABLE]']); // once
  isBack = true;
  t.true(await lasting.look());
  t.is(lasting.history.client, 'later one');
  t.deepEqual(await lasting.history.sets(), []);
  t.is(await objects.read('x', 0, Buffer.alloc(1), 1), 'later one'.length);
  t.is(lines[1], 'the store can be read again');
  lasting.close();
  t.true(second.isClosed);
});

test('another catalog in the place of the one that is read ends all numbers', async (t) => {
  const [first, second] = [fake('first', 'a'), fake('second', 'b')];
  const lasting = await LastingHistory.of(first.history, {
    reopen: async () => second.history,
    warn: (line) => t.log(line),
  });
  let ended = 0;
  lasting.onReplaced = async () => void (ended += 1);
  first.state = { ...first.state!, isReplaced: true };
  t.true(await lasting.look());
  t.is(ended, 1);
  t.is(lasting.history.client, 'second');
  t.true(await lasting.look());
  t.is(ended, 1);
  lasting.close();
});
