/** One life of the world: its acts follow from a number, and a life that breaks a promise is cut down to the acts that do. */
import fs from 'node:fs';
import { chooser } from '../helpers/random-tree.js';
import { removeScratch } from '../helpers/scratch.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { deleteInline } from '../helpers/garbage.js';
import { openAs, readerOf } from '../helpers/history-lab.js';
import { inlineSystem, withDaemon } from '../helpers/inline.js';
import { type Act, actsOf } from './acts.js';
import { disagreements } from './all-readers.js';
import { lookBriefly } from './readers.js';
import { BrokenPromise, World, type WorldKind } from './world.js';

const ACTS = 30;
/** Tries to leave acts out of a life that failed. */
const MOST_TRIES = 150;
const MOST_SHOWN = 3000;
const MOST_WRONG = 12;

/** One of so many lives ends with all readers; of these, one of so many with the commands of a user, and with a server. */
const READ_EVERY = 3;
const COMMANDS_EVERY = 4;
const SERVER_EVERY = 2;

const KINDS: readonly WorldKind[] = ['encrypting', 'bucket', 'plain', 'plain'];

interface Words {
  /** Chooses the readers at the end. */
  readonly number: number;
  readonly kind: WorldKind;
  readonly acts: readonly Act[];
}

/** Returns a life from its number, or from the words that a failed one has printed. */
function wordsOf(text: string): Words {
  if (text.startsWith('{')) return JSON.parse(text) as Words;
  const choose = chooser(Number(text));
  const kind = KINDS[choose(KINDS.length)]!;
  return { number: Number(text), kind, acts: actsOf(choose, ACTS, kind === 'bucket') };
}

/** Lives once in a new folder. Returns the error of a life that broke a promise. */
async function failureOf(home: string, { kind, acts, number }: Words): Promise<string | undefined> {
  fs.mkdirSync(home, { recursive: true });
  const world = await World.make(home, kind);
  try {
    await world.live(acts, lookBriefly);
    if (number % READ_EVERY === 0 && world.sets.size > 0) await readAll(world, number / READ_EVERY);
    return undefined;
  } catch (error) {
    return `${(error as Error).stack?.slice(0, MOST_SHOWN)}\n\n${world.log.join('\n')}`;
  } finally {
    removeScratch(home);
  }
}

/** Reads the store by every reader there is. Throws BrokenPromise. */
async function readAll(world: World, number: number): Promise<void> {
  // Without a password, a server shows nothing over a network.
  const isServed = world.isEncrypting && number % SERVER_EVERY === 0;
  const keyring = await keyringOfPlace(world.place);
  const hasCommands = number % COMMANDS_EVERY === 0;
  const listed = await world.reading((history) => history.sets());
  const broken = listed.filter(({ state }) => state !== 'complete').map(({ set }) => set);
  if (broken.length > 0) await deleteInline(world.place, broken); // versions would end in them
  const read = async (history: ReturnType<typeof readerOf>): Promise<readonly string[]> => {
    using opened = history;
    return await disagreements(world, opened, chooser(number), hasCommands);
  };
  const wrong = isServed
    ? await withDaemon(inlineSystem(), world.place, {}, async (address) =>
        read(await openAs(address, 'me')),
      )
    : await read(readerOf({ place: world.place, keyring }, 'me'));
  if (wrong.length > 0) throw new BrokenPromise(wrong.slice(0, MOST_WRONG).join('\n'));
}

/** A life that broke a promise, and the shortest of those with fewer acts that do. */
class Failed {
  private tries = 0;

  constructor(
    private readonly home: string,
    private words: Words,
    private failure: string,
  ) {}

  /** Leaves out acts, in halves, quarters and so on, as long as what is left breaks a promise. */
  async shorten(): Promise<void> {
    for (let part = this.words.acts.length >> 1; part >= 1; part >>= 1) {
      let from = 0;
      while (from < this.words.acts.length && this.tries < MOST_TRIES) {
        const { acts } = this.words;
        const less = [...acts.slice(0, from), ...acts.slice(from + part)];
        if (!(await this.failsToo({ ...this.words, acts: less }))) from += part;
      }
    }
  }

  get text(): string {
    return `TEST_LIFE='${JSON.stringify(this.words)}'\n${this.failure}`;
  }

  private async failsToo(words: Words): Promise<boolean> {
    this.tries += 1;
    const failure =
      words.acts.length === 0 ? undefined : await failureOf(`${this.home} ${this.tries}`, words);
    if (failure === undefined) return false;
    this.words = words;
    this.failure = failure;
    return true;
  }
}

/** Lives once. Returns the shortest life found that breaks a promise, as words for TEST_LIFE; undefined if it keeps all. */
export async function lived(home: string, text: string): Promise<string | undefined> {
  const words = wordsOf(text);
  const failure = await failureOf(home, words);
  if (failure === undefined) return undefined;
  const failed = new Failed(home, words, failure);
  await failed.shorten();
  return failed.text;
}
