// Pace: long
/** The page of tardis-web in other languages, in a real Chromium: what is shown is translated, and fits a phone. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { Page } from 'playwright-core';
import { withPage, browserOf } from '../helpers/browser.js';
import { commandsAreProcesses, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';

commandsAreProcesses(); // the page starts other commands

const PHONE = { width: 390, height: 844 };

const browser = browserOf(test);

/** Names of the test and of the program; every other word that is seen must be one of the language. */
const NAMES = /\/dev\/shm\S*|Tardis|letter\.txt|draft\.txt|papers|me\b/g;

/**
 * Finds elements whose text is cut off or leaves the page: a button or a heading that has more text than room, and an
 * element that ends beyond the right edge, outside of areas that scroll.
 */
const CUT_OFF = `[...document.querySelectorAll('button, .button, h1, h2, h3, label, legend, dt, dd, th, p, .mark, option, summary, strong')]
  .filter((element) => {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || element.closest('.skip, .grid, .crumbs, .brand, .language, option') !== null) return false;
    const style = getComputedStyle(element);
    const isCut = style.overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1;
    const isWide = element.tagName === 'BUTTON' && element.scrollWidth > element.clientWidth + 1;
    const scrolls = element.closest('.table-scroll, .timeline, .log, .diff-scroll, .failures') !== null;
    return isCut || isWide || (!scrolls && (box.right > innerWidth + 0.5 || box.left < -0.5));
  })
  .map((element) => element.tagName + ' ' + element.className + ': ' + element.textContent.slice(0, 60))`;

/** Words of English that none of the other languages has. */
const ENGLISH =
  /\b(?:the|of|and|is|are|backup|backups|set|show|file|files|none|nobody|directory|not|with|what|changed|deleted|locked)\b/i;

const SHOWN = { de: ['Übersicht', 'Dateien'], fr: ['Synthèse', 'Fichiers'] } as const;

for (const language of ['de', 'fr'] as const) {
  test.serial(`the page is in the language ${language}, and fits a phone`, async (t) => {
    const base = scratchInMemory(t);
    const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
    makeTree(source, [dir('papers', [file('letter.txt', 'one\n'), file('draft.txt', 'x')])]);
    const env = {
      HOME: base,
      XDG_CONFIG_HOME: path.join(base, 'config'),
      XDG_STATE_HOME: path.join(base, 'state'),
    };
    const place = ['-D', store, '-C', 'me', '--local'];
    await succeed('tardis', [...place, '--create', source], { env });
    fs.writeFileSync(path.join(source, 'papers', 'letter.txt'), 'two\n');
    fs.rmSync(path.join(source, 'papers', 'draft.txt'));
    await succeed('tardis', [...place, source], { env });
    const config = path.join(base, 'config', 'tardis', 'backup.cfg');
    fs.mkdirSync(path.dirname(config), { recursive: true });
    fs.writeFileSync(
      config,
      `# Written by \`tardis setup\`, for a test\n[Tardis]\nDirectories = ${source}\nDatabase = ${store}\nLocal = yes\nClient = me\nSchedule = daily\n`,
    );
    await withPage(
      t,
      { browser: browser(), store, size: PHONE, options: { env } },
      async (page) => {
        await page.getByLabel('Language').selectOption(language);
        await page.locator(`html[lang=${language}]`).waitFor();
        const faults: string[] = [];
        const look = async (where: string): Promise<void> => {
          const found = [
            ...(await page.evaluate<string[]>(CUT_OFF)).map((text) => `cut off: ${text}`),
            ...(await englishIn(page)).map((text) => `English: ${text}`),
          ];
          const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
          if (isWide === true) found.push('scrolls sideways');
          faults.push(...found.map((text) => `${where}: ${text}`));
        };
        await walk(page, SHOWN[language], look);
        t.deepEqual([...new Set(faults)], []);
        await page.reload(); // the choice stays
        await page.locator(`html[lang=${language}]`).waitFor();
      },
    );
  });
}

/** Returns the lines of the page that have English words, without words of programs, which are marked as English. */
async function englishIn(page: Page): Promise<string[]> {
  const lines = await page.evaluate<string[]>(`(() => {
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const element = node.nodeType === 1 ? node : node.parentElement;
      if (element.closest('[lang=en], code, bdi:not(.setup bdi), script, noscript, .preview-text, .language') !== null) continue;
      if (node.nodeType === 3) texts.push(node.data);
      else for (const name of ['aria-label', 'title', 'placeholder']) texts.push(element.getAttribute(name) ?? '');
    }
    return texts;
  })()`);
  return lines
    .map((line) => line.replaceAll(NAMES, '').replaceAll(/`[^`]*`/g, ''))
    .filter((line) => ENGLISH.test(line));
}

/** Opens each view and dialog, and looks at it. */
async function walk(
  page: Page,
  [overview, files]: readonly [string, string],
  look: (where: string) => Promise<void>,
): Promise<void> {
  const dialog = page.getByRole('dialog');
  const closed = async (): Promise<void> => {
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  };
  await page.getByRole('button', { name: 'papers', exact: true }).click();
  await page.locator('.tool-bar input[type=checkbox]').check();
  await page.locator('.mark-deleted').waitFor();
  await look('files');
  await page.locator('.side-button').click();
  await page.locator('.set').first().waitFor();
  await look('backups');
  await page.locator('.sets .actions button').first().click();
  await look('lock');
  await dialog.locator('button[type=submit]').click();
  await page.locator('[data-kind=lock][data-state=done]').waitFor();
  await page.locator('.set .marks .mark').first().waitFor();
  await look('a job that is done');
  await page.locator('.sets .changes').first().click();
  await page.locator('.search-view .status').waitFor();
  await look('changes');
  await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
  await page.locator('.timeline li').nth(1).waitFor();
  await look('details');
  for (const box of await page.locator('.timeline input').all()) await box.check();
  await page.locator('.versions .bar button').click();
  await dialog.locator('.diff').waitFor();
  await look('comparison');
  await closed();
  await page.locator('.details .actions .primary').click();
  await look('restore');
  await dialog.locator('.actions.end button').first().click();
  await dialog.locator('[data-state=done]').waitFor();
  await look('preview of a restore');
  await closed();
  await page.locator('.details-head button').click();
  await page.locator('#search').fill('letter');
  await page.locator('.search-view .grid-row button.open').waitFor();
  await look('search');
  await page.locator('#search').fill('nothing has this');
  await page.locator('.empty').waitFor();
  await look('search without results');
  await page.locator('#search').fill('');
  await page.locator('.views button').nth(1).click();
  await page.locator('.sizes, .bars').first().waitFor();
  await look('sizes');
  await page.getByRole('button', { name: overview }).click();
  await page.locator('.overview td .mark').first().waitFor();
  await page.locator('svg.plot').waitFor();
  await page.locator('.setup').waitFor();
  await page.locator('.table-scroll').nth(1).waitFor();
  await look('overview');
  for (const act of await page.locator('.overview .actions > button').all()) {
    await act.click();
    await dialog.waitFor();
    await look(`dialog: ${await dialog.locator('h2').textContent()}`);
    await closed();
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await look('overview on a desk');
  await page.keyboard.press('?');
  await dialog.waitFor();
  await look('keys');
  await closed();
  await page.getByRole('button', { name: files, exact: true }).click();
  await look('files on a desk');
}
