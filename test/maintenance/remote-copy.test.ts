// Pace: slow
/** Copies of a client from a server: broken off at any point, and from servers that lie. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { openRemoteCopy } from '../../src/remote/index.js';
import type { CopyFeed } from '../../src/maintenance/rewrite/index.js';
import { TardisError } from '../../src/errors/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { copyFromServer, type CopyOptions, seenLabs, spoilt } from '../helpers/copied-history.js';
import { Link } from '../helpers/link.js';
import { checkInline, keyringOfPlace } from '../helpers/damage.js';
import { lookAt } from '../helpers/damage-look.js';
import type { HistoryLab } from '../helpers/history-lab.js';
import { machine } from '../helpers/history-in-bucket.js';
import { inlineSystem, type Place, startInline } from '../helpers/inline.js';
import { changed, LIES, lying } from '../helpers/lied-catalogs.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';
import { deleteInline } from '../helpers/garbage.js';
import type { Objects } from '../support/memory-object-store.js';
import { seededRandom } from '../support/seeded-random.js';

const SETS = [1, 2, 3, 5, 6, 7];
const system = nodeSystem();
const random = seededRandom(seed);

const labs = seenLabs(test);
const labOf = (isEncrypting: boolean): HistoryLab => labs.get(isEncrypting)!.lab;

const copied = (lab: HistoryLab, to: Place, options?: CopyOptions) =>
  copyFromServer(lab.daemon.address, to, options);

/** Returns a feed that fails at a given number of requests, and counts them. */
function failingAt(at: number, counted: { requested: number }): (feed: CopyFeed) => CopyFeed {
  const step = (): void => {
    counted.requested += 1;
    if (counted.requested === at) throw new TardisError('CONNECTION_LOST', 'as the test wants');
  };
  return (feed) => ({
    keys: feed.keys,
    open: async () => {
      step();
      return feed.open();
    },
    piece: async (offer, index) => {
      step();
      return feed.piece(offer, index);
    },
    objects: {
      read: async (...given) => {
        step();
        return feed.objects.read(...given);
      },
      close: () => feed.objects.close(),
    },
  });
}

for (const isEncrypting of [false, true]) {
  const kind = isEncrypting ? 'sealed' : 'plain';

  test.serial(
    `a copy that is broken off at any answer shows only whole sets, and goes on (${kind})`,
    async (t) => {
      const { lab, look } = labs.get(isEncrypting)!;
      const home = scratchInMemory(t);
      const counted = { requested: 0 };
      const whole = { store: path.join(home, 'whole'), client: 'me' };
      const { sets, lostVersions } = await copied(lab, whole, { wrap: failingAt(0, counted) });
      t.deepEqual([sets, lostVersions], [SETS, 0]);
      t.deepEqual(await lookAt(whole, lab.keyring), look);
      t.true(counted.requested > 5, `${counted.requested} answers`);
      const points = Array.from({ length: counted.requested }, (_, index) => index + 1);
      for (const at of partOf(points, share * 2, random)) {
        const place = { store: path.join(home, `at-${at}`), client: 'me' };
        const wrap = failingAt(at, { requested: 0 });
        t.is(await rejectedCode(copied(lab, place, { wrap })), 'CONNECTION_LOST', `answer ${at}`);
        const keyring = await keyringOfPlace(place);
        const there = await lookAt(place, keyring);
        for (const [set, seen] of there.sets) t.deepEqual(seen, look.sets.get(set), `set ${set}`);
        for (const [name, entry] of there.entries) t.is(entry, look.entries.get(name)!, name);
        await copied(lab, place);
        t.deepEqual(
          await lookAt(place, keyring),
          look,
          `broken off at answer ${at} (seed ${seed})`,
        );
        const { findings } = await checkInline(place, { keyring, isEncrypted: isEncrypting });
        t.deepEqual(findings, []);
        fs.rmSync(place.store, { recursive: true });
      }
    },
  );

  test.serial(
    `connections that are cut are replaced, and a snapshot that was lost is taken again (${kind})`,
    async (t) => {
      const { lab, look } = labs.get(isEncrypting)!;
      const place = { store: path.join(scratchInMemory(t), 'copy'), client: 'me' };
      if (lab.daemon.address.kind !== 'tcp')
        throw new Error('the server of the lab listens on TCP');
      const relay = await Link.during(t, lab.daemon.address.port);
      let [pieces, reads] = [0, 0];
      const wrap = (feed: CopyFeed): CopyFeed => ({
        ...feed,
        piece: (offer, index) => {
          pieces += 1;
          if (pieces === 1) relay.cutNext();
          return feed.piece(offer, index);
        },
        objects: {
          ...feed.objects,
          read: (...given) => {
            reads += 1;
            if (reads === 2) relay.cutNext();
            return feed.objects.read(...given);
          },
        },
      });
      const address = { kind: 'tcp', host: '127.0.0.1', port: relay.port } as const;
      const patience = { forMs: 600_000, firstWaitMs: 1 };
      const { sets } = await copyFromServer(address, place, { wrap, patience });
      t.deepEqual(sets, SETS);
      t.is(relay.connections, 3);
      t.true(pieces > 1, 'the piece was requested again');
      t.deepEqual(await lookAt(place, lab.keyring), look);
    },
  );

  test.serial(
    `records that a server changes are not stored as what they were (${kind})`,
    async (t) => {
      const { lab, look } = labs.get(isEncrypting)!;
      const place = { store: path.join(scratchInMemory(t), 'copy'), client: 'me' };
      const { lostVersions } = await copied(lab, place, { wrap: spoilt });
      t.true(lostVersions > 0);
      const there = await lookAt(place, lab.keyring);
      const wrong = [...there.entries].filter(
        ([name, entry]) => entry !== look.entries.get(name) && !entry.endsWith('lost'),
      );
      t.deepEqual(wrong, []);
      t.is((await copied(lab, place)).lostVersions, 0, 'an honest server heals the copy');
      t.deepEqual(await lookAt(place, lab.keyring), look);
    },
  );
}

for (const [what, [code, change]] of Object.entries(LIES)) {
  test.serial(`a catalog with ${what} is refused, and the copy stays as it was`, async (t) => {
    const home = scratchInMemory(t);
    const place = { store: path.join(home, 'copy'), client: 'me' };
    await copied(labOf(false), place);
    const before = await lookAt(place, undefined);
    t.is(
      await rejectedCode(copied(labOf(false), place, lying(labOf(false).place, home, change))),
      code,
    );
    t.deepEqual(await lookAt(place, undefined), before);
  });
}

test.serial('an entry with a path for a name is refused when its set is copied', async (t) => {
  const home = scratchInMemory(t);
  const place = { store: path.join(home, 'copy'), client: 'me' };
  const change = changed(
    "UPDATE entries SET name = CAST('../up' AS BLOB) WHERE name = CAST('empty' AS BLOB)",
  );
  const code = await rejectedCode(
    copied(labOf(false), place, lying(labOf(false).place, home, change)),
  );
  t.is(code, 'CATALOG_DAMAGED');
});

test.serial('a client is copied from a server into a bucket, and on from there', async (t) => {
  const { lab, look } = labs.get(true)!;
  const home = scratchInMemory(t);
  const objects: Objects = new Map();
  const bucket = machine(home, objects);
  t.deepEqual((await copied(lab, { store: bucket.cache, client: 'me' })).sets, SETS);
  t.deepEqual((await copied(lab, { store: bucket.cache, client: 'me' })).sets, []);
  t.deepEqual(await lookAt({ store: bucket.cache, client: 'me' }, lab.keyring), look);
  const daemon = await startInline(inlineSystem(), bucket.cache);
  try {
    const place = { store: path.join(home, 'copy'), client: 'me' };
    t.deepEqual((await copyFromServer(daemon.address, place)).sets, SETS);
    t.deepEqual(await lookAt(place, lab.keyring), look);
  } finally {
    await daemon.stop();
  }
});

test.serial(
  'sets that were deleted at the server are deleted in the copy, if that is requested',
  async (t) => {
    const lab = labOf(false);
    const home = scratchInMemory(t);
    const [source, place] = ['source', 'copy'].map((name) => ({
      store: path.join(home, name),
      client: 'me',
    })) as [Place, Place];
    fs.cpSync(lab.place.store, source.store, { recursive: true });
    const daemon = await startInline(inlineSystem(), source.store);
    try {
      await copyFromServer(daemon.address, place);
      await deleteInline(source, [3]);
      t.deepEqual((await copyFromServer(daemon.address, place)).deleted, []);
      t.deepEqual((await copyFromServer(daemon.address, place, { deletes: true })).deleted, [3]);
      t.deepEqual(await lookAt(place, undefined), await lookAt(source, undefined));
    } finally {
      await daemon.stop();
    }
  },
);

test.serial(
  'a server keeps four snapshots at most, each until it was read or its reader has left',
  async (t) => {
    const lab = labOf(false);
    const password = Buffer.from(PASSWORD);
    const credentials = { password, ask: async () => password };
    const open = () =>
      openRemoteCopy(system, { address: lab.daemon.address, client: 'me', credentials });
    const temporary = process.env['TMPDIR'];
    const ours = scratchInMemory(t);
    process.env['TMPDIR'] = ours;
    t.teardown(() => {
      if (temporary === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = temporary;
    });
    const readers = await Promise.all(Array.from({ length: 5 }, open));
    const [first, ...others] = readers;
    const { offer } = await first!.feed.open();
    for (const { feed } of others.slice(0, 3)) await feed.open();
    t.is(await rejectedCode(others[3]!.feed.open()), 'CLIENT_BUSY');
    t.is(await rejectedCode(first!.feed.piece(offer + 1, 0)), 'NO_SUCH_REQUEST');
    t.true((await first!.feed.piece(offer, 0)).length > 0);
    t.is(await rejectedCode(first!.feed.piece(offer, 0)), 'NO_SUCH_REQUEST', 'it was read');
    await others[3]!.feed.open();
    t.is(
      await rejectedCode(others[0]!.feed.piece(offer, 0)),
      'NO_SUCH_REQUEST',
      'it is of another',
    );
    const again = await others[0]!.feed.open();
    t.is(fs.readdirSync(ours).length, 4);
    t.is(await rejectedCode(others[0]!.feed.piece(again.offer, 1)), 'PROTOCOL_VIOLATION');
    for (const { history } of readers) history.close();
    while (fs.readdirSync(ours).length > 0) await new Promise(setImmediate); // the test times out if they stay
  },
);

test.serial('offers and pieces that cannot be are refused', async (t) => {
  const lab = labOf(false);
  const place = { store: path.join(scratchInMemory(t), 'copy'), client: 'me' };
  const offering = (lie: object): CopyOptions => ({
    wrap: (feed) => ({ ...feed, open: async () => ({ ...(await feed.open()), ...lie }) }),
  });
  const sending = (lie: (piece: Buffer) => Buffer): CopyOptions => ({
    wrap: (feed) => ({ ...feed, piece: async (...given) => lie(await feed.piece(...given)) }),
  });
  const codes = async (options: CopyOptions) => rejectedCode(copied(lab, place, options));
  t.is(await codes(offering({ clientId: '../../etc' })), 'PROTOCOL_VIOLATION');
  t.is(await codes(offering({ catalogBytes: 2 ** 50 })), 'PROTOCOL_VIOLATION');
  t.is(await codes(offering({ keysSum: Buffer.alloc(32) })), 'LOGIN_FAILED');
  t.is(await codes(sending((piece) => piece.subarray(1))), 'RECORD_DAMAGED');
  t.is(await codes(sending((piece) => Buffer.concat([piece, piece]))), 'RECORD_DAMAGED');
  t.is(await codes(sending(() => Buffer.alloc(0))), 'RECORD_DAMAGED');
  let opened = 0;
  const forgetting: CopyOptions = {
    wrap: (feed) => ({
      ...feed,
      open: () => {
        opened += 1;
        return feed.open();
      },
      piece: () => Promise.reject(new TardisError('NO_SUCH_REQUEST', 'it was removed')),
    }),
  };
  t.is(await codes(forgetting), 'NO_SUCH_REQUEST');
  t.is(opened, 8, 'a server that forgets each snapshot is left at last');
  t.deepEqual((await copied(lab, place)).sets, SETS);
  const before = await lookAt(place, undefined);
  const asAnother = { clientId: 'f'.repeat(32) };
  const other = lying(lab.place, scratchInMemory(t), LIES['another history than the copy']![1]);
  const otherHistory: CopyOptions = { wrap: (feed) => offering(asAnother).wrap!(other.wrap(feed)) };
  t.is(await codes(otherHistory), 'COPY_DIFFERS', 'another store, and another history');
  t.deepEqual((await copied(lab, place, offering(asAnother))).sets, [], 'the same history');
  t.deepEqual(await lookAt(place, undefined), before);
});

test.serial(
  'an account needs the right to read, and never gets the key record of the client',
  async (t) => {
    for (const isEncrypting of [false, true]) {
      const lab = labOf(isEncrypting);
      const place = { store: path.join(scratchInMemory(t), 'copy'), client: 'me' };
      await giveAccount(lab.place, 'lists', ['list']);
      await giveAccount(lab.place, 'reads', ['list', 'read']);
      const code = (account: string) => rejectedCode(copied(lab, place, { account }));
      t.is(await code('lists'), 'NOT_PERMITTED');
      t.is(await code('reads'), isEncrypting ? 'NOT_PERMITTED' : undefined);
      if (isEncrypting) continue;
      t.deepEqual(await lookAt(place, undefined), labs.get(false)!.look);
      t.false(fs.existsSync(path.join(place.store, 'me', 'keys')), 'the copy has no password');
    }
  },
);
