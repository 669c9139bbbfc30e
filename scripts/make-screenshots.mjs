// Makes the pictures of docs/using/web.md: node scripts/make-screenshots.mjs   (build first; needs Debian's chromium)
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const TARGET = path.join(ROOT, 'docs/pictures');
const MAX_BYTES = 150_000;
const DAY_MS = 86_400_000;
/** Path of the home in the pictures. */
const HOME = '/home/you';

const run = (tool, ...args) => execFileSync(path.join(ROOT, 'bin', tool), args, { stdio: 'pipe' });

/** Changes of a home, by the number of days ago: files that are written, and those that are removed (null). */
const STATES = [
  [
    41,
    {
      'Documents/letter.txt': 'Dear neighbour,\n\nthe garden grows. We planted apples.\n\nYours\n',
      'Documents/plan.md': '# Plan\n\n- buy seeds\n',
      'Documents/accounts.csv': 'day,amount\n'.repeat(400),
      'Documents/invoices/2026-01.txt': 'apples\n'.repeat(90),
      'Documents/reading.txt': 'A list of books.\n'.repeat(40),
      'Pictures/garden.raw': randomBytes(2_400_000),
    },
  ],
  [34, { 'Documents/accounts.csv': 'day,amount\n'.repeat(900) }],
  [27, { 'Pictures/apples.raw': randomBytes(1_100_000) }],
  [20, { 'Documents/reading.txt': 'A list of books.\n'.repeat(900) }],
  [13, { 'Documents/invoices/2026-02.txt': 'pears\n'.repeat(120) }],
  [9, { 'Pictures/pears.raw': randomBytes(1_900_000) }],
  [
    6,
    {
      'Documents/letter.txt':
        'Dear neighbour,\n\nthe garden grows well. We planted apples\nand two pears.\n\nSee you in May.\nYours\n',
    },
  ],
  [4, { 'Documents/accounts.csv': 'day,amount\n'.repeat(1400) }],
  [2, { 'Documents/plan.md': null, 'Documents/notes.md': '# Notes\n\n- water the pears\n' }],
  [1, { 'Documents/reading.txt': 'A list of books.\n'.repeat(4000) }],
];

/** Makes a store with dated backups of a home, brought over from dated trees; returns the path of the store. */
function makeStore(base) {
  const [home, dated, store] = ['home', 'dated', 'store'].map((name) => path.join(base, name));
  fs.mkdirSync(store);
  for (const [daysAgo, files] of STATES) {
    const at = new Date(Date.now() - daysAgo * DAY_MS);
    at.setHours(18, 24, 7, 0);
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(home, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      if (content === null) fs.rmSync(file);
      else fs.writeFileSync(file, content);
      const times = [path.dirname(file), ...(content === null ? [] : [file])];
      for (const one of times) fs.utimesSync(one, at, at);
    }
    const tree = path.join(dated, at.toLocaleString('sv').replace(' ', '_').replaceAll(':', ''));
    fs.mkdirSync(dated, { recursive: true });
    execFileSync('cp', ['-a', '--', home, tree], { stdio: 'pipe' });
  }
  const pattern = path.join(dated, '%Y-%m-%d_%H%M%S');
  run(
    'tardis-import',
    '-D',
    store,
    '-C',
    'laptop',
    '--create',
    '--kept-as',
    HOME,
    '--sets',
    pattern,
  );
  run('tardis', '-D', store, '-C', 'laptop', '--local', '--kept-as', HOME, home);
  return store;
}

async function withDoor(store, use) {
  const child = spawn(
    path.join(ROOT, 'bin/tardis-web'),
    ['-D', store, '-C', 'laptop', '--no-browser', '--json'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
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
  await page.getByLabel('to mount at').fill(`${HOME}/.local/run/tardis/mounts/laptop`);
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
