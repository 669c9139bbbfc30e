// Makes the pictures of docs/using/web.md: node scripts/make-screenshots.mjs   (build first; needs Debian's chromium)
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const TARGET = path.join(ROOT, 'docs/pictures');
const MAX_BYTES = 150_000;
const LETTER = ['Dear neighbour,', '', 'the garden grows. We planted apples.', '', 'Yours'];

const run = (tool, ...args) => execFileSync(path.join(ROOT, 'bin', tool), args, { stdio: 'pipe' });

/** Makes a store with some backups of a home; returns the path of the store. */
function makeStore(base) {
  const [home, store] = [path.join(base, 'home/me'), path.join(base, 'store')];
  const write = (name, text) => {
    fs.mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
    fs.writeFileSync(path.join(home, name), text);
  };
  write('Documents/letter.txt', `${LETTER.join('\n')}\n`);
  write('Documents/plan.md', '# Plan\n\n- buy seeds\n');
  write('Documents/accounts.csv', 'day,amount\n'.repeat(400));
  write('Documents/invoices/2026-01.txt', 'apples\n'.repeat(90));
  write('Documents/reading.txt', 'A list of books.\n'.repeat(40));
  write('Pictures/clock.svg', fs.readFileSync(path.join(ROOT, 'src/page/icon.svg')));
  fs.mkdirSync(store);
  const backup = (...more) => run('tardis', '-D', store, '-C', 'laptop', '--local', ...more, home);
  backup('--create');
  LETTER[2] = 'the garden grows well. We planted apples and two pears.';
  write(
    'Documents/letter.txt',
    `${[...LETTER.slice(0, 4), 'See you in May.', ...LETTER.slice(4)].join('\n')}\n`,
  );
  fs.rmSync(path.join(home, 'Documents/plan.md'));
  backup();
  write('Documents/reading.txt', 'A list of books.\n'.repeat(4000));
  backup();
  return store;
}

async function withDoor(store, use) {
  const child = spawn(
    path.join(ROOT, 'bin/tardis-web'),
    ['-D', store, '-C', 'laptop', '--no-browser', '--json'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  try {
    const url = await new Promise((resolve, reject) => {
      let output = '';
      child.on('exit', () => reject(new Error('tardis-web ended')));
      child.stdout.on('data', (part) => {
        output += part;
        if (output.includes('\n')) resolve(JSON.parse(output).url);
      });
    });
    await use(url);
  } finally {
    child.kill();
  }
}

async function shoot(page, name) {
  const file = path.join(TARGET, `${name}.png`);
  await page.waitForTimeout(300); // waits for transitions
  await page.screenshot({ path: file });
  const { size } = fs.statSync(file);
  if (size > MAX_BYTES) throw new Error(`${file} has ${size} bytes`);
  console.log(`${path.relative(ROOT, file)}: ${size} bytes`);
}

async function takeAll(page) {
  await page.getByRole('gridcell').getByRole('button', { name: 'Documents' }).click();
  await page.getByLabel('Show deleted').check();
  await page.getByText('plan.md').waitFor();
  await page.getByRole('button', { name: 'letter.txt', exact: true }).click();
  await page.locator('.preview-text').waitFor();
  await shoot(page, 'web-files');
  const versions = page.getByLabel('Compare the version of');
  await versions.nth(0).check();
  await versions.nth(1).check();
  await page.getByRole('button', { name: 'Compare', exact: true }).click();
  await page.locator('.line-new').first().waitFor();
  await shoot(page, 'web-versions');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Overview' }).click();
  await page.locator('svg.plot').waitFor();
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot(page, 'web-overview');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByRole('button', { name: 'Files' }).click();
  await page.locator('.details').getByRole('button', { name: 'Close' }).click();
  await page.setViewportSize({ width: 390, height: 700 });
  await shoot(page, 'web-phone');
}

const base = fs.mkdtempSync('/tmp/demo-');
fs.mkdirSync(TARGET, { recursive: true });
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  await withDoor(makeStore(base), async (url) => {
    const page = await browser.newPage({ viewport: { width: 1180, height: 700 }, locale: 'en-GB' });
    await page.goto(url);
    await takeAll(page);
  });
} finally {
  await browser.close();
  fs.rmSync(base, { recursive: true, force: true });
}
