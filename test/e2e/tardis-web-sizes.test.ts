// Pace: long
/** Sizes of directories, what makes a backup grow, and the comparison of any two backups, in a real Chromium. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { openBrowser, withPage } from '../helpers/browser.js';
import { backupsRunHere, poolsStayAway, succeed } from '../helpers/commands.js';
import { dir, file, noise } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

test('which folder grows takes four clicks, and any two backups are compared', async (t) => {
  const browser = await openBrowser();
  t.teardown(() => browser?.close());
  const { place, source, store } = lab(t, [
    dir('films', [file('old', noise(1, 300_000))]),
    dir('mail', [dir('box', [file('letters', noise(2, 10_000))])]),
    file('note', 'first'),
  ]);
  const run = (...more: string[]): Promise<unknown> =>
    succeed('tardis', [...place, '--local', ...more, source]);
  await run('--create');
  fs.writeFileSync(path.join(source, 'note'), 'second');
  await run();
  fs.appendFileSync(path.join(source, 'mail', 'box', 'letters'), noise(3, 70_000));
  fs.writeFileSync(path.join(source, 'films', 'old'), noise(4, 200_000));
  await run();
  await withPage(t, { browser, store }, async (page) => {
    const bars = page.getByRole('list', { name: 'Sizes' }).getByRole('button');
    await page.getByRole('button', { name: 'Sizes', exact: true }).click();
    await bars.filter({ hasText: 'films' }).getByText('200 kB').waitFor();
    t.regex((await bars.first().textContent()) ?? '', /films/);
    await page.getByLabel('Compared with').selectOption({ index: 2 }); // the first backup
    await page.getByText('280 kB are new or changed since; growth −30.0 kB.').waitFor();
    await page.getByLabel('Sort by').selectOption('growth');
    await bars.filter({ hasText: 'mail' }).getByText('+70.0 kB').waitFor();
    await bars.filter({ hasText: 'films' }).getByText('−100 kB').waitFor();
    t.regex((await bars.first().textContent()) ?? '', /mail/);
    await bars.first().click();
    await bars.filter({ hasText: 'box' }).getByText('+70.0 kB').waitFor();
    await page.reload(); // the address has all of it
    await bars.filter({ hasText: 'box' }).getByText('+70.0 kB').waitFor();
    await page.getByRole('button', { name: 'Show the files here' }).click();
    await page.getByRole('grid').getByText('box').waitFor();

    await page.getByRole('button', { name: 'What changed' }).click();
    await page.getByRole('grid').getByText('note').waitFor(); // since the first backup, as chosen
    await page.getByLabel('Compared with').selectOption('');
    await page.getByRole('grid').getByText('note').waitFor({ state: 'detached' });
    await page.getByRole('grid').getByText('letters').waitFor();
  });
});
