// Pace: slow
/** Settings of a server that are read again while it runs. */
import test from 'ava';
import { run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

test('a server takes changed settings at a SIGHUP, and keeps the former ones if they are invalid', async (t) => {
  const { store, source, written } = lab(t);
  const write = (...lines: string[]): string =>
    written('tardisd.cfg', ['[Tardis]', ...lines, ''].join('\n'));
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const config = write('RequirePassword = no');
  const server = await Server.during(t, store, ['--config', config]);
  const { running } = server;
  const reload = async (text: string): Promise<void> => {
    const before = running.stderr.length;
    running.signal('SIGHUP');
    await running.until(text, () => running.stderr.slice(before).includes(text));
  };
  const backup = () => run('tardis', [...server.clientArgs, '-C', 'me', source]);
  t.is((await backup()).status, 0);
  write('RequirePassword = yes', 'RemoveAfter = 99');
  await reload('["requirePassword","removeAfterSeconds"],"msg":"changed settings are in use');
  const refused = await backup();
  t.regex(refused.stderr, /password/i);
  t.not(refused.status, 0);
  write('RequirePassword = maybe');
  await reload('the settings cannot be read again');
  t.is((await backup()).status, refused.status);
  write('RequirePassword = no', 'Address = 127.0.0.9');
  await reload('["listenAddress"],"msg":"these settings changed, and need a restart');
  t.is((await backup()).status, 0);
});
