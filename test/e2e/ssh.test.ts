// Pace: long
/** A server that `ssh` starts: --server ssh://HOST/PLACE, by a stub of ssh, and by the real one where there is an sshd. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  listedSets,
  type Outcome,
  poolsStayAway,
  run,
  Running,
  runWhenFree,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { mounted } from '../helpers/mounted-sets.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { processesLike, type SshWay, sshServer, sshStub } from '../helpers/ssh.js';
import { differences, dir, file, look, makeTree, noise, sizeOf, text } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const WORD = '--password=of a test';

interface Lab {
  readonly way: SshWay;
  readonly home: string;
  readonly store: string;
  readonly source: string;
  /** The address of the store. */
  readonly there: string;
  /** The options that name the store and the client. */
  readonly place: readonly string[];
  run(tool: Tool, args: readonly string[]): Promise<Outcome>;
  succeed(tool: Tool, args: readonly string[]): Promise<string>;
}

function labOf(t: ExecutionContext, way: SshWay): Lab {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'the store'), path.join(home, 'tree')];
  const there = `ssh://${way.host}${store}`;
  makeTree(source, [
    dir('small', [file('a', text('a', 9000)), file('b', text('b', 100))]),
    file('noise', noise('noise', 3 * MIB)),
  ]);
  const { env } = way;
  return {
    way,
    home,
    store,
    source,
    there,
    place: ['--server', there, '-C', 'me', WORD],
    run: (tool, args) => run(tool, args, { env }),
    succeed: (tool, args) => succeed(tool, args, { env }),
  };
}

let turns = seed;

/**
 * Returns a test that is run with the stub or with the real ssh, where there is an sshd: the tests take turns, and
 * TEST_SEED chooses who begins. A soak run takes both.
 */
function byEachSsh(work: (lab: Lab, t: ExecutionContext) => Promise<void>) {
  turns += 1;
  const isReal = turns % 2 === 0;
  return async (t: ExecutionContext): Promise<void> => {
    const way = isReal || share >= 1 ? await sshServer(t) : 'its turn is another one';
    const isLeftOut = typeof way === 'string';
    if (isLeftOut) t.log(`left out: ${way}`);
    else await work(labOf(t, way), t);
    if (isLeftOut || share >= 1) await work(labOf(t, sshStub(t)), t);
  };
}

test(
  'a store on another machine is backed up to, read and changed',
  byEachSsh(async (lab, t) => {
    const { place, source, home } = lab;
    await lab.succeed('tardis', ['--create', ...place, source]);
    t.true(fs.readFileSync(path.join(lab.store, 'me', 'format.json'), 'utf8').includes('encrypt'));
    fs.appendFileSync(path.join(source, 'small', 'a'), 'more');
    await lab.succeed('tardis', [...place, source]);
    t.regex(await lab.succeed('lstardis', [...place, '--find', 'noise']), /tree\/noise/);
    await lab.succeed('regenerate', [...place, '-o', path.join(home, 'out'), source]);
    t.deepEqual(differences(look(source), look(path.join(home, 'out', 'tree'))), []);
    t.regex(await lab.succeed('sonic', ['check', ...place]), /No damage found/);
    await lab.succeed('sonic', ['lock', ...place, '2']);
    await lab.succeed('sonic', ['delete', ...place, '--yes', '1']);
    t.deepEqual(
      (await listedSets(lab.store, 'me', [WORD])).map(({ set }) => set),
      [2],
    );
    const variable = { ...lab.way.env, TARDIS_SERVER: lab.there };
    t.regex(await succeed('lstardis', ['-C', 'me', WORD], { env: variable }), /complete/);
  }),
);

test(
  'a client is copied to another machine, and from it',
  byEachSsh(async (lab, t) => {
    const { place, source, home, there } = lab;
    const [here, back] = [path.join(home, 'here'), path.join(home, 'back')];
    await backup(['--local', '--create', '-D', here, '-C', 'me', WORD, source]);
    const out = ['copy', '-D', here, '-C', 'me', WORD, '--to-server', there];
    await lab.succeed('sonic', [...out, '--create']);
    await backup(['--local', '-D', here, '-C', 'me', WORD, source]);
    t.regex(await lab.succeed('sonic', out), /the copy has 2 sets/);
    await lab.succeed('sonic', ['copy', ...place, '--to', back, '--create']);
    await lab.succeed('regenerate', ['-D', back, '-C', 'me', WORD, '-o', `${back}.out`, source]);
    t.deepEqual(differences(look(source), look(path.join(`${back}.out`, 'tree'))), []);
  }),
);

test(
  'a key with --restrict add backs up, and can do nothing else',
  byEachSsh(async (lab, t) => {
    const { place, source, home, way } = lab;
    await lab.succeed('tardis', ['--create', ...place, source]);
    const store = path.join(home, 'link'); // the command of a key is in double quotes
    fs.symlinkSync(lab.store, store);
    way.force(`tardisd --stdio --restrict add -C me -D ${store}`);
    fs.appendFileSync(path.join(source, 'small', 'a'), 'more');
    // The address that the client requests counts for nothing.
    const elsewhere = [
      '--server',
      `ssh://${way.host}/nowhere; touch ${home}/touched`,
      '-C',
      'me',
      WORD,
    ];
    await lab.succeed('tardis', [...elsewhere, source]);
    t.false(fs.existsSync(path.join(home, 'touched')));
    const refused: readonly (readonly [Tool, readonly string[]])[] = [
      ['lstardis', place],
      ['regenerate', [...place, '-o', path.join(home, 'out'), source]],
      ['sonic', ['delete', ...place, '--yes', '1']],
      ['sonic', ['purge', ...place, '--yes']],
      ['sonic', ['setconfig', ...place, 'KeepDaily', '1']],
      ['sonic', ['chpass', ...place, '--newpassword=of another test']],
      ['sonic', ['copy', ...place, '--to', path.join(home, 'copy'), '--create']],
    ];
    for (const [tool, args] of refused) {
      const { status, stderr } = await lab.run(tool, args);
      t.is(status, 1, `${args[0]}: ${stderr}`);
      t.regex(stderr, /\[NOT_PERMITTED\]/);
    }
    const other = await lab.run('tardis', [...place, '-C', 'other', '--create', source]);
    t.regex(other.stderr, /serves "me" only \[NO_SUCH_CLIENT\]/);
    way.force(`tardisd --stdio --restrict add -D ${store}`);
    const created = await lab.run('tardis', [...place, '-C', 'other', '--create', source]);
    t.regex(created.stderr, /AllowNewHosts.*\[NOT_PERMITTED\]/);
    way.force(`tardisd --stdio --restrict list,read -D ${store}`);
    t.regex((await lab.run('tardis', [...place, source])).stderr, /right "add".*\[NOT_PERMITTED\]/);
    t.regex(await lab.succeed('lstardis', place), /complete/);
    way.force(undefined);
    t.deepEqual(
      (await listedSets(lab.store, 'me', [WORD])).map(({ set, state }) => [set, state]),
      [
        [1, 'complete'],
        [2, 'complete'],
      ],
    );
  }),
);

test(
  'a backup whose ssh is killed again and again finishes by itself',
  byEachSsh(async (lab, t) => {
    const { place, source, way } = lab;
    makeTree(
      path.join(source, 'more'),
      Array.from({ length: 12 }, (_, at) => file(`large ${at}`, noise(at, 2 * MIB))),
    );
    const args = ['--create', '--json', '--bandwidth-limit', '4M', ...place, source];
    const running = new Running('tardis', args, { env: way.env });
    const bytes = (): number => sizeOf(lab.store);
    for (const wanted of [4, 10]) {
      await running.until(`${wanted} MiB`, () => bytes() > wanted * MIB);
      let connections: readonly number[] = [];
      await running.until('a connection', () => {
        connections = processesLike(way.client).filter((pid) => pid !== running.pid);
        return connections.length > 0;
      });
      for (const pid of connections) kill(pid);
    }
    const { stdout, stderr } = exited(t, 0, await running.ended);
    const { restarts } = JSON.parse(stdout) as { readonly restarts: number };
    t.true(restarts > 0, stderr);
    const out = path.join(lab.home, 'out');
    await lab.succeed('regenerate', [...place, '-o', out, source]);
    t.deepEqual(differences(look(source), look(path.join(out, 'tree'))), []);
  }),
);

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // it ended
  }
}

test('clients by ssh share a store with each other and with a tardisd; one client has one backup at a time', async (t) => {
  const lab = labOf(t, sshStub(t));
  const { place, source, store, way } = lab;
  await lab.succeed('tardis', ['--create', ...place, source]);
  const server = await Server.start(store);

  t.teardown(() => server.kill());
  const beside = { env: way.env, isProcess: true } as const;
  await Promise.all([
    succeed('tardis', [...place, '-C', 'two', '--create', source], beside),
    succeed('tardis', [...place, '-C', 'three', '--create', source], beside),
    succeed('tardis', [...server.clientArgs, '-C', 'me', WORD, source]),
  ]);
  makeTree(path.join(source, 'more'), [file('large', noise('large', 12 * MIB))]);
  const slow = ['--bandwidth-limit', '100k', ...server.clientArgs, '-C', 'me', WORD, source];
  const begun = (): number => server.running.stderr.split('session begins').length;
  const before = begun();
  const long = new Running('tardis', slow);
  await long.until('its session', () => begun() > before);
  t.regex(exited(t, 11, await lab.run('tardis', [...place, source])).stderr, /\[CLIENT_BUSY\]/);
  t.regex(await lab.succeed('lstardis', place), /complete/, 'readers need no lock');
  t.is((await long.endedBy('SIGINT')).status, 130);
  exited(t, 0, await runWhenFree('tardis', [...place, source], { env: way.env }));
  const states = (await listedSets(store, 'me', [WORD])).map(({ state }) => state);
  t.deepEqual(states, ['complete', 'complete', 'complete']);
  t.regex(await succeed('sonic', ['check', '-D', store, '-C', 'me', WORD]), /No damage found/);
});

test('a server whose client has vanished without a word gives way to the next one', async (t) => {
  const lab = labOf(t, sshStub(t));
  const { place, source, way } = lab;
  await lab.succeed('tardis', ['--create', ...place, source]);
  makeTree(path.join(source, 'more'), [file('large', noise('large', 40 * MIB))]);
  const stalled = new Running('tardis', ['--bandwidth-limit', '2M', ...place, source], {
    env: way.env,
  });
  t.teardown(() => stalled.signalGroup('SIGKILL'));
  const before = sizeOf(lab.store);
  await stalled.until('its first bytes', () => sizeOf(lab.store) > before + MIB);
  stalled.signal('SIGSTOP');
  const startMs = performance.now();
  exited(t, 0, await runWhenFree('tardis', [...place, source], { env: way.env }));
  t.false(stalled.hasEnded, 'it was stopped while it had the client');
  t.true(performance.now() - startMs < 60_000, 'long before Timeout');
});

test(
  'a store on another machine is mounted',
  mounted(async (lab, t) => {
    const { env } = sshStub(t);
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const args = ['--server', `ssh://nas${lab.store}`, '-C', 'me', lab.point];
    const { mountsOf } = lab.mounts;
    await succeed('tardisfs', args, { env, mountsOf });
    t.is(fs.readFileSync(path.join(lab.mounts.view(lab.shown), 'a'), 'utf8'), 'content');
    await lab.unmount();
  }),
);
