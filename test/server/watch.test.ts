/** The server's watch over its clients: alerts for overdue clients and failing backups, and metrics of all clients. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { TardisError } from '../../src/errors/index.js';
import {
  InlineStorageHost,
  openMetrics,
  RunRecorder,
  Watch,
  type WatchPlan,
} from '../../src/server/index.js';
import { createClientDirectory, openClientDirectory, readRuns } from '../../src/store/index.js';
import { Purpose } from '../../src/transport/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { readOpenMetrics } from '../helpers/open-metrics.js';
import { scratchInMemory } from '../helpers/scratch.js';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);

/** Makes a store whose clients back up by a manual clock, and a watch that notifies by commands. */
function observatory(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const reported = path.join(home, 'told');
  const mail = path.join(home, 'mail');
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, 'file'), 'content');
  const clock = new ManualClock(START_MS);
  const system: System = inlineSystem({ clock });
  const busy = new Set<string>();
  const note = (what: string): string[] => [
    'sh',
    '-c',
    `echo "$TARDIS_HOOK_${what}" >>${reported}`,
  ];
  const hook = (): string[] => note('EVENT $TARDIS_HOOK_CLIENT $TARDIS_HOOK_CODE');
  const place = { baseDir: store, catalogFile: 'tardis.db' };
  const recorder = new RunRecorder(system, place, pino({ level: 'silent' }));
  /** Ends a session of a client by an error. */
  const fail = async (client: string, error: TardisError): Promise<void> => {
    recorder.refused(client, error);
    const purpose = Purpose.backup;
    const session = {
      client,
      account: '',
      outcome: 'failed',
      purpose,
      run: '',
      beganMs: 0,
    } as const;
    await recorder.sessionEnded(session);
  };
  const newWatch = (plan: Partial<WatchPlan> = {}): Watch =>
    new Watch(system, new InlineStorageHost(system), {
      place,
      recorder,
      plan: {
        intervalMs: HOUR_MS,
        overdueAfterMs: 24 * HOUR_MS,
        overdueFor: new Map(),
        metricsFile: undefined,
        metricsAddress: undefined,
        notices: {
          hookFailure: hook(),
          hookOverdue: hook(),
          hookTimeoutMs: 20_000,
          mailTo: ['ops@example.org'],
          mailFrom: 'tardisd@host',
          mailCommand: ['sh', '-c', `cat >>${mail}`],
        },
        ...plan,
      },
      watched: {
        hasSession: (client) => busy.has(client),
        certificateFault: () => undefined,
        figures: () => ({
          sessions: busy.size,
          parkedSessions: 0,
          connections: 3,
          storeAnswers: undefined,
          certificateEndsAtMs: undefined,
        }),
        bringUpToDate: async () => undefined,
        lookAtStore: async () => undefined,
      },
      log: pino({ level: 'silent' }),
    });
  const backup = (client: string, create = false): Promise<unknown> =>
    backupInline(inlineSystem({ clock }), { store, client }, [source], { create });
  const linesOf = (file: string): string[] =>
    fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
  const heard = (): string[] => {
    const lines = linesOf(reported).map((line) => line.trim());
    fs.rmSync(reported, { force: true });
    return lines;
  };
  const mails = (): string[] => linesOf(mail).filter((line) => line.startsWith('Subject: '));
  return { store, clock, busy, newWatch, backup, fail, heard, mails, home, system };
}

test('an overdue client is reported once for each alert, also after a restart of the server', async (t) => {
  const { clock, newWatch, backup, heard, mails } = observatory(t);
  for (const client of ['one', 'two', 'three', 'four']) await backup(client, true);
  const overdueFor = new Map([
    ['three', 48 * HOUR_MS],
    ['four', 0],
  ]);
  let watch = newWatch({ overdueFor });
  await watch.lookAtAll();
  clock.advance(24 * HOUR_MS - 1);
  await watch.lookAtAll();
  t.deepEqual(heard(), []);
  clock.advance(1);
  await watch.lookAtAll();
  await watch.lookAtAll();
  t.deepEqual(heard(), ['overdue one', 'overdue two']);
  watch = newWatch({ overdueFor });
  await watch.lookAtAll();
  t.deepEqual(heard(), []);
  await backup('one');
  await watch.lookAt('one');
  clock.advance(24 * HOUR_MS);
  await watch.lookAtAll();
  t.deepEqual(heard(), ['overdue one', 'overdue three']);
  t.deepEqual(mails(), Array(2).fill('Subject: tardisd: 2 backups are overdue'));
});

test('a client without any set is overdue from the time when it was made', async (t) => {
  const { clock, newWatch, store, heard } = observatory(t);
  const { path: client } = await createClientDirectory(nodeSystem(), { store, client: 'new' });
  fs.utimesSync(path.join(client, 'format.json'), START_MS / 1000, START_MS / 1000);
  const watch = newWatch();
  await watch.lookAtAll();
  t.deepEqual(heard(), []);
  clock.advance(24 * HOUR_MS);
  await watch.lookAtAll();
  t.deepEqual(heard(), ['overdue new']);
});

test('a set from the future grows old all the same', async (t) => {
  const { clock, newWatch, backup, heard } = observatory(t);
  clock.jumpTo(START_MS + 10_000 * HOUR_MS);
  await backup('me', true);
  clock.jumpTo(START_MS);
  const watch = newWatch();
  await watch.lookAtAll();
  clock.advance(23 * HOUR_MS);
  await watch.lookAtAll();
  t.deepEqual(heard(), []);
  clock.advance(HOUR_MS);
  await watch.lookAtAll();
  t.deepEqual(heard(), ['overdue me']);
});

test('a failed backup is reported once, until there is a complete set', async (t) => {
  const { newWatch, backup, heard, mails, busy, clock, fail: failed } = observatory(t);
  await backup('me', true);
  const watch = newWatch();
  await watch.lookAtAll();
  const fail = async (): Promise<void> => {
    clock.advance(61_000);
    await failed('me', new TardisError('DISK_FULL', 'the disk is full'));
    await watch.lookAt('me');
  };
  await fail();
  await fail();
  t.deepEqual(heard(), ['failure me DISK_FULL']);
  t.is(readOpenMetrics(watch.metrics()).get('tardis_client_failing{client="me"}'), 1);
  t.is(readOpenMetrics(watch.metrics()).get('tardis_client_state{client="me",state="failed"}'), 1);
  clock.advance(1000);
  await backup('me');
  await watch.lookAt('me');
  t.is(readOpenMetrics(watch.metrics()).get('tardis_client_failing{client="me"}'), 0);
  await watch.lookAt('me');
  t.deepEqual(heard(), []);
  busy.add('me'); // the client is trying again
  await fail();
  t.deepEqual(heard(), []);
  busy.delete('me');
  await watch.lookAtAll();
  t.deepEqual(heard(), ['failure me DISK_FULL']);
  t.is(mails().length, 2);
  await watch.stop();
  await fail();
  t.deepEqual(heard(), []);
});

test('a session that another one has overtaken is no failed backup', async (t) => {
  const { newWatch, backup, heard, fail, clock } = observatory(t);
  await backup('me', true);
  const watch = newWatch();
  await watch.lookAtAll();
  clock.advance(1000);
  await fail('me', new TardisError('STORE_TAKEN', 'another session has begun'));
  await watch.lookAt('me');
  t.deepEqual(heard(), []);
  t.is(readOpenMetrics(watch.metrics()).get('tardis_client_failing{client="me"}'), 0);
});

test('figures are those of the store, and name what cannot be read', async (t) => {
  const { newWatch, backup, store, clock, home } = observatory(t);
  await backup('a', true);
  await backup('b', true);
  const metricsFile = path.join(home, 'tardis.prom');
  const watch = newWatch({ metricsFile });
  await watch.lookAtAll();
  clock.advance(1500);
  const values = readOpenMetrics(watch.metrics());
  const of = (name: string, client = 'a'): number | undefined =>
    values.get(`tardis_client_${name}{client="${client}"}`);
  t.is(of('last_good_set'), 1);
  t.is(of('last_good_entries'), 1);
  t.is(of('last_good_timestamp_seconds'), START_MS / 1000);
  t.is(of('last_good_age_seconds'), 1.5);
  t.is(of('overdue_after_seconds'), 24 * 3600);
  t.is(of('damaged_contents'), 0);
  t.is(values.get('tardis_client_state{client="a",state="good"}'), 1);
  const packs = path.join(store, 'a', 'packs');
  const packed = fs.readdirSync(packs).map((name) => fs.statSync(path.join(packs, name)).size);
  t.is(
    of('stored_bytes'),
    packed.reduce((sum, size) => sum + size, 0),
  );
  t.is(values.get('tardis_clients'), 2);
  t.is(values.get('tardis_connections'), 3);
  t.true(values.get('tardis_store_free_bytes')! > 0);
  fs.writeFileSync(path.join(store, 'b', 'tardis.db'), 'no catalog'.repeat(1000));
  fs.rmSync(path.join(store, 'a'), { recursive: true });
  await watch.lookAtAll();
  const later = readOpenMetrics(fs.readFileSync(metricsFile, 'utf8'));
  t.is(later.get('tardis_client_readable{client="b"}'), 0);
  t.is(later.get('tardis_client_readable{client="a"}'), undefined);
  t.is(later.get('tardis_client_state{client="b",state="unknown"}'), 1);
  t.is(fs.statSync(metricsFile).mode & 0o777, 0o644);
  fs.rmSync(store, { recursive: true });
  await watch.lookAtAll();
});

test('metrics say that the store is gone before the next look at all clients', async (t) => {
  const { newWatch, backup, store } = observatory(t);
  await backup('me', true);
  const watch = newWatch({ metricsFile: path.join(store, '..', 'figures.prom') });
  await watch.lookAtAll();
  const readable = (): (number | undefined)[] => {
    const values = readOpenMetrics(watch.metrics());
    const names = ['store_readable', 'client_readable{client="me"}', 'store_free_bytes'];
    return names
      .map((name) => values.get(`tardis_${name}`))
      .map((value) => (value && value > 0 ? 1 : value));
  };
  t.deepEqual(readable(), [1, 1, 1]);
  fs.renameSync(store, `${store}-away`);
  fs.mkdirSync(store); // as a bare mount point
  t.deepEqual(readable(), [0, 0, undefined]);
  fs.rmdirSync(store);
  fs.renameSync(`${store}-away`, store);
  t.deepEqual(readable(), [1, 1, 1]);
});

test('damage that is marked is counted', async (t) => {
  const { newWatch, backup, store } = observatory(t);
  await backup('me', true);
  const watch = newWatch({ metricsFile: path.join(store, 'figures.prom') });
  const system = inlineSystem();
  const database = system.openDatabase(path.join(store, 'me', 'tardis.db'), { readonly: false });
  database.prepare('UPDATE contents SET is_damaged = 1').run();
  database.close();
  await watch.lookAt('me');
  const damaged = readOpenMetrics(watch.metrics()).get(
    'tardis_client_damaged_contents{client="me"}',
  );
  t.is(damaged, 1);
});

test('a damaged journal makes alerts be sent once more, and no more', async (t) => {
  const { clock, newWatch, backup, heard, store, system } = observatory(t);
  await backup('me', true);
  clock.advance(25 * HOUR_MS);
  await newWatch().lookAtAll();
  t.deepEqual(heard(), ['overdue me']);
  const directory = openClientDirectory(system, { store, client: 'me' });
  t.deepEqual(
    (await readRuns(system, directory)).map(({ kind, code }) => [kind, code]),
    [
      ['alert', 'INTERVAL'],
      ['alert', 'OVERDUE'],
    ],
  );
  const runs = path.join(store, 'me', 'runs');
  for (const name of fs.readdirSync(runs)) fs.writeFileSync(path.join(runs, name), 'no journal');
  await newWatch().lookAtAll();
  t.deepEqual(heard(), ['overdue me']);
  await newWatch().lookAtAll();
  t.deepEqual(heard(), []);
});

test('figures are written as the format requires', (t) => {
  const text = openMetrics([
    { name: 'a_bytes', help: 'b\\c\n"d"', samples: [{ value: 1.5e300 }] },
    {
      name: 'b',
      help: 'none',
      samples: [
        { labels: { client: 'x\\y"z\n' }, value: Infinity },
        { labels: { client: '' }, value: undefined },
      ],
    },
    { name: 'c', help: 'no sample', samples: [{ value: undefined }] },
  ]);
  t.deepEqual(
    [...readOpenMetrics(text)],
    [
      ['a_bytes', 1.5e300],
      [String.raw`b{client="x\\y\"z\n"}`, Infinity],
    ],
  );
  t.throws(() => readOpenMetrics(text.replace('# EOF\n', '')));
  t.throws(() => readOpenMetrics(text.replace('a_bytes 1', 'a_bytes x')));
});
