// Pace: slow
/**
 * One of the server's first answers is mutated. The backup succeeds or fails with an error of the table other than
 * INTERNAL, and it can be aborted.
 */
import path from 'node:path';
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import type { Address, TcpPlace } from '../../src/system/index.js';
import { MESSAGES, type MessageRow } from '../../src/transport/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { backupInline, backupTo, inlineSystem, withDaemon } from '../helpers/inline.js';
import { type Lie, lyingPort } from '../helpers/lying-server.js';
import { mutated } from '../helpers/mutate.js';
import { scratchInMemory, ownState } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { shareOf } from '../helpers/share.js';

/** Number of backups. Each encrypting backup makes a memory-hard call. */
const ROUNDS = shareOf(2000);
const SEALED_SHARE = 3;
const PATIENCE_MS = 5000;

ownState(test);

/** Returns a lie that mutates one of the first eight answers of a server's storage. */
function lying(random: ReturnType<typeof seededRandom>): Lie {
  let left = Math.floor(random.next() * 8);
  return (name, bytes) => {
    const { part }: MessageRow = MESSAGES[name];
    if (part === 'backup') left -= 1;
    return [part === 'backup' && left === -1 ? mutated(bytes, random) : bytes];
  };
}

for (const [what, password, rounds] of [
  ['that does not encrypt', undefined, ROUNDS],
  ['that encrypts', 'a password of the tests', ROUNDS / SEALED_SHARE],
] as const) {
  test(`a client ${what} withstands any answer of a server`, async (t) => {
    const home = scratchInMemory(t);
    const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
    makeTree(source, [
      dir('a', [file('one', text(1, 900)), file('two', text(2, 700))]),
      file('large', noise(4, 1200 << 10)),
    ]);
    const place = { store, client: 'me' };
    const system = inlineSystem();
    const options = password === undefined ? {} : { password };
    await backupInline(system, place, [source], { ...options, create: true });
    const seed = 1;
    const random = seededRandom(seed);
    const server = { port: 0 };
    let lie: Lie = (_name, bytes) => [bytes];
    const port = await lyingPort(t, server, (name, bytes) => lie(name, bytes));
    const reach = async (): Promise<Address> => ({ kind: 'tcp', host: '127.0.0.1', port });
    let refused = 0;
    for (let round = 0; round < rounds; round += 1) {
      try {
        // A mutated answer may leave the client waiting; the signal aborts the wait.
        const signal = AbortSignal.timeout(PATIENCE_MS);
        lie = lying(random);
        await withDaemon(system, place, {}, async (address) => {
          server.port = (address as TcpPlace).port;
          await backupTo(system, reach, place.client, [source], { ...options, signal });
        });
      } catch (error) {
        refused += 1;
        const isReported = error instanceof TardisError && error.code !== 'INTERNAL';
        t.true(isReported, `round ${round} with seed ${seed}: ${String((error as Error).stack)}`);
        if (!isReported) return;
      }
    }
    t.true(refused > rounds / 5, `${refused} of ${rounds}`);
  });
}
