// Pace: slow
/** Checks: what they read, remember and mark, and that other work continues meanwhile. */
import fs from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'ava';
import { StoreWriter } from '../../../src/store/writer/index.js';
import { createClientDirectory, openClientDirectory } from '../../../src/store/index.js';
import { nodeSystem, type System } from '../../../src/system/index.js';
import type { ReadData } from '../../../src/maintenance/check/index.js';
import { changeCatalog } from '../../helpers/changed-catalog.js';
import { codeOf } from '../../helpers/codes.js';
import { BIN } from '../../helpers/commands.js';
import { type Checked, checkInline, contentsOf, lostOf, namedBy } from '../../helpers/damage.js';
import { backupInline, inlineSystem, type Place, SMALL_STORE } from '../../helpers/inline.js';
import { copyOf, lived } from '../../helpers/lived-store.js';
import { scratchInMemory, ownState } from '../../helpers/scratch.js';
import { dir, file, makeTree, noise } from '../../helpers/tree.js';

ownState(test);

const DAY_MS = 86_400_000;

interface Row {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
}

/** Returns the record with a file's newest version, by the name of the file. */
function recordOf(place: Place, name: string): Row {
  let found: Row | undefined;
  changeCatalog(place.store, (catalog) => {
    const row = catalog
      .prepare(
        `SELECT pack, position, record_bytes AS bytes, hex(digest) AS digest FROM entries
         JOIN contents USING (content_id) JOIN records USING (record_id)
         WHERE name = ? ORDER BY first_set DESC LIMIT 1`,
      )
      .get(Buffer.from(name)) as Row & { pack: number; digest: string };
    const hex = row.digest.toLowerCase();
    const object =
      row.pack === 0
        ? path.join(hex.slice(0, 2), hex.slice(2, 4), hex)
        : path.join('packs', `${String(row.pack).padStart(8, '0')}.pack`);
    found = { object, position: row.position, bytes: row.bytes };
  });
  return found!;
}

/** Changes a byte near the end of the record of a file. */
function spoil(place: Place, name: string): Row {
  const row = recordOf(place, name);
  const at = path.join(place.store, place.client, row.object);
  const bytes = fs.readFileSync(at);
  bytes[row.position + row.bytes - 9]! ^= 0x20;
  fs.writeFileSync(at, bytes);
  return row;
}

function at(system: System, nowMs: () => number): System {
  return { ...system, clock: { ...system.clock, nowMs } };
}

function reading(data: ReadData, leastAgeMs = 0): { read: { data: ReadData; leastAgeMs: number } } {
  return { read: { data, leastAgeMs } };
}

function withoutCounts({ findings }: Checked): unknown {
  return findings;
}

test('the next backup repairs damage that a check has marked', async (t) => {
  const { place, source, right } = await lived(t);
  spoil(place, 'two'); // still in the source
  spoil(place, 's3'); // an older version is in another record
  const found = await checkInline(place, { mark: true });
  t.true(found.lostVersions > 0 && found.marked > 0);
  const again = await checkInline(place, { mark: true });
  t.is(again.marked, 0, 'what is marked stays so');
  t.deepEqual(withoutCounts(again), withoutCounts(found));
  await backupInline(inlineSystem(), place, [source]);
  const healed = await checkInline(place, { mark: true });
  const lost = lostOf(right, await contentsOf(place, undefined));
  t.deepEqual(
    namedBy(healed).filter((name) => right.has(name)),
    lost,
  );
  t.deepEqual(lost, [], 'all of it was in the source');
  t.is(healed.damagedRecords + healed.lostVersions, 0);
  t.true(healed.unneededDamaged > 0, 'the old records are told as what nothing needs');
});

test('what the source no longer has stays lost, and is named', async (t) => {
  const { place, source, right } = await lived(t);
  spoil(place, 'one'); // removed from the source in set 3
  await checkInline(place, { mark: true });
  await backupInline(inlineSystem(), place, [source]);
  const after = await checkInline(place, { mark: true });
  const lost = lostOf(right, await contentsOf(place, undefined));
  t.true(lost.length > 0);
  t.deepEqual(namedBy(after), lost);
  t.is(after.marked, 0);
});

test('a mark goes when the content can be read: the damage was elsewhere', async (t) => {
  const { place } = await lived(t);
  const row = spoil(place, 'two');
  await checkInline(place, { mark: true });
  const file = path.join(place.store, 'me', row.object);
  const bytes = fs.readFileSync(file);
  bytes[row.position + row.bytes - 9]! ^= 0x20; // undone, as if another cable had fixed it
  fs.writeFileSync(file, bytes);
  const kept = await checkInline(place);
  t.is(kept.cleared, 0, 'nothing is noted unless that is wanted');
  const cleared = await checkInline(place, { mark: true });
  t.deepEqual(cleared.findings, []);
  t.true(cleared.cleared > 0);
  const clean = await checkInline(place, { mark: true });
  t.is(clean.cleared, 0);
  t.deepEqual(clean.findings, []);
});

test('a check reads parts, shares and amounts of the data, and in turn all of it', async (t) => {
  const { place } = await lived(t);
  const all = await checkInline(copyOf(place, 'all'));
  const lost = spoil(place, 'two');
  t.true(lost.bytes > 0);
  const full = namedBy(await checkInline(place));
  t.true(full.length > 0);
  for (const of of [1, 3, 7]) {
    const copy = copyOf(place, 'parts');
    let bytes = 0;
    const named = new Set<string>();
    for (let part = 1; part <= of; part += 1) {
      const checked = await checkInline(copy, reading({ kind: 'part', part, of }));
      bytes += checked.bytesRead;
      for (const name of namedBy(checked)) named.add(name);
    }
    t.is(bytes, all.bytesRead, `${of} parts are all of it`);
    t.deepEqual([...named].sort(), full);
  }
  for (const data of [
    { kind: 'percent', percent: 30 },
    { kind: 'bytes', bytes: 1 << 20 },
  ] as const) {
    const copy = copyOf(place, 'shares');
    const named = new Set<string>();
    let [bytes, runs] = [0, 0];
    for (; runs < 12 && bytes < all.bytesRead; runs += 1) {
      const now = 1e12 + runs * DAY_MS;
      const checked = await checkInline(
        copy,
        reading(data),
        at(nodeSystem(), () => now),
      );
      t.true(checked.bytesRead > 0 && checked.bytesRead < all.bytesRead);
      bytes += checked.bytesRead;
      for (const name of namedBy(checked)) named.add(name);
    }
    t.deepEqual([...named].sort(), full, `${runs} runs went round`);
    t.true(runs >= 2 && runs <= 6);
  }
});

test('a check skips data that was read within the given days', async (t) => {
  const { place } = await lived(t);
  let now = 1e12;
  const system = at(nodeSystem(), () => now);
  const all = await checkInline(place, {}, system);
  now += 5 * DAY_MS;
  const soon = await checkInline(place, reading({ kind: 'all' }, 10 * DAY_MS), system);
  t.is(soon.bytesRead, 0);
  now += 6 * DAY_MS;
  const later = await checkInline(place, reading({ kind: 'all' }, 10 * DAY_MS), system);
  t.is(later.bytesRead, all.bytesRead);
  now -= 300 * DAY_MS; // the clock was wrong: contents read in the future do not count as read
  const before = await checkInline(place, reading({ kind: 'all' }, 10 * DAY_MS), system);
  t.is(before.bytesRead, all.bytesRead);
  // The cache of read contents is only a hint: if it is damaged, all contents are read again.
  fs.writeFileSync(path.join(place.store, 'me', 'checked.db'), 'no database at all');
  const spoiled = await checkInline(place, reading({ kind: 'all' }, 10 * DAY_MS), system);
  t.is(spoiled.bytesRead, all.bytesRead);
  t.deepEqual(spoiled.findings, []);
});

test('damage of an encrypting client is found without its password, names stay sealed', async (t) => {
  const { place, keyring, right } = await lived(t, true);
  const largest = 'large';
  const clean = await checkInline(place, { isEncrypted: true });
  t.deepEqual(clean.findings, []);
  t.false(clean.isOpened);
  const copy = copyOf(place, 'damaged');
  const file = path.join(copy.store, 'me', 'packs', '00000001.pack');
  const bytes = fs.readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  fs.writeFileSync(file, bytes);
  const sealed = await checkInline(copy, { isEncrypted: true });
  const opened = await checkInline(copy, { isEncrypted: true, keyring });
  t.true(opened.isOpened);
  t.deepEqual(namedBy(opened), lostOf(right, await contentsOf(copy, keyring)));
  t.is(sealed.lostVersions, opened.lostVersions, largest);
  t.false(JSON.stringify(sealed.findings).includes(Buffer.from('/tree/').toString('hex')));
});

test('a session goes on while a check reads, and a check while a session writes', async (t) => {
  const { place, source } = await lived(t);
  const system = nodeSystem();
  const store = await StoreWriter.open(
    system,
    openClientDirectory(system, place),
    SMALL_STORE.store,
  );
  const during = await checkInline(place);
  t.deepEqual(during.findings, []);
  spoil(place, 'two');
  const marked = await checkInline(place, { mark: true });
  t.true(marked.lostVersions > 0);
  t.is(codeOf(marked.notMarked), 'CLIENT_BUSY', 'what it found is told all the same');
  store.close();
  let isDone = false;
  const findings: unknown[] = [];
  const checking = checkInline(place, {
    onFinding: (finding) => findings.push(finding),
    onStep: (step) => {
      if (step !== 'records' || isDone) return;
      isDone = true;
      fs.writeFileSync(path.join(source, 'during'), 'the check');
    },
  });
  const backup = backupInline(inlineSystem(), place, [source]);
  await Promise.all([checking, backup]);
  t.is((await checkInline(place)).catalogFaults, 0);
});

test('what was moved while a check reads is looked for once more', async (t) => {
  const { place } = await lived(t);
  const row = recordOf(place, 'two');
  const home = path.join(place.store, 'me');
  const checked = await checkInline(place, {
    onStep: (step) => {
      if (step !== 'records') return;
      // As after a repack: the record is in a later pack, and its old place is gone.
      const bytes = fs.readFileSync(path.join(home, row.object));
      const record = bytes.subarray(row.position, row.position + row.bytes);
      fs.writeFileSync(path.join(home, 'packs', '00000099.pack'), record);
      changeCatalog(place.store, (catalog) => {
        catalog
          .prepare('UPDATE records SET pack = 99, position = 0 WHERE pack = ? AND position = ?')
          .run(Number.parseInt(path.basename(row.object), 10), row.position);
      });
      bytes.fill(0, row.position, row.position + row.bytes);
      fs.writeFileSync(path.join(home, row.object), bytes);
    },
  });
  t.is(checked.lostVersions, 0, JSON.stringify(checked.findings));
  t.is(checked.damagedRecords, 0, JSON.stringify(checked.findings));
});

test('a file in parts is lost with any of its parts, and with no other', async (t) => {
  const home = scratchInMemory(t);
  const at = (name: string): string => path.join(home, name);
  const line = 'of a file of several parts, which compress well\n';
  const big = Buffer.alloc((64 << 20) + 4096, line);
  makeTree(at('tree'), [dir('d', [file('big', big), file('small', 'small')])]);
  const place = { store: at('store'), client: 'me' };
  await backupInline(inlineSystem(), place, [at('tree')], { create: true });
  t.deepEqual((await checkInline(place)).findings, []);
  const rows: { pack: number; position: number; bytes: number }[] = [];
  changeCatalog(place.store, (catalog) => {
    const sql = `SELECT pack, position, record_bytes AS bytes FROM records WHERE kind IN (3, 4)`;
    rows.push(...(catalog.prepare(sql).all() as typeof rows));
  });
  t.is(rows.length, 3);
  for (const { pack: number, position, bytes } of rows) {
    const copy = copyOf(place, 'damaged');
    const name = path.join(copy.store, 'me', 'packs', `${number.toString().padStart(8, '0')}.pack`);
    const pack = fs.readFileSync(name);
    pack[position + bytes - 3]! ^= 4;
    fs.writeFileSync(name, pack);
    const checked = await checkInline(copy);
    t.true(checked.damagedRecords > 0);
    const right = await contentsOf(place, undefined);
    t.deepEqual(namedBy(checked), lostOf(right, await contentsOf(copy, undefined)));
  }
});

test('a check that is broken off remembers what it has read', async (t) => {
  const { place } = await lived(t);
  const stop = new AbortController();
  const broken = await t.throwsAsync(
    checkInline(place, {
      signal: stop.signal,
      onRead: (done, of) => {
        if (done > of / 2) stop.abort();
      },
    }),
  );
  t.is(codeOf(broken), 'INTERRUPTED');
  const rest = await checkInline(place, reading({ kind: 'all' }, DAY_MS));
  t.true(rest.bytesRead > 0);
  const all = await checkInline(place);
  t.true(rest.bytesRead < all.bytesRead * 0.6);
});

test('a client that nobody has backed up to is in order, also while its first session begins', async (t) => {
  const place = { store: path.join(scratchInMemory(t), 'store'), client: 'me' };
  await createClientDirectory(nodeSystem(), place);
  const clean = { catalogFaults: 0, damagedMetadata: 0 };
  t.like(await checkInline(place), clean);
  const directory = openClientDirectory(nodeSystem(), place);
  const store = await StoreWriter.open(nodeSystem(), directory, SMALL_STORE.store);
  t.like(await checkInline(place), clean);
  store.close();
  t.like(await checkInline(place), clean);
});

test('a check of what a deletion moves meanwhile finds no damage', async (t) => {
  const home = scratchInMemory(t);
  const [source, place] = [
    path.join(home, 'tree'),
    { store: path.join(home, 'store'), client: 'me' },
  ];
  makeTree(source, [file('gone', noise(1, 900_000)), file('stays', 'x')]);
  await backupInline(inlineSystem(), place, [source], { create: true });
  fs.rmSync(path.join(source, 'gone'));
  await backupInline(inlineSystem(), place, [source]);
  const words = ['delete', '-D', place.store, '-C', place.client, '--yes', '1'];
  let steps = 0;
  const onStep = (step: string): void => {
    if (step !== 'packs') return;
    steps += 1;
    if (steps > 1) return;
    const { status, stderr } = spawnSync(path.join(BIN, 'sonic'), words, { encoding: 'utf8' });
    t.is(status, 0, stderr);
  };
  const { findings, damagedMetadata } = await checkInline(place, { onStep });
  t.deepEqual(findings, []);
  t.is(damagedMetadata, 0);
  t.is(steps, 2, 'the packs vanished, so it began again');
});
