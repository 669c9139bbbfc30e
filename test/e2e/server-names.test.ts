// Pace: slow
/** Values for --server that are not host names. */
import test from 'ava';
import { backupsRunHere, run, type Tool } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { freePort } from '../support/free-port.js';

backupsRunHere();

const PASSWORD = '--password=gravel-Otter9-lamp';

test('every tool connects to the port that a host has, whatever --port is', async (t) => {
  const { source, at } = lab(t);
  const noRetry = ['--reconnect', '0'];
  const tools: [tool: Tool, ...words: string[]][] = [
    ['tardis', source, ...noRetry],
    ['lstardis', ...noRetry],
    ['regenerate', '-o', at('out'), source, ...noRetry],
    ['tardiff', source, ...noRetry],
    ['sonic', 'list', ...noRetry],
    ['sonic', 'check'],
    ['sonic', 'create', PASSWORD],
  ];
  const port = await freePort();
  for (const host of ['localhost', '[::1]', '127.0.0.1']) {
    for (const [tool, ...words] of tools) {
      const args = [...words, '--server', `${host}:${port}`, '--port', '1', '-C', 'me'];
      const { stderr } = await run(tool, [...args, '--insecure-tcp']);
      t.true(stderr.includes(`:${port}`), `${tool} ${args.join(' ')}: ${stderr}`);
      t.regex(stderr, /\[SERVER_UNREACHABLE\]/);
    }
  }
});

test('a text that names no host is refused, and an address with a zone is one', async (t) => {
  const { source } = lab(t);
  for (const host of [
    'a b',
    'user@host',
    'wss://host',
    'host/way',
    'host:port',
    '1.2.3.999',
    'host:',
    ':7420',
  ]) {
    const { stderr } = await run('tardis', ['--server', host, '-C', 'me', source]);
    t.regex(stderr, /is not a host: Server is a host name.*\[CONFIG_INVALID\]/s, host);
  }
  const web = await run('tardis', ['--server', 'https://host', '-C', 'me', source]);
  t.regex(web.stderr, /is for reading: name the host of a tardisd \[CONFIG_INVALID\]/);
  const zone = ['--server', 'fe80::1%none', '--insecure-network', '-C', 'me', '--reconnect', '0'];
  const { stderr } = await run('tardis', [...zone, '--timeout', '1', source]);
  // If the interface of the zone does not exist, Node.js may wait until the timeout.
  t.regex(stderr, /\[(SERVER_UNREACHABLE|TIMED_OUT)\]/);
});
