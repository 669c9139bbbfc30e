// Pace: long
/** Several clients and stores in one tardis-web: which it finds, how each is opened, and the switch in a real Chromium. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_BROWSER, openBrowser, watchedPage } from '../helpers/browser.js';
import { commandsAreProcesses, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { file, makeTree } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';

commandsAreProcesses(); // the page starts other commands

const API = '/api/v1';
const PASSWORD = 'seven unrelated words';

/** A store with a client and two that encrypt, and another store with a client of the same name. */
async function makeLab(t: ExecutionContext) {
  const base = scratchInMemory(t);
  const at = (name: string): string => path.join(base, name);
  const [store, disk, secret, source] = [at('store'), at('disk'), at('secret'), at('home')];
  fs.mkdirSync(store);
  fs.mkdirSync(disk);
  fs.writeFileSync(secret, `${PASSWORD}\n`, { mode: 0o600 });
  const env = { XDG_STATE_HOME: at('state'), XDG_CONFIG_HOME: at('config') };
  const backup = async (place: string, client: string, ...more: string[]): Promise<void> => {
    makeTree(source, [file(`${client}-of-${path.basename(place)}.txt`, `of ${client}\n`)]);
    const words = ['-D', place, '-C', client, '--local', '--create', ...more, source];
    await succeed('tardis', words, { env });
    fs.rmSync(source, { recursive: true });
  };
  await backup(store, 'me');
  await backup(store, 'laptop', '--password-file', secret);
  await backup(store, 'work', '--password-file', secret);
  await backup(disk, 'me');
  return { store, disk, secret, source, env, base };
}

interface Shown {
  readonly name: string;
  readonly place?: string;
  readonly state: string;
  readonly reason: string;
  readonly completeSets?: number;
  readonly lastCompletedMs?: number;
  readonly seenAtMs?: number;
}

/** Sends requests as a program of the user. */
function asker(door: WebDoor) {
  const headers = {
    authorization: `Bearer ${door.programKey}`,
    'x-tardis-page': '1',
    'content-type': 'application/json',
  };
  return async (url: string, body?: object) => {
    const how = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const { status, headers: got, body: text } = await door.request(API + url, headers, how);
    return { status, headers: got, text, value: text.startsWith('{') ? JSON.parse(text) : {} };
  };
}

test('all clients of the stores are there, and each that encrypts opens by its own password', async (t) => {
  const { store, disk, source, env } = await makeLab(t);
  const door = await WebDoor.during(t, store, ['-D', disk, '--trust-store'], { env });
  const ask = asker(door);
  const clients = JSON.parse((await ask('/clients')).text) as Shown[];
  const away = clients.find(({ place }) => place === disk)!.name;
  t.regex(away, /^me@[0-9a-f]{8}$/);
  t.deepEqual(
    clients.map(({ name, place, state }) => [name, place, state]),
    [
      ['laptop', undefined, 'good'],
      ['me', undefined, 'good'],
      ['work', undefined, 'good'],
      [away, disk, 'good'],
    ],
  );
  const content = (client: string, name: string) =>
    ask(`/clients/${client}/sets/1/content?path=${source}/${name}`);
  t.is((await content('me', 'me-of-store.txt')).text, 'of me\n');
  t.is((await content(away, 'me-of-disk.txt')).text, 'of me\n');
  t.is((await content(away, 'me-of-store.txt')).status, 404);

  t.is((await content('laptop', 'laptop-of-store.txt')).status, 409);
  t.is((await ask('/unlocks', { client: 'laptop', password: 'wrong' })).status, 401);
  t.is((await content('laptop', 'laptop-of-store.txt')).status, 409);
  t.is((await ask('/unlocks', { client: 'laptop', password: PASSWORD })).status, 200);
  const opened = await content('laptop', 'laptop-of-store.txt');
  t.is(opened.text, 'of laptop\n');
  t.is(opened.headers['cache-control'], 'no-store');
  t.is((await content('work', 'work-of-store.txt')).status, 409); // it has the same password
  for (const name of ['nobody', '..', `me@${'f'.repeat(8)}`, `..%2fdisk%2fme`]) {
    const { status } = await ask(`/clients/${name}/sets`);
    t.true([400, 404].includes(status), `${name}: ${status}`);
  }
  for (const name of ['me@', `${away}@0`, `me@@${away.slice(-8)}`]) {
    t.is((await ask(`/session?client=${name}`)).status, 404, `no other name of a client: ${name}`);
  }

  const tags = { sets: [1], addTags: ['kept'], removeTags: [] };
  let tag = (await ask('/clients/laptop/tags', tags)).value;
  while (tag.state === 'running') tag = (await ask(`/jobs/${tag.id}`)).value;
  t.is(tag.state, 'done', JSON.stringify(tag));
  t.regex(tag.command, /^sonic tag -P /);

  const { value } = await ask(`/clients/${away}/locks`, { sets: [1], isLocked: true });
  t.regex(value.command, new RegExp(`--database=${disk} .*--client=me`));
  t.notRegex(value.command, /trust/); // only the first store is trusted
  for (let state = value.state; state === 'running'; ) {
    ({ state } = (await ask(`/jobs/${value.id}`)).value);
  }
  const locks = async (place: string) =>
    (JSON.parse((await ask(`/clients/${place}/sets`)).text) as { sets: { isLocked: boolean }[] })
      .sets[0]!.isLocked;
  t.deepEqual([await locks(away), await locks('me')], [true, false]);
  t.false(`${door.running.stdout}${door.running.stderr}`.includes(PASSWORD));
});

test('sections of the configuration name clients with passwords of their own, and AlsoTo names stores', async (t) => {
  const { store, disk, secret, source, env, base } = await makeLab(t);
  const config = path.join(base, 'backup.cfg');
  const lines = [
    ['[Tardis]', `Database = ${store}`, 'Client = me', `AlsoTo = ${disk}`],
    ['[laptop]', `Database = ${store}`, 'Client = laptop', `PasswordFile = ${secret}`],
    ['[gone]', `Database = ${base}/gone`, 'Client = far'],
    ['[away]', 'Server = 127.0.0.1', 'Port = 1', 'Client = there'],
  ].flat();
  fs.writeFileSync(config, `${lines.join('\n')}\n`);
  const door = await WebDoor.during(t, store, ['--config', config], { env });
  const ask = asker(door);
  const clients = JSON.parse((await ask('/clients')).text) as Shown[];
  const shown = clients.map(({ name, place, state }) => [name.split('@')[0], place, state]);
  t.deepEqual(shown, [
    ['laptop', undefined, 'good'],
    ['me', undefined, 'good'],
    ['work', undefined, 'good'],
    ['me', disk, 'good'],
    ['far', `${base}/gone`, 'unknown'],
    ['there', '127.0.0.1', 'unknown'],
  ]);
  const at = `/clients/laptop/sets/1/content?path=${source}/laptop-of-store.txt`;
  t.is((await ask(at)).text, 'of laptop\n');
  t.is((await ask('/clients/work/sets')).status, 409);
  t.is((await ask(`/clients/${clients[4]!.name}/sets`)).status, 404);
  t.is((await ask(`/clients/${clients[5]!.name}/sets`)).status, 503);
  fs.writeFileSync(path.join(disk, '.requests'), 'no directory');
  const states = (JSON.parse((await ask('/clients')).text) as Shown[]).map(({ state }) => state);
  t.deepEqual(states, ['good', 'good', 'good', 'unknown', 'unknown', 'unknown']);
});

test('another store shows only clients that it has, and while its disk is away what was seen of them', async (t) => {
  const { store, source, env, base } = await makeLab(t);
  const other = path.join(base, 'other');
  makeTree(source, [file('far', 'far')]);
  await succeed('tardis', ['-D', other, '-C', 'far', '--local', '--create', source], { env });
  const door = await WebDoor.during(t, store, ['-D', other], { env });
  const ask = asker(door);
  const there = async (): Promise<Shown[]> =>
    (JSON.parse((await ask('/clients')).text) as Shown[]).filter(({ place }) => place === other);
  const [seen, ...more] = await there();
  t.deepEqual(more, []); // no client "me", which -C names in the first store
  t.like(seen, { state: 'good', completeSets: 1, seenAtMs: undefined });
  t.is((await ask(`/clients/${seen!.name}/store`)).status, 200);
  fs.renameSync(other, `${other} away`);
  const [gone] = await there();
  t.like(gone, { name: seen!.name, state: 'unknown', completeSets: 1 });
  t.is(gone!.lastCompletedMs, seen!.lastCompletedMs);
  t.true(gone!.seenAtMs! > seen!.lastCompletedMs!);
  t.regex(gone!.reason, /: the disk of the store is not there\.$/);
  t.is((await ask(`/clients/${seen!.name}/store`)).value.code, 'NO_SUCH_STORE');
  fs.renameSync(`${other} away`, other);
  t.like((await there())[0], { state: 'good', seenAtMs: undefined });
});

test('the page shows the files of another machine within two clicks, and a bookmark of them lasts', async (t) => {
  const browser = await openBrowser();
  if (browser === undefined) return leaveOut(t, NO_BROWSER);
  const { store, disk, env } = await makeLab(t);
  let door = await WebDoor.start(store, ['-D', disk], { env });
  const { page, faults } = await watchedPage(browser, door.host);
  try {
    await page.goto(door.url.href);
    const choice = page.locator('.switch > button');
    const named = (name: string) => page.getByRole('button', { name, exact: true });
    await named('me-of-store.txt').waitFor();
    await choice.click();
    await page.locator('.switch a', { hasText: disk }).click();
    await named('me-of-disk.txt').waitFor();
    await page.getByTitle('State: good').waitFor();
    t.regex(page.url(), /client=me(?:@|%40)[0-9a-f]{8}/);
    const bookmark = page.url();

    fs.renameSync(disk, `${disk} away`);
    await page.getByTitle('State: 1 client is not well; the worst: cannot be read').waitFor();
    t.regex(await page.title(), /^\(1\) /);
    fs.renameSync(`${disk} away`, disk);
    await page.getByTitle('State: good').waitFor();

    await choice.click();
    await page.locator('.switch a', { hasText: 'laptop' }).click();
    const password = page.getByLabel('Password of laptop');
    await password.fill('wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('This is wrong').waitFor();
    await password.fill(PASSWORD);
    await password.press('Enter');
    await named('laptop-of-store.txt').waitFor();
    t.false(page.url().includes('words'));
    await page.getByRole('button', { name: 'Overview' }).click();
    await page.getByRole('row', { name: /work/ }).getByRole('link').click();
    await page.getByLabel('Password of work').waitFor();

    await door.close();
    door = await WebDoor.start(store, ['-D', disk], { env });
    await page.goto(door.url.href);
    await page.getByRole('grid').waitFor();
    await page.goto(bookmark);
    await named('me-of-disk.txt').waitFor();
    t.deepEqual(
      faults.filter((fault) => /^(?:error|dialog|request)/.test(fault)),
      [],
    );
  } finally {
    await browser.close();
    await door.close();
  }
});
