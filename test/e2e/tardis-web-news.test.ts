// Pace: long
/** News that reach the open page of tardis-web, and troubles that it reports, in a real Chromium. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Page } from 'playwright-core';
import { requestBackup } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { withPage, browserOf } from '../helpers/browser.js';
import { backupsRunHere, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { dataFiles } from '../helpers/damage.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

/** Number of files of the large directory: more than a page, and more than one selection may have. */
const MANY = 10_500;
const LARGE_BYTES = 3 << 20;

const browser = browserOf(test);

async function makeLab(t: ExecutionContext) {
  const made = lab(t, [
    dir('archive', [file('Budget-Final.PDF', 'x')]),
    dir('clips', [file('clip-1', '1'), file('clip-2', '2'), file('clip-10', '3')]),
    dir('Taxes', [file('letter 2025.txt', 'old\n'), file(' blank ', '')]),
    file('Alpha', 'x'),
  ]);
  const { source } = made;
  const place = [...made.place, '--local'];
  await succeed('tardis', [...place, '--create', source]);
  return {
    ...made,
    backup: async (...more: string[]) => (await run('tardis', [...place, source, ...more])).stdout,
  };
}

async function names(page: Page): Promise<string[]> {
  return page.locator('.grid-body .cell-name .open').allTextContents();
}

/** Waits until the list has these names in this order: rows come after the list itself. */
async function showsNames(t: ExecutionContext, page: Page, wanted: string[]): Promise<void> {
  let found: string[] = [];
  const areShown = async (): Promise<boolean> => {
    found = await names(page);
    return found.join('\n') === wanted.join('\n');
  };
  await until(areShown).finally(() => t.log(`shown: ${found.join(', ')}`));
}

test.serial(
  'a new backup, its troubles and the state of the client are shown without a reload',
  async (t) => {
    const { at, store, source, backup } = await makeLab(t);
    await withPage(t, { browser: browser(), store }, async (page) => {
      t.is(await page.locator('.set').count(), 1);
      fs.writeFileSync(path.join(source, 'Beta'), 'new');
      await requestBackup(nodeSystem(), store, { client: 'me', by: 'desk/admin' });
      fs.symlinkSync(at('loop'), at('loop')); // it cannot be read
      await backup(at('loop'));
      await page.getByRole('button', { name: 'Beta', exact: true }).waitFor();
      await page.locator('.set', { hasText: '1 entry not read' }).waitFor();
      await page.locator('.set', { hasText: 'requested by desk/admin' }).waitFor();
      await page.locator('.side-state', { hasText: 'warned' }).waitFor();
      t.regex(
        (await page.getByRole('button', { name: /with troubles/ }).textContent()) ?? '',
        /\d/,
      );
      await page.getByText('What was not read').click();
      await page.locator('.side details', { hasText: 'was not there' }).waitFor();
      // Sets of one minute have seconds; each has its number.
      const [newest, oldest] = (await page.locator('.set').allInnerTexts()) as [string, string];
      const minuteOf = (shown: string): string => /\d+:\d\d/.exec(shown)![0];
      t.is(/\d:\d\d:\d\d/.test(newest), minuteOf(newest) === minuteOf(oldest), newest);
      t.regex(newest, /set 2/);
      await page.getByRole('button', { name: 'Overview' }).click();
      await page.locator('.overview td', { hasText: 'could not read 1 entry' }).waitFor();
      await page.getByText(/ are free on the disk of the store/).waitFor();
      await page.getByText('No check has read the data yet').waitFor();
      await succeed('sonic', ['check', '-D', store, '-C', 'me', '--read-data']);
      await page.getByText('Checks have read 100% of the data in the last 7 days').waitFor();
      await page.getByText('No restore has proven these backups yet').waitFor();
      const figure = await page.locator('.figure').textContent();
      fs.writeFileSync(path.join(source, 'Gamma'), noise('gamma', LARGE_BYTES));
      await backup(at('loop'));
      await page.locator('.plot .dot').nth(2).waitFor({ state: 'attached' });
      t.not(await page.locator('.figure').textContent(), figure);
      await page.locator('.command').getByRole('button', { name: 'Copy' }).waitFor();
      const command = await page.locator('.command code').textContent();
      t.true(
        command?.startsWith(`sonic purge -D ${store} -C me --keep-daily 14 --keep-weekly 8`),
        command ?? '',
      );
      t.is(await page.title(), '(1) Overview – me – Tardis'); // it is warned
    });
  },
);

test.serial('a lost connection is reported, and the page goes on when it is back', async (t) => {
  const { store } = await makeLab(t);
  const expected = /ERR_INTERNET_DISCONNECTED/;
  await withPage(t, { browser: browser(), store, expected }, async (page) => {
    await page.getByRole('button', { name: 'Alpha', exact: true }).waitFor();
    await page.context().setOffline(true);
    await page.getByText('There is no answer from the program').waitFor();
    await page.getByRole('button', { name: 'Alpha', exact: true }).waitFor();
    await page.context().setOffline(false);
    await page.getByText('There is no answer from the program').waitFor({ state: 'detached' });
  });
});

test.serial('names are sorted as people do, and all of a directory is selected', async (t) => {
  const { store, source, backup } = await makeLab(t);
  makeTree(
    path.join(source, 'many'),
    Array.from({ length: MANY }, (_, n) => file(`f${n}`, '')),
  );
  await backup();
  await withPage(t, { browser: browser(), store }, async (page) => {
    await showsNames(t, page, ['archive', 'clips', 'many', 'Taxes', 'Alpha']);
    await page.getByRole('button', { name: 'clips', exact: true }).click();
    await page.getByText('clip-10').waitFor();
    await showsNames(t, page, ['clip-1', 'clip-2', 'clip-10']);
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await page.getByText('3 selected').waitFor();
    await page.getByRole('checkbox', { name: 'Select all' }).uncheck();
    await page.getByLabel('Show deleted').waitFor();
    await page.goBack();
    await page.getByRole('button', { name: 'many', exact: true }).click();
    await page.getByText('10,500 entries').waitFor();
    await page.getByRole('grid').focus();
    await page.keyboard.press('Control+A'); // as with Caps Lock
    await page.getByText('All of the directory is selected').waitFor();
    await page.getByText('10,500 entries').waitFor();
    await page.getByRole('navigation', { name: 'Path' }).getByText('tree').click();
    await page.getByRole('button', { name: 'Taxes', exact: true }).click();
    await page.getByText('‹U+0020›blank‹U+0020›').waitFor();
  });
});

test.serial(
  'a search takes words in any order and letters of any size, and has limits',
  async (t) => {
    const { store, source } = await makeLab(t);
    await withPage(t, { browser: browser(), store }, async (page) => {
      await page.getByRole('button', { name: 'Taxes', exact: true }).click();
      const search = page.getByRole('searchbox');
      for (const [text, found] of [
        ['budget-final', 'Budget-Final.PDF'],
        ['*.pdf', 'Budget-Final.PDF'],
        ['2025 LETTER', 'letter 2025.txt'],
      ] as const) {
        await search.fill(text);
        await page.getByRole('button', { name: found, exact: true }).waitFor();
        await page.getByText('1 path found').waitFor();
      }
      await search.fill('a');
      const limits = page.getByRole('group', { name: 'Limits of the search' });
      await limits.getByLabel('Kind').selectOption('directory');
      await page.getByText('2 paths found').waitFor();
      await until(async () => (await names(page)).toSorted().join() === 'Taxes,archive');
      await limits.getByLabel('Kind').selectOption('');
      await limits.getByLabel(`only below ${source}/Taxes`).check();
      await page.getByRole('button', { name: '‹U+0020›blank‹U+0020›', exact: true }).waitFor();
      await page.getByText('1 path found').waitFor();
      await limits.getByLabel('Size').selectOption('1000000');
      await page.getByText('Nothing in any backup').waitFor();
      await limits.getByLabel('Size').selectOption('');
      const limited = page.waitForResponse(/fromMs/);
      await limits.getByLabel('Modified').selectOption('1');
      await limited;
      await page.getByText('Nothing in any backup').waitFor();
      await limits.getByLabel('Modified').selectOption('');
      await page.getByRole('button', { name: '‹U+0020›blank‹U+0020›', exact: true }).waitFor();
      // The keyboard alone: the result, its details, and back to the list of the files.
      await search.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'blank' }).waitFor();
      const opened = page.locator('[role=row][aria-current=true]');
      t.is(await opened.count(), 1);
      // Details beside the list leave room for its names.
      const name = "document.querySelector('[role=row][aria-current=true] .open')";
      t.false(await page.evaluate<boolean>(`${name}.scrollWidth > ${name}.clientWidth`));
      await page.keyboard.press('Escape');
      await page.keyboard.press('Escape');
      await page.getByRole('navigation', { name: 'Path' }).waitFor();
      await page.locator('#files:focus').waitFor();
    });
  },
);

test.serial(
  'a set that is deleted while it is shown is reported in words of the page',
  async (t) => {
    const { store, source, backup } = await makeLab(t);
    fs.rmSync(path.join(source, 'Alpha'));
    await backup();
    const expected = /status of 404|ERR_FAILED/;
    await withPage(t, { browser: browser(), store, expected }, async (page) => {
      await page.locator('.set', { hasText: 'set 1' }).click();
      await page.getByRole('button', { name: 'Alpha', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Restore …' }).click();
      await page.route(/\/sets$/, (route) => route.abort()); // it does not learn of it yet
      await succeed('sonic', ['delete', '--yes', '-D', store, '-C', 'me', '1']);
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Preview' }).click();
      await dialog.getByText('This backup was deleted meanwhile').waitFor();
      t.is(await dialog.getByText('-b ').count(), 0); // a flag of a command
      await page.keyboard.press('Escape');
      await page.getByRole('link', { name: 'Zip' }).click();
      await page.locator('.tool-bar').getByText('This backup was deleted meanwhile').waitFor();
      await page.unroute(/\/sets$/);
      await page.getByText('Backup 1 is not there any more').waitFor();
      await page.goto(`${new URL(page.url()).origin}/#/files?set=9999&path=${source}`);
      await page.getByText('Backup 9999 is not there any more').waitFor();
      await page.getByRole('button', { name: 'Taxes', exact: true }).waitFor();
      t.is(await page.getByRole('button', { name: 'Alpha', exact: true }).count(), 0);
      await page.goto(`${new URL(page.url()).origin}/#/files?set=2&path=/nowhere`);
      await page.getByText('This backup has nothing at this path').waitFor();
      t.is(await page.getByRole('button', { name: 'Try again' }).count(), 0);
      t.is(await page.getByText('0 entries').count(), 0);
    });
  },
);

test.serial(
  'a restore goes on without its dialog, is seen after a reload, and is dismissed',
  async (t) => {
    const { at, store, source, backup } = await makeLab(t);
    const whole = noise('restored', 40 << 20);
    fs.writeFileSync(path.join(source, 'clips', 'film'), whole);
    await backup();
    const out = at('out');
    await withPage(t, { browser: browser(), store }, async (page) => {
      await page.getByRole('button', { name: 'clips', exact: true }).click();
      await page.getByText('clip-10').waitFor();
      const dialog = page.getByRole('dialog');
      const begin = async (): Promise<void> => {
        await page.getByRole('button', { name: 'Restore …' }).click();
        await dialog.getByLabel('Into another directory').check();
        await dialog.getByLabel('Directory on this machine').fill('out');
        t.true(await dialog.getByRole('button', { name: 'Restore', exact: true }).isDisabled());
        await dialog.getByLabel('Directory on this machine').fill(out);
        await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
        await dialog.locator('.outcome').waitFor();
        await page.keyboard.press('Escape');
      };
      await begin();
      const item = page.getByRole('region', { name: 'Jobs' }).locator('[data-kind=restore]');
      await item.waitFor();
      t.regex((await item.textContent()) ?? '', /Restore: clips → .*\/out/);
      await page.reload();
      await item.and(page.locator('[data-state=done]')).waitFor();
      t.true(fs.readFileSync(path.join(out, 'clips', 'film')).equals(whole));
      await item.getByRole('button', { name: /^Details/ }).click();
      await dialog.getByText('4 files', { exact: true }).waitFor();
      await dialog.getByText(/41\.9 MB written/).waitFor();
      await page.keyboard.press('Escape');
      await item.getByRole('button', { name: /^Dismiss/ }).click();
      await item.waitFor({ state: 'detached' });
      await page.reload();
      await page.getByText('clip-10').waitFor();
      t.is(await item.count(), 0);
    });
  },
);

test.serial('damage that a download or a restore meets stays in sight', async (t) => {
  const { store, source, backup } = await makeLab(t);
  fs.writeFileSync(path.join(source, 'clips', 'film'), noise('film', LARGE_BYTES));
  await backup();
  const objects = dataFiles({ store, client: 'me' }).map((name) => path.join(store, 'me', name));
  const object = objects.find((name) => fs.statSync(name).size > LARGE_BYTES / 2)!;
  const spoilt = fs.openSync(object, 'r+');
  fs.writeSync(spoilt, 'spoilt', LARGE_BYTES / 2);
  fs.closeSync(spoilt);
  await withPage(t, { browser: browser(), store, expected: /status of 500|ERR_/ }, async (page) => {
    await page.getByRole('button', { name: 'clips', exact: true }).click();
    await page.getByRole('button', { name: 'film', exact: true }).click();
    await page.locator('.details').getByRole('link', { name: 'Download' }).click();
    const jobs = page.getByRole('region', { name: 'Jobs' });
    await jobs.locator('[data-kind=download][data-state=failed]').waitFor();
    t.regex((await jobs.textContent()) ?? '', /Download: film.*not complete/);
    await page.locator('.details').getByRole('button', { name: 'Restore …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('If another version').selectOption('always');
    await dialog.getByLabel('Compare contents').check();
    fs.rmSync(path.join(source, 'clips', 'film'));
    await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
    await dialog.locator('.outcome-losses[data-state=done]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.side-state', { hasText: 'Parts of the backups are damaged' }).waitFor();
    await page.reload();
    await jobs.locator('[data-kind=restore]', { hasText: 'Nothing was restored' }).waitFor();
    await page.locator('.side-state', { hasText: 'warned' }).waitFor();
    // The mark is at the file and its version; the check counts and names what is lost first, and leads to the repair.
    await page.locator('.grid-row', { hasText: 'film' }).getByText('damaged').waitFor();
    await page.locator('.timeline li').getByText('damaged').waitFor();
    await page.getByRole('button', { name: 'Overview' }).click();
    await page.getByRole('button', { name: 'Check …', exact: true }).click();
    await dialog.getByRole('button', { name: 'Check', exact: true }).click();
    await jobs.getByText('1 version of a file cannot be restored.').waitFor();
    await jobs.getByRole('button', { name: 'Details: Check' }).click();
    t.regex((await dialog.locator('.log').textContent()) ?? '', /^lost: .*film/);
    await page.keyboard.press('Escape');
    await jobs.getByRole('button', { name: 'Repair …' }).click();
    await dialog.getByRole('button', { name: 'Repair', exact: true }).click();
    await jobs.getByText('Nothing wrong was found.').waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Files', exact: true }).click();
    await page.locator('.timeline li', { hasText: 'MB' }).waitFor();
    t.is(await page.getByText('damaged', { exact: true }).count(), 0);
  });
});
