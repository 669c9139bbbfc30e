// Pace: slow
/** `--local` runs its server in the client's process, with the promises of a process of its own. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  listedSets,
  poolsStayAway,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { SEPARATE_SERVER } from '../helpers/separate-server.js';
import { lab } from '../helpers/lab.js';
import { differences, look, noise } from '../helpers/tree.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
/** Makes a backup of a new large file last until it is interrupted. */
const SLOWLY = ['--bandwidth-limit', '1K', '--compress-data', 'none'];

/** Makes a client with one set, and a tree with more to back up. */
type Lab = Awaited<ReturnType<typeof prepared>>;

async function prepared(t: ExecutionContext) {
  const { home, source, place: own } = lab(t, []);
  const place = [...own, '--local'];
  fs.writeFileSync(path.join(source, 'old'), noise('old', 5000));
  await backup([...place, '--create', source]);
  fs.writeFileSync(path.join(source, 'small'), noise('small', 3000));
  fs.writeFileSync(path.join(source, 'large'), noise('large', 2 * MIB));
  return { home, source, place };
}

/** Starts a backup with these options, and returns it when its server receives the large file. */
async function begun({ home, source, place }: Lab, more: readonly string[] = []): Promise<Running> {
  const env = { TMPDIR: path.join(home, 'temporary') };
  fs.mkdirSync(env.TMPDIR, { recursive: true });
  const running = new Running('tardis', [...place, ...SLOWLY, ...more, source], { env });
  const incoming = path.join(home, 'store/me/incoming');
  const isReceiving = (): boolean => fs.existsSync(incoming) && fs.readdirSync(incoming).length > 0;
  await running.until('the large file arrives', isReceiving);
  return running;
}

/** Returns the options for a server that stores in so many threads. */
function storageIn({ home }: Lab, threads: number): readonly string[] {
  const config = written(home, 'threads.cfg', `[Pipeline]\nStorageThreads = ${threads}\n`);
  return ['--local-config', config];
}

async function requireAll(t: ExecutionContext, { home, source, place }: Lab): Promise<void> {
  const store = place.slice(0, 4);
  await backup([...place, source]);
  await succeed('sonic', ['check', '--read-data', ...store]);
  await succeed('regenerate', [...store, '-o', path.join(home, 'out'), source]);
  t.deepEqual(differences(look(source), look(path.join(home, 'out/tree'))), []);
}

for (const threads of [0, 1]) {
  const kind = `with ${threads} storage threads`;

  test(`a local server has no process, and an interruption keeps its set: ${kind}`, async (t) => {
    const its = await prepared(t);
    const running = await begun(its, storageIn(its, threads));
    t.deepEqual(running.childPids(), []);
    const { status, stderr } = await running.endedBy('SIGINT');
    t.is(status, 130, stderr);
    t.regex(stderr, /\[INTERRUPTED\]/);
    const sets = await listedSets(path.join(its.home, 'store'), 'me');
    t.is(sets.length, 2, 'what was received is kept in an unfinished set');
    await requireAll(t, its);
  });

  test(`a killed run leaves a whole store, and no directory of a socket: ${kind}`, async (t) => {
    const its = await prepared(t);
    const running = await begun(its, storageIn(its, threads));
    t.is((await running.endedBy('SIGKILL')).signal, 'SIGKILL');
    t.deepEqual(fs.readdirSync(path.join(its.home, 'temporary')), []);
    const sets = await listedSets(path.join(its.home, 'store'), 'me');
    t.is(sets.filter(({ state }) => state === 'complete').length, 1);
    await requireAll(t, its);
  });
}

test('settings of the server that need a process, and a command for it, give it one', async (t) => {
  const its = await prepared(t);
  const [config, log] = [path.join(its.home, 'config'), path.join(its.home, 'log')];
  fs.writeFileSync(config, `[Tardis]\nProfile = yes\nLogFile = ${log}\nVerbose = 1\n`);
  for (const [before, more] of [['--local-config', config], SEPARATE_SERVER].entries()) {
    const running = await begun(its, more);
    t.is(running.childPids().length, 1, more.join(' '));
    t.is((await running.endedBy('SIGINT')).status, 130);
    const sets = await listedSets(path.join(its.home, 'store'), 'me');
    t.is(sets.length, before + 2, 'what was received is kept in an unfinished set');
  }
  t.regex(fs.readFileSync(log, 'utf8'), /session begins/);
  fs.writeFileSync(config, '[Tardis]\nLeastFre = 3\n');
  const { status, stderr } = await run('tardis', [
    ...its.place,
    '--local-config',
    config,
    its.source,
  ]);
  t.is(status, 1);
  t.regex(stderr, /\[CONFIG_INVALID\]/);
});

test('the umask and the settings of the server hold in the process of the client', async (t) => {
  const its = await prepared(t);
  const [config, log] = [path.join(its.home, 'config'), path.join(its.home, 'log')];
  fs.writeFileSync(config, `[Tardis]\nUmask = 077\nLogFile = ${log}\nVerbose = 1\n`);
  await backup([...its.place, '--local-config', config, its.source], { isProcess: true });
  t.regex(fs.readFileSync(log, 'utf8'), /session begins/);
  const packs = path.join(its.home, 'store/me/packs');
  const [pack = ''] = fs.readdirSync(packs).filter((name) => name.endsWith('2.pack'));
  t.is(fs.statSync(path.join(packs, pack)).mode & 0o777, 0o600);
});
