// Pace: long
/** The everyday tasks of a user in the page, in a real Chromium: each takes four clicks at most. Prints the table. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { Locator, Page } from 'playwright-core';
import { withPage, browserOf } from '../helpers/browser.js';
import { commandsAreProcesses, succeed } from '../helpers/commands.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';

commandsAreProcesses(); // the page starts other commands

const MOST_CLICKS = 4;
/** The timer of the machine, which a change of the set-up would change. */
const TIMER = '/etc/systemd/system/tardis-backup.timer';

const browser = browserOf(test);

/** Hands of a user: clicks, and choices from a list, are counted; typed text is not. */
class Hands {
  clicks = 0;

  constructor(readonly page: Page) {}

  async click(target: Locator): Promise<void> {
    await target.click();
    this.clicks += 1;
  }

  async press(name: string | RegExp): Promise<void> {
    await this.click(this.page.getByRole('button', { name, exact: typeof name === 'string' }));
  }

  /** Presses a button of the dialog that is open. */
  async confirm(name: string): Promise<void> {
    const dialog = this.page.getByRole('dialog');
    await this.click(dialog.getByRole('button', { name, exact: true }));
  }

  async choose(label: string, text: RegExp): Promise<void> {
    const list = this.page.getByLabel(label);
    const option = await list.locator('option', { hasText: text }).first().getAttribute('value');
    await list.selectOption(option);
    this.clicks += 1;
  }
}

function jobOf(page: Page, kind: string): Locator {
  return page.locator(`.jobs [data-kind=${kind}][data-state=done]`);
}

interface Lab {
  readonly source: string;
  readonly home: string;
}

type Task = readonly [
  name: string,
  run: (hands: Hands, lab: Lab) => Promise<void>,
  needs?: 'changes the set-up',
];

/** Throws if no mail of the test was sent. */
function mailed(home: string): void {
  const sent = fs.readFileSync(`${home}/mail`, 'utf8');
  if (!sent.includes('To: me@example.org')) throw new Error(`no mail: ${sent}`);
}

/** The tasks, each from the page as it opens. */
const TASKS: readonly Task[] = [
  [
    'a deleted file by half its name, seen and downloaded',
    async (hands) => {
      const { page } = hands;
      await page.getByRole('searchbox').fill('pla');
      await hands.press('plan.txt');
      await page.locator('.preview-text', { hasText: 'old plan' }).waitFor();
      const download = page.waitForEvent('download');
      await hands.click(page.getByRole('link', { name: 'Download' }));
      await (await download).path();
    },
  ],
  [
    'compare two versions of a file',
    async (hands) => {
      const { page } = hands;
      await page.getByRole('searchbox').fill('letter');
      await hands.press('letter.txt');
      const versions = page.getByLabel('Compare the version of');
      await hands.click(versions.nth(0));
      await hands.click(versions.nth(1));
      await hands.press('Compare');
      await page.locator('.line-new').waitFor();
    },
  ],
  [
    'restore a folder in place as of an earlier backup',
    async (hands, { source }) => {
      const { page } = hands;
      fs.rmSync(`${source}/docs/letter.txt`);
      await hands.click(page.locator('.set', { hasText: 'set 2' }));
      await hands.click(page.getByLabel('Select docs'));
      await hands.press('Restore …');
      await hands.confirm('Restore');
      await page.getByRole('dialog').locator('[data-state=done]').waitFor();
      fs.readFileSync(`${source}/docs/letter.txt`);
    },
  ],
  [
    'a folder as zip',
    async (hands) => {
      const { page } = hands;
      await hands.click(page.getByLabel('Select docs'));
      const download = page.waitForEvent('download');
      await hands.click(page.getByRole('link', { name: 'Zip' }));
      await (await download).path();
    },
  ],
  [
    'what changed between two dates',
    async (hands) => {
      await hands.press('What changed');
      await hands.choose('Compared with', /set 1/);
      await hands.page.getByRole('row', { name: /plan\.txt.*deleted/ }).waitFor();
    },
  ],
  [
    'which folder makes backups grow',
    async (hands) => {
      await hands.press('Sizes');
      await hands.choose('Compared with', /set 1/);
      await hands.choose('Sort by', /growth/);
      await hands.page.locator('.bar-row').first().getByText('films').waitFor();
    },
  ],
  [
    'are the backups healthy',
    async (hands) => {
      const { page } = hands;
      await hands.press('Overview');
      await page.locator('.overview td .mark').first().waitFor();
      await page.getByText('are free on the disk of the store').waitFor();
      await page.locator('.store-facts li').nth(1).waitFor();
    },
  ],
  [
    'when was a restore last proven',
    async (hands) => {
      await hands.press('Overview');
      await hands.page.getByText('Files were last restored and proven').first().waitFor();
    },
  ],
  [
    'a command before each backup',
    async (hands, { home }) => {
      const { page } = hands;
      await hands.press('Overview');
      await hands.press('Change the set-up …');
      const field = page.getByRole('dialog').getByLabel('Command before a backup');
      await field.fill(`touch "${home}/hook ran"`);
      await hands.confirm('Change the set-up');
      await jobOf(page, 'setup').waitFor();
      await page.locator('.setup').getByText('hook ran').waitFor();
    },
    'changes the set-up',
  ],
  [
    'a mail after a failure',
    async (hands) => {
      const { page } = hands;
      await hands.press('Overview');
      await hands.press('Change the set-up …');
      await page.getByRole('dialog').getByLabel('Who is told of a failure').fill('me@example.org');
      await hands.confirm('Change the set-up');
      await jobOf(page, 'setup').waitFor();
    },
    'changes the set-up',
  ],
  [
    'a mail as a test',
    async (hands, { home }) => {
      fs.rmSync(`${home}/mail`, { force: true }); // the change of the address has sent one
      await hands.press('Overview');
      await hands.press('Send a test report …');
      await hands.confirm('Send a test report');
      await jobOf(hands.page, 'test-report').waitFor();
      mailed(home);
    },
    'changes the set-up',
  ],
  [
    'back up now, and see it run',
    async (hands, { home }) => {
      const isHooked = fs.readFileSync(`${home}/config/tardis/backup.cfg`, 'utf8').includes('Hook');
      await hands.press('Overview');
      await hands.press('Back up now …');
      await hands.confirm('Back up now');
      await hands.page.locator('.jobs [data-kind=backup]').waitFor();
      await jobOf(hands.page, 'backup').waitFor();
      if (isHooked) fs.statSync(`${home}/hook ran`);
    },
  ],
  [
    'exclude a directory, weighed before',
    async (hands, { source }) => {
      const { page } = hands;
      await hands.press('Overview');
      await hands.press('Change the set-up …');
      await page.getByRole('dialog').getByLabel('Left out').fill(`${source}/films`);
      await page.getByRole('dialog').getByText('of the newest backup').waitFor();
      await hands.confirm('Change the set-up');
      await jobOf(page, 'setup').waitFor();
    },
    'changes the set-up',
  ],
  [
    'delete old backups by rules, weighed before',
    async (hands) => {
      const { page } = hands;
      await hands.press('Overview');
      await page.getByLabel('All younger than').fill('');
      await page.getByText(/[1-9] backups? would be deleted/).waitFor();
      await hands.press('Purge …');
      await hands.confirm('Purge');
      await jobOf(page, 'purge').waitFor();
    },
  ],
  [
    "another machine's files",
    async (hands) => {
      const { page } = hands;
      await hands.click(page.locator('.switch > button'));
      await hands.click(page.locator('.switch a', { hasText: 'laptop' }));
      await page.getByRole('button', { name: 'far.txt', exact: true }).waitFor();
    },
  ],
  [
    'lock a backup',
    async (hands) => {
      await hands.press('Lock …');
      await hands.confirm('Lock');
      await jobOf(hands.page, 'lock').waitFor();
    },
  ],
  [
    'forget a file in all backups',
    async (hands) => {
      const { page } = hands;
      await page.getByRole('searchbox').fill('letter');
      await hands.press('letter.txt');
      await hands.press('Forget …');
      await hands.confirm('Forget');
      await jobOf(page, 'forget').waitFor();
    },
  ],
  [
    'check all data of the store',
    async (hands) => {
      const { page } = hands;
      await hands.press('Overview');
      await hands.press('Check …');
      await hands.confirm('Check');
      await jobOf(page, 'check').waitFor();
    },
  ],
];

test('everyday tasks take four clicks at most', async (t) => {
  const base = scratchInMemory(t);
  const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
  makeTree(source, [
    dir('docs', [file('letter.txt', 'one\n'), file('plan.txt', 'old plan\n')]),
    dir('films', [file('first', noise('first', 50_000))]),
  ]);
  const env = {
    HOME: base,
    XDG_CONFIG_HOME: path.join(base, 'config'),
    XDG_STATE_HOME: path.join(base, 'state'),
  };
  const backup = ['-D', store, '-C', 'me', '--local'];
  await succeed('tardis', [...backup, '--create', source], { env });
  fs.writeFileSync(`${source}/docs/letter.txt`, 'two\n');
  fs.rmSync(`${source}/docs/plan.txt`);
  await succeed('tardis', [...backup, source], { env });
  fs.writeFileSync(`${source}/films/second`, noise('second', 90_000));
  await succeed('tardis', [...backup, source], { env });
  const other = path.join(base, 'laptop');
  makeTree(other, [file('far.txt', 'far')]);
  await succeed('tardis', ['-D', store, '-C', 'laptop', '--local', '--create', other], { env });
  const config = path.join(base, 'config', 'tardis', 'backup.cfg');
  fs.mkdirSync(path.dirname(config), { recursive: true });
  fs.writeFileSync(
    config,
    `# Written by \`tardis setup\`, for a test\n[Tardis]\nDirectories = ${source}\nDatabase = ${store}\nLocal = yes\nClient = me\nMailCommand = tee -a ${base}/mail\n`,
  );
  const bin = folderIn(base, 'bin');
  fs.writeFileSync(path.join(bin, 'systemctl'), '#!/bin/sh\n', { mode: 0o755 });
  const options = { env: { ...env, PATH: `${bin}:${process.env['PATH']}` } };
  const lines: string[] = [];
  for (const [name, run, needs] of TASKS) {
    if (needs !== undefined && fs.existsSync(TIMER)) {
      t.log(`left out, since this machine is backed up by a timer of setup: ${name}`);
      continue;
    }
    await withPage(t, { browser: browser(), store, options }, async (page) => {
      const hands = new Hands(page);
      await page.getByRole('button', { name: 'docs', exact: true }).waitFor();
      const beganMs = performance.now();
      await run(hands, { source, home: base });
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
      lines.push(`${name.padEnd(52)} clicks: ${hands.clicks}  ${seconds} s`);
      t.true(hands.clicks <= MOST_CLICKS, `${name}: ${hands.clicks} clicks`);
    });
  }
  t.log(lines.join('\n'));
});
