// Pace: slow
/** The page of tardis-web in a real Chromium, with a directory of 30,000 names. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { NO_BROWSER, openBrowser, watchedPage } from '../helpers/browser.js';
import { succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { WebDoor } from '../helpers/web-door.js';

const NAMES = 30_000;
/** Rows in the document at any time. */
const MOST_ROWS = 100;
/** Requests that may have been sent before the last name is seen: of the first page, of the last one, and of its neighbour. */
const MOST_REQUESTS = 3;
/** Times that the page is looked at while it is scrolled. */
const STOPS = 20;
const ROWS = '.grid-body [role=row]';

test('a directory of 30,000 names has only the rows in view, from the first name to the last', async (t) => {
  const browser = await openBrowser();
  if (browser === undefined) return leaveOut(t, NO_BROWSER);
  t.teardown(() => browser.close());
  const base = scratchInMemory(t);
  const [store, source] = [path.join(base, 'store'), path.join(base, 'many')];
  fs.mkdirSync(source);
  fs.mkdirSync(store);
  for (let index = 0; index < NAMES; index += 1) {
    fs.closeSync(fs.openSync(path.join(source, `n${String(index).padStart(5, '0')}`), 'w'));
  }
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const door = await WebDoor.during(t, store);
  const { page, faults } = await watchedPage(browser, door.host);
  let requests = 0;
  page.on('request', (request) => {
    if (request.url().includes('/directory?')) requests += 1;
  });
  await page.goto(door.url.href);
  const grid = page.getByRole('grid');
  await page.getByText('n00000').waitFor();
  await page.getByText('30,000 entries').waitFor();
  t.is(await grid.getAttribute('aria-rowcount'), String(NAMES + 1));
  const heightPx = await page.evaluate<number>("document.querySelector('.grid-body').scrollHeight");
  await grid.focus();
  const beganMs = performance.now();
  await page.keyboard.press('End');
  await page.getByText(`n${NAMES - 1}`).waitFor();
  t.log(`End: ${Math.round(performance.now() - beganMs)} ms`);
  t.true(requests <= MOST_REQUESTS, `${requests} requests`);
  // The scroll bar has known the whole length.
  t.is(await page.evaluate("document.querySelector('.grid-body').scrollHeight"), heightPx);
  await page.keyboard.press('Home');
  await page.getByText('n00000').waitFor();
  // The longest time without a frame, while the page passes through all names.
  await page.evaluate(
    'globalThis.longestMs = 0; let last = performance.now(); (function look(now) { longestMs = Math.max(longestMs, now - last); last = now; requestAnimationFrame(look); })(last)',
  );
  for (let stop = 1; stop <= STOPS; stop += 1) {
    await page.evaluate(
      `(() => { const body = document.querySelector('.grid-body'); body.scrollTop = (body.scrollHeight * ${stop}) / ${STOPS}; })()`,
    );
    await page.locator(ROWS).first().waitFor();
    t.true((await page.locator(ROWS).count()) < MOST_ROWS);
  }
  await page.getByText(`n${NAMES - 1}`).waitFor();
  t.log(`longest time without a frame: ${Math.round(await page.evaluate<number>('longestMs'))} ms`);
  await grid.focus();
  await page.keyboard.press('Home');
  await page.keyboard.type('n21543');
  await page.getByText('n21543').waitFor();
  t.deepEqual(faults, []);
});
