// Pace: long
/** Writers of one log lose nothing that was acknowledged, however their requests are delayed, lost and repeated. */
import test from 'ava';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { asTardisError, TardisError } from '../../../src/errors/index.js';
import { walkCommits } from '../../../src/store/catalog/index.js';
import {
  type BucketAccess,
  type Backend,
  buildCommit,
  buildEvent,
  type ClientDirectory,
  Codec,
  type Covered,
  mediumOf,
  packName,
  type RecordWriter,
} from '../../../src/store/index.js';
import type { ObjectBody, ObjectStore } from '../../../src/store/objects/index.js';
import { accessTo } from '../../helpers/bucket-machines.js';
import { inlineSystem } from '../../helpers/inline.js';
import { contentRecord } from '../../helpers/records.js';
import { folderIn, scratchInMemory } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { sweepShare } from '../../helpers/share.js';
import { MemoryObjectStore, type Objects } from '../../support/memory-object-store.js';
import { seededRandom } from '../../support/seeded-random.js';

/** Sends of one request before its writer gives up. */
const MOST_SENDS = 3;
/** Writers of a schedule, and those that replace killed ones. */
const MOST_WRITERS = 6;
const PACK_BYTES = 1 << 20;
const COUNTERS = { set: 0, root: 0, directory: 0 };
const ENDS: ReadonlySet<string> = new Set(['STORE_TAKEN', 'BUCKET_OUTCOME_UNKNOWN']);

type Effect = 'done' | 'lost' | 'late' | 'refused';

interface Step {
  readonly writer: number;
  readonly isWrite: boolean;
  /** Has the effect of the request at the bucket. */
  readonly apply: () => void;
  /** Sends the answer; without one, the writer sees a lost connection. */
  readonly answer: (isLost: boolean) => void;
}

/** A commit that a writer believes to be durable. */
interface Acknowledged {
  readonly commit: number;
  readonly checksum: number;
  readonly pack: { readonly name: string; readonly sha256: string } | undefined;
  /** The pack that this commit deletes. */
  readonly deleted: string | undefined;
}

interface ScheduleOptions {
  /** The bucket ignores conditions, as some services do: the last writer of a name wins. */
  readonly ignoresConditions?: boolean;
}

interface ScheduleResult {
  readonly acknowledged: number;
  /** Sessions that ended since another writer was first. */
  readonly taken: number;
  /** Violations of what the log promises. */
  readonly problems: readonly string[];
}

/** Runs one schedule in a folder, which schedules may use one after the other. */
async function runSchedule(
  folder: string,
  seed: number,
  options: ScheduleOptions = {},
): Promise<ScheduleResult> {
  const schedule = new Schedule(folder, seed, options);
  return schedule.run();
}

class Schedule {
  private readonly objects: Objects = new Map();
  private waiting: Step[] = [];
  /** Requests whose writers got no answer, and that have their effect later. */
  private readonly late: (() => void)[] = [];
  private readonly acknowledged: Acknowledged[] = [];
  private readonly deleted = new Set<string>();
  private readonly problems: string[] = [];
  private readonly killed = new Set<number>();
  private taken = 0;
  private writers = 0;
  private running = 0;
  private readonly random: ReturnType<typeof seededRandom>;
  private readonly folder: string;
  private readonly ignoresConditions: boolean;

  constructor(folder: string, seed: number, { ignoresConditions = false }: ScheduleOptions) {
    this.folder = folder;
    this.random = seededRandom(seed);
    this.ignoresConditions = ignoresConditions;
  }

  async run(): Promise<ScheduleResult> {
    const first = 2 + this.below(2);
    for (let number = 0; number < first; number += 1) this.start();
    // The slow writer is paused for most of the time.
    const slow = this.below(first);
    while (this.running > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.late.length > 0 && this.below(6) === 0) this.land();
      if (this.waiting.length === 0) continue;
      const awake = this.waiting.filter(({ writer }) => writer !== slow || this.below(25) === 0);
      const from = awake.length === 0 ? this.waiting : awake;
      this.let(from[this.below(from.length)]!);
    }
    while (this.late.length > 0) this.land();
    await this.verify();
    const { acknowledged, taken, problems } = this;
    return { acknowledged: acknowledged.length, taken, problems };
  }

  // --- the bucket --------------------------------------------------------------------------------------

  /** Lets a waiting request happen, in one of the ways in which requests end. */
  private let(step: Step): void {
    this.waiting = this.waiting.filter((one) => one !== step);
    if (this.writers < MOST_WRITERS && this.below(60) === 0) {
      this.kill(step);
      return;
    }
    const effect = this.effectOf(step);
    if (effect === 'done' || effect === 'lost') step.apply();
    if (effect === 'late') this.late.push(step.apply);
    step.answer(effect !== 'done');
  }

  private effectOf({ isWrite }: Step): Effect {
    const turn = this.below(100);
    if (!isWrite) return turn < 95 ? 'done' : 'refused';
    if (turn < 76) return 'done';
    return turn < 84 ? 'lost' : turn < 92 ? 'late' : 'refused';
  }

  private land(): void {
    const [apply] = this.late.splice(this.below(this.late.length), 1);
    apply!();
  }

  /** Kills the writer of a request. Requests that it has sent may still have their effect. */
  private kill(step: Step): void {
    const own = [step, ...this.waiting.filter(({ writer }) => writer === step.writer)];
    this.waiting = this.waiting.filter(({ writer }) => writer !== step.writer);
    for (const { isWrite, apply } of own) if (isWrite && this.below(2) === 0) this.late.push(apply);
    this.killed.add(step.writer);
    this.running -= 1;
    this.start();
  }

  /** Returns the bucket as a writer reaches it: each request is sent again according to the contract of stores. */
  private storeOf(writer: number): ObjectStore {
    const plain = new MemoryObjectStore(this.objects);
    const send = async (isWrite: boolean, apply: () => void): Promise<boolean> =>
      new Promise((resolve) => {
        if (this.killed.has(writer)) return;
        this.waiting.push({ writer, isWrite, apply, answer: (isLost) => resolve(!isLost) });
      });
    const sent = async <T>(isWrite: boolean, apply: () => T): Promise<T> => {
      for (let sends = 0; sends < MOST_SENDS; sends += 1) {
        let result: { readonly value: T } | undefined;
        const isAnswered = await send(isWrite, () => {
          result = { value: apply() };
        });
        if (isAnswered && result !== undefined) return result.value;
      }
      throw new TardisError('BUCKET_OUTCOME_UNKNOWN', 'no answer');
    };
    const putNew = async (name: string, body: ObjectBody): Promise<'created' | 'exists'> => {
      const bytes = await wholeOf(body);
      return sent(true, () => {
        const there = this.objects.get(name);
        if (there === undefined || this.ignoresConditions) {
          this.objects.set(name, { bytes, modifiedMs: 0 });
          return 'created';
        }
        return there.bytes.equals(bytes) ? 'created' : 'exists';
      });
    };
    const readWhole = async (name: string): Promise<Buffer | undefined> =>
      sent(false, () => this.objects.get(name)?.bytes);
    const remove = async (names: readonly string[]): Promise<void> => {
      for (const name of names) await sent(true, () => this.objects.delete(name));
    };
    return Object.assign(plain, { putNew, readWhole, remove });
  }

  // --- the writers -------------------------------------------------------------------------------------

  private start(): void {
    const writer = this.writers;
    this.writers += 1;
    this.running += 1;
    const cache = path.join(this.folder, `machine-${writer}`);
    void this.work(directoryIn(accessTo(this.storeOf(writer), cache)))
      .catch((error: unknown) => this.problems.push(`writer ${writer}: ${String(error)}`))
      .finally(() => {
        if (!this.killed.has(writer)) this.running -= 1;
      });
  }

  /** Runs some sessions, each with some commits. A writer remembers the log up to its last session. */
  private async work(directory: ClientDirectory): Promise<void> {
    const medium = mediumOf(inlineSystem(), directory);
    medium.clearStaged();
    let known = { commit: 0, pack: 0, position: 0, checksum: 0 };
    for (let sessions = 1 + this.below(3); sessions > 0; sessions -= 1) {
      const backend = medium.records();
      let writer: RecordWriter | undefined;
      try {
        const options = { point: known, sequence: 0, isThorough: false };
        for await (const { point } of walkCommits(backend, options).commits()) known = point;
        const start = { lastCommit: known.commit, lastPack: known.pack, packBytes: PACK_BYTES };
        writer = medium.writer(backend, start);
        known = await this.session(writer, backend, known);
      } catch (error) {
        const { code } = asTardisError(error);
        if (!ENDS.has(code)) throw error;
        if (code === 'STORE_TAKEN') this.taken += 1;
      } finally {
        writer?.close();
        backend.close();
      }
    }
  }

  private async session<T extends { readonly commit: number; readonly checksum: number }>(
    writer: RecordWriter,
    backend: Backend,
    before: T,
  ): Promise<T> {
    let known = before;
    const build = (commit: number, previous: number) => (covered: Covered) => {
      const counters = { ...COUNTERS, sequence: commit };
      return Promise.resolve(buildCommit(commit, { commit, previous, ...covered, counters }));
    };
    const claim = await writer.claim(build(known.commit + 1, known.checksum));
    known = { ...known, ...claim!, commit: known.commit + 1 };
    this.note(known);
    for (let commits = this.below(4); commits > 0; commits -= 1) {
      const value = this.random.bytes(4).toString('hex');
      writer.append(buildEvent(known.commit + 1, { type: 'setting', key: 'KeepDaily', value }));
      const pack = this.below(2) === 0 ? await this.contentIn(writer, backend) : undefined;
      const deleted = this.below(4) === 0 ? this.packToDelete() : undefined;
      const end = await writer.commit(build(known.commit + 1, known.checksum), (write) => write());
      known = { ...known, ...end!, commit: known.commit + 1 };
      this.note(known, pack, deleted);
      if (deleted !== undefined) await backend.remove(deleted);
    }
    return known;
  }

  /** Stores a content in a pack of its own. */
  private async contentIn(writer: RecordWriter, backend: Backend): Promise<Acknowledged['pack']> {
    const content = this.random.bytes(20);
    const digest = createHash('sha256').update(content).digest();
    const slice = { start: 0, sizeBytes: content.length, fileSizeBytes: content.length, digest };
    const staged = backend.stage();
    staged.append(contentRecord(content, slice, { codec: Codec.none, level: 0 }));
    const { pack } = (await writer.adoptNew(staged, digest))!;
    return { name: packName(pack), sha256: sha256Of(content) };
  }

  private note(
    { commit, checksum }: { readonly commit: number; readonly checksum: number },
    pack?: Acknowledged['pack'],
    deleted?: string,
  ): void {
    if (this.acknowledged.some((one) => one.commit === commit)) {
      this.problems.push(`commit ${commit} is acknowledged to two writers`);
    }
    this.acknowledged.push({ commit, checksum, pack, deleted });
    if (deleted !== undefined) this.deleted.add(deleted);
  }

  /** Returns a pack that an acknowledged commit has, and that no other one deletes. */
  private packToDelete(): string | undefined {
    const packs = this.acknowledged.flatMap(({ pack }) => (pack === undefined ? [] : [pack.name]));
    const left = packs.filter((name) => !this.deleted.has(name));
    return left[this.below(left.length + 1)];
  }

  // --- the promises ------------------------------------------------------------------------------------

  /** Reads the log on a machine that has only the bucket, and compares it with what was acknowledged. */
  private async verify(): Promise<void> {
    const cache = path.join(this.folder, 'reader');
    const access = accessTo(new MemoryObjectStore(this.objects), cache);
    const backend = mediumOf(inlineSystem(), directoryIn(access)).records();
    const found = new Map<number, number>();
    const point = { commit: 0, pack: 0, position: 0, checksum: 0 };
    const walk = walkCommits(backend, { point, sequence: 0, isThorough: false });
    try {
      for await (const commit of walk.commits())
        found.set(commit.point.commit, commit.point.checksum);
      for (const { commit, checksum, pack } of this.acknowledged) {
        if (found.get(commit) !== checksum) this.problems.push(`commit ${commit} is lost`);
        if (pack !== undefined && !this.deleted.has(pack.name))
          await this.verifyPack(backend, pack);
      }
    } catch (error) {
      this.problems.push(`the log cannot be read: ${String(error)}`);
    }
    backend.close();
  }

  private async verifyPack(
    backend: Backend,
    { name, sha256 }: NonNullable<Acknowledged['pack']>,
  ): Promise<void> {
    const size = (await backend.size(name)) ?? 0;
    const bytes = Buffer.alloc(size);
    if (size > 0) await backend.read(name, 0, bytes, size);
    const isWhole = size >= 20 && sha256Of(bytes.subarray(size - 20)) === sha256;
    if (!isWhole) this.problems.push(`${name} is lost`);
  }

  private below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }
}

/** Makes the directory of a client in a cache, as opening the client does. */
function directoryIn(bucket: BucketAccess): ClientDirectory {
  const place = folderIn(bucket.cache, 'me');
  return { client: 'me', path: place, catalogPath: path.join(place, 'tardis.db'), bucket };
}

async function wholeOf(body: ObjectBody): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const ALL_SCHEDULES = 100_000;
const SCHEDULES = Math.round(ALL_SCHEDULES * sweepShare);
/** Schedules of a bucket that does not arbitrate, of which many lose commits. */
const UNSAFE_SCHEDULES = 100;

test('no schedule of several writers loses or forks what was acknowledged', async (t) => {
  t.timeout(3 * 3600_000);
  const folder = scratchInMemory(t);
  let [acknowledged, taken] = [0, 0];
  for (let number = 0; number < SCHEDULES; number += 1) {
    const result = await runSchedule(folder, seed + number);
    t.deepEqual(result.problems, [], `TEST_SEED=${seed + number}`);
    acknowledged += result.acknowledged;
    taken += result.taken;
  }
  t.log(`${SCHEDULES} schedules, ${acknowledged} commits, ${taken} times taken`);
  // Otherwise the schedules would prove nothing.
  t.true(acknowledged > 0 && taken > 0);
});

test('the schedules find what a bucket loses that ignores conditions', async (t) => {
  const folder = scratchInMemory(t);
  let found = 0;
  for (let number = 0; number < UNSAFE_SCHEDULES; number += 1) {
    const { problems } = await runSchedule(folder, seed + number, { ignoresConditions: true });
    if (problems.length > 0) found += 1;
  }
  t.true(found > UNSAFE_SCHEDULES / 10, `${found}`);
});
