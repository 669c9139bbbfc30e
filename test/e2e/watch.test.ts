// Pace: slow
/** Reports of a server about its clients (alerts, metrics, profiles), by option and key. */
import fs from 'node:fs';
import net from 'node:net';
import test from 'ava';
import {
  backup,
  backupsRunHere,
  run,
  Server,
  poolsStayAway,
  succeed,
} from '../helpers/commands.js';
import { readOpenMetrics } from '../helpers/open-metrics.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const read = (file: string): string => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');

/** Returns the status of an answer to a request for the metrics that names a host. */
async function statusFor(port: number, host: string | undefined): Promise<number> {
  const socket = net.connect(port, '127.0.0.2');
  const line = host === undefined ? '' : `Host: ${host}\r\n`;
  socket.end(`GET /metrics HTTP/1.0\r\n${line}\r\n`);
  let answer = '';
  for await (const bytes of socket) answer += String(bytes);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

test('a client is overdue after OverdueAfter or OverdueFor, with one alert', async (t) => {
  const { at, store, source, written } = lab(t);
  const text =
    `[Tardis]\nOverdueAfter = 1\nOverdueFor = other=999999\nWatchInterval = 1\nMailTo = ops@example.org\n` +
    `MailCommand = tee -a ${at('mail')}\nHookOverdue = sh -c 'echo "$TARDIS_HOOK_CLIENT" >>${at('told')}'\n`;
  const server = await Server.during(t, store, ['--config', written('cfg', text)]);
  for (const client of ['me', 'other']) {
    await backup(['--create', '-C', client, ...server.clientArgs, source]);
  }
  await server.running.until('mail', () => read(at('mail')).includes('Subject: '));
  await server.running.until('second look', () => server.running.stderr.includes('overdue'));
  t.is(read(at('told')), 'me\n');
  t.regex(
    read(at('mail')),
    /^To: ops@example\.org\nSubject: tardisd: the backup of me is overdue$/m,
  );
  t.regex((await server.stop()).stderr, /"level":50,.*"client":"me".*"msg":"overdue"/);
  for (const wrong of [
    ['--overdue-for', 'me'],
    ['--overdue-for', '../x=1'],
    ['--hook-overdue', 'true'],
  ]) {
    t.regex(
      (await run('tardisd', ['-D', store, '--insecure-tcp', ...wrong])).stderr,
      /CONFIG_INVALID/,
    );
  }
});

test('a client of OverdueFor that the store lacks is named', async (t) => {
  const { store, place, written } = lab(t);
  await succeed('sonic', ['create', ...place]);
  const config = written('cfg', '[Tardis]\nOverdueFor = mee=5\n');
  const server = await Server.during(t, store, ['--config', config]);
  const named = '"clients":["mee"],"msg":"OverdueFor names clients that are not in the store"';
  await server.running.until('warning', () => server.running.stderr.includes(named));
  t.is((await server.stop()).status, 0);
});

test('all clients are examined every WatchInterval', async (t) => {
  const { at, store, source, written } = lab(t);
  const file = at('tardis.prom');
  const text = `[Tardis]\nMetricsFile = ${file}\nWatchInterval = 1\n`;
  const server = await Server.during(t, store, ['--config', written('cfg', text)]);
  await backup(['--create', '-C', 'me', ...server.clientArgs, source]);
  // This is long before the look that follows a session.
  await server.running.until('look', () => read(file).includes('last_good_set{client="me"} 1\n'));
  const first = readOpenMetrics(read(file)).get('tardis_last_look_timestamp_seconds');
  const isLater = (): boolean =>
    readOpenMetrics(read(file)).get('tardis_last_look_timestamp_seconds') !== first;
  await server.running.until('later look', isLater);
  t.pass();
});

test('MetricsFile and MetricsPort publish metrics of clients and server', async (t) => {
  const { at, store, source } = lab(t);
  await backup(['-D', store, '--create', '-C', 'me', '--local', source]);
  const args = [
    '--metrics-file',
    at('m.prom'),
    '--metrics-port',
    '0',
    '--metrics-address',
    '127.0.0.2',
  ];
  const server = await Server.during(t, store, args);
  const port = /"port":(\d+),"msg":"metrics/.exec(server.running.stderr)![1]!;
  await server.running.until('file', () => fs.existsSync(at('m.prom')));
  const url = `http://127.0.0.2:${port}`;
  const accept = 'application/openmetrics-text; version=1.0.0';
  const response = await fetch(`${url}/metrics`, { headers: { accept } });
  t.is(response.headers.get('content-type'), `${accept}; charset=utf-8`);
  const values = readOpenMetrics(await response.text());
  t.is(values.get('tardis_client_last_good_entries{client="me"}'), 3);
  t.is(values.get('tardis_client_last_good_unread_entries{client="me"}'), 0);
  t.deepEqual([...readOpenMetrics(read(at('m.prom'))).keys()], [...values.keys()]);
  const plain = await fetch(`${url}/metrics`);
  t.regex(plain.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  t.is((await fetch(`${url}/`)).status, 404);
  // A page of another site can give a name of its own the address of this machine.
  for (const [host, status] of [
    [`evil.example:${port}`, 403],
    ['evil.example', 403],
    [`127.0.0.2.evil.example:${port}`, 403],
    [`127.0.0.2:${port}`, 200],
    ['localhost:4711', 200], // a tunnel
    [undefined, 200], // a load balancer by HTTP/1.0
  ] as const) {
    t.is(await statusFor(Number(port), host), status, host);
  }
  t.is((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 405);
  const second = await run('tardisd', [
    '-D',
    store,
    '--insecure-tcp',
    '--port',
    '0',
    '--metrics-port',
    port,
    '--metrics-address',
    '127.0.0.2',
  ]);
  t.regex(
    second.stderr,
    /cannot give out metrics on 127\.0\.0\.2:\d+: .*\(EADDRINUSE\) \[LISTEN_FAILED\]/,
  );
  const wrong = await run('tardisd', [
    '-D',
    store,
    '--insecure-tcp',
    '--metrics-address',
    'localhost',
  ]);
  t.regex(wrong.stderr, /MetricsAddress must be an IP address.*CONFIG_INVALID/);
  t.is((await server.stop()).status, 0);
});

test('a session that comes to no complete set is reported by the server', async (t) => {
  const { at, store, source, written } = lab(t);
  const reported = at('told');
  const text = `[Tardis]\nHookFailure = sh -c 'echo "$TARDIS_HOOK_CLIENT $TARDIS_HOOK_MESSAGE" >>${reported}'\nParkTimeout = 0\n`;
  const server = await Server.during(t, store, ['--config', written('cfg', text)]);
  await backup(['--create', '-C', 'me', ...server.clientArgs, source]);
  fs.writeFileSync(`${source}/big`, noise(1, 1 << 20));
  const limit = ['--bandwidth-limit', '1K', '--compress-data', 'none'];
  const broken = run('tardis', ['-C', 'me', ...server.clientArgs, ...limit, source], {
    timeoutMs: 3000,
  });
  await t.throwsAsync(broken); // it is killed
  await server.running.until('failure', () => read(reported) !== '');
  t.is(read(reported), 'me the session was over before its set was complete\n');
});

/** Returns, for each `.cpuprofile` of a part, the number of samples in functions of matching files. */
function samplesIn(folder: string, part: string, file: RegExp): number[] {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(`-${part}.cpuprofile`));
  return names.sort().map((name) => {
    const profile = JSON.parse(read(`${folder}/${name}`)) as {
      nodes: { id: number; callFrame: { url: string } }[];
      samples: number[];
    };
    const ours = profile.nodes.filter(({ callFrame }) => file.test(callFrame.url));
    const ids = new Set(ours.map(({ id }) => id));
    return profile.samples.filter((id) => ids.has(id)).length;
  });
}

test('Profile writes a profile of each session, and ProfilesKept limits their number', async (t) => {
  const { at, store, source, written } = lab(t);
  fs.writeFileSync(`${source}/large`, noise(1, 8 << 20));
  const config = written('cfg', '[Tardis]\nProfile = yes\nProfilesKept = 2\n');
  const server = await Server.during(t, store, ['--config', config], { isProcess: true });
  const to = (client: string): string[] => ['-C', client, ...server.clientArgs, source];
  await backup(['--create', ...to('first')]);
  await Promise.all(['a', 'b'].map((client) => backup(['--create', ...to(client)])));
  t.is((await server.stop()).status, 0);
  const folder = at('store', '.profiles');
  const kept = fs.readdirSync(folder).sort();
  t.is(kept.length, 4);
  t.false(kept.some((name) => name.includes('-first-')));
  t.true(kept.every((name) => (fs.statSync(`${folder}/${name}`).mode & 0o777) === 0o640));
  for (const part of ['server', 'storage']) {
    const samples = samplesIn(folder, part, /dist\/bundle/);
    t.true(samples.reduce((sum, count) => sum + count, 0) > 0, part);
  }
  // A profile that cannot be written ends no session.
  fs.rmSync(folder, { recursive: true });
  fs.writeFileSync(folder, 'in the way');
  const again = await Server.during(t, store, ['--profile-sessions']);
  await backup(['-C', 'first', ...again.clientArgs, source]);
  const { stderr } = await again.stop();
  t.is(stderr.match(/"no profile of the session was made"/g)?.length, 2);
  t.true(fs.statSync(folder).isFile());
});
