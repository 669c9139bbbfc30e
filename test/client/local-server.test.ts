import test from 'ava';
import { startLocalServer } from '../../src/client/index.js';
import { scratch } from '../helpers/scratch.js';

/** Starts a shell with the script in place of a local server. */
const start = (script: string) =>
  startLocalServer({
    store: undefined,
    configFile: undefined,
    profile: undefined,
    command: ['/bin/sh', '-c', script],
  });

test('the error that a local server prints last is its error, even if it is read after the exit', async (t) => {
  const late = '(sleep 0.1; echo "tardisd: no such key [CONFIG_INVALID]" >&2) & exit 1';
  const server = start(late);
  const error = await t.throwsAsync(server.ready);
  await server.close();
  t.like(error, { code: 'CONFIG_INVALID', message: 'the local server: no such key' });
});

test('a program that a local server left behind does not keep its error', async (t) => {
  const folder = scratch(t); // the program ends when it is removed
  const server = start(`(while [ -d '${folder}' ]; do sleep 0.05; done) & echo gone >&2; exit 7`);
  const error = await t.throwsAsync(server.ready);
  await server.close();
  t.like(error, { code: 'SERVER_UNREACHABLE', message: 'the local server ended (7): gone' });
});
