// Pace: slow
/** A first connection that fails is retried like a lost one, if a retry may help. */
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import {
  backupsRunHere,
  run,
  Running,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { codeIn, exited } from '../helpers/codes.js';
import { lab } from '../helpers/lab.js';
import { look } from '../helpers/tree.js';
import { freePort } from '../support/free-port.js';
import { listening } from '../helpers/listener.js';

backupsRunHere();
poolsStayAway();

const PASSWORD = '--password=of this test';
const TRIED_AGAIN = /trying again/;

test('a backup and a restore wait for a server that is not there yet', async (t) => {
  const { store, source, at } = lab(t);
  const port = String(await freePort());
  const there = ['--server', '127.0.0.1', '--port', port, '--insecure-tcp', '-C', 'me', PASSWORD];
  const waits = async (command: Running): Promise<void> => {
    await command.until('second attempt', () => TRIED_AGAIN.test(command.stderr));
    t.regex(
      command.stderr,
      /cannot reach the server at 127\.0\.0\.1:\d+: .*, trying again in \d+ s, and for 10 min 0 s in all \(--reconnect\)$/m,
    );
  };
  const saving = new Running('tardis', [...there, '--create', source]);
  await waits(saving);
  const server = await Server.during(t, store, ['--port', port]);
  exited(t, 0, await saving.ended);
  await server.stop();

  const out = at('out');
  const commands = [
    new Running('lstardis', [...there, source]),
    new Running('regenerate', [...there, '-o', out, source]),
    new Running('tardiff', [...there, '-r', source]),
    new Running('sonic', ['diff', ...there, '1', '1']),
  ];
  for (const command of commands) await waits(command);
  await Server.during(t, store, ['--port', port]);
  for (const command of commands) {
    exited(t, 0, await command.ended);
  }
  t.deepEqual(look(at('out', 'tree')), look(source));
});

test('a client that is made while its server starts is not taken for one of this run', async (t) => {
  const { store, source, place } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const port = String(await freePort());
  const there = ['--server', '127.0.0.1', '--port', port, '--insecure-tcp', '-C', 'me'];
  const command = new Running('tardis', [...there, '--create', source]);
  await command.until('second attempt', () => TRIED_AGAIN.test(command.stderr));
  await Server.during(t, store, ['--port', port]);
  const outcome = await command.ended;
  t.is(codeIn(outcome), 'CLIENT_EXISTS', outcome.stderr);
});

/** Listens in front of a server, as a proxy does. The answer to each of the first connections is one of these statuses. */
async function proxy(t: ExecutionContext, behind: number, statuses: string[]): Promise<number> {
  const front = net.createServer((near) => {
    const status = statuses.shift();
    near.on('error', () => near.destroy());
    if (status !== undefined) {
      near.once('data', () => near.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`));
      return;
    }
    const far = net.connect(behind, '127.0.0.1');
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  return listening(t, front);
}

test('a proxy whose server is away for a moment is tried again', async (t) => {
  const { store, source } = lab(t);
  const server = await Server.during(t, store);
  const words = ['--insecure-tcp', '-C', 'me', PASSWORD];
  const through = async (...statuses: string[]): Promise<string[]> => {
    const port = await proxy(t, server.port, statuses);
    return ['--server', '127.0.0.1', '--port', String(port), ...words];
  };
  const away = ['502 Bad Gateway', '503 Busy', '429 Slow\r\nretry-after: 2', '504 Late'];
  const saved = await run('tardis', [...(await through(...away)), '--create', source]);
  t.is(saved.status, 0, saved.stderr);
  t.is(saved.stderr.match(/the answer is HTTP status \d+, trying again/g)?.length, away.length);
  t.regex(saved.stderr, /status 429, trying again in 2 s/);
  const listed = exited(t, 0, await run('lstardis', [...(await through('503 Busy')), source]));
  t.regex(listed.stderr, TRIED_AGAIN);
  for (const [status, ...more] of [
    ['404 Not Found'],
    ['503 Busy\r\nretry-after: 60', '--reconnect', '2'], // longer than the user waits
  ] as const) {
    const refused = await run('tardis', [...(await through(status)), ...more, source]);
    t.is(codeIn(refused), 'SERVER_UNREACHABLE', refused.stderr);
    t.notRegex(refused.stderr, TRIED_AGAIN);
  }
});

test('what waiting cannot mend ends the first connection at once', async (t) => {
  const { store, source, at, written } = lab(t);
  const config = written('cfg', '[Tardis]\nAddress = 127.0.0.1\n');
  const pair = ['--certfile', at('cert'), '--keyfile', at('key'), '--make-certificate'];
  const server = await Server.during(t, store, ['--config', config, '--ssl', ...pair]);
  const mute = net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const noServer = await listening(t, mute);
  const nobody = String(await freePort());
  const to = (host: string, port: number | string): string[] => {
    return ['--server', host, '--port', String(port), '-C', 'me'];
  };
  const here = to('127.0.0.1', server.port);
  await succeed('tardis', [...here, '--create', '--no-validate-certs', PASSWORD, source]);
  const refused: readonly (readonly [code: string, args: readonly string[]])[] = [
    ['SERVER_UNREACHABLE', [...to('no..host', 7420), PASSWORD]], // an invalid host name
    ['SERVER_UNREACHABLE', [...to('127.0.0.1', noServer), '--insecure-tcp']],
    ['SERVER_UNREACHABLE', [...to('127.0.0.1', noServer), PASSWORD]], // not a TLS server
    ['CERTIFICATE_REFUSED', [...here, '--validate-certs', PASSWORD]],
    ['LOGIN_FAILED', [...here, '--password=wrong']],
    ['SERVER_UNREACHABLE', [...to('127.0.0.1', nobody), PASSWORD, '--reconnect', '0']],
    // No option names this server, so it may not exist at all.
    ['SERVER_UNREACHABLE', ['--port', nobody, '-C', 'me', PASSWORD]],
  ];
  for (const [code, args] of refused) {
    const outcome = await run('tardis', [...args, source]);
    t.is(codeIn(outcome), code, `${args.join(' ')}: ${outcome.stderr}`);
    t.notRegex(outcome.stderr, TRIED_AGAIN);
  }
});

test('a login that must wait after wrong passwords is tried again when it may succeed', async (t) => {
  const { store, source, written } = lab(t);
  const server = await Server.during(t, store);
  const here = ['--server', '127.0.0.1', '--port', String(server.port), '--insecure-tcp'];
  const there = [...here, '-C', 'me'];
  const password = ['--password-file', written('password', 'of this test')];
  await succeed('tardis', [...there, ...password, '--create', source]);
  // A login that succeeds ends the count of failures, so all of them are wrong until one must wait.
  const wrong = ['--password-file', written('wrong', 'not of this test'), '--reconnect', '0'];
  let code = 'LOGIN_FAILED';
  for (let tries = 0; code === 'LOGIN_FAILED' && tries < 20; tries += 1) {
    code = codeIn(await run('lstardis', [...there, ...wrong])) ?? '';
  }
  t.is(code, 'TOO_MANY_ATTEMPTS');
  const { stderr } = exited(t, 0, await run('lstardis', [...there, ...password]));
  t.regex(stderr, /too many failed logins: wait \d+ s, trying again in/);
});

test('Reconnect bounds the first connection too, also to a name that is not known yet', async (t) => {
  const { source } = lab(t);
  const there = ['--server', '127.0.0.1', '--port', String(await freePort()), '--insecure-tcp'];
  const args = [...there, '-C', 'me', '--reconnect', '1.5', source];
  const port = String(await freePort());
  const web = ['--server', `https://127.0.0.1:${port}`, '-C', 'me', '--reconnect', '1.5', source];
  const unknown = ['--server', 'nobody.invalid', '-C', 'me', '--reconnect', '1.5'];
  for (const [tool, words] of [
    ['tardis', args],
    ['lstardis', args],
    ['lstardis', web],
    ['lstardis', unknown],
    ['tardis', [...unknown, source]],
  ] as const) {
    const outcome = exited(t, 1, await run(tool, words));
    t.is(codeIn(outcome), 'SERVER_UNREACHABLE', outcome.stderr);
    t.regex(outcome.stderr, TRIED_AGAIN);
  }
});
