// Pace: slow
/** The program tardisremote in front of a tardisd, as an operator starts both. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, poolsStayAway, run, Running, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

const LISTEN = ['--port', '0', '--insecure-tcp'];

test('tardisremote serves the clients of a tardisd to their tokens', async (t) => {
  const { store, source, at } = lab(t);
  fs.writeFileSync(path.join(source, 'letter.txt'), 'dear all');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const account = ['account', '-D', store, '-C', 'me', '--json', '--add', 'script', '--token'];
  const made = await succeed('sonic', [...account, '--rights', 'list,read']);
  const { token } = JSON.parse(made) as { token: string };
  const file = at('tardisd.cfg');
  const lines = [
    `BaseDir = ${store}`,
    'Port = 0',
    'Address = 127.0.0.1',
    'Verbose = 1',
    'SSL = yes',
  ];
  lines.push(`CertFile = ${at('cert.pem')}`, `KeyFile = ${at('key.pem')}`, 'MakeCertificate = yes');
  fs.writeFileSync(file, `[Tardis]\n${lines.join('\n')}\n`);
  const server = new Running('tardisd', ['--config', file]);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its port', () => /127\.0\.0\.1:\d+/.test(server.stderr));
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(server.stderr)!;

  const config = at('tardisremote.cfg');
  const keys = [`Server = localhost:${port}`, `ServerCertificate = ${at('cert.pem')}`];
  fs.writeFileSync(config, `[Tardis]\n${keys.join('\n')}\n`);
  const remote = new Running('tardisremote', ['--config', config, ...LISTEN, '--json']);
  t.teardown(() => remote.signalGroup('SIGKILL'));
  await remote.until('its line', () => remote.stdout.includes('\n'));
  const { ready, server: named } = JSON.parse(remote.stdout) as Record<string, string>;
  t.is(named, `localhost:${port}`);
  const base = `${ready}api/v1/clients/me/sets/latest/content`;
  const url = `${base}?path=${encodeURIComponent(path.join(source, 'letter.txt'))}`;
  const ask = (bearer: string): Promise<Response> =>
    fetch(url, { headers: { authorization: `Bearer ${bearer}` } });
  t.is(await (await ask(token)).text(), 'dear all');
  t.is((await ask(`me/script/${'A'.repeat(43)}`)).status, 401);
  t.false(remote.stderr.includes(token));
  t.false(server.stderr.includes(token));

  await server.endedBy('SIGTERM');
  const gone = await ask(token);
  t.is(gone.status, 503);
  t.is(gone.headers.get('retry-after'), '5');
  t.is((await remote.endedBy('SIGTERM')).status, 0);
});

test('tardisremote refuses a server or a certificate that cannot be', async (t) => {
  const { at } = lab(t);
  fs.writeFileSync(at('no-certificate'), 'text');
  for (const words of [
    ['--server', 'http://host/'],
    ['--server', 'host:0'],
    ['--server', 'host:70000'],
    ['--server', 'a b'],
    ['--server', 'host', '--server-certificate', at('missing')],
    ['--server', 'host', '--server-certificate', at('no-certificate')],
    ['--server', 'host', '--trusted-proxies', '10.0.0.0/0'],
    ['--server', 'host', '--trusted-proxies', 'proxy.example'],
  ]) {
    const { stderr } = await run('tardisremote', [...words, ...LISTEN]);
    t.regex(stderr, /\[CONFIG_INVALID\]/, words.join(' '));
  }
});
