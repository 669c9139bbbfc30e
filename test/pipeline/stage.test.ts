import test from 'ava';
import { from, lastValueFrom, Subject, toArray } from 'rxjs';
import { stage, StageCounters } from '../../src/pipeline/index.js';

/** Work that the test finishes, in any order. */
class ManualWork {
  readonly started: number[] = [];
  private readonly open = new Map<number, { resolve(): void; reject(error: Error): void }>();

  get running(): number {
    return this.open.size;
  }

  readonly work = (item: number): Promise<string> => {
    this.started.push(item);
    return new Promise((resolve, reject) => {
      this.open.set(item, { resolve: () => resolve(`did ${item}`), reject });
    });
  };

  async finish(item: number): Promise<void> {
    this.open.get(item)!.resolve();
    this.open.delete(item);
    await settle();
  }

  async fail(item: number, error: Error): Promise<void> {
    this.open.get(item)!.reject(error);
    this.open.delete(item);
    await settle();
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test('a stage works on as many items as it may, and takes them in order', async (t) => {
  const manual = new ManualWork();
  const done = lastValueFrom(
    from([1, 2, 3, 4, 5]).pipe(stage(new StageCounters('test', 2), manual.work), toArray()),
  );
  await settle();
  t.deepEqual(manual.started, [1, 2]);
  await manual.finish(2);
  t.deepEqual(manual.started, [1, 2, 3]);
  await manual.finish(3);
  await manual.finish(4);
  t.deepEqual(manual.started, [1, 2, 3, 4, 5], 'one that takes long does not hold up the others');
  t.is(manual.running, 2);
  await manual.finish(5);
  await manual.finish(1);
  t.deepEqual(await done, ['did 2', 'did 3', 'did 4', 'did 5', 'did 1']);
});

test('an item that fails ends the stage, and no other begins', async (t) => {
  const manual = new ManualWork();
  const reason = new Error('the third fails');
  const results: string[] = [];
  let failure: unknown;
  from([1, 2, 3, 4, 5])
    .pipe(stage(new StageCounters('test', 2), manual.work))
    .subscribe({
      next: (result) => results.push(result),
      error: (error: unknown) => {
        failure = error;
      },
    });
  await manual.finish(1);
  await manual.finish(2);
  await manual.fail(3, reason);
  t.is(failure, reason);
  await manual.finish(4);
  t.deepEqual(manual.started, [1, 2, 3, 4]);
  t.deepEqual(results, ['did 1', 'did 2']);
});

test('work that throws at once is a failure like any other', async (t) => {
  const counters = new StageCounters('test', 1);
  const thrown = lastValueFrom(
    from([1]).pipe(
      stage(counters, () => {
        throw new Error('at once');
      }),
    ),
  );
  await t.throwsAsync(thrown, { message: 'at once' });
});

test('nothing begins after nobody listens any more', async (t) => {
  const manual = new ManualWork();
  const source = new Subject<number>();
  const results: string[] = [];
  const subscription = source
    .pipe(stage(new StageCounters('test', 1), manual.work))
    .subscribe((result) => results.push(result));
  source.next(1);
  source.next(2);
  subscription.unsubscribe();
  source.next(3);
  await manual.finish(1);
  t.deepEqual(manual.started, [1]);
  t.deepEqual(results, []);
});

test('the failure of a source goes through', async (t) => {
  const source = new Subject<number>();
  const done = lastValueFrom(
    source.pipe(stage(new StageCounters('test', 2), async (item) => item)),
  );
  source.next(1);
  source.error(new Error('the source fails'));
  await t.throwsAsync(done, { message: 'the source fails' });
});

test('a stage whose work makes several results, or none, emits them all', async (t) => {
  const counters = new StageCounters('test', 1);
  const results = from([3, 0, 2]).pipe(
    stage(counters, (count) => Array.from({ length: count }, () => count)),
    toArray(),
  );
  t.deepEqual(await lastValueFrom(results), [3, 3, 3, 2, 2]);
});

test('counters add up what passed, and what was spent waiting', (t) => {
  const counters = new StageCounters('read', 3);
  counters.count(5, 100, 40);
  counters.passed(50);
  counters.count(1, 20, 10);
  counters.passed(15);
  t.deepEqual(counters.figures(), {
    name: 'read',
    concurrency: 3,
    items: 6,
    bytes: 120,
    busyMs: 50,
    waitingMs: 15,
  });
  counters.count(1, 1, 20); // clocks of two threads may differ
  t.is(counters.figures().waitingMs, 0);
});

test('work that a job of another stage does is no waiting of that stage', (t) => {
  const [read, build] = [new StageCounters('read', 1), new StageCounters('build', 1)];
  read.count(1, 100, 30);
  build.count(1, 100, 50, read);
  read.passed(90); // the job took 80, and waited for a thread before
  t.like(read.figures(), { busyMs: 30, waitingMs: 10 });
  t.like(build.figures(), { busyMs: 50, waitingMs: 0 });
});

test('an item that waits for its turn is waiting in the stage', async (t) => {
  const counters = new StageCounters('test', 1);
  const manual = new ManualWork();
  const done = lastValueFrom(from([1, 2]).pipe(stage(counters, manual.work), toArray()));
  const startMs = performance.now();
  await settle();
  const leastMs = performance.now() - startMs;
  await manual.finish(1);
  await manual.finish(2);
  await done;
  const { waitingMs } = counters.figures();
  t.true(waitingMs >= 2 * leastMs, 'both were there before the first was done');
});

test('time in this thread is counted as busy, of work that fails too', (t) => {
  const counters = new StageCounters('test', 1);
  t.is(
    counters.timed(() => 'result'),
    'result',
  );
  const before = counters.busyMs;
  t.throws(() =>
    counters.timed(() => {
      for (const startMs = performance.now(); performance.now() === startMs; );
      throw new Error('it fails');
    }),
  );
  t.true(counters.busyMs > before);
});
