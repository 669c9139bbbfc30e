// Pace: slow
/** A server whose disk goes away while it runs: its watch reports what it can no longer see, and writes nothing there. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, Server, succeed } from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { readOpenMetrics } from '../helpers/open-metrics.js';
import { file, makeTree } from '../helpers/tree.js';

backupsRunHere();

const read = (at: string): string => (fs.existsSync(at) ? fs.readFileSync(at, 'utf8') : '');

/** The ways by which a store or a client is lost: the command among the mounts, and whether the store is gone. */
const LOSSES = {
  'its disk is unmounted': { args: ['umount', '-l', 'STORE'], isStore: true },
  'an empty disk is mounted over it': {
    args: ['mount', '-t', 'tmpfs', 'tmpfs', 'STORE'],
    isStore: true,
  },
  'an empty disk is mounted over a client': {
    args: ['mount', '-t', 'tmpfs', 'tmpfs', 'STORE/me'],
    isStore: false,
  },
} as const;

for (const [how, { args, isStore }] of Object.entries(LOSSES)) {
  test(`a server reports the clients that it can no longer see: ${how}`, (t) =>
    Mounts.during(t, async (mounts) => {
      const [disk, store] = [mounts.directory('disk'), mounts.directory('store')];
      mounts.run('mount', '--bind', disk, store);
      const at = (name: string): string => path.join(mounts.home, name);
      makeTree(at('tree'), [file('one', 'content')]);
      for (const client of ['me', 'other']) {
        await succeed('sonic', ['create', '-D', disk, '-C', client]);
      }
      const [metrics, reported, mail] = [at('metrics'), at('reported'), at('mail')];
      const words = [
        `MetricsFile = ${metrics}`,
        'MetricsPort = 0',
        'WatchInterval = 1',
        'OverdueFor = me=8',
        'MailTo = ops@example.org',
        `MailCommand = tee -a ${mail}`,
        `HookFailure = sh -c 'echo "$TARDIS_HOOK_CLIENT $TARDIS_HOOK_CODE" >>${reported}'`,
        `HookOverdue = sh -c 'echo "$TARDIS_HOOK_CLIENT overdue" >>${reported}'`,
      ];
      fs.writeFileSync(at('cfg'), `[Tardis]\n${words.join('\n')}\n`);
      const { mountsOf } = mounts;
      const first = await Server.during(t, store, [], { mountsOf });
      for (const client of ['me', 'other']) {
        await backup(['-C', client, ...first.clientArgs, at('tree')]);
      }
      await first.stop(); // the work after a session would write where the test expects nothing
      const server = await Server.during(t, store, ['--config', at('cfg')], { mountsOf });
      const figure = (name: string): number | undefined =>
        readOpenMetrics(read(metrics) || '# EOF\n').get(`tardis_${name}`);
      await server.running.until('figures', () => figure('client_sets{client="other"}') === 1);
      t.is(figure('store_readable'), 1);
      const [, port] = /"port":(\d+),"msg":"metrics/.exec(server.running.stderr)!;
      const health = async () => (await fetch(`http://127.0.0.1:${port}/health`)).status;
      t.is(await health(), 200);

      const code = isStore ? 'NO_SUCH_STORE' : 'NO_SUCH_CLIENT';
      mounts.run(...(args.map((word) => word.replace('STORE', store)) as [string]));
      const isReported = (): boolean =>
        [`me ${code}`, 'me overdue'].every((line) => read(reported).includes(line));
      await server.running.until('both alerts', isReported);
      await server.running.until('figures', () => figure('client_overdue{client="me"}') === 1);
      const others = isStore ? [`other ${code}`] : [];
      t.deepEqual(read(reported).trim().split('\n').sort(), [
        `me ${code}`,
        'me overdue',
        ...others,
      ]);
      t.regex(read(mail), isStore ? /Subject: .*2 clients can no/ : /Subject: .*me can no longer/);
      t.is(figure('client_readable{client="me"}'), 0);
      t.is(figure('client_last_good_set{client="me"}'), 1, 'an alarm by its time goes on');
      t.is(figure('client_readable{client="other"}'), isStore ? 0 : 1);
      t.is(figure('store_readable'), isStore ? 0 : 1);
      t.is(await health(), isStore ? 503 : 200);
      const { stderr } = server.running;
      t.regex(stderr, /"level":50,.*"client":"me",.*"msg":"a client can no longer be seen"/);
      t.is(stderr.match(/"msg":"the store is gone"/g)?.length, isStore ? 1 : undefined);
      const lost = mounts.view(isStore ? store : path.join(store, 'me'));
      t.deepEqual(fs.readdirSync(lost), [], 'nothing is written in place of what is gone');

      if (args[0] === 'umount') mounts.run('mount', '--bind', disk, store);
      else mounts.run('umount', isStore ? store : path.join(store, 'me'));
      await server.running.until('figures', () => figure('client_readable{client="me"}') === 1);
      t.is(figure('store_readable'), 1);
      t.is(await health(), 200);
      t.regex((await server.stop()).stderr, /"client":"me","msg":"a client can be seen again"/);
    }));
}
