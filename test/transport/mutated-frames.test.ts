// Pace: slow
/**
 * Mutated messages of whole backups, in both directions, decoded by the codec alone. A message is refused with an error
 * of the table other than INTERNAL, or has all its required fields.
 */
import path from 'node:path';
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { decodeMessage, peekMessage } from '../../src/transport/index.js';
import { backupInline, inlineSystem, tapped } from '../helpers/inline.js';
import { mutated } from '../helpers/mutate.js';
import { makeScratch, removeScratch, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { shareOf } from '../helpers/share.js';

/** Mutated messages in each direction. */
const FRAMES = shareOf(200_000);
const SEED = 7;
const state = makeScratch();
process.env['XDG_STATE_HOME'] = state;
test.after.always(() => removeScratch(state));

test('changed frames are refused or are messages, in both directions', async (t) => {
  const home = scratchInMemory(t);
  const source = path.join(home, 'tree');
  makeTree(source, [
    dir('a', [file('one', text(1, 900)), dir('b', [file('deep', 'deep')])]),
    file('middle', noise(2, 100 << 10)),
    file('large', noise(3, 1200 << 10)),
  ]);
  const heard = { 'to-server': [] as Buffer[], 'to-client': [] as Buffer[] };
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [source], {
    create: true,
    password: 'a password of the tests',
    wrapHost: tapped(() => ({
      message: (_name, bytes) => void heard['to-server'].push(Buffer.from(bytes)),
      answer: (answer) => {
        heard['to-client'].push(Buffer.from(answer));
        return answer;
      },
    })),
  });
  const random = seededRandom(SEED);
  for (const direction of ['to-server', 'to-client'] as const) {
    const frames = heard[direction];
    t.true(frames.length > 4, direction);
    let refused = 0;
    for (let count = 0; count < FRAMES; count += 1) {
      const bytes = mutated(frames[Math.floor(random.next() * frames.length)]!, random);
      try {
        decodeMessage(peekMessage(bytes, direction), bytes);
      } catch (error) {
        refused += 1;
        const isReported = error instanceof TardisError && error.code !== 'INTERNAL';
        if (!isReported) t.fail(`${direction} ${count}, seed ${SEED}: ${String(error)}`);
      }
    }
    t.true(refused > FRAMES / 10, `${direction}: ${refused} refused`);
    t.true(refused < FRAMES, `${direction}: some are still messages`);
  }
});
