import test from 'ava';
import { startLocalServer } from '../../src/client/index.js';
import { type Address, nodeSystem } from '../../src/system/index.js';
import { connect, DEFAULT_LINK } from '../../src/transport/index.js';
import { scratch } from '../helpers/scratch.js';

/** Starts a shell with the script in place of a local server, and returns the error of a connection to it. */
async function errorOf(script: string): Promise<Error | undefined> {
  const server = startLocalServer(['/bin/sh', '-c', script], new Map());
  try {
    await connect(nodeSystem(), server.address as Address, DEFAULT_LINK);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await server.close();
  }
}

test('the error that a local server prints last is its error, even if it is read after the exit', async (t) => {
  const late = '(sleep 0.1; echo "tardisd: no such key [CONFIG_INVALID]" >&2) & exit 1';
  const error = await errorOf(late);
  t.like(error, { code: 'CONFIG_INVALID', message: 'the local server: no such key' });
});

test('a program that a local server left behind does not keep its error', async (t) => {
  const folder = scratch(t); // the program ends when it is removed
  const left = `while [ -d '${folder}' ]; do sleep 0.05; done`;
  const error = await errorOf(`(${left}) & echo gone >&2; exit 7`);
  t.like(error, { code: 'SERVER_UNREACHABLE', message: 'the local server ended (7): gone' });
});

test('a local server that prints to its connection is told so', async (t) => {
  const error = await errorOf('echo hello; sleep 0.1');
  t.like(error, {
    code: 'SERVER_UNREACHABLE',
    message: 'the local server printed "hello" to its standard output, which is its connection',
  });
});

test('a command of a local server that is not there is named', async (t) => {
  const server = startLocalServer(['/nowhere/tardisd'], new Map());
  await t.throwsAsync(connect(nodeSystem(), server.address as Address, DEFAULT_LINK), {
    message:
      'the local server cannot run: `/nowhere/tardisd` was not started: there is none on this machine',
  });
  await server.close();
});
