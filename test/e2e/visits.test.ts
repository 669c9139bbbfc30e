// Pace: slow
/** The lines that a server on a terminal prints about its clients. */
import fs from 'node:fs';
import test from 'ava';
import { Running, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { until } from '../helpers/until.js';

test('a server on a terminal shows clients that come and go, and is quiet in a pipe', async (t) => {
  const { at, store, source, place } = lab(t);
  await succeed('sonic', ['create', ...place]);
  const [socket, pidFile] = [at('socket'), at('pid')];
  const words = ['-D', store, '--local', socket, '--pidfile', pidFile];
  const visit = async (isSeen = (): boolean => true): Promise<void> => {
    const to = ['--server', socket, '-C', 'me'];
    await until(() => fs.existsSync(socket));
    await succeed('tardis', [...to, source]);
    await until(isSeen); // the session of a backup may end after its client
    await succeed('lstardis', [...to, source]);
  };

  const terminal = runOnTerminal('tardisd', words, []);
  await visit(() => terminal.soFar().includes(': a complete backup; '));
  process.kill(Number(fs.readFileSync(pidFile, 'utf8')), 'SIGTERM');
  const { shown } = await terminal;
  const lines = shown.split(/\r?\n/).filter((line) => line.includes('me (this machine): '));
  t.is(lines.length, 2, shown);
  t.regex(
    lines[0]!,
    /^\d{4}-.*: a complete backup; received [\d.]+ k?B, sent [\d.]+ k?B, [\d.]+ s$/,
  );
  t.regex(lines[1]!, /: has read; /);

  const piped = new Running('tardisd', words);
  t.teardown(() => piped.signalGroup('SIGKILL'));
  await visit();
  const { stdout } = await piped.endedBy('SIGTERM');
  t.true(stdout.includes('Ready: '));
  t.false(stdout.includes('this machine): '), stdout);
});
