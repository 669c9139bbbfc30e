// Pace: slow
/** Packed pages of an encrypting client: nothing comes before its set and its directory are proven, or while doubts are accepted. */
import { spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  Access,
  type History,
  openLocalHistory,
  packedPagesIn,
  provenHistory,
  unsealedHistory,
} from '../../src/history/index.js';
import { SEAL_BYTES } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { inlineLab } from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { chooser } from '../helpers/random-tree.js';
import { dir, file, symlink } from '../helpers/tree.js';

const SET = 1;
const LIMIT = 512;
/** Maximum number of entries of a page that these tests request. */
const MOST_AT_ONCE = 2500;
/** Number of entries up to which a listing is sorted. */
const MAX_SORTED = 16_384;
const NOTHING = Buffer.alloc(0);

async function openSaved(t: ExecutionContext): Promise<{ history: History; root: string }> {
  const {
    place,
    source: root,
    backup,
  } = inlineLab(t, [dir('one', [file('b'), file('a', 'x'), dir('deep', [file('c')])]), dir('two')]);
  await backup({ password: PASSWORD });
  const system = nodeSystem();
  const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
  const history = unsealedHistory(local, (await keyringOfPlace(place))!, system.native);
  t.teardown(() => history.close());
  return { history, root };
}

function packed(history: History, directories: readonly number[], limit = LIMIT) {
  const value = history.listPacked!({ directories, set: SET, after: NOTHING, limit });
  return value && packedPagesIn(value).map(({ bytes }) => bytes > 0);
}

/** Returns the ids of the root and of its directories, whose places `history` then knows. */
async function directoriesIn({ history, root }: Awaited<ReturnType<typeof openSaved>>) {
  const { childId } = (await history.find(Buffer.from(root), SET))!;
  const page = { directory: childId!, set: SET, after: NOTHING, limit: LIMIT, withDigests: false };
  const entries = await history.list(page);
  return [childId!, ...entries.map((entry) => entry.childId!)];
}

test('a set that was not proven has no packed pages, and then only directories whose places are known', async (t) => {
  const { history, root } = await openSaved(t);
  t.is(packed(history, [1, 2, 3]), undefined);
  const { childId } = (await history.find(Buffer.from(root), SET))!;
  const others = [1, 2, 3, 4, 5].filter((id) => id !== childId);
  t.deepEqual(packed(history, others), [false, false, false, false]);
  t.deepEqual(packed(history, [childId!]), [true]);
  const page = { directory: childId!, set: SET, after: NOTHING, limit: LIMIT, withDigests: false };
  const [one, two] = await history.list(page);
  t.deepEqual(packed(history, [one!.childId!, two!.childId!, 999]), [true, true, false]);
  t.is(packed(history, []), undefined);
});

test('an opened page makes the places of its directories known', async (t) => {
  const { history, root } = await openSaved(t);
  const [rootId, one] = await directoriesIn({ history, root });
  const all = [1, 2, 3, 4, 5, 6].filter((id) => packed(history, [id])![0]);
  t.true(all.includes(rootId!));
  t.true(packed(history, [one!])![0]);
  const after = [1, 2, 3, 4, 5, 6].filter((id) => packed(history, [id])![0]);
  t.is(after.length, 4); // the root, both directories in it, and the one that is deep
});

test('a page has as many entries as are requested, and several directories none that is larger', async (t) => {
  const lab = await openSaved(t);
  const [, one, two] = await directoriesIn(lab);
  t.deepEqual(packed(lab.history, [one!, two!], 3), [false, true]);
  t.deepEqual(packed(lab.history, [one!, two!], 4), [true, true]);
  const names: string[] = [];
  for (let after = NOTHING; ; ) {
    const wanted = { directories: [one!], set: SET, after, limit: 1 };
    const value = lab.history.listPacked!(wanted)!.toString('latin1');
    const [, name] = /^\d+;1,1;(?:(\d+),\d+(?:,\d*){5};(?:[^]*))$/.exec(value) ?? [];
    if (name === undefined) {
      t.is(value, '4;0,0;');
      break;
    }
    const from = value.indexOf(';', value.indexOf(';', value.indexOf(';') + 1) + 1) + 1;
    after = Buffer.from(value.slice(from, from + Number(name)), 'latin1');
    names.push(after.toString());
  }
  t.deepEqual(names, ['a', 'b', 'deep']);
  const twice = { directories: [one!, two!], set: SET, after: Buffer.from('a'), limit: 1 };
  t.is(lab.history.listPacked!(twice), undefined);
});

test('readers who accept what nothing proves, or only what all proves, have no packed pages', async (t) => {
  const { history, root } = await openSaved(t);
  await history.find(Buffer.from(root), SET);
  t.not(packed(history, [1]), undefined);
  t.is(provenHistory(history).listPacked, undefined);
  history.acceptUnproven?.();
  t.is(packed(history, [1]), undefined);
});

test('a listing is opened in one call as it is entry by entry, with links, holes and attributes', async (t) => {
  const {
    place,
    source: root,
    backup,
  } = inlineLab(t, [dir('b', [file('x')]), file('a', 'content'), file('empty'), symlink('c', 'a')]);
  writeFileSync(path.join(root, 'holes'), 'end');
  truncateSync(path.join(root, 'holes'), 1 << 20);
  const isMarked = spawnSync('setfattr', ['-n', 'user.note', '-v', 'x', path.join(root, 'a')]);
  t.log(`attributes: ${isMarked.status === 0}`);
  await backup({ password: PASSWORD });
  const { native } = nodeSystem();
  const keyring = (await keyringOfPlace(place))!;
  const lists: number[] = [];
  const open = (packed: boolean): History => {
    const local = openLocalHistory(nodeSystem(), { ...place, access: new Access(undefined) });
    const list = (page: Parameters<History['list']>[0]) => {
      lists.push(page.directory);
      return local.list(page);
    };
    const changes = { list: { value: list }, ...(!packed && { listPacked: { value: undefined } }) };
    const history = unsealedHistory(Object.create(local, changes) as History, keyring, native);
    t.teardown(() => history.close());
    return history;
  };
  const listed = async (history: History) => {
    const { childId } = (await history.find(Buffer.from(root), SET))!;
    lists.length = 0;
    const page = { directory: childId!, set: SET, after: NOTHING, limit: LIMIT };
    const entries = await history.list({ ...page, withDigests: false });
    const calls = lists.length;
    const shown = entries.map((entry) => {
      const { hashes, at } = entry.proof!;
      const { name, metadata, directory, firstSet, lastSet, flags, contentId, childId: id } = entry;
      const proof = hashes.subarray(at, at + SEAL_BYTES);
      return { name, metadata, directory, firstSet, lastSet, flags, contentId, id, proof };
    });
    return { calls, shown };
  };
  const [atOnce, oneByOne] = [await listed(open(true)), await listed(open(false))];
  t.is(atOnce.calls, 0);
  t.true(oneByOne.calls > 0);
  t.is(atOnce.shown.length, 5);
  t.deepEqual(atOnce.shown, oneByOne.shown);
});

/** The names in a packed page, in its order. */
function namesIn(page: Buffer): string[] {
  const names: string[] = [];
  for (let at = page.findIndex((byte) => byte === 0x3b || byte === 0x3a) + 1; at < page.length; ) {
    const from = page.indexOf(';', at) + 1;
    const [nameBytes = 0, metadataBytes = 0] = page
      .toString('latin1', at, from)
      .split(',')
      .map(Number);
    names.push(page.toString('latin1', from, from + nameBytes));
    at = from + nameBytes + metadataBytes;
  }
  return names;
}

for (const [what, count] of [
  ['sorted', 1500],
  ['sorted, and fetched in several parts', 4500],
  ['too large to be sorted', 16_500],
] as const) {
  test(`a page begins after any name of a directory that is ${what}, in the order of the listing`, async (t) => {
    const {
      place,
      source: root,
      backup,
    } = inlineLab(
      t,
      Array.from({ length: count }, (_, n) => file(`${n}`)),
    );
    await backup({ password: PASSWORD });
    const system = nodeSystem();
    const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
    const limits: number[] = [];
    const counted = Object.create(local, {
      listPacked: {
        value: (pages: Parameters<NonNullable<History['listPacked']>>[0]) => {
          limits.push(pages.limit);
          return local.listPacked!(pages);
        },
      },
    }) as History;
    const history = unsealedHistory(counted, (await keyringOfPlace(place))!, system.native);
    t.teardown(() => history.close());
    const { childId } = (await history.find(Buffer.from(root), SET))!;
    const pageAfter = (after: string, limit: number): Buffer => {
      const wanted = { directories: [childId!], set: SET, after: Buffer.from(after), limit };
      const value = history.listPacked!(wanted)!;
      const { from, bytes } = packedPagesIn(value)[0]!;
      return value.subarray(from, from + bytes);
    };
    const names: string[] = [];
    for (let after: Buffer = NOTHING; names.length < count; after = Buffer.from(names.at(-1)!)) {
      const page = { directory: childId!, set: SET, after, limit: LIMIT, withDigests: false };
      names.push(...(await history.list(page)).map(({ name }) => name.toString()));
    }
    const choose = chooser(count);
    for (let round = 0; round < 12; round += 1) {
      const after = choose(4) === 0 ? '' : `${choose(count)}`;
      const limit = 1 + choose(MOST_AT_ONCE);
      const from = names.indexOf(after) + 1;
      t.deepEqual(namesIn(pageAfter(after, limit)), names.slice(from, from + limit));
    }
    // A name that is not there has a place in sorted listings only.
    t.deepEqual(namesIn(pageAfter('10x', 1)), count < MAX_SORTED ? ['11'] : []);
    // SQLite takes several times the memory of a page to join it.
    t.true(limits.length > 0 && Math.max(...limits) <= MOST_AT_ONCE);
  });
}
