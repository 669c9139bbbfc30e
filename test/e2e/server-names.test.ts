/** Values for --server that are not host names. */
import test from 'ava';
import { backupsRunHere, run, type Tool } from '../helpers/commands.js';
import { lab } from '../helpers/settings.js';

backupsRunHere();

const PASSWORD = '--password=gravel-Otter9-lamp';

test('a host with its port is refused by every tool with the option to write', async (t) => {
  const { source, at } = lab(t);
  const tools: [tool: Tool, ...words: string[]][] = [
    ['tardis', source],
    ['lstardis'],
    ['regenerate', '-o', at('out'), source],
    ['tardiff', source],
    ['sonic', 'list'],
    ['sonic', 'check'],
    ['sonic', 'create', PASSWORD],
  ];
  for (const host of ['localhost:7999', '[::1]:7999', '10.0.0.1:7999']) {
    for (const [tool, ...words] of tools) {
      const args = [...words, '--server', host, '-C', 'me'];
      const { status, stderr } = await run(tool, args);
      t.is(status, tool === 'tardiff' ? 2 : 1, `${tool} ${args.join(' ')}: ${stderr}`);
      t.true(stderr.includes(`"${host}" is not a host: give the port with --port 7999`), stderr);
      t.regex(stderr, /\[CONFIG_INVALID\]/);
    }
  }
});

test('a text that names no host is refused, and an address with a zone is one', async (t) => {
  const { source } = lab(t);
  for (const host of ['a b', 'user@host', 'wss://host', 'host/way', 'host:port', '1.2.3.999']) {
    const { stderr } = await run('tardis', ['--server', host, '-C', 'me', source]);
    t.regex(stderr, /is not a host: Server is a host name.*\[CONFIG_INVALID\]/s, host);
  }
  const web = await run('tardis', ['--server', 'https://host', '-C', 'me', source]);
  t.regex(web.stderr, /is for reading: name the host of a tardisd \[CONFIG_INVALID\]/);
  const zone = ['--server', 'fe80::1%none', '--insecure-network', '-C', 'me', '--reconnect', '0'];
  const { stderr } = await run('tardis', [...zone, source]);
  // If the interface of the zone does not exist, Node.js may wait until the timeout.
  t.regex(stderr, /\[(SERVER_UNREACHABLE|TIMED_OUT)\]/);
});
