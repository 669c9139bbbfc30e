/** Versions of names are gathered one name at a time, whatever a list contains. */
import test from 'ava';
import {
  type VersionedName,
  versionedNames,
} from '../../../src/maintenance/bucket-versions/index.js';
import type { ObjectVersion, ObjectVersions } from '../../../src/store/objects/index.js';

const LOG = 'c/me/g1/log/0000000001';
const MANY = 200_000;

function version(name: string, id: number, more: Partial<ObjectVersion> = {}): ObjectVersion {
  const facts = { isLatest: true, isMark: false, sizeBytes: 1, modifiedMs: 0, tag: `"${id}"` };
  return { name, id: String(id), ...facts, ...more };
}

function listing(list: () => Iterable<ObjectVersion>): ObjectVersions {
  const unused = (): never => {
    throw new Error('this is not asked');
  };
  return {
    list: async function* () {
      yield* list();
    },
    source: unused,
    putAgain: unused,
    lockedUntilMs: unused,
    lockFor: unused,
    nowMs: unused,
    abilities: unused,
  };
}

async function gathered(list: () => Iterable<ObjectVersion>): Promise<VersionedName[]> {
  const found: VersionedName[] = [];
  for await (const name of versionedNames(listing(list))) found.push(name);
  return found;
}

test('the versions of a name are read one by one, and the oldest one with bytes counts', async (t) => {
  const [found, ...others] = await gathered(function* () {
    for (let id = MANY; id > 0; id -= 1) yield version(LOG, id, { isMark: id % 2 === 0 });
    yield version(LOG, 0, { isMark: true });
    yield version(LOG, -1, { tag: '"abc-2"' });
  });
  t.deepEqual(others, []);
  t.like(found, { name: LOG, client: 'me', commit: 1, pack: 1_000_000 });
  t.is(found!.latest.id, String(MANY));
  t.is(found!.oldest?.id, '1');
});

test('a version that is listed twice counts once', async (t) => {
  const found = await gathered(() => [version(LOG, 2), version(LOG, 1), version(LOG, 1)]);
  t.is(found.length, 1);
  t.is(found[0]!.oldest?.id, '1');
});

test('only names that are written once are looked at', async (t) => {
  const good = [
    'c/me/client.json',
    LOG,
    'c/me/g1/packs/0000000001-0001',
    'c/me/g1/packs/0000000001-500000',
    'c/me/g1/snap/0000000012-0123456789abcdef/0000',
    'c/me/keys/00000002.key',
  ];
  const bad = [
    'c/me/copy.json',
    'c/me/client.json/x',
    'c/me/g1/log/1',
    'c/me/g1/log/0000000001/x',
    'c/me/g1/packs/0000000001-00001',
    'c/me/g1/packs/0000000001-0000',
    'c/me/g1/snap/0000000012-0123456789abcdef/1',
    'c/me/g1/snap/0000000012-0123456789ABCDEF/0000',
    'c/me/g1/snap/0000000012/0000',
    'c/me/g2/log/0000000001',
    'c/me/keys/2.key',
    'c/me/keys/00000002.key/x',
    'c/-me/client.json',
    'c/client.json',
    'nodes/1.json',
    'probe/1',
    'd/me/client.json',
  ];
  const all = [...good, ...bad].sort().map((name, id) => version(name, id));
  t.deepEqual(
    (await gathered(() => all)).map(({ name }) => name),
    good,
  );
});
