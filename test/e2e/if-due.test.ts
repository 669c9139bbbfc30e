// Pace: slow
/** `tardis backup --if-due`: backups that wait for their time, their disk and their turn; a disk by its id. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { requestBackup } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { commandsAreProcesses, listedSets, run, Running, succeed } from '../helpers/commands.js';
import { LeftOut, loopHere, Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { lab } from '../helpers/lab.js';
import { file, makeTree } from '../helpers/tree.js';

commandsAreProcesses(); // the disk is in a mount namespace, and times are in files of the state directory

const DAY_MS = 86_400_000;
const BY_ID = '/dev/disk/by-uuid';

/** A lab with a configuration that has a schedule and reports by a fake desktop and a fake mail command. */
function scheduled(t: ExecutionContext, more: string, mountsOf?: number) {
  const its = lab(t);
  fs.mkdirSync(its.at('bin'));
  const cases = `*Notify*) printf '%s\\n' "$@" >>${its.at('notices')} ;; *Power) cat ${its.at('power')} ;;`;
  const desktop = `#!/bin/sh\ncase "$*" in ${cases} esac\n`;
  const power = (isExternal: boolean) => its.written('power', `b ${isExternal}\n`);
  power(true);
  fs.writeFileSync(its.at('bin', 'busctl'), desktop, { mode: 0o755 });
  const state = its.at('state');
  const env = { XDG_STATE_HOME: state, PATH: `${its.at('bin')}:${process.env['PATH']}` };
  const text = `[Tardis]\nClient = me\nLocal = yes\nSchedule = daily\nOverdueAfter = 93600\n`;
  const mail = `MailTo = me@example.org\nMailCommand = tee -a ${its.at('mail')}\n`;
  const config = its.written('cfg', `${text}${mail}${more}`);
  const options = { env, ...(mountsOf !== undefined && { mountsOf }) };
  const begin = (...words: string[]) => run('tardis', [...words, '--config', config], options);
  const mails = (): string[] => {
    const sent = fs.existsSync(its.at('mail')) ? fs.readFileSync(its.at('mail'), 'utf8') : '';
    return [...sent.matchAll(/^Subject: (.*)$/gm)].map(([, subject]) => subject!);
  };
  /** Makes this machine remember that something was this long ago. */
  const remember = (fact: string, agoMs: number): void => {
    const folder = path.join(state, 'tardis', 'backups');
    for (const name of fs.readdirSync(folder)) {
      const file = path.join(folder, name);
      const known = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
      fs.writeFileSync(file, JSON.stringify({ ...known, [fact]: Date.now() - agoMs }));
    }
  };
  return { ...its, env, config, begin, mails, remember, options, power };
}

test('a backup begins if one is due, and waits for its store without a failure until it is overdue', async (t) => {
  const { at, store, source, begin, mails, remember, place, power } = scheduled(t, '');
  const due = (...sources: string[]) =>
    begin('backup', '--if-due', ...place, '--create', ...(sources.length > 0 ? sources : [source]));
  const again = (...sources: string[]) =>
    begin('backup', '--if-due', ...place, ...(sources.length > 0 ? sources : [source]));
  const first = await due();
  t.is(first.status, 0, first.stderr);
  t.deepEqual([(await again()).stdout, (await listedSets(store, 'me')).length], ['', 1]);

  remember('lastGoodMs', DAY_MS);
  fs.renameSync(store, at('unplugged'));
  const waits = await again();
  t.deepEqual([waits.status, mails()], [0, []], waits.stderr);
  t.regex(waits.stdout, /^The backup is due and waits: there is no store at/m);
  remember('lastGoodMs', 2 * DAY_MS);
  await again();
  await again();
  t.deepEqual(mails(), ['tardis: the backup of me is overdue']); // once a day
  power(false);
  t.regex((await again()).stdout, /^The backup is due and waits: this machine runs on battery/m);
  power(true);
  t.regex(fs.readFileSync(at('mail'), 'utf8'), /2 days ago\.\nWhat to do: Connect the disk or/);

  fs.renameSync(at('unplugged'), store);
  t.is((await again()).status, 0);
  t.is((await listedSets(store, 'me')).length, 2);
  remember('lastGoodMs', DAY_MS);
  remember('reportedAtMs', DAY_MS + 1);
  t.is((await again(at('nowhere'))).status, 1);
  t.is((await again(at('nowhere'))).status, 0, 'a failure is tried again after an hour');
  t.deepEqual(mails().slice(1), ['tardis: the backup of me has failed [SOURCE_MISSING]']);
  remember('failedAtMs', 3_600_001);
  t.is((await again(at('nowhere'))).status, 1);
  t.is(mails().length, 2);
  const { stderr } = await run('tardis', ['--if-due', ...place, '--local', source]);
  t.regex(stderr, /--if-due needs the key Schedule \[CONFIG_INVALID\]/);
});

test('only a backup of all that a configuration has, with its rules, is the planned one', async (t) => {
  const { source, store, at, begin, config, options, place } = scheduled(t, '');
  const [one, two] = [at('one'), at('two')];
  for (const each of [one, two]) makeTree(each, [file('f')]);
  const written = fs.readFileSync(config, 'utf8');
  const configure = (...directories: string[]) =>
    fs.writeFileSync(
      config,
      `${written}Database = ${store}\nDirectories = ${directories.join(' ')}\n`,
    );
  configure(one);
  const due = async (...words: string[]): Promise<number> => {
    await begin('backup', '--if-due', ...words);
    return (await listedSets(store, 'me')).length;
  };
  await succeed('tardis', [...place, '--local', '--create', source], options);
  t.is(await due(), 2, 'another directory was saved, without the configuration');
  await succeed('tardis', ['--config', config, '--exclude', '*', '--if-due'], options);
  t.is(await due(), 2);
  configure(one, two);
  t.is(await due(), 3, 'a directory is new');
  t.is(await due(), 3);
  configure(two);
  fs.renameSync(two, at('away'));
  fs.mkdirSync(at('three'));
  configure(at('three'), two);
  t.is(await due(), 4, 'one of the directories is away');
  const next = await run('sonic', ['status', '--config', config], options);
  t.notRegex(next.stdout, /next +now/, next.stdout);
  t.is(await due(), 4, 'it is tried again in an hour');
});

test('a backup that an administrator requests begins at the next look, once an hour, with OnRequest only', async (t) => {
  const { store, source, at, written, remember, begin } = scheduled(t, '');
  const password = ['--password-file', written('pw', 'gravel-Otter9-lamp')];
  await succeed('sonic', ['create', '-D', store, '-C', 'me', ...password]);
  const words = ['-D', store, '--port', '0', '--address', '127.0.0.1'];
  const server = new Running('tardisd', words, { env: { XDG_CONFIG_HOME: at('server') } });
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its address', () => /^Ready: .*\n/.test(server.stdout));
  const [, address = ''] = /^Ready: (\S+:\d+)/.exec(server.stdout)!;
  const place = ['--server', address, '-C', 'me', ...password];
  const due = (...more: string[]) => begin('backup', '--if-due', ...place, ...more, source);
  const sets = async (): Promise<number> => (await listedSets(store, 'me', password)).length;
  const request = () => requestBackup(nodeSystem(), store, { client: 'me', by: 'desk/admin' });
  t.is((await due()).status, 0);
  t.is((await due('--on-request')).status, 0);
  t.is(await sets(), 1, 'nothing is due, and nothing is requested');
  await request();
  await due();
  t.is(await sets(), 1);
  const requested = await due('--on-request');
  t.deepEqual([requested.status, await sets()], [0, 2], requested.stderr);
  await server.until('the end of the request', () => !fs.existsSync(`${store}/.requests/me`));
  const by = (await listedSets(store, 'me', password)).map(({ requestedBy }) => requestedBy);
  t.deepEqual(by, [undefined, 'desk/admin'], 'the set of the run shows who requested it');
  await request();
  await due('--on-request');
  t.is(await sets(), 2, 'a server causes one backup an hour');
  remember('requestedMs', 3_600_001);
  await due('--on-request');
  t.is(await sets(), 3);
  await server.endedBy('SIGTERM');
  remember('requestedMs', 3_600_001);
  const away = await due('--on-request');
  t.deepEqual([away.status, away.stdout], [0, ''], away.stderr);
});

/** Connects a disk of this id until the test ends, and returns the device. */
function disk(t: ExecutionContext, mounts: Mounts, id: string): string {
  const image = path.join(mounts.home, 'image');
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 256 << 20);
  mounts.run('mkfs.ext4', '-q', '-F', '-U', id, image);
  const device = loopHere(t, image);
  if (!fs.existsSync(BY_ID)) {
    fs.mkdirSync(BY_ID, { recursive: true });
    process.once('exit', () => fs.rmdirSync(BY_ID)); // until then, other tests mount on it
  }
  const links = mounts.directory('links');
  fs.symlinkSync(device, path.join(links, id));
  mounts.run('mount', '--bind', links, BY_ID);
  return device;
}

test('a store on a disk by its id is found wherever the disk is mounted, and missed by name', (t) =>
  Mounts.during(t, async (mounts) => {
    const id = '5e0c1d7a-1111-4222-8333-94f0aa00bb01';
    const device = disk(t, mounts, id);
    const place = `${BY_ID}/${id}/backups/store`;
    const more = `Database = ${place}\nNotices = yes\n`;
    const { begin, source, mails, at, remember } = scheduled(t, more, mounts.mountsOf);
    const one = mounts.mount('one', 'ext4', device, 'rw');
    fs.mkdirSync(mounts.view(path.join(one, 'backups')));
    const first = await begin('backup', '--create', source);
    t.is(first.status, 0, first.stderr);
    t.true(fs.existsSync(mounts.view(path.join(one, 'backups', 'store', 'me', 'tardis.db'))));
    const notice = fs.readFileSync(at('notices'), 'utf8');
    t.true(notice.includes(`Set 1 is on ${one}/backups/store. The disk may be ejected`), notice);

    mounts.run('umount', one);
    // The disk is connected, but not mounted; and then away.
    const unmounted = await begin('backup', source);
    t.regex(unmounted.stderr, new RegExp(`${id}.*\\[[A-Z_]+\\]`));
    t.is(unmounted.status, 10, unmounted.stderr);
    t.false(fs.existsSync(mounts.view(path.join(one, 'backups'))));
    fs.rmSync(path.join(mounts.home, 'links', id));
    const gone = await begin('backup', '--create', source);
    t.is(gone.status, 10, gone.stderr);
    const status = await begin('status');
    t.is(status.status, 10);
    t.regex(status.stdout, /last good.* 0 minutes ago, as this machine remembers/);
    t.regex(status.stdout, /\(not there; last seen 0 minutes ago\)/);
    const sent = mails().length;
    remember('lastGoodMs', DAY_MS);
    remember('failedAtMs', DAY_MS);
    const waits = await begin('backup', '--if-due', source);
    t.is(waits.status, 0, waits.stderr);
    t.regex(waits.stdout, /waits: the disk of the store is not there/);
    t.is(mails().length, sent);

    // Connected again, the disk is mounted elsewhere, a moment after the backup has begun to look for it.
    fs.symlinkSync(device, path.join(mounts.home, 'links', id));
    const backup = begin('backup', '--if-due', source);
    const two = mounts.mount('two', 'ext4', device, 'rw');
    const second = await backup;
    t.deepEqual([second.status, second.stderr], [0, ''], second.stderr);
    const listed = await begin('list', '--json');
    t.is(listed.status, 0, listed.stderr);
    const state = await begin('status', '--json');
    t.like(JSON.parse(state.stdout), { state: 'good', sets: 2 });
    t.true(fs.readFileSync(at('notices'), 'utf8').includes(`Set 2 is on ${two}/backups/store`));
  }));

test('setup writes the store by the id of its disk, and a unit that starts when the disk appears', (t) =>
  unlessLeftOut(t, async () => {
    if (fs.existsSync('/etc/systemd/system/tardis-backup.timer')) {
      throw new LeftOut('this machine is backed up by a timer of setup');
    }
    const mounts = await Mounts.open(t);
    const id = '5e0c1d7a-1111-4222-8333-94f0aa00bb02';
    const one = mounts.mount('one', 'ext4', disk(t, mounts, id), 'rw');
    const { at, written } = lab(t);
    for (const name of ['home', 'bin']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('home', 'letter'), 'dear Otto');
    const log = at('systemctl.log');
    fs.writeFileSync(at('bin', 'systemctl'), `#!/bin/sh\necho "$@" >>${log}\n`, { mode: 0o755 });
    const env = {
      HOME: at('home'),
      XDG_CONFIG_HOME: at('home', '.config'),
      XDG_STATE_HOME: at('state'),
      PATH: `${at('bin')}:${process.env['PATH']}`,
    };
    const keys = `Sources = home\nPlace = ${one}/store\nClient = ann\nEncrypt = no\nTimer = user\nReport = nobody\n`;
    const options = { env, mountsOf: mounts.mountsOf };
    const setup = async (text: string): Promise<void> => {
      const answers = written('answers', `[Setup]\n${text}`);
      await succeed('tardis', ['setup', '--answers', answers], options);
    };
    await setup(keys);
    const config = at('home', '.config', 'tardis', 'backup.cfg');
    const database = `Database = ${BY_ID}/${id}/store\n`;
    t.true(fs.readFileSync(config, 'utf8').includes(database));
    t.true(fs.readFileSync(config, 'utf8').includes('Schedule = daily\n'));
    const unit = at('home', '.config', 'systemd', 'user', 'tardis-backup.service');
    const wanted = String.raw`WantedBy=dev-disk-by\x2duuid-5e0c1d7a\x2d1111\x2d4222\x2d8333\x2d94f0aa00bb02.device`;
    t.true(fs.readFileSync(unit, 'utf8').includes(`${wanted}\n`));
    t.regex(fs.readFileSync(log, 'utf8'), /--user reenable tardis-backup\.service/);
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
      encoding: 'utf8',
    });
    if (verified.error === undefined)
      t.false(verified.stderr.includes('tardis-backup'), verified.stderr);
    else t.log('left out: systemd-analyze is not installed');
    // Again, with the disk at another place, nothing changes but the time.
    mounts.run('umount', one);
    mounts.mount('two', 'ext4', path.join(BY_ID, id), 'rw');
    await setup('When = weekly\n');
    t.true(fs.readFileSync(config, 'utf8').includes(database));
    t.true(fs.readFileSync(config, 'utf8').includes('Schedule = weekly\n'));
    t.true(fs.readFileSync(unit, 'utf8').includes(`${wanted}\n`));
  }));
