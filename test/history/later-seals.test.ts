// Pace: slow
/** A set that was read while it was unfinished is proven by its seal once the server calls it complete. */
import test from 'ava';
import type { History } from '../../src/history/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { backupInline, inlineLab, inlineSystem } from '../helpers/inline.js';
import { openLied } from '../helpers/lied-history.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';

const SET = 1;

interface Lies {
  /** True to claim that the set is unfinished, and to withhold its seal. */
  isUnfinished: boolean;
  /** True to answer a listing without its first entry. */
  omits: boolean;
  /** True to fail each request for sets. */
  fails: boolean;
}

/** Returns answers with these lies. */
function lying(lies: Lies): (honest: History) => Partial<History> {
  return (honest) => ({
    sets: async () => {
      if (lies.fails) throw new Error('as the test wants');
      const sets = await honest.sets();
      return lies.isUnfinished ? sets.map((set) => ({ ...set, state: 'unfinished' })) : sets;
    },
    seals: async (...page) => {
      const seals = await honest.seals(...page);
      return lies.isUnfinished ? { ...seals, setSeal: undefined } : seals;
    },
    list: async (page) => (await honest.list(page)).slice(lies.omits ? 1 : 0),
  });
}

test.serial('a set is proven again once it is complete, and so are its listings', async (t) => {
  const { home, place, source, backup } = inlineLab(t, [
    dir('docs', [file('one', 'one'), file('two', 'two')]),
  ]);
  await backup({ password: PASSWORD });
  const keyring = (await keyringOfPlace(place))!;
  process.env['XDG_STATE_HOME'] = `${home}/another machine`; // it has seen no set yet
  const lies = { isUnfinished: true, omits: false, fails: false };
  const history = openLied(place, keyring, lying(lies));
  t.teardown(() => history.close());
  const docs = Buffer.from(`${source}/docs`);

  const namesNow = async (): Promise<string[]> => {
    const { childId } = (await history.find(docs, SET))!;
    const page = { directory: childId!, set: SET, after: Buffer.alloc(0), limit: 100 };
    return (await history.list({ ...page, withDigests: true })).map(({ name }) => name.toString());
  };
  t.deepEqual(await namesNow(), ['one', 'two']);
  t.true(history.hasUnproven);

  lies.isUnfinished = false;
  lies.omits = true;
  t.is(await rejectedCode(namesNow()), 'NOT_AUTHENTIC');
  lies.omits = false;
  t.deepEqual(await namesNow(), ['one', 'two']);
});

test.serial('a failure to prove a set is not kept', async (t) => {
  const home = scratchInMemory(t);
  const place = { store: `${home}/store`, client: 'me' };
  makeTree(`${home}/tree`, [file('one', 'one')]);
  await backupInline(inlineSystem(), place, [`${home}/tree`], { create: true, password: PASSWORD });
  const lies = { isUnfinished: false, omits: false, fails: true };
  const history = openLied(place, (await keyringOfPlace(place))!, lying(lies));
  t.teardown(() => history.close());
  await t.throwsAsync(history.roots(SET));
  lies.fails = false;
  t.is((await history.roots(SET)).length, 1);
});
