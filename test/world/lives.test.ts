// Pace: long
/** Lives of random acts and troubles: nothing acknowledged is lost, and every reader gives what a simple model gives. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { lived } from './life.js';

backupsRunHere();

/** Lives of a whole run; `npm test` takes its share. */
const LIVES = 4000;
const LIVES_AT_ONCE = 50;

const only = process.env['TEST_LIFE'];
const count = only === undefined ? Math.ceil(LIVES * share) : 1;
for (let from = 0; from < count; from += LIVES_AT_ONCE) {
  test.serial(`lives of random acts keep every promise (${from})`, async (t) => {
    const home = makeScratch();
    try {
      for (let index = from; index < Math.min(count, from + LIVES_AT_ONCE); index += 1) {
        const text = only ?? String(seed * LIVES + index);
        t.is(await lived(path.join(home, `life ${index}`), text), undefined);
        fs.rmSync(path.join(home, `life ${index}`), { recursive: true, force: true });
      }
    } finally {
      removeScratch(home);
    }
  });
}
