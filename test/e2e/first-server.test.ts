// Pace: slow
/** From the first start of a server to the backup of a second machine, by following what the server prints. */
import fs from 'node:fs';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { run, Running, succeed, poolsStayAway } from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';

poolsStayAway();

const WORD = '--password=gravel-Otter9-lamp';

test('a server prints that it is ready and what to type, and that leads to a backup of a second machine', async (t) => {
  const { store, source, at } = lab(t);
  const env = { XDG_CONFIG_HOME: at('config') };
  const args = ['-D', store, '--port', '0', '--address', '127.0.0.1'];
  const server = new Running('tardisd', [...args, '--create'], { env });
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its lines', () => /tardis --server .*\n/.test(server.stdout));
  t.regex(server.stdout, /^Ready: 127\.0\.0\.1:\d+, TLS, store /);
  t.is(server.stderr, '');
  t.regex(server.stdout, /^The store is new: \/.*, on .* \(mounted at \/.*\)\.$/m);
  t.true(fs.statSync(store).isDirectory());
  const lineOf = (tool: string): string[] => {
    const line = server.stdout.split('\n').find((one) => one.startsWith(`  ${tool} `))!;
    return line.trim().split(' ').slice(1);
  };
  const make = lineOf('sonic').map((word) => (word === 'NAME' ? 'laptop' : word));
  const save = lineOf('tardis').map((word) => (word === 'NAME' ? 'laptop' : word));
  t.deepEqual(make, ['create', '-D', store, '-C', 'laptop', '--password']);
  t.deepEqual(save.slice(-3), ['laptop', '-P', '~']);
  const typed = (words: string[]): string[] =>
    words.map((word) => (/^(-P|--password)$/.test(word) ? WORD : word === '~' ? source : word));

  // The first attempts of a new user fail with an error that names the right commands.
  const early = exited(t, 1, await run('tardis', ['--create', ...typed(save)]));
  t.regex(early.stderr, /sonic create -D STORE -C laptop --password\), and omit --create \[CERT/);
  const blind = await run('tardis', ['--create', '--no-validate-certs', ...typed(save)]);
  t.regex(
    blind.stderr,
    /lets no session create .*`sonic create .*AllowNewHosts.* \[NOT_PERMITTED\]/,
  );

  await succeed('sonic', typed(make));
  await succeed('tardis', typed(save));
  const way = typed(save).slice(0, -1);
  t.deepEqual(await restoredBy(way, source, at('out')), []);

  const certificate = at('config', 'tardis', 'tardisd-cert.pem');
  const made = fs.readFileSync(certificate);
  t.is(fs.statSync(at('config', 'tardis', 'tardisd-key.pem')).mode & 0o777, 0o600);
  await server.endedBy('SIGTERM');
  const again = new Running('tardisd', [...args, '--json'], { env });
  t.teardown(() => again.signalGroup('SIGKILL'));
  await again.until('its line', () => again.stdout.includes('\n'));
  t.like(JSON.parse(again.stdout), { version: 1, store, isStoreNew: false });
  t.deepEqual(fs.readFileSync(certificate), made, 'a client that knows the server meets it again');
  await again.endedBy('SIGTERM');
});

test('a server makes no store below a directory that is missing too', async (t) => {
  const { at } = lab(t);
  const args = ['-D', at('none', 'store'), '--port', '0', '--insecure-tcp'];
  t.regex(exited(t, 10, await run('tardisd', args)).stderr, /\[NO_SUCH_STORE\]/);
  t.false(fs.existsSync(at('none')));
});
