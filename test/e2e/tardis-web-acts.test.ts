// Pace: long
/** Acts of the page of tardis-web in a real Chromium: a backup, a mount, and changes of sets, each undone where data allow. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Locator, Page } from 'playwright-core';
import { withPage, browserOf } from '../helpers/browser.js';
import { commandsAreProcesses, succeed } from '../helpers/commands.js';
import { LeftOut, Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';

commandsAreProcesses(); // the page starts other commands

const MARK = '# Written by `tardis setup`, for a test';

const browser = browserOf(test);

/** A client with a backup, and a configuration that is as `tardis setup` writes it. */
async function makeLab(t: ExecutionContext) {
  const base = scratchInMemory(t);
  const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
  makeTree(source, [file('letter', 'dear Otto'), file('secret', 'no one must know')]);
  const env = {
    HOME: base,
    XDG_CONFIG_HOME: path.join(base, 'config'),
    XDG_STATE_HOME: path.join(base, 'state'),
  };
  const config = path.join(base, 'config', 'tardis', 'backup.cfg');
  const configure = (...lines: string[]): void => {
    const keys = [`Directories = ${source}`, `Database = ${store}`, 'Local = yes', 'Client = me'];
    fs.mkdirSync(path.dirname(config), { recursive: true });
    fs.writeFileSync(config, [MARK, '[Tardis]', ...keys, ...lines, ''].join('\n'));
  };
  const place = ['-D', store, '-C', 'me'];
  await succeed('tardis', [...place, '--local', '--create', source], { env });
  return { base, store, source, env, config, configure, place };
}

function jobOf(page: Page, kind: string): Locator {
  return page.getByRole('region', { name: 'Jobs' }).locator(`[data-kind=${kind}]`);
}

async function act(page: Page, label: string): Promise<void> {
  await page.getByRole('button', { name: `${label} …`, exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: label, exact: true }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

test.serial('a backup runs from the page, is stopped, and runs again to its end', async (t) => {
  const { base, store, source, env, configure } = await makeLab(t);
  const pipe = path.join(base, 'pipe');
  execFileSync('mkfifo', [pipe]);
  configure('[Sources]', `slow = cat ${pipe}`);
  await withPage(t, { browser: browser(), store, options: { env } }, async (page) => {
    await page.getByRole('button', { name: 'Overview' }).click();
    await act(page, 'Back up now');
    const running = jobOf(page, 'backup').and(page.locator('[data-state=running]'));
    await running.getByText(/entr\w+ looked at/).waitFor();
    await page.reload();
    await running.getByText(/entr\w+ looked at/).waitFor();
    // The set that is being written is no trouble, and a search does not lead to it.
    await page.getByRole('button', { name: 'Files', exact: true }).click();
    const written = page.locator('.set', { hasText: 'set 2' });
    await written.getByText('running').waitFor();
    t.is(await written.getByText('unfinished').count(), 0);
    await page.getByRole('searchbox').fill('letter');
    await page.getByRole('button', { name: 'letter', exact: true }).click();
    await page.locator('.set[aria-current=true]', { hasText: 'set 1' }).waitFor();
    await page.goto(`${new URL(page.url()).origin}/#/files?path=${source}`);
    await running.getByRole('button', { name: 'Stop: Backup' }).click();
    await jobOf(page, 'backup').and(page.locator('[data-state=stopped]')).waitFor();
    await written.getByText('unfinished').waitFor();
    const after = page.locator('.side-state');
    await after.waitFor({ state: 'detached' }); // a stop by the user is no failure
    configure();
    fs.writeFileSync(path.join(source, 'new'), 'new');
    await page.getByRole('button', { name: 'Overview' }).click();
    await act(page, 'Back up now');
    const done = jobOf(page, 'backup').and(page.locator('[data-state=done]'));
    await done.getByText(/Backup \d+ is complete/).waitFor();
    await done.getByRole('button', { name: 'Details: Backup' }).click();
    await page
      .getByRole('dialog')
      .getByText(/^tardis backup --config .*backup\.cfg/)
      .waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Files', exact: true }).click();
    await page.getByRole('button', { name: 'new', exact: true }).waitFor();
  });
});

test.serial(
  'sets are locked, tagged and deleted, paths are forgotten, and undo works',
  async (t) => {
    const { store, source, env, place } = await makeLab(t);
    fs.writeFileSync(path.join(source, 'new'), 'new');
    await succeed('tardis', [...place, '--local', source], { env });
    await withPage(t, { browser: browser(), store, options: { env } }, async (page) => {
      const shown = page.locator('.set[aria-current=true]');
      const done = (kind: string): Locator =>
        jobOf(page, kind).and(page.locator('[data-state=done]'));
      await act(page, 'Lock');
      await done('lock').getByText('1 backup is locked.').waitFor();
      await shown.getByText('locked').waitFor();
      await done('lock').getByRole('button', { name: 'Undo: Lock' }).click();
      await shown.getByText('locked').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Tags …' }).click();
      const dialog = page.getByRole('dialog');
      t.true(await dialog.getByRole('button', { name: 'Tags', exact: true }).isDisabled());
      await dialog.getByLabel('Tags, with blanks').fill('before-move');
      await dialog.getByRole('button', { name: 'Tags', exact: true }).click();
      await shown.getByText('before-move').waitFor();
      await done('tag').getByRole('button', { name: 'Undo: Tags' }).click();
      await shown.getByText('before-move').waitFor({ state: 'detached' });
      await page.locator('.set', { hasText: 'set 1' }).click();
      await act(page, 'Delete');
      await done('delete').getByText('1 backup is deleted.').waitFor();
      await page.locator('.set', { hasText: 'set 1' }).waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'secret', exact: true }).click();
      await act(page, 'Forget');
      await done('forget').waitFor();
      const requests = async (): Promise<string> =>
        succeed('sonic', ['forget-path', '--list', ...place], { env });
      t.regex(await requests(), /\/secret/);
      await done('forget').getByRole('button', { name: 'Undo: Forget' }).click();
      await done('withdraw').waitFor();
      t.notRegex(await requests(), /\/secret/);
      await page.getByRole('button', { name: 'Overview' }).click();
      // `tardis setup` has configured nothing, so there is nothing to start.
      t.is(await page.getByRole('button', { name: 'Back up now …' }).count(), 0);
      await page.getByRole('button', { name: 'Check …' }).click();
      await dialog.getByLabel('Quick').check();
      await dialog.getByRole('button', { name: 'Check', exact: true }).click();
      await done('check').getByText('No data was read.').waitFor();
      await done('check').getByRole('button', { name: 'Dismiss' }).click();
      await page.getByText('No check has read the data yet').waitFor();
      await act(page, 'Check');
      await done('check').getByText('Nothing wrong was found.', { exact: true }).waitFor();
      await page.getByText('Checks have read 100% of the data in the last 7 days').waitFor();
    });
  },
);

test.serial('a purge is weighed in bytes, and carried out by rules that stay', async (t) => {
  const { store, source, env, place } = await makeLab(t);
  fs.writeFileSync(path.join(source, 'film'), noise('film', 3 << 20));
  await succeed('tardis', [...place, '--local', source], { env });
  fs.rmSync(path.join(source, 'film'));
  await succeed('tardis', [...place, '--local', source], { env });
  const expected = /400 \(Bad Request\)/; // a rule that is no time
  await withPage(t, { browser: browser(), store, expected, options: { env } }, async (page) => {
    await page.getByRole('button', { name: 'Overview' }).click();
    await page.getByLabel('All younger than').fill('');
    for (const [label, count] of [
      ['Weeks', '0'],
      ['Months', '0'],
      ['Days', '1'],
    ] as const) {
      await page.getByLabel(label, { exact: true }).fill(count);
    }
    await page
      .getByText('2 backups would be deleted, 1 would stay. This would free 3.1 MB.')
      .waitFor();
    await page.getByRole('button', { name: 'Purge …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('2 backups are deleted for good, which frees 3.1 MB.').waitFor();
    await dialog.getByRole('button', { name: 'Purge', exact: true }).click();
    await jobOf(page, 'purge').and(page.locator('[data-state=done]')).waitFor();
    await page.getByText('0 backups would be deleted, 1 would stay.').waitFor();
    await page.reload(); // the form begins with the rules that are stored
    await page.getByText('0 backups would be deleted, 1 would stay.').waitFor();
    t.is(await page.getByLabel('Days', { exact: true }).inputValue(), '1');
    t.is(await page.getByLabel('All younger than').inputValue(), '');
    await page.getByLabel('All younger than').fill('2 days');
    await page.getByText('CONFIG_INVALID').waitFor();
    await page.getByLabel('All younger than').fill('2d');
    await page.getByLabel('Those with a tag').fill('old, new');
    await page
      .getByText(/sonic purge .* --keep-daily 1 --keep-within 2d --keep-tag old --keep-tag new$/)
      .waitFor();
    t.is((await succeed('lstardis', ['-l', ...place], { env })).match(/complete/g)?.length, 1);
    const rules = await succeed('sonic', ['getconfig', '--json', ...place], { env });
    t.deepEqual((JSON.parse(rules) as { settings: object }).settings, { KeepDaily: '1' });
  });
});

test.serial('the set-up is changed from the page, and the change is taken back', async (t) => {
  if (fs.existsSync('/etc/systemd/system/tardis-backup.timer')) {
    t.log('left out: this machine is backed up by a timer of setup');
    return t.pass();
  }
  const { base, store, source, env, config, configure, place } = await makeLab(t);
  makeTree(path.join(source, 'cache, old'), [dir('deep', [file('big', noise('big', 70_000))])]);
  configure('Schedule = daily');
  await succeed('tardis', [...place, '--local', source], { env });
  const bin = folderIn(base, 'bin');
  fs.writeFileSync(path.join(bin, 'systemctl'), '#!/bin/sh\n', { mode: 0o755 });
  const options = { env: { ...env, PATH: `${bin}:${process.env['PATH']}` } };
  await withPage(t, { browser: browser(), store, options }, async (page) => {
    await page.getByRole('button', { name: 'Overview' }).click();
    const card = page.locator('.setup');
    await card.getByText('daily').waitFor();
    await page.getByRole('button', { name: 'Change the set-up …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Left out').fill(`"${source}/cache, old"`);
    await dialog.getByText('cache, old: 70.0 kB in 1 file of the newest backup').waitFor();
    await dialog.getByLabel('When').selectOption('weekly');
    await dialog.getByLabel('Backups that are kept').fill('14 daily');
    await dialog.getByRole('button', { name: 'Change the set-up', exact: true }).click();
    const done = jobOf(page, 'setup').and(page.locator('[data-state=done]'));
    await done.waitFor();
    await card.getByText('weekly').waitFor();
    await card.getByText('14 daily').waitFor();
    const written = fs.readFileSync(config, 'utf8');
    t.regex(written, /^Schedule = weekly$/m);
    t.regex(written, /^ExcludeDirs = ".*\/cache, old"$/m);
    t.regex(written, /^Purge = yes$/m);
    const rules = JSON.parse(await succeed('sonic', ['getconfig', '--json', ...place], { env }));
    t.is((rules as { settings: Record<string, string> }).settings['KeepDaily'], '14');
    t.is((await succeed('lstardis', ['-l', ...place], { env })).match(/complete/g)?.length, 2);
    await done.getByRole('button', { name: 'Undo: Set-up' }).click();
    await card.getByText('daily', { exact: true }).waitFor();
    t.regex(fs.readFileSync(config, 'utf8'), /^Schedule = daily$/m);
  });
});

test.serial('the client is mounted by one click, until it is unmounted or the page ends', (t) =>
  unlessLeftOut(t, async () => {
    if (!fs.existsSync('/dev/fuse')) throw new LeftOut('there is no /dev/fuse');
    const mounts = await Mounts.open(t);
    const { base, store, source, env } = await makeLab(t);
    const run = path.join(base, 'run');
    fs.mkdirSync(run, { mode: 0o700 });
    const point = path.join(run, 'tardis', 'mounts', 'me');
    const letter = (): string =>
      fs.readFileSync(mounts.view(path.join(point, 'Current', source, 'letter')), 'utf8');
    const options = { env: { ...env, XDG_RUNTIME_DIR: run }, mountsOf: mounts.mountsOf };
    const expected = /status of 503/; // of a directory that is not empty
    await withPage(t, { browser: browser(), store, expected, options }, async (page) => {
      const mount = page.getByRole('button', { name: 'Mount', exact: true });
      const where = page.getByLabel('Directory of this machine to mount at');
      const item = (state: string): Locator =>
        jobOf(page, 'mount').and(page.locator(`[data-state=${state}]`));
      await page.getByRole('button', { name: 'Overview' }).click();
      t.is(await where.inputValue(), point);
      // Without a FUSE that this user may open, the page names what to install.
      mounts.run('mount', '--bind', '/dev/fuse', '/dev/fuse');
      mounts.run('mount', '-o', 'remount,bind,nodev', '/dev/fuse');
      await mount.click();
      await item('failed').getByText('apt-get install fuse3').waitFor();
      await item('failed')
        .getByRole('button', { name: /^Dismiss/ })
        .click();
      mounts.run('umount', '/dev/fuse');

      await mount.click();
      await item('running').getByText('Mounted, as long as this program runs.').waitFor();
      t.regex((await item('running').textContent()) ?? '', /Mount → .*\/mounts\/me/);
      t.is(letter(), 'dear Otto');
      await page.reload();
      await item('running')
        .getByRole('button', { name: /^Unmount/ })
        .click();
      await item('done').getByText('It is unmounted.').waitFor();
      t.false(fs.existsSync(mounts.view(point)));
      await where.fill(source);
      await mount.click();
      await page.getByRole('alert').getByText('it is not empty').waitFor();
      await where.fill(point);
      await mount.click();
      await item('running').getByText('Mounted').waitFor();
      t.is(letter(), 'dear Otto');
    });
    t.false(fs.existsSync(mounts.view(point)));
  }),
);
