// Pace: long
/** The page of tardis-web in Debian's Firefox. Without it, the test logs that it is left out. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import { Firefox, NO_FIREFOX } from '../helpers/firefox.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';

backupsRunHere();

const has = (text: string): string => `document.body.innerText.includes(${JSON.stringify(text)})`;

test('Firefox shows files, versions, a search, sizes and the overview, in each language', async (t) => {
  const base = scratchInMemory(t);
  const firefox = await Firefox.start(base);
  if (firefox === undefined) return leaveOut(t, NO_FIREFOX);
  const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
  makeTree(source, [dir('docs', [file('letter.txt', 'one\n'), file('plan.txt', 'old plan\n')])]);
  const place = ['-D', store, '-C', 'me', '--local'];
  await succeed('tardis', [...place, '--create', source]);
  fs.writeFileSync(`${source}/docs/letter.txt`, 'two\n');
  fs.rmSync(`${source}/docs/plan.txt`);
  await succeed('tardis', [...place, source]);
  const door = await WebDoor.start(store);
  try {
    await firefox.open(door.url.href);
    await firefox.click('.grid-body button.open');
    await firefox.until(has('letter.txt'));
    await firefox.click('.tool-bar input[type=checkbox]');
    await firefox.until(has('plan.txt'));
    await firefox.click('.grid-body button.open');
    await firefox.until("document.querySelectorAll('.timeline input').length === 2");
    for (const count of [1, 2]) {
      await firefox.click(`.timeline li:nth-child(${count}) input`);
      await firefox.until(
        `document.querySelectorAll('.timeline input:checked').length === ${count}`,
      );
    }
    await firefox.click('.versions .bar button:not([disabled])');
    await firefox.until("document.querySelector('dialog .line-new') !== null");
    await firefox.click('dialog .dialog-head button');
    await firefox.type('#search', 'pla');
    await firefox.until(has('1 path found'));
    await firefox.type('#search', '');
    await firefox.click('.views button:nth-child(2)');
    await firefox.until(has('in 1 file.'));
    await firefox.click('.views button:nth-child(3)');
    await firefox.until("document.querySelector('svg.plot') !== null");
    await firefox.until(has('would be deleted'));
    for (const [language, word] of [
      ['de', 'Übersicht'],
      ['fr', 'Synthèse'],
    ] as const) {
      await firefox.evaluate(
        `(() => { const list = document.querySelector('.language select'); list.value = '${language}'; list.dispatchEvent(new Event('change', { bubbles: true })); })()`,
      );
      await firefox.until(`document.documentElement.lang === '${language}' && ${has(word)}`);
      await firefox.resize(390, 844);
      await firefox.until("document.querySelector('svg.plot') !== null");
      t.is(await firefox.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'true');
    }
    t.deepEqual(firefox.faults, []);
  } finally {
    await firefox.close();
    await door.close();
  }
});
