// Pace: long
/** Random lives: whatever the roots of the sets were, every reader gives what a simple model of the sets gives. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere } from '../helpers/commands.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { openAs, readerOf } from '../helpers/history-lab.js';
import { disagreements } from '../helpers/life-readers.js';
import { type Life, randomLife } from '../helpers/random-life.js';
import { chooser } from '../helpers/random-tree.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { smallShare } from '../helpers/share.js';

backupsRunHere();

const LIVES = 10_000;
/** Number of lives of one test, which ends well before the runner takes it for hung. */
const LIVES_AT_ONCE = 20;
const MOST_SHOWN = 12;
/** One of so many lives is also read by the commands of a user, and one that encrypts through its server. */
const COMMANDS_EVERY = 5;
const SERVER_EVERY = 2;

/** Lives once, and returns the acts and what readers say otherwise; undefined if all agree. */
async function wrongIn(home: string, number: number): Promise<string | undefined> {
  fs.mkdirSync(home, { recursive: true });
  const life = await randomLife(home, number);
  // Without a password, a server shows nothing over a network.
  const isThere = life.isEncrypting && number % SERVER_EVERY === 0;
  const wrong = await life.served(isThere, async (address) => {
    const keyring = await keyringOfPlace(life.place);
    using history =
      address === undefined
        ? readerOf({ place: life.place, keyring }, 'me')
        : await openAs(address, 'me');
    return await disagreements(life, history, chooser(number), number % COMMANDS_EVERY === 0);
  });
  if (wrong.length === 0) return undefined;
  return textOf(life, wrong);
}

function textOf({ seed: number, acts }: Life, wrong: readonly string[]): string {
  return [`TEST_LIFE=${number}`, ...acts, '', ...wrong.slice(0, MOST_SHOWN)].join('\n');
}

const only = process.env['TEST_LIFE'];
const lives = only === undefined ? Math.ceil(LIVES * smallShare) : 1;
for (let from = 0; from < lives; from += LIVES_AT_ONCE) {
  test.serial(
    `every reader gives what the sets show, whatever their roots were (${from})`,
    async (t) => {
      const home = makeScratch();
      try {
        for (let index = from; index < Math.min(lives, from + LIVES_AT_ONCE); index += 1) {
          const number = only === undefined ? seed * LIVES + index : Number(only);
          const at = path.join(home, `life ${index}`);
          t.is(await wrongIn(at, number), undefined);
          fs.rmSync(at, { recursive: true });
        }
      } finally {
        removeScratch(home);
      }
    },
  );
}
