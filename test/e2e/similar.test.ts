// Pace: long
/** A large file under a new name is sent as a delta on what is similar to it. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KnownClient } from '../../src/crypto/identity/index.js';
import { RecordKind } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { decodeMessage, type Head, type MessageName } from '../../src/transport/index.js';
import {
  backup,
  type BackupReport,
  backupsRunHere,
  CACHE,
  rest,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { backupInline, inlineSystem, tapped } from '../helpers/inline.js';
import { leaveOut } from '../helpers/left-out.js';
import { recordsIn } from '../helpers/records.js';
import { sha256 } from '../helpers/rows.js';
import { seed } from '../helpers/seed.js';
import { type Lab, lab } from '../helpers/lab.js';
import { share } from '../helpers/share.js';
import { differences, isRoot, look, noise } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();

const MIB = 1 << 20;
/** The folder of the memories of this file's commands. */
const MEMORIES = path.join(CACHE, 'tardis', 'similar');
const SECRET = '--password=a password of the tests';

/** Returns the text of a dump of a table. On each day after the first, about every 500th line is another one. */
function dump(table: number, day = 0, lines = 60_000): Buffer {
  const [usual, chosen, fresh] = [table, 100 + day, 200 + day].map(seededRandom);
  return Buffer.concat(
    Array.from({ length: lines }, (_, n) => {
      const value = usual!.bytes(45);
      const isFresh = day > 0 && chosen!.next() * 500 < 1;
      const text = (isFresh ? fresh!.bytes(45) : value).toString('base64');
      return Buffer.from(`INSERT INTO table_${table} VALUES (${n}, '${text}');\n`);
    }),
  );
}

function edited(content: Buffer, times: number, seed: number): Buffer {
  const copy = Buffer.from(content);
  const random = seededRandom(seed);
  for (let n = 0; n < times; n += 1) {
    noise(`${seed} ${n}`, 4096).copy(copy, Math.floor(random.next() * (copy.length - 4096)));
  }
  return copy;
}

/** Returns an archive of these files, each under a header of 512 bytes that changes with `seed`. */
function archive(files: readonly Buffer[], seed: number): Buffer {
  return Buffer.concat(files.flatMap((one, n) => [noise(`header ${seed} ${n}`, 512), one]));
}

/** The places of a client, each with the arguments of its commands. */
type PlaceOf = (t: ExecutionContext, lab: Lab) => Promise<readonly string[]>;

const LOCAL: PlaceOf = async (_t, { place }) => [...place, '--local'];

const SERVED: PlaceOf = async (t, { store }) => {
  const server = await Server.during(t, store);
  return ['-C', 'me', ...server.clientArgs];
};

/** A tree with large files, which is backed up again and again. */
class Days {
  private readonly lab: Lab;
  private readonly trees: ReturnType<typeof look>[] = [];

  private constructor(
    lab: Lab,
    readonly args: readonly string[],
    private readonly secret: readonly string[],
  ) {
    this.lab = lab;
  }

  static async begin(
    t: ExecutionContext,
    placeOf: PlaceOf,
    secret: readonly string[],
  ): Promise<Days> {
    const own = lab(t);
    const args = await placeOf(t, own);
    return new Days(own, [...args, ...secret], secret);
  }

  get place(): readonly string[] {
    return [...this.lab.place, ...this.secret];
  }

  get store(): string {
    return this.lab.store;
  }

  /** Returns the path of a file in the tree. */
  at(...names: string[]): string {
    return path.join(this.lab.source, ...names);
  }

  put(name: string, content: Buffer): void {
    fs.writeFileSync(this.at(name), content);
  }

  async save(...more: string[]): Promise<BackupReport> {
    const create = this.trees.length === 0 ? ['--create'] : [];
    this.trees.push(look(this.lab.source));
    return backup([...this.args, ...create, ...more, this.lab.source]);
  }

  /** Removes a file, and puts one under another name. */
  replace(old: string, name: string, content: Buffer): void {
    fs.rmSync(this.at(old));
    this.put(name, content);
  }

  /** Compares restores of all sets with the trees that were backed up. */
  async check(t: ExecutionContext, sets = this.trees.map((_, index) => index + 1)): Promise<void> {
    for (const set of sets) {
      const out = this.lab.at('out');
      await succeed('regenerate', [...this.place, '-b', `${set}`, '-o', out, this.lab.source]);
      t.deepEqual(differences(this.trees[set - 1]!, look(path.join(out, 'tree'))), [], `${set}`);
      fs.rmSync(out, { recursive: true });
    }
  }
}

/** Large files of the first day, and what becomes of them. */
const FIRST = {
  'dump-01.sql': dump(1),
  'app.log': dump(2),
  'disk.img': noise('image', 20 * MIB),
  'backup-1.tar': archive(
    Array.from({ length: 200 }, (_, n) => noise(`file ${n}`, 90_000)),
    0,
  ),
};

/** A run encrypts in one of the two places, which TEST_SEED chooses; a soak run in both, and in none. */
const PLACES = [
  ['in a local store', LOCAL],
  ['through a server', SERVED],
] as const;
const SECRETS = [
  ['in clear', []],
  ['encrypted', [SECRET]],
] as const;

for (const [number, [where, placeOf]] of PLACES.entries()) {
  for (const [how, secret] of share >= 1 ? SECRETS : [SECRETS[(seed + number) % 2]!]) {
    test.serial(
      `rotated logs, dated dumps, renamed images and archives are deltas, ${how}, ${where}`,
      async (t) => {
        const days = await Days.begin(t, placeOf, secret);
        for (const [name, content] of Object.entries(FIRST)) days.put(name, content);
        const first = await days.save();
        t.is(first.progress.deltasSent, 0);
        const log = Buffer.concat([FIRST['app.log'], noise('more of the log', 300_000)]);
        days.replace('app.log', 'app.log.1', log);
        days.put('app.log', noise('a new log', 1.5 * MIB));
        days.replace('dump-01.sql', 'dump-02.sql', dump(1, 1));
        days.replace('disk.img', 'copy of disk.img', edited(FIRST['disk.img'], 20, 3));
        fs.rmSync(days.at('backup-1.tar'));
        const files = Array.from({ length: 200 }, (_, n) =>
          noise(`file ${n === 77 ? 'x' : n}`, 90_000),
        );
        days.put('backup-2.tar', archive(files, 1));
        const { progress } = await days.save();
        t.is(progress.deltasSent, 4, 'all but the new log');
        const mostBytes =
          1.5 * MIB + 300_000 + 1_500_000 + 20 * 6200 + 90_000 + 200 * 3000 + 1.2 * MIB;
        t.true(progress.sentBytes < mostBytes, `${progress.sentBytes}`);
        // The log is rotated again: the name has a basis, and another content is more similar.
        fs.renameSync(days.at('app.log.1'), days.at('app.log.2'));
        days.put(
          'app.log.1',
          Buffer.concat([noise('a new log', 1.5 * MIB), noise('grown', 200_000)]),
        );
        days.put('app.log', noise('a third log', 1.5 * MIB));
        const third = await days.save();
        t.is(third.progress.deltasSent, 1);
        t.true(third.progress.sentBytes < 1.5 * MIB + 300_000, `${third.progress.sentBytes}`);
        await days.check(t);
        await succeed('sonic', ['check', ...days.place]);
      },
    );
  }
}

/** Returns the only memory of this file's commands that was written since the others were removed. */
function memoryFile(): string {
  const [name, ...others] = fs.readdirSync(MEMORIES);
  if (name === undefined || others.length > 0) throw new Error('there is not one memory');
  return path.join(MEMORIES, name);
}

test.serial(
  'a file whose features are lost is sent whole once, and nothing else happens',
  async (t) => {
    fs.rmSync(MEMORIES, { recursive: true, force: true });
    const days = await Days.begin(t, LOCAL, []);
    const one = noise('one', 3 * MIB);
    days.put('1', one);
    await days.save();
    const file = memoryFile();
    t.is(fs.statSync(file).mode & 0o777, 0o600);
    days.replace('1', '2', edited(one, 3, 1));
    t.is((await days.save()).progress.deltasSent, 1);
    fs.rmSync(file);
    days.replace('2', '3', edited(one, 3, 2));
    t.like((await days.save()).progress, { contentsSent: 1, deltasSent: 0 }, 'lost');
    days.replace('3', '4', edited(one, 3, 3));
    t.is((await days.save()).progress.deltasSent, 1, 'and known again');
    fs.writeFileSync(file, noise('spoilt', 5000));
    days.replace('4', '5', edited(one, 3, 4));
    const spoilt = await run('tardis', [...days.args, days.at()]);
    t.is(spoilt.status, 0);
    const lines = spoilt.stderr.split('\n').filter((line) => line.includes('similar'));
    t.is(lines.length, 1, spoilt.stderr);
    t.regex(
      lines[0]!,
      /memory of similar contents, .*, is damaged, of other keys, or not only yours/,
    );
    // A process that was killed while it wrote leaves a part of a file under another name.
    fs.writeFileSync(`${file}.0123456789ab.new`, fs.readFileSync(file).subarray(0, 99));
    days.replace('5', '6', edited(one, 3, 5));
    await rest();
    const report = await backup([...days.args, days.at()]);
    t.like(report.progress, { contentsSent: 1, deltasSent: 1 });
    const before = fs.readFileSync(file);
    t.is((await backup([...days.args, days.at()])).progress.filesRead, 0);
    t.deepEqual(fs.readFileSync(file), before, 'a run without large files does not write it');
  },
);

test.serial(
  'a full set and SaveFull seek nothing, and an unchanged file under a new name is not sent',
  async (t) => {
    const days = await Days.begin(t, LOCAL, []);
    const [one, sum] = [noise('one', 3 * MIB), noise('another', 18 * MIB)];
    days.put('1', one);
    days.put('kept', sum);
    await days.save();
    // A renamed file finds itself. Then it is hashed, and neither sent nor made a delta on itself.
    fs.renameSync(days.at('kept'), days.at('moved'));
    t.like((await days.save()).progress, { contentsSent: 0, deltasSent: 0 });
    fs.renameSync(days.at('moved'), days.at('moved again'));
    days.replace('1', '2', edited(one, 3, 1));
    const full = await days.save('--full');
    t.like(full.progress, { contentsSent: 1, deltasSent: 0 });
    await succeed('sonic', ['setconfig', ...days.place, 'SaveFull', 'yes']);
    days.replace('2', '3', edited(one, 3, 2));
    t.like((await days.save()).progress, { contentsSent: 1, deltasSent: 0 });
    await days.check(t);
  },
);

test.serial(
  'a file of another user that is nearly equal to a secret gets no delta, and no size shows the guess',
  async (t) => {
    if (!isRoot) return leaveOut(t, 'needs root');
    const secret = noise('the secret', 3 * MIB);
    const sent: number[] = [];
    for (const guess of [edited(secret, 2, 1), edited(noise('a wrong guess', 3 * MIB), 2, 1)]) {
      const days = await Days.begin(t, LOCAL, [SECRET]);
      days.put('secret', secret);
      fs.chownSync(days.at('secret'), 1001, 1001);
      await days.save('--send-sig');
      days.put('guess', guess);
      fs.chownSync(days.at('guess'), 1002, 1002);
      const { progress } = await days.save('--send-sig');
      t.like(progress, { contentsSent: 1, deltasSent: 0 });
      sent.push(progress.sentBytes);
      // The owner's own version under a new name is a delta, before and after the guess.
      days.replace('secret', 'secret of today', edited(secret, 2, 2));
      fs.chownSync(days.at('secret of today'), 1001, 1001);
      t.is((await days.save('--send-sig')).progress.deltasSent, 1);
    }
    t.is(sent[0], sent[1]);
  },
);

test.serial(
  'the server of a client that encrypts receives digests and a sealed name, and stores what it stores of any delta',
  async (t) => {
    const { store, source, at } = lab(t);
    const place = { store, client: 'me' };
    for (const name of ['XDG_STATE_HOME', 'XDG_CACHE_HOME']) {
      const before = process.env[name];
      process.env[name] = at(name);
      t.teardown(() => {
        if (before === undefined) delete process.env[name];
        else process.env[name] = before;
      });
    }
    const report = (): void => undefined;
    const machine: ConstructorParameters<typeof KnownClient>[0] = {
      places: ['store x'],
      client: 'me',
    };
    const names = new Set<MessageName>();
    const sought: Head<'seekBasis'>[] = [];
    const message = (name: MessageName, bytes: Buffer): void => {
      names.add(name);
      if (name === 'seekBasis') sought.push(decodeMessage(name, bytes).head);
    };
    const save = async (create = false): Promise<readonly string[]> => {
      names.clear();
      const identity = new KnownClient(machine, { trustsChange: false, report });
      const wrapHost = tapped(() => ({ message }));
      const options = { create, password: 'of a test', identity, wrapHost };
      const sends = { settings: { sendSignatures: true } };
      await backupInline(inlineSystem(), place, [source], { ...options, ...sends });
      return [...names].sort();
    };
    const one = noise('one', 3 * MIB);
    const kinds = async (): Promise<number[]> =>
      (await recordsIn(path.join(store, 'me'))).map(({ kind }) => kind);
    fs.writeFileSync(path.join(source, 'secret name'), one);
    await save(true);
    const first = (await kinds()).length;
    fs.writeFileSync(path.join(source, 'secret name'), edited(one, 2, 1));
    const usual = await save();
    const second = await kinds();
    fs.renameSync(path.join(source, 'secret name'), path.join(source, 'other secret'));
    fs.writeFileSync(path.join(source, 'other secret'), edited(one, 2, 2));
    const other = await save();
    t.deepEqual(
      other.filter((name) => !usual.includes(name)),
      ['seekBasis'],
    );
    const contents = new Set<number>([RecordKind.delta, RecordKind.signature, RecordKind.content]);
    const added = (all: readonly number[], from: number): number[] =>
      all.slice(from).filter((kind) => contents.has(kind));
    t.deepEqual(added(await kinds(), second.length), added(second, first));
    t.is(sought.length, 1);
    const { name, digests } = sought[0]!;
    t.false(name.includes('secret'));
    t.true(digests.length === 64 && !digests.includes(sha256(one)), 'of both versions, keyed');
    const database = nodeSystem().openDatabase(path.join(store, 'me', 'tardis.db'), {
      readonly: true,
    });
    const count = 'SELECT count(*) FROM contents WHERE digest IN (?, ?)';
    const halves = [digests.subarray(0, 32), digests.subarray(32)];
    t.is(
      database
        .prepare(count)
        .pluck()
        .get(...halves),
      2,
    );
    database.close();
  },
);
