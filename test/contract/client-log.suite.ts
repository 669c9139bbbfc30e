/**
 * Tests of the records of a client and their writer (`ClientMedium` in src/store/client/medium.ts, `RecordWriter` in
 * src/store/packs/record-writer.ts), for every medium.
 */
import test, { type ExecutionContext } from 'ava';
import { walkCommits } from '../../src/store/catalog/index.js';
import {
  type Backend,
  buildCommit,
  buildEvent,
  type ClientDirectory,
  Codec,
  type CommitEnd,
  type Covered,
  type Location,
  locationName,
  mediumOf,
  PACKS_PREFIX,
  type RecordWriter,
} from '../../src/store/index.js';
import { codeOf, rejectedCode } from '../helpers/codes.js';
import { inlineSystem } from '../helpers/inline.js';
import { contentRecord, sliced } from '../helpers/records.js';
import { sha256 } from '../helpers/rows.js';
import { noise } from '../helpers/tree.js';

const KIB = 1 << 10;
const PACK_BYTES = 64 * KIB;
const NONE = { commit: 0, pack: 0, position: 0, checksum: 0 };

/** A store for one test. Each directory is that of another machine, if the medium has several. */
export interface LogStore {
  readonly directory: () => Promise<ClientDirectory>;
}

/**
 * Declares the tests. `make` returns an empty store for one test. `isShared` is true if a session begins with a commit of
 * its own, which another session may be faster with.
 */
export function clientLogSuite(
  isShared: boolean,
  make: (t: ExecutionContext) => Promise<LogStore>,
): void {
  const withLog: WithLog = (title, work) =>
    test(title, async (t) => {
      const store = await make(t);
      const close: (() => void)[] = [];
      const open = async (known = NONE): Promise<Session> => {
        const session = await Session.open(await store.directory(), known);
        close.unshift(() => session.close());
        return session;
      };
      try {
        await work(t, { ...store, open });
      } finally {
        for (const one of close) one();
      }
    });
  readingSuite(withLog);
  committingSuite(withLog);
  if (isShared) sharingSuite(withLog);
}

type WithLog = (
  title: string,
  work: (
    t: ExecutionContext,
    log: LogStore & { readonly open: (known?: CommitEndAt) => Promise<Session> },
  ) => Promise<void>,
) => void;

type CommitEndAt = CommitEnd & { readonly commit: number };

/** One writer with the records that it writes to, as a session has them. */
class Session {
  known: CommitEndAt;
  readonly backend: Backend;
  readonly writer: RecordWriter;
  private sequence: number;

  static async open(directory: ClientDirectory, known: CommitEndAt): Promise<Session> {
    const medium = mediumOf(inlineSystem(), directory);
    const backend = medium.records();
    const start = { lastCommit: known.commit, lastPack: known.pack, packBytes: PACK_BYTES };
    const session = new Session(backend, medium.writer(backend, start), known);
    await session.claim();
    return session;
  }

  constructor(backend: Backend, writer: RecordWriter, known: CommitEndAt) {
    this.backend = backend;
    this.writer = writer;
    this.known = known;
    this.sequence = known.commit * 1000;
  }

  /** Appends an event, which belongs to the store's own records. */
  event(title: string): Location {
    this.sequence += 1;
    const marks = { title, priority: 0, isLocked: false, tags: [] };
    return this.writer.append(
      buildEvent(this.sequence, { type: 'set-marked', set: 1, marks } as never),
    );
  }

  /** Commits. Returns what the commit covers; undefined if there was nothing. */
  async commit(): Promise<Covered | undefined> {
    let seen: Covered | undefined;
    const end = await this.writer.commit(
      (covered) => {
        seen = covered;
        return this.record(covered);
      },
      (write) => write(),
    );
    if (end !== undefined) this.known = { ...end, commit: this.known.commit + 1 };
    return seen;
  }

  close(): void {
    this.writer.close();
    this.backend.close();
  }

  private async claim(): Promise<void> {
    const end = await this.writer.claim((covered) => this.record(covered));
    if (end !== undefined) this.known = { ...end, commit: this.known.commit + 1 };
  }

  private async record(covered: Covered): Promise<Buffer> {
    this.sequence += 1;
    const counters = { set: 0, root: 0, directory: 0, sequence: this.sequence };
    const { commit, checksum } = this.known;
    return buildCommit(this.sequence, {
      commit: commit + 1,
      previous: checksum,
      ...covered,
      counters,
    });
  }
}

/** Returns a content, and its record. */
function content(seed: string, bytes: number): { digest: Buffer; record: Buffer } {
  const { source, slices } = sliced([noise(seed, bytes)]);
  const record = contentRecord(source, slices[0]!, { codec: Codec.none, level: 0 });
  return { digest: sha256(noise(seed, bytes)), record };
}

/** Returns the bytes at a place; fewer if they are not there. */
async function bytesAt(
  backend: Backend,
  place: Location,
  digest: Buffer,
  bytes: number,
): Promise<Buffer> {
  const target = Buffer.alloc(bytes);
  try {
    const got = await backend.read(locationName(place, digest), place.position, target, bytes);
    return target.subarray(0, got);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

async function* piecesOf(record: Buffer, bytes: number): AsyncGenerator<Buffer> {
  const reused = Buffer.alloc(bytes);
  for (let at = 0; at < record.length; at += bytes) {
    yield reused.subarray(0, record.copy(reused, 0, at, at + bytes));
  }
}

/** Returns the commits that a machine finds which knows none. */
async function commitsIn(directory: ClientDirectory): Promise<number[]> {
  const backend = mediumOf(inlineSystem(), directory).records();
  try {
    const found: number[] = [];
    const walk = walkCommits(backend, { point: NONE, sequence: 0, isThorough: false });
    for await (const { point, follows, matches } of walk.commits()) {
      if (follows && matches) found.push(point.commit);
    }
    return found;
  } finally {
    backend.close();
  }
}

function readingSuite(withLog: WithLog): void {
  withLog('records are read before their commit, and by others after it', async (t, log) => {
    const session = await log.open();
    const all = [...Array(12).keys()].map((n) => content(`${n}`, 20 * KIB));
    const places = all.map(({ record }) => session.writer.append(record));
    session.event('between');
    const read = async (backend: Backend): Promise<boolean[]> =>
      Promise.all(
        all.map(async ({ digest, record }, at) =>
          (await bytesAt(backend, places[at]!, digest, record.length)).equals(record),
        ),
      );
    t.deepEqual([...new Set(await read(session.backend))], [true], 'before');
    await session.commit();
    t.deepEqual([...new Set(await read(session.backend))], [true], 'after');
    const other = mediumOf(inlineSystem(), await log.directory()).records();
    t.deepEqual([...new Set(await read(other))], [true], 'elsewhere');
    t.true((await other.list(PACKS_PREFIX)).length > 0);
    other.close();
  });

  withLog('the buffer of an appended record may be used again', async (t, log) => {
    const session = await log.open();
    const { digest, record } = content('reused', 2000);
    const expected = Buffer.from(record);
    const place = session.writer.append(record);
    record.fill(0);
    await session.commit();
    t.deepEqual(await bytesAt(session.backend, place, digest, expected.length), expected);
  });

  withLog('a staged record is appended in pieces, and joins the others', async (t, log) => {
    const session = await log.open();
    const [first, staged, last] = [content('a', 300), content('b', 30 * KIB), content('c', 300)];
    const places = [
      session.writer.append(first.record),
      await session.writer.appendStaged(piecesOf(staged.record, 999)),
      session.writer.append(last.record),
    ];
    await session.commit();
    for (const [at, { digest, record }] of [first, staged, last].entries()) {
      const got = await bytesAt(session.backend, places[at]!, digest, record.length);
      t.true(got.equals(record), `${at}`);
    }
  });

  withLog('a staged record becomes an object of its own', async (t, log) => {
    const session = await log.open();
    const { digest, record } = content('object', 3000);
    const staged = session.backend.stage();
    staged.append(record);
    const place = await session.writer.adoptNew(staged, digest);
    t.truthy(place);
    await session.commit();
    t.deepEqual(await bytesAt(session.backend, place!, digest, record.length), record);
    const other = mediumOf(inlineSystem(), await log.directory()).records();
    t.deepEqual(await bytesAt(other, place!, digest, record.length), record);
    other.close();
  });
}

function committingSuite(withLog: WithLog): void {
  withLog('a commit covers all since the last one, and is found again', async (t, log) => {
    const session = await log.open();
    const before = session.known.commit;
    session.event('one');
    session.writer.append(content('one', 700).record);
    const first = await session.commit();
    t.true(first!.ranges.every(({ from, to }) => to > from));
    session.event('two');
    await session.commit();
    t.is(session.known.commit, before + 2);
    const found = await commitsIn(await log.directory());
    t.deepEqual(
      found,
      [...Array(before + 2).keys()].map((n) => n + 1),
    );
  });

  withLog('nothing appended makes no commit', async (t, log) => {
    const session = await log.open();
    const before = session.known;
    t.is(await session.commit(), undefined);
    t.deepEqual(session.known, before);
    session.event('one');
    t.truthy(await session.commit());
    t.is(await session.commit(), undefined);
  });

  withLog('a writer counts what a crash would lose', async (t, log) => {
    const session = await log.open();
    const { writer } = session;
    const begun = writer.appendedBytes;
    const { record } = content('counted', 5000);
    writer.append(record);
    await writer.appendStaged(piecesOf(record, 1000));
    t.true(writer.uncommittedBytes >= 2 * record.length);
    t.true(writer.appendedBytes >= begun + 2 * record.length);
    await session.commit();
    t.is(writer.uncommittedBytes, 0);
    t.true(writer.appendedBytes >= begun + 2 * record.length);
  });

  withLog('what no commit covers is found by nobody', async (t, log) => {
    const session = await log.open();
    session.event('kept');
    await session.commit();
    const { commit } = session.known;
    session.event('given up');
    session.writer.append(content('given up', 100 * KIB).record);
    session.writer.giveUp();
    session.close();
    t.is((await commitsIn(await log.directory())).at(-1), commit);
  });

  withLog('the next session continues behind the last commit', async (t, log) => {
    const first = await log.open();
    first.event('of the first');
    await first.commit();
    first.close();
    const second = await log.open(first.known);
    const { digest, record } = content('of the second', 900);
    const place = second.writer.append(record);
    await second.commit();
    const found = await commitsIn(await log.directory());
    t.deepEqual(
      found,
      [...Array(second.known.commit).keys()].map((n) => n + 1),
    );
    t.deepEqual(await bytesAt(second.backend, place, digest, record.length), record);
  });

  withLog('a writer may be closed twice, and before its first record', async (t, log) => {
    const session = await log.open();
    session.close();
    t.notThrows(() => session.close());
  });
}

function sharingSuite(withLog: WithLog): void {
  withLog('of two sessions that know one commit, one may write', async (t, log) => {
    const first = await log.open();
    first.event('first');
    await first.writer.requireNewest();
    await first.commit();
    await first.writer.requireNewest();
    t.is(await rejectedCode(log.open()), 'STORE_TAKEN');
    await first.writer.requireNewest();
    const next = await log.open(first.known);
    await t.throwsAsync(first.writer.requireNewest(), { code: 'STORE_TAKEN' });
    first.event('too late');
    await t.throwsAsync(first.commit(), { code: 'STORE_TAKEN' });
    next.event('in time');
    t.truthy(await next.commit());
    t.is((await commitsIn(await log.directory())).at(-1), next.known.commit);
  });
}
