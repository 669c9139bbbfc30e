/** A real browser for tests: Debian's Chromium, if it is there. */
import fs from 'node:fs';
import type { ExecutionContext } from 'ava';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { CommandOptions } from './commands.js';
import { leaveOut } from './left-out.js';
import type { FileHooks } from './scratch.js';
import { WebDoor } from './web-door.js';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const NO_BROWSER = 'left out: there is no Chromium (Debian: apt-get install chromium)';

/** Returns a browser; undefined if this machine has none. */
export async function openBrowser(): Promise<Browser | undefined> {
  const executablePath = PLACES.find((place) => fs.existsSync(place));
  if (executablePath === undefined) return undefined;
  // Root cannot use Chromium's own sandbox; all that it opens is the page of the test.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Opens one browser for all tests of a file. Returns a function that returns it; undefined if this machine has none. */
export function browserOf(test: FileHooks): () => Browser | undefined {
  let browser: Browser | undefined;
  test.before(async () => {
    browser = await openBrowser();
  });
  test.after.always(async () => browser?.close());
  return () => browser;
}

/** A page, and everything that went wrong in it: errors of scripts, and requests to other hosts. */
export interface WatchedPage {
  readonly page: Page;
  readonly faults: string[];
}

export async function watchedPage(
  browser: Browser,
  host: string,
  size = { width: 1280, height: 800 },
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: size,
    locale: 'en-GB',
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => undefined); // the page may be closed already
  });
  page.on('request', (request) => {
    const { host: requested, protocol } = new URL(request.url());
    if (['http:', 'https:'].includes(protocol) && requested === host) return;
    if (!['blob:', 'data:'].includes(protocol)) faults.push(`request: ${request.url()}`);
  });
  return { page, faults };
}

interface Opened {
  readonly browser: Browser | undefined;
  readonly store: string;
  readonly size?: { width: number; height: number } | undefined;
  /** Messages of the browser that the test expects. */
  readonly expected?: RegExp;
  /** How tardis-web is started. */
  readonly options?: CommandOptions;
}

/**
 * Opens the page of the client `me`, and fails for any error in it and any request to another host. Without a browser,
 * the test logs that it is left out.
 */
export async function withPage(
  t: ExecutionContext,
  { browser, store, size, expected, options }: Opened,
  use: (page: Page, door: WebDoor) => Promise<void>,
): Promise<void> {
  if (browser === undefined) return leaveOut(t, NO_BROWSER);
  const door = await WebDoor.start(store, [], options);
  const { page, faults } = await watchedPage(browser, door.host, size);
  try {
    await page.goto(door.url.href);
    await page.getByRole('grid').waitFor();
    await use(page, door);
    t.deepEqual(
      faults.filter((fault) => expected?.test(fault) !== true),
      [],
    );
  } finally {
    await page.context().close();
    await door.close();
  }
}
