/**
 * A server receives the messages of a real backup, of which some are left out, repeated or swapped. It refuses them with
 * an error of the table other than INTERNAL, or takes them. In any case the store is sound, and older sets stay as they
 * are. TEST_SEED chooses.
 */
import test from 'ava';
import { InlineStorageHost } from '../../src/server/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { decodeMessage, encodeMessage } from '../../src/transport/index.js';
import { checkInline } from '../helpers/damage.js';
import { dumpHistory, inlineLab, inlineSystem, SMALL_STORE, tapped } from '../helpers/inline.js';
import { seed } from '../helpers/seed.js';
import { type Message, StorageClient } from '../helpers/storage-client.js';
import { dir, file, noise, text } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';

const KIB = 1 << 10;
const ROUNDS = 40;

type Random = ReturnType<typeof seededRandom>;

/** Returns a copy of a message. The set of a backup gets the option to examine all, as if nothing was known. */
function inFull(name: Message['name'], bytes: Buffer): Buffer {
  if (name !== 'openSet') return Buffer.from(bytes);
  return encodeMessage(name, { ...decodeMessage(name, bytes).head, full: true }).head;
}

/** Returns the messages with one to three changes of their order. Half of the time, begin and end stay where they are. */
function shuffled(messages: readonly Message[], random: Random): Message[] {
  const changed = [...messages];
  const margin = random.next() < 0.5 ? 0 : 1;
  const any = (): number => margin + Math.floor(random.next() * (changed.length - 2 * margin));
  for (let left = 1 + Math.floor(random.next() * 3); left > 0; left -= 1) {
    const [at, to] = [any(), any()];
    const choice = random.next();
    if (choice < 0.4) changed.splice(at, 1);
    else if (choice < 0.7) changed.splice(to, 0, changed[at]!);
    else [changed[at], changed[to]] = [changed[to]!, changed[at]!];
  }
  return changed;
}

test('messages that are left out, repeated or swapped do no harm', async (t) => {
  const few = (name: string) =>
    dir(
      name,
      [1, 2, 3, 4, 5].map((n) => file(`${n}`, text(`${name} ${n}`, 400 * n))),
    );
  const { place, backup } = inlineLab(t, [
    ...['a', 'b', 'c', 'd'].map(few),
    dir('deep', [dir('er', [few('est')])]),
    file('middle', noise(3, 90 * KIB)),
    file('large', noise(4, 1100 * KIB)),
  ]);
  const system = inlineSystem();
  const messages: Message[] = [];
  const wrapHost = tapped(() => ({
    message: (name, bytes) => void messages.push({ name, bytes: inFull(name, bytes) }),
  }));
  await backup({ wrapHost }, system);
  const before = (await dumpHistory(place)).filter((line) => line.startsWith('1 '));

  const host = new InlineStorageHost(system);
  const random = seededRandom(seed);
  let refused = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const directory = openClientDirectory(system, place);
    const client = await StorageClient.open(host, directory, 'backup', SMALL_STORE);
    client.replay(shuffled(messages, random));
    await client.handle.end();
    const [failure] = client.failures;
    if (failure === undefined) continue;
    refused += 1;
    t.not(failure.code, 'INTERNAL', `round ${round} of seed ${seed}: ${failure.stack}`);
  }
  await host.close();
  t.true(refused < ROUNDS, 'some are harmless');
  t.log(`seed ${seed}: ${refused} of ${ROUNDS} sessions refused`);
  const { findings } = await checkInline(place);
  t.deepEqual(findings, [], `seed ${seed}`);
  // The last field of a line is the last set that has the version.
  const withoutEnd = (line: string): string => line.replace(/\d*$/, '');
  const after = new Set((await dumpHistory(place)).map(withoutEnd));
  t.deepEqual(
    before.filter((line) => !after.has(withoutEnd(line))),
    [],
    `seed ${seed}`,
  );
});
