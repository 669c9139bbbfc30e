// Pace: long
/**
 * A purge does the same through `tardis --local`, a server and `sonic purge`. Each prints the deleted sets and the
 * freed space.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { plainPackr } from '../../src/system/msgpack/index.js';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backupInline, inlineSystem, type Place } from '../helpers/inline.js';
import { lab } from '../helpers/lab.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { noise, sizeOf, text } from '../helpers/tree.js';

backupsRunHere();

const HOUR_MS = 3_600_000;
const OPENED_AT_MS = 1000 * 24 * HOUR_MS;
const DAYS = 60;
/** Number of newest days that have two sets each. */
const FULL_DAYS = 12;
const CHANGED_BYTES = 60_000;
const RULES = { daily: 7, weekly: 4, monthly: 2 };
/**
 * Largest relative difference in stored bytes: frames that are repacked one by one, or with a whole pack, have
 * different heads.
 */
const MOST_DIFFERENCE = 0.02;

/**
 * Returns a time zone in which it is about noon now, so that no command of the test runs on another day than the one
 * before.
 */
function zoneOfNoon(): Readonly<Record<string, string>> {
  const west = new Date().getUTCHours() - 12;
  return { TZ: `Etc/GMT${west < 0 ? west : `+${west}`}` };
}

/** Makes sixty days of sets of a tree with changes. The newest set is one hour old. */
async function sixtyDays(place: Place, source: string): Promise<void> {
  fs.mkdirSync(source, { recursive: true });
  for (let file = 0; file < 20; file += 1) {
    fs.writeFileSync(path.join(source, `stays${file}`), text(`stays ${file}`, 3000));
  }
  const real = nodeSystem().clock;
  let made = 0;
  for (let day = DAYS; day > 0; day -= 1) {
    for (const hours of day <= FULL_DAYS ? [4, 1] : [1]) {
      const atMs = real.nowMs() - ((day - 1) * 24 + hours) * HOUR_MS;
      fs.writeFileSync(path.join(source, 'changes'), noise(`${day} ${hours}`, CHANGED_BYTES));
      fs.writeFileSync(path.join(source, `stays${day % 20}`), text(`${day} ${hours}`, 3000));
      const system = inlineSystem({ clock: { ...real, nowMs: () => atMs } });
      await backupInline(system, place, [source], {
        create: made === 0,
        setName: `d${day}h${hours}`,
      });
      made += 1;
    }
  }
}

async function outcome(place: readonly string[], client: string) {
  const [list] = jsonLines(await succeed('sonic', ['list', ...place, '--json']));
  const { sets } = list as { sets: { name: string }[] };
  const directories = fs.readdirSync(client).filter((name) => /^(packs|[0-9a-f]{2})$/.test(name));
  const bytes = directories.reduce((sum, name) => sum + sizeOf(path.join(client, name)), 0);
  return { names: sets.map(({ name }) => name), bytes };
}

interface Lab {
  readonly env: Readonly<Record<string, string>>;
  readonly source: string;
  readonly config: string;
  readonly secret: string;
  /** Copies the store. Returns the arguments that name the copy, its path, and the client's directory in it. */
  copy(name: string): { place: string[]; store: string; client: string };
}

const top = makeScratch();
test.after.always(() => removeScratch(top));
/** The store of sixty days, which each test copies. */
let made: Promise<Lab> | undefined;

async function makeLab(): Promise<Lab> {
  let copies = 0;
  const [source, config, secret] = ['tree', 'config', 'secret'].map((name) => path.join(top, name));
  const first = { store: path.join(top, 'store'), client: 'me' };
  await sixtyDays(first, source!);
  fs.writeFileSync(secret!, 'the words of the owner');
  fs.writeFileSync(
    config!,
    `[Tardis]\nKeepDaily = ${RULES.daily}\nKeepWeekly = ${RULES.weekly}\nKeepMonthly = ${RULES.monthly}\n` +
      'LeastAge = 0\nRemoveAfter = 0\n',
  );
  const place = ['-D', first.store, '-C', 'me'];
  const own = ['--newpassword-file', secret!];
  await succeed('sonic', ['setpass', ...place, '-F', secret!]);
  const rights = ['--rights', 'add,list,read,purge'];
  await succeed('sonic', ['account', ...place, '-F', secret!, '--add', 'boss', ...rights, ...own]);
  fs.writeFileSync(path.join(source!, 'changes'), noise('today', CHANGED_BYTES));
  const copy = (name: string) => {
    copies += 1;
    const store = path.join(top, `${name} ${copies}`);
    fs.cpSync(first.store, store, { recursive: true, preserveTimestamps: true });
    return {
      place: ['-D', store, '-C', 'me', '-F', secret!],
      store,
      client: path.join(store, 'me'),
    };
  };
  return { env: zoneOfNoon(), source: source!, config: config!, secret: secret!, copy };
}

const PURGED = /^(\d+) backup sets of "me" purged \([\d, -]+\)\.$/m;
const FREED = /files? of [\d.]+ [kM]B deleted; [\d.]+ [kM]B freed\.$/m;

test('sixty days of sets are purged alike by tardis --local, by a server and by sonic', async (t) => {
  t.timeout(600_000);
  const { env, source, config, secret, copy } = await (made ??= makeLab());
  const today = ['--name', 'today', source];
  const local = copy('local');
  const before = (await outcome(local.place, local.client)).bytes;
  const localArgs = [...local.place, '--local', '--local-config', config];
  const byLocal = await succeed('tardis', [...localArgs, '--purge', ...today], { env });

  const served = copy('served');
  const byServer = await throughServer(t, served.store, config, env, (far) =>
    succeed(
      'tardis',
      [...far, '-C', 'me', '-F', secret, '--account', 'boss', '--purge', ...today],
      { env },
    ),
  );

  const own = copy('own');
  await succeed('tardis', [...own.place, '--local', '--local-config', config, ...today], { env });
  const rules = Object.entries(RULES).flatMap(([name, count]) => [`--keep-${name}`, `${count}`]);
  const bySonic = await succeed('sonic', ['purge', ...own.place, ...rules, '--yes'], { env });

  const [one, two, three] = await Promise.all(
    [local, served, own].map(({ place, client }) => outcome(place, client)),
  );
  t.deepEqual(one!.names, two!.names);
  t.deepEqual(one!.names, three!.names);
  t.true(one!.names.includes('d3h1') && !one!.names.includes('d3h4'), 'of a day the newest stays');
  t.log(`${before} bytes before, then ${one!.bytes}, ${two!.bytes}, ${three!.bytes}`);
  for (const { bytes } of [one!, two!, three!]) {
    t.true(bytes < before / 2, `${bytes} of ${before} bytes are left`);
    t.true(Math.abs(bytes - three!.bytes) < three!.bytes * MOST_DIFFERENCE, `${bytes}`);
  }
  const counts = [byLocal, byServer, bySonic].map((printed) => PURGED.exec(printed)?.[1]);
  t.deepEqual(new Set(counts).size, 1, counts.join());
  t.truthy(counts[0]);
  for (const printed of [byLocal, byServer, bySonic]) t.regex(printed, FREED);
  for (const { place } of [local, served, own]) {
    const [rest] = jsonLines(await succeed('sonic', ['orphans', ...place, '--json']));
    const { contents, deletedBytes } = rest as { contents: number; deletedBytes: number };
    t.is(contents, 0);
    t.true(deletedBytes < 1000, 'what is left are events');
    await succeed('sonic', ['check', ...place, '--read-data=all']);
  }
});

test('an account without the right to purge cannot evict the first set of a day', async (t) => {
  t.timeout(600_000);
  const { env, source, config, secret, copy } = await (made ??= makeLab());
  const { store, place, client } = copy('served');
  const login = ['-C', 'me', '-F', secret];
  const printed = await throughServer(t, store, config, env, async (far) => {
    const preview = ['purge', ...far, ...login, '--preview'];
    t.regex(await succeed('sonic', preview, { env }), /d3h4 .* keep +oldest of the day \d/);
    const boss = await succeed('sonic', [...preview, '--account', 'boss'], { env });
    t.regex(boss, /d3h1 .* keep +newest of the day \d/);
    return succeed('tardis', [...far, ...login, '--purge', '--name', 'today', source], { env });
  });
  t.regex(printed, PURGED);
  const { names } = await outcome(place, client);
  t.true(names.includes('d3h4') && !names.includes('d3h1'), names.join());
});

test('a backup with --purge reports that nothing went because the clock has jumped', async (t) => {
  const { store, source, place, at } = lab(t, []);
  const config = at('config');
  fs.writeFileSync(config, '[Tardis]\nKeepLast = 1\n');
  for (let set = 1; set <= 3; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), `${set}`);
    await backup([...place, '--local', ...(set === 1 ? ['--create'] : []), source]);
  }
  const args = [...place, '--local', '--local-config', config, source];
  t.regex(await succeed('tardis', [...args, '--no-purge']), /^Backup set 4 .* is complete\.$/m);
  changeCatalog(store, (catalog) => {
    catalog.exec(`UPDATE backup_sets SET opened_at_ms = ${OPENED_AT_MS} + set_number`);
    const packr = plainPackr();
    const change = catalog.prepare('UPDATE backup_sets SET stats = ? WHERE set_number = ?');
    const rows = catalog.prepare('SELECT set_number, stats FROM backup_sets').raw().all();
    for (const [set, stats] of rows as [number, Buffer][]) {
      change.run(packr.pack({ ...packr.unpack(stats), countedMs: OPENED_AT_MS + set }), set);
    }
  });
  const { status, stdout, stderr } = await run('tardis', [...args, '--purge']);
  t.is(status, 0, stderr);
  t.regex(stderr, /nothing is purged, since the clock has jumped/);
  t.notRegex(stdout, /purged/);
  const reported = await run('tardis', [...args, '--purge', '--json']);
  const [report] = jsonLines(reported.stdout);
  t.like(report, { settled: { purged: [], isClockInDoubt: true } });
});

test('sonic stats counts what purged sets held until it is freed', async (t) => {
  const { source, place } = lab(t, []);
  for (let set = 1; set <= 4; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), noise(set, 500_000));
    await backup([...place, '--local', ...(set === 1 ? ['--create'] : []), source]);
  }
  const dead = async (): Promise<number> => {
    const [figures] = jsonLines(await succeed('sonic', ['stats', ...place, '--json']));
    return (figures as { deadBytes: number }).deadBytes;
  };
  t.is(await dead(), 0);
  await succeed('sonic', ['purge', ...place, '--keep-last', '1', '--yes', '--no-clear-up']);
  t.true((await dead()) >= 1_500_000, `${await dead()}`);
  const freed = await succeed('sonic', ['orphans', ...place]);
  t.regex(freed, /1\.[56] MB freed/);
  t.true((await dead()) < 10_000, `${await dead()}`);
});

async function throughServer<T>(
  t: ExecutionContext,
  store: string,
  config: string,
  env: Readonly<Record<string, string>>,
  work: (far: readonly string[]) => Promise<T>,
): Promise<T> {
  const server = await Server.during(t, store, ['--config', config], { env });
  const done = await work(server.clientArgs);
  await server.stop();
  return done;
}
