// Pace: slow
/** A distant server: messages that a client sends before the first reply, and links that are cut. */
import type net from 'node:net';
import test from 'ava';
import { type RawData, WebSocketServer } from 'ws';
import { Proxy } from '../../bench/proxy.js';
import { encodeMessage, MESSAGES, PROTOCOL_VERSION } from '../../src/transport/index.js';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  backup,
  run,
  Running,
  runWhenFree,
  Server,
  poolsStayAway,
} from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { dir, file, noise, text } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;

test('the set is opened, and directories are reported, with no answer but the welcome', async (t) => {
  const { source } = lab(t, [dir('a', [file('b', 'c')])]);
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.teardown(() => sockets.close());
  await new Promise((resolve) => sockets.once('listening', resolve));
  const heard: number[] = [];
  sockets.on('connection', (socket) =>
    socket.on('message', (data: RawData) => {
      heard.push((data as Buffer)[0]!);
      if (heard.at(-1) === MESSAGES.heads.number) socket.close(1000);
      if (heard.length > 1) return;
      const [incarnation, software] = [Buffer.alloc(16), 'test'];
      const [proof, keys] = [Buffer.alloc(0), Buffer.alloc(0)];
      const credit = { creditBytes: 1 << 24, proof, keys, quotaBytes: 0, usedBytes: 0 };
      const place = { ticket: Buffer.alloc(16), upTo: 0 };
      const head = { protocol: PROTOCOL_VERSION, software, incarnation, ...credit, ...place };
      socket.send(encodeMessage('welcome', head).head);
    }),
  );
  const { port } = sockets.address() as net.AddressInfo;
  const args = ['-C', 'me', '--insecure-tcp', '--port', String(port), source];
  const { stderr } = exited(t, 1, await run('tardis', args));
  t.regex(stderr, /CONNECTION_LOST/, 'it was not waited for in vain');
  const { hello, acknowledge, openSet, heads } = MESSAGES;
  t.deepEqual(heard.slice(0, 3), [hello.number, acknowledge.number, openSet.number]);
  t.true(heard.includes(heads.number));
});

test('a link with a long round trip gets more bytes in flight, up to LinkBudget', async (t) => {
  const { store, source, at } = lab(t, [file('a', noise(1, 3 * MIB)), file('b', text('b', 5000))]);
  const server = await Server.during(t, store);
  const proxy = await Proxy.start({ host: '127.0.0.1', port: server.port, delayMs: 30 });
  t.teardown(() => proxy.close());
  const there = ['--server', '127.0.0.1', '--port', String(proxy.port), '--insecure-tcp'];
  const budgetOf = async (client: string, ...more: string[]): Promise<number> => {
    const args = [...there, '-C', client, '--create', '--budget', '2M', ...more, source];
    return (await backup(args)).budgetBytes;
  };
  t.is(await budgetOf('none', '--link-budget', '0'), 2 * MIB);
  // A round trip of 60 ms or more makes 9 MB or more.
  t.is(await budgetOf('some', '--link-budget', '5M'), 7 * MIB);
  t.true((await budgetOf('default')) > 10 * MIB);
  const local = ['-D', at('other'), '--local', '--create', '-C', 'me', source];
  t.is((await backup(local)).budgetBytes, 12 * MIB, 'a unix socket is no way');
});

test('a link that is cut leaves what arrived, and the next run sends the rest', async (t) => {
  const files = Array.from({ length: 60 }, (_, index) => file(`f${index}`, noise(index, 100_000)));
  const { store, source, at } = lab(t, [dir('a', files)]);
  const out = at('out');
  const server = await Server.during(t, store);
  const { port } = server;
  const proxy = await Proxy.start({ host: '127.0.0.1', port, delayMs: 1, cutAfterBytes: 3 * MIB });
  t.teardown(() => proxy.close());
  // With at most 1 MiB in flight, the server has received 2 MiB when 3 MiB have been sent.
  const small = ['--budget', '1M', '--link-budget', '0', '--parcel-size', '256K'];
  const there = ['--insecure-tcp', '-C', 'me', '--server', '127.0.0.1'];
  const cut = await run('tardis', [
    ...small,
    ...there,
    '--port',
    String(proxy.port),
    '--reconnect',
    '0',
    '--create',
    source,
  ]);
  t.is(cut.status, 1);
  t.regex(cut.stderr, /CONNECTION_LOST/);
  t.is(proxy.cuts, 1);
  const again = await runWhenFree('tardis', [...there, '--port', String(port), '--json', source]);
  t.is(again.status, 0, again.stderr);
  const { progress } = JSON.parse(again.stdout) as { progress: { contentsSent: number } };
  t.true(progress.contentsSent < 60, 'what had arrived is not sent again');
  await server.stop();
  t.deepEqual(await restoredBy(['-D', store, '-C', 'me'], source, out), []);
});

test('a link that is cut by hand ends a client that waits', async (t) => {
  const { store, source } = lab(t, [file('a', 'a')]);
  const server = await Server.during(t, store);
  // The delay is longer than the test, so nothing gets through.
  const proxy = await Proxy.start({ host: '127.0.0.1', port: server.port, delayMs: 600_000 });
  t.teardown(() => proxy.close());
  const there = ['--server', '127.0.0.1', '--port', String(proxy.port), '--insecure-tcp'];
  const args = [...there, '-C', 'me', '--reconnect', '0', '--create', source];
  const running = new Running('tardis', args);
  await running.until('connection', () => proxy.connections > 0);
  proxy.cut();
  t.regex(exited(t, 1, await running.ended).stderr, /SERVER_UNREACHABLE/);
});
