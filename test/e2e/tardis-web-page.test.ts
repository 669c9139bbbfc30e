// Pace: long
/** The page of tardis-web in a real Chromium. Without one, each test logs that it is left out. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, withPage as openedPage } from '../helpers/browser.js';
import { succeed, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { dir, file, makeTree } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const BASE = '/dev/shm';
const MANY = 3000;
const HTML_NAME = '<img src=x onerror=alert(1)>.html';
const RTL_NAME = 'evil\u202Egnp.exe';
const BYTES_NAME = Buffer.concat([Buffer.from('bytes-'), Buffer.from([0xff])]);
const EVIL = '<script>alert(1)</script><img src="http://evil.example/x">';
const PHONE = { width: 390, height: 844 };

interface Lab {
  readonly base: string;
  readonly store: string;
  readonly source: string;
  readonly browser: Browser;
}

let lab: Lab | undefined;

test.before(async () => {
  const browser = await openBrowser();
  if (browser === undefined) return;
  const base = fs.mkdtempSync(path.join(fs.existsSync(BASE) ? BASE : '/tmp', 'tardis-page-'));
  const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
  fs.mkdirSync(store);
  makeTree(source, [
    dir('docs', [
      file('letter.txt', 'Dear neighbour,\nthe garden grows.\nYours\n'),
      file('plan.txt', 'old plan\n'),
    ]),
    dir(
      'many',
      Array.from({ length: MANY }, (_, index) => file(`n${String(index).padStart(5, '0')}`, '')),
    ),
    dir('odd', [
      file(HTML_NAME, EVIL),
      file('line\nbreak', 'x'),
      file(RTL_NAME, 'x'),
      file(BYTES_NAME, 'bytes\n'),
      file('a #?%&+.txt', 'odd\n'),
    ]),
  ]);
  const backup = ['-D', store, '-C', 'me', '--local'];
  await succeed('tardis', [...backup, '--create', source]);
  fs.writeFileSync(`${source}/docs/letter.txt`, 'Dear neighbour,\nthe garden grows well.\nYours\n');
  fs.rmSync(`${source}/docs/plan.txt`);
  await succeed('tardis', [...backup, source]);
  lab = { base, store, source, browser };
});

test.after.always(async () => {
  await lab?.browser.close();
  if (lab !== undefined) fs.rmSync(lab.base, { recursive: true, force: true });
});

type Use = (page: Page, lab: Lab) => Promise<void>;

async function withPage(t: ExecutionContext, use: Use, size?: typeof PHONE): Promise<void> {
  const { browser, store = '' } = lab ?? {};
  await openedPage(t, { browser, store, size }, (page) => use(page, lab!));
}

/** Opens a directory below the source by its row. */
async function enter(page: Page, name: string): Promise<void> {
  await page.getByRole('gridcell').getByRole('button', { name, exact: true }).click();
  await page.getByRole('navigation', { name: 'Path' }).getByText(name).waitFor();
}

async function requireAccessible(t: ExecutionContext, page: Page, where: string): Promise<void> {
  await page.evaluate(fs.readFileSync(AXE, 'utf8'));
  const found = await page.evaluate<string[]>(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(' | ')}`))",
  );
  t.deepEqual(found, [], where);
}

test.serial('directories are browsed, also those with many names, and sorted', async (t) => {
  await withPage(t, async (page) => {
    await enter(page, 'many');
    await page.getByText('n00000').waitFor();
    t.true((await page.locator('.grid-body [role=row]').count()) < 100);
    await page.getByRole('grid').focus();
    await page.keyboard.press('End');
    await page.getByText(`n0${MANY - 1}`).waitFor();
    await page.getByText('3,000 entries').waitFor();
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
    await page.getByText(`n0${MANY - 1}`).waitFor();
    t.is(
      await page.getByRole('columnheader', { name: 'Name' }).getAttribute('aria-sort'),
      'descending',
    );
    await page.goBack();
    await page.getByText('docs').waitFor();
  });
});

test.serial('hostile names are shown as text, opened, and downloaded', async (t) => {
  await withPage(t, async (page, { source }) => {
    await enter(page, 'odd');
    for (const shown of [HTML_NAME, 'line‹U+000A›break', 'evil‹U+202E›gnp.exe', 'bytes-\ufffd']) {
      await page.getByText(shown, { exact: true }).waitFor();
    }
    t.is(await page.locator('img[src="x"]').count(), 0);
    await page.getByRole('button', { name: HTML_NAME, exact: true }).click();
    await page.locator('.preview-text').waitFor();
    t.is(await page.locator('.preview-text').textContent(), EVIL);
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    t.is(fs.readFileSync(await (await download).path(), 'utf8'), EVIL);
    await page.getByRole('button', { name: 'bytes-\ufffd', exact: true }).click();
    await page.getByText('bytes\n').first().waitFor();
    await page.getByRole('button', { name: 'a #?%&+.txt', exact: true }).click();
    await page.locator('.preview-text', { hasText: 'odd' }).waitFor();
    await page.reload();
    await page.locator('.preview-text', { hasText: 'odd' }).waitFor();
    t.true(fs.existsSync(source));
  });
});

test.serial('a zip archive has every byte of what is shown', async (t) => {
  await withPage(t, async (page, { source, base }) => {
    await enter(page, 'docs');
    for (const name of ['docs', 'many']) {
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'Zip' }).click();
      const archive = await (await download).path();
      const out = path.join(base, `zip of ${name}`);
      const { status, error } = spawnSync('unzip', ['-q', archive, '-d', out]);
      if (error === undefined) {
        t.is(status, 0);
        t.deepEqual(fs.readdirSync(out), [name]);
        const files = fs.readdirSync(`${source}/${name}`);
        t.deepEqual(fs.readdirSync(`${out}/${name}`), files);
        for (const one of files) {
          const [wanted, found] = [`${source}/${name}/${one}`, `${out}/${name}/${one}`];
          t.true(fs.readFileSync(wanted).equals(fs.readFileSync(found)), one);
        }
      } else t.log(`left out: ${error.message}`);
      await page.goBack();
      await page.getByText('docs').waitFor();
      if (name === 'docs') await enter(page, 'many');
    }
  });
});

test.serial('deleted files are shown, and earlier versions are compared', async (t) => {
  await withPage(t, async (page) => {
    await enter(page, 'docs');
    await page.getByText('letter.txt').waitFor();
    t.is(await page.getByText('plan.txt').count(), 0);
    await page.getByLabel('Show deleted').check();
    await page.getByRole('row', { name: /plan\.txt.*deleted/ }).waitFor();
    await page.getByRole('button', { name: 'plan.txt', exact: true }).click();
    await page.locator('.preview-text', { hasText: 'old plan' }).waitFor();
    await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
    const compared = page.getByLabel('Compare the version of');
    await compared.nth(1).waitFor();
    const { y, height } = (await compared.nth(1).boundingBox())!;
    t.true(y + height < 800, 'versions are seen without scrolling');
    await compared.nth(0).check();
    await compared.nth(1).check();
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('the garden grows well.').waitFor();
    t.is(await dialog.locator('.line-gone').textContent(), '−the garden grows.');
    t.is(await dialog.locator('.line-new').textContent(), '+the garden grows well.');
    await requireAccessible(t, page, 'comparison');
    await page.keyboard.press('Escape');
    t.is(await page.getByRole('dialog').count(), 0);
  });
});

test.serial('what a backup changed is listed, and leads to each version', async (t) => {
  await withPage(t, async (page) => {
    await page.getByRole('button', { name: 'What changed' }).click();
    await page.getByText('2 changes').waitFor();
    await page.getByRole('row', { name: /letter\.txt.*changed/ }).waitFor();
    await page.getByRole('row', { name: /plan\.txt.*deleted/ }).waitFor();
    await requireAccessible(t, page, 'changes');
    await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
    await page.locator('.preview-text', { hasText: 'grows well' }).waitFor();
    await page.getByRole('button', { name: 'plan.txt', exact: true }).click();
    await page.locator('.preview-text', { hasText: 'old plan' }).waitFor();
    await page.goBack();
    await page.getByRole('button', { name: 'Back to the files' }).click();
    await page.getByRole('button', { name: 'docs', exact: true }).waitFor();
  });
});

test.serial(
  'a large selection, and a deleted file of a search, are restored and downloaded',
  async (t) => {
    await withPage(t, async (page, { base, source }) => {
      await enter(page, 'many');
      await page.getByText('n00000').waitFor();
      await page.getByRole('grid').focus();
      await page.keyboard.press('End');
      await page.getByText('3,000 entries').waitFor();
      await page.keyboard.press('Control+a');
      await page.getByText('3,000 selected').waitFor();
      const download = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Tar', exact: true }).click();
      const archive = fs.readFileSync(await (await download).path(), 'latin1');
      for (const name of ['n00000', 'n01234', `n0${MANY - 1}`])
        t.true(archive.includes(name), name);
      await page.getByRole('button', { name: 'Restore …' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Into another directory').check();
      await dialog.getByLabel('Directory on this machine').fill(`${base}/all`);
      await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
      await dialog.locator('[data-state=done][data-preview=false]').waitFor();
      t.is(fs.readdirSync(`${base}/all`).length, MANY);
      await page.keyboard.press('Escape');

      await page.getByRole('searchbox').fill('plan');
      await page.getByText('1 path found').waitFor();
      await page.getByLabel('Select plan.txt').check();
      await page.getByText('1 selected').waitFor();
      const link = page.getByRole('link', { name: 'Tar', exact: true });
      const small = page.waitForEvent('download');
      await link.click();
      t.true(fs.readFileSync(await (await small).path(), 'latin1').includes('old plan'));
      t.false(fs.existsSync(`${source}/docs/plan.txt`));
      await page.getByRole('button', { name: 'Restore …' }).click();
      await dialog.getByRole('button', { name: 'Preview' }).click();
      await dialog.getByText('1 file', { exact: true }).waitFor();
    });
  },
);

test.serial('a search over all backups finds while one types', async (t) => {
  await withPage(t, async (page) => {
    await page.getByRole('searchbox').fill('plan');
    await page.getByText('1 path found').waitFor();
    const row = page.getByRole('row', { name: /plan\.txt/ });
    t.true((await row.textContent())!.includes('deleted'));
    await page.getByRole('searchbox').fill('n0299');
    await page.getByText('10 paths found').waitFor();
    await page.getByRole('searchbox').fill('nothing has this');
    await page.getByText('Nothing in any backup').waitFor();
    await page.getByRole('searchbox').fill('letter');
    await page.getByText('1 path found').waitFor();
    await requireAccessible(t, page, 'search');
    await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
    await page.getByRole('heading', { name: 'letter.txt' }).waitFor();
  });
});

test.serial('files are restored in place, with a preview and a policy', async (t) => {
  await withPage(t, async (page, { source, base }) => {
    const target = `${source}/docs/letter.txt`;
    fs.writeFileSync(target, 'spoiled\n');
    await enter(page, 'docs');
    await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
    await page.locator('.details').getByRole('button', { name: 'Restore …' }).click();
    const dialog = page.getByRole('dialog');
    await requireAccessible(t, page, 'restore');
    await dialog.getByRole('button', { name: 'Preview' }).click();
    await dialog.locator('[data-state=done][data-preview=true]').waitFor();
    await dialog.getByText('1 cannot be restored').waitFor();
    t.is(fs.readFileSync(target, 'utf8'), 'spoiled\n');
    await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
    await dialog.getByText('Nothing was restored.').waitFor();
    await dialog.getByRole('button', { name: 'Keep both' }).click();
    await dialog.getByText('Restored.', { exact: true }).waitFor();
    t.is(fs.readFileSync(target, 'utf8'), 'spoiled\n');
    const [beside = ''] = fs
      .readdirSync(path.dirname(target))
      .filter((one) => one.startsWith('backup of'));
    const kept = path.join(path.dirname(target), beside);
    t.regex(fs.readFileSync(path.join(kept, 'letter.txt'), 'utf8'), /^Dear neighbour/);
    fs.rmSync(kept, { recursive: true });
    await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
    await dialog.getByRole('button', { name: 'Replace' }).click();
    await dialog.getByText('Restored.', { exact: true }).waitFor();
    t.is(fs.readFileSync(target, 'utf8'), 'Dear neighbour,\nthe garden grows well.\nYours\n');
    await dialog.getByLabel('Into another directory').check();
    await dialog.getByLabel('Directory on this machine').fill(`${base}/out put`);
    await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
    await dialog.getByText('1 file', { exact: true }).waitFor();
    await dialog.locator('[data-state=done][data-preview=false]').waitFor();
    t.is(
      fs.readFileSync(`${base}/out put/letter.txt`, 'utf8'),
      'Dear neighbour,\nthe garden grows well.\nYours\n',
    );
  });
});

test.serial('everything is done with the keyboard alone', async (t) => {
  await withPage(t, async (page) => {
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // skips to the files
    t.is(await page.evaluate('document.activeElement.getAttribute("role")'), 'grid');
    await page.keyboard.press('d');
    await page.keyboard.press('Enter');
    await page.getByText('letter.txt').waitFor();
    await page.getByRole('grid').focus();
    await page.keyboard.press('Space');
    await page.getByText('1 selected').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'letter.txt' }).waitFor();
    t.is(await page.evaluate('document.activeElement.textContent'), 'letter.txt');
    await page.keyboard.press('Escape');
    await page.locator('.details').waitFor({ state: 'detached' });
    await page.locator('[role=grid]:focus').waitFor();
    await page.keyboard.press('Backspace');
    await page.getByRole('button', { name: 'many', exact: true }).waitFor();
    await page.keyboard.press('/');
    t.is(await page.evaluate('document.activeElement.id'), 'search');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    t.is(await page.getByRole('dialog').count(), 0);
  });
});

for (const scheme of ['light', 'dark'] as const) {
  test.serial(`axe finds nothing, in ${scheme} and 390 px wide too`, async (t) => {
    await withPage(t, async (page) => {
      await page.emulateMedia({ colorScheme: scheme });
      await enter(page, 'docs');
      await page.getByLabel('Show deleted').check();
      await page.getByText('plan.txt').waitFor();
      await requireAccessible(t, page, 'files');
      await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
      await page.locator('.preview-text').waitFor();
      await requireAccessible(t, page, 'details');
      await page.setViewportSize(PHONE);
      await requireAccessible(t, page, 'details of a phone');
      await page.locator('.details').getByRole('button', { name: 'Close' }).click();
      await page.getByRole('button', { name: /^Backup of/ }).click();
      await requireAccessible(t, page, 'files of a phone');
      await page.getByRole('button', { name: 'Overview' }).click();
      await page.locator('.overview td .mark').first().waitFor();
      await page.locator('svg.plot').waitFor();
      await page.getByText('would be deleted').waitFor();
      await requireAccessible(t, page, 'overview');
    });
  });
}

test.serial('a phone shows all of it without scrolling sideways', async (t) => {
  const use: Use = async (page) => {
    const isFitting = (): Promise<boolean> =>
      page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth');
    t.true(await isFitting());
    await enter(page, 'odd');
    t.true(await isFitting());
    await page.getByRole('button', { name: /^Backup of/ }).click();
    await page.getByRole('navigation', { name: 'Backups' }).getByRole('listitem').last().click();
    await page.getByRole('button', { name: 'line‹U+000A›break', exact: true }).click();
    await page.getByRole('heading', { name: 'line' }).waitFor();
    t.true(await isFitting());
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Overview' }).click();
    await page.locator('.overview td .mark').first().waitFor();
    t.true(await isFitting());
  };
  await withPage(t, use, PHONE);
});
