// Pace: slow
/** `tardis --create` continues an interrupted creation when it is run again. A client in use stays unchanged. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backupsRunHere,
  listedSets,
  run,
  Running,
  runWhenFree,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { codeIn } from '../helpers/codes.js';
import { lab } from '../helpers/lab.js';
import { ofThisRun } from '../helpers/share.js';
import { addTo, dir, file, look, noise, sizeOf } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
/** A run that sends 7 MiB lasts 14 s, so that it is killed before its end on a busy machine too. */
const SLOWLY = ['--bandwidth-limit', '512K'];
const SECRET = '--password=a long secret';

interface Ground extends ReturnType<typeof lab> {
  readonly server: Server | undefined;
  /** Arguments by which a backup reaches the store. */
  readonly way: readonly string[];
}

async function ground(t: ExecutionContext, isRemote: boolean): Promise<Ground> {
  const home = lab(t);
  addTo(
    home.source,
    dir('large', [file('one', noise('one', 6 * MIB)), file('two', noise('two', MIB))]),
  );
  if (!isRemote) return { ...home, server: undefined, way: [...home.place, '--local'] };
  const server = await Server.during(t, home.store);
  return { ...home, server, way: [...server.clientArgs, '-C', 'me'] };
}

/** Returns the bytes of contents that a client has, staged ones included. */
function keptBytes(client: string): number {
  return ['packs', 'incoming'].reduce((sum, name) => sum + sizeOf(path.join(client, name)), 0);
}

/** Moments at which the run that creates the client is killed. */
const MOMENTS: Readonly<Record<string, (client: string) => boolean>> = {
  'when the client is there': (client) => fs.existsSync(path.join(client, 'format.json')),
  'when contents are there': (client) => keptBytes(client) > MIB / 2,
};

async function killed(args: readonly string[], client: string, moment: string): Promise<void> {
  const running = new Running('tardis', [...args, ...SLOWLY]);
  await running.until(moment, () => MOMENTS[moment]!(client));
  running.signalGroup('SIGKILL');
  await running.ended;
}

const KINDS: Readonly<Record<string, (home: Ground) => string[]>> = {
  'without a password': () => [],
  'with a password': () => [SECRET],
  'with a key file': ({ at }) => [SECRET, '--keys', at('keys')],
};

const CASES = [false, true].flatMap((isRemote) =>
  Object.keys(KINDS).flatMap((kind) =>
    Object.keys(MOMENTS).map((moment) => ({ isRemote, kind, moment })),
  ),
);

for (const { isRemote, kind, moment } of ofThisRun(CASES, (one) => [
  one.isRemote ? 'far' : 'near',
  one.kind,
  one.moment,
])) {
  const more = KINDS[kind]!;
  const where = isRemote ? 'by a server' : 'by a store';
  test(`a client ${kind} that was made by a backup killed ${moment} ${where} is gone on with`, async (t) => {
    const home = await ground(t, isRemote);
    const keys = more(home);
    const command = [...home.way, '--create', ...keys, home.source];
    await killed(command, path.join(home.store, 'me'), moment);
    const again = await runWhenFree('tardis', command);
    t.is(again.status, 0, `${moment}: ${again.stderr}`);
    const out = home.at('out');
    const from = ['-D', home.store, '-C', 'me', ...keys];
    await succeed('regenerate', [...from, '-o', out, home.source]);
    t.deepEqual(look(path.join(out, 'tree')), look(home.source));
    const sets = await listedSets(home.store, 'me', keys);
    t.deepEqual(
      sets.map(({ state }) => state),
      ['complete'],
    );
    if (keys.includes('--keys')) {
      const sections = fs.readFileSync(home.at('keys'), 'utf8').match(/^\[/gm);
      t.is(sections?.length, 1, 'keys of nothing stay in the key file');
    }
    // The client now has a complete set, so it is in use.
    const third = await runWhenFree('tardis', command);
    t.is(codeIn(third), 'CLIENT_EXISTS', third.stderr);
    t.is(third.status, 1);
  });
}

for (const isRemote of [false, true]) {
  const where = isRemote ? 'by a server' : 'by a store';
  test(`without the password of a client that was only begun, none of its name is made ${where}`, async (t) => {
    const home = await ground(t, isRemote);
    const command = [...home.way, '--create'];
    const client = path.join(home.store, 'me');
    await killed([...command, SECRET, home.source], client, 'when contents are there');
    const keys = fs.readdirSync(path.join(client, 'keys'));
    const others = [['--password=another'], [], [SECRET, '--no-crypt']];
    // Uses the state of another machine: one that remembers the client would refuse runs without a password itself.
    const elsewhere = { env: { XDG_STATE_HOME: path.join(home.store, '..', 'another machine') } };
    for (const other of others) {
      const outcome = await runWhenFree('tardis', [...command, ...other, home.source], elsewhere);
      t.is(codeIn(outcome), 'CLIENT_EXISTS', `${other.join(' ')}: ${outcome.stderr}`);
    }
    t.deepEqual(fs.readdirSync(path.join(client, 'keys')), keys);
    // The owner, who has the password, can continue.
    const own = await runWhenFree('tardis', [...command, SECRET, home.source]);
    t.is(own.status, 0, own.stderr);
  });
}

test('a client that was made without a password gets none by being made again', async (t) => {
  const home = await ground(t, false);
  const command = [...home.way, '--create'];
  const client = path.join(home.store, 'me');
  await killed([...command, home.source], client, 'when contents are there');
  const outcome = await run('tardis', [...command, SECRET, home.source]);
  t.is(codeIn(outcome), 'CLIENT_EXISTS', outcome.stderr);
  t.false(fs.existsSync(path.join(client, 'keys')));
});
