// Pace: slow
/** The bandwidth limit of a client, by command. Only a lower bound of the time can be tested. */
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, run } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, noise } from '../helpers/tree.js';

backupsRunHere();

test('BandwidthLimit slows down sending', async (t) => {
  const { source, place: own } = lab(t, [
    dir('a', [file('1', noise(1, 250_000)), file('2', noise(2, 250_000))]),
    file('large', noise(3, 1_500_000)),
  ]);
  const place = [...own, '--local', '--create'];
  const limited = await backup([...place, '--bandwidth-limit', '*=500K', source]);
  // The limit delays all but the burst and the last message, for which the client does not wait.
  t.true(limited.elapsedMs > 1000, `${limited.elapsedMs} ms`);
  t.true(limited.wireBytes > 2_000_000);
});

test('a limit that is none is refused before anything is started', async (t) => {
  const home = scratchInMemory(t);
  const { status, stderr } = await run('tardis', [
    '-D',
    path.join(home, 'store'),
    '--local',
    '--create',
    '--bandwidth-limit',
    '9-17=1M',
    home,
  ]);
  t.is(status, 1);
  t.regex(stderr, /--bandwidth-limit is "9-17".*CONFIG_INVALID/s);
});
