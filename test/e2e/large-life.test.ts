// Pace: long
/**
 * The life of a client with large files that encrypts: a dump under a dated name, an image with holes, a mailbox and rotated logs,
 * each day of up to 200, with purges, new keys, a copy and a rebuild in the middle.
 */
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { KnownClient } from '../../src/crypto/identity/index.js';
import { copyClient, localSource } from '../../src/maintenance/rewrite/index.js';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import { checkInline, contentsOf, keyringOfPlace, lostOf, namedBy } from '../helpers/damage.js';
import { collectInline, deleteInline, frameTools } from '../helpers/garbage.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
} from '../helpers/inline.js';
import { PASSWORD, rewriteInline } from '../helpers/rewrites.js';
import { readersAgree } from '../helpers/second-reader.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { shareOf } from '../helpers/share.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

/** A part of a life in `npm test`, all of it in a soak run. */
const DAYS = shareOf(200, 40);
const PURGED_EACH = 20;
const KEPT_DAYS = 10;
const ROTATED_EACH = 25;
const LOGS = 3;
/** Enough for a delta. */
const SIZE = 1_100_000;
const HOLE = 1 << 20;
/** Limit of what a day sends: deltas, of which some are on an older version, and a small log. */
const MOST_BYTES_OF_DAY = 250_000;

/** A directory of large files that change every day. */
class Machine {
  readonly source: string;
  readonly place: Place;
  /** Checksums of all versions, by `set path`, as `contentsOf` returns them. */
  readonly versions = new Map<string, string>();
  sentBytes = 0;
  private readonly dump = noise('dump', SIZE);
  private day = 0;

  constructor(home: string) {
    this.source = path.join(home, 'tree');
    this.place = { store: path.join(home, 'store'), client: 'me' };
    fs.mkdirSync(this.source);
    fs.writeFileSync(this.at('inbox.mbox'), noise('mail', SIZE));
    const image = fs.openSync(this.at('disk.img'), 'w');
    fs.writeSync(image, noise('image', SIZE), 0, SIZE / 2, 0);
    fs.writeSync(image, noise('image', SIZE), SIZE / 2, SIZE / 2, HOLE);
    fs.closeSync(image);
  }

  /** Changes the files, and makes a set. */
  async next(): Promise<void> {
    this.day += 1;
    const { day, dump } = this;
    for (let n = 0; n < 5; n += 1)
      noise(`${day} ${n}`, 90).copy(dump, (day * 7919 + n * 211_111) % SIZE);
    fs.rmSync(this.at(`dump-${day - 1}.sql`), { force: true });
    fs.writeFileSync(this.at(`dump-${day}.sql`), dump);
    fs.appendFileSync(this.at('inbox.mbox'), noise(`mail ${day}`, 1500));
    const image = fs.openSync(this.at('disk.img'), 'r+');
    for (let n = 0; n < 2; n += 1) {
      fs.writeSync(image, noise(`${day} ${n}`, 4096), 0, 4096, 4096 * ((day * 31 + n * 97) % 380));
    }
    fs.closeSync(image);
    this.log();
    const machine = { places: ['store x'] as [string], client: 'me' };
    const identity = new KnownClient(machine, { trustsChange: true, report: () => undefined });
    const options = { create: day === 1, password: PASSWORD, identity };
    const { progress } = await backupInline(inlineSystem(), this.place, [this.source], options);
    this.sentBytes += progress.sentBytes;
    for (const name of fs.readdirSync(this.source)) {
      this.versions.set(`${day} ${this.at(name)}`, sumOf(this.at(name)));
    }
  }

  /** Deletes the sets between the last days and every tenth one before. */
  async purge(): Promise<void> {
    const sets = [...new Set([...this.versions.keys()].map((key) => Number.parseInt(key, 10)))];
    const deleted = sets.filter((set) => set <= this.day - KEPT_DAYS && set % 10 !== 1);
    await deleteInline(this.place, deleted);
    await collectInline(this.place, { frames: await frameTools(this.place) });
    for (const key of this.versions.keys()) {
      if (deleted.includes(Number.parseInt(key, 10))) this.versions.delete(key);
    }
  }

  /** Requires that a store has each version of each set, byte by byte, and restores some sets. */
  async check(t: ExecutionContext, what: string, place = this.place): Promise<void> {
    const found = await contentsOf(place, await keyringOfPlace(place));
    t.deepEqual([...found.keys()].sort(), [...this.versions.keys()].sort(), what);
    for (const [version, sum] of found) {
      // The content of a file with holes is not its bytes.
      if (!version.endsWith('.img')) t.is(sum, this.versions.get(version)!, `${what}: ${version}`);
    }
    for (const set of new Set([1, this.day - 1, this.day])) {
      const out = path.join(place.store, '..', `out of ${what} ${set}`);
      const from = ['-D', place.store, '-C', 'me', `--password=${PASSWORD}`, '-b', String(set)];
      await succeed('regenerate', [...from, '-o', out, this.source]);
      const restored = path.join(out, 'tree');
      for (const name of fs.readdirSync(restored)) {
        const sum = sumOf(path.join(restored, name));
        t.is(sum, this.versions.get(`${set} ${this.at(name)}`)!, `${what}: ${set} ${name}`);
      }
      fs.rmSync(out, { recursive: true });
    }
  }

  /** Requires that the second reader reads a store as the programs do. */
  async readAlike(t: ExecutionContext, { store } = this.place): Promise<void> {
    await readersAgree(t, this.source, ['-D', store, '-C', 'me', `--password=${PASSWORD}`]);
  }

  private log(): void {
    if (this.day % ROTATED_EACH === 1) {
      for (let age = LOGS; age > 0; age -= 1) {
        const former = this.at(age === 1 ? 'app.log' : `app.log.${age - 1}`);
        if (fs.existsSync(former)) fs.renameSync(former, this.at(`app.log.${age}`));
      }
      fs.writeFileSync(this.at('app.log'), noise(`log ${this.day}`, SIZE));
    }
    fs.appendFileSync(this.at('app.log'), noise(`log of ${this.day}`, 5000));
  }

  private at(name: string): string {
    return path.join(this.source, name);
  }
}

test('each version of a life of large files comes back, after purges, new keys, a copy and a rebuild', async (t) => {
  const home = scratchInMemory(t);
  const machine = new Machine(home);
  const { place } = machine;
  const copy = { store: path.join(home, 'copy'), client: 'me' };
  const middle: Readonly<Record<number, () => Promise<unknown>>> = {
    [0.35 * DAYS]: () => rewriteInline(inlineSystem(), place),
    [0.65 * DAYS]: () => {
      fs.rmSync(path.join(place.store, 'me', 'tardis.db'));
      return rebuildInline(place);
    },
    [0.75 * DAYS]: () => copied(place, copy),
  };
  for (let day = 1; day <= DAYS; day += 1) {
    await machine.next();
    if (day % PURGED_EACH === 0) await machine.purge();
    const work = middle[day];
    if (work === undefined) continue;
    await work();
    await machine.check(t, `day ${day}`);
    if (day !== 0.75 * DAYS) continue;
    await machine.check(t, 'the copy', copy);
    await machine.readAlike(t, copy);
  }
  await machine.check(t, 'at the end');
  await machine.readAlike(t);
  const keyring = await keyringOfPlace(place);
  t.deepEqual((await checkInline(place, { keyring })).findings, []);
  const wholeBytes = SIZE * (3 + DAYS / ROTATED_EACH);
  t.log(`${machine.sentBytes} bytes were sent`);
  t.true(machine.sentBytes < wholeBytes + DAYS * MOST_BYTES_OF_DAY, `${machine.sentBytes}`);
  await damaged(t, machine, home);
});

function sumOf(file: string): string {
  return crc32(fs.readFileSync(file)).toString(16);
}

function copied(place: Place, { store, client }: Place): Promise<unknown> {
  const system = inlineSystem();
  return copyClient(system, {
    source: localSource(system, { ...place, catalogFile: 'tardis.db' }),
    target: { store, client, catalogFile: 'tardis.db', creation: 'missing', skipFile: '.skip' },
    limits: SMALL_STORE.store,
    deletes: false,
    wasteRatio: 1,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}

/** Damages each whole content in turn: a check names each version that needs it, and no other. */
async function damaged(t: ExecutionContext, { place }: Machine, home: string): Promise<void> {
  const keyring = await keyringOfPlace(place);
  const versions = await contentsOf(place, keyring);
  const client = path.join(home, 'store', 'me');
  const objects = fs
    .readdirSync(client, { recursive: true, encoding: 'utf8' })
    .filter((name) => /^[0-9a-f]{2}\/[0-9a-f]{2}\/./.test(name))
    .map((name) => path.join(client, name))
    .filter((file) => fs.statSync(file).size > SIZE / 2);
  let most = 0;
  for (const object of objects.slice(0, 4)) {
    const sound = fs.readFileSync(object);
    const spoilt = Buffer.from(sound);
    spoilt.fill('damage', sound.length >> 1, (sound.length >> 1) + 6);
    fs.writeFileSync(object, spoilt);
    const lost = lostOf(versions, await contentsOf(place, keyring));
    t.deepEqual(namedBy(await checkInline(place, { keyring })), lost, object);
    most = Math.max(most, lost.length);
    fs.writeFileSync(object, sound);
  }
  t.log(`${objects.length} whole contents; up to ${most} versions need one of them`);
  t.true(most > 10);
}
