// Pace: long
/**
 * Real mounts of backup sets, in a mount namespace of the test. Without root or FUSE the tests log that they are left
 * out.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import {
  among,
  run,
  Running,
  Server,
  succeed,
  backupsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { everything, mounted } from '../helpers/mounted-sets.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { spoilContent } from '../helpers/rot.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

test.serial(
  'rsync finds no difference between a source and its mount',
  mounted(async (lab, t) => {
    makeTree(lab.source, everything());
    await lab.save();
    await lab.mountStore();
    t.is(lab.differences(), '');
    t.is(lab.differences(), ''); // from the kernel's memory
    t.is(
      fs.statSync(lab.view('Current', lab.source, 'docs/again')).ino,
      fs.statSync(lab.view('Current', lab.source, 'docs/letter.txt')).ino,
    );
    t.true(lab.inside('touch', lab.at('new')).stderr.includes('Read-only'));
    t.is(lab.inside('umount', lab.point).status, 0);
    t.true(await lab.ended());
  }),
);

test.serial(
  'a client that encrypts is mounted with its password, here and through a server',
  mounted(async (lab, t) => {
    makeTree(lab.source, everything());
    const password = path.join(lab.home, 'password');
    fs.writeFileSync(password, 'secret\n', { mode: 0o600 });
    await lab.save(['--password-file', password]);
    await lab.mountStore(`,pwfile=${password}`);
    t.is(lab.differences(), '');
    t.is(lab.inside('umount', lab.point).status, 0);
    t.true(await lab.ended());

    const wrong = written(lab.home, 'wrong', 'guess\n');
    const refused = await lab.mount(`database=${lab.store},client=me,pwfile=${wrong}`);
    t.is(refused.status, 12);
    t.is(refused.stderr.split('LOGIN_FAILED').length, 2); // it is printed once
    t.is((await lab.mount(`database=${lab.store},client=me`)).status, 12);
    t.deepEqual(fs.readdirSync(lab.view()), []);

    // This thread reads the mount, and cannot serve it.
    const server = await Server.during(t, lab.store, [], { isProcess: true });
    const place = `server=127.0.0.1,port=${server.port},insecure_tcp`;
    exited(t, 0, await lab.mount(`${place},client=me,pwfile=${password}`));
    t.is(lab.differences(), '');
    t.is(lab.inside('umount', lab.point).status, 0);
    t.true(await lab.ended());
  }),
);

test.serial(
  'a walk of many directories of a client that encrypts comes to its end',
  mounted(async (lab, t) => {
    const letters = Array.from({ length: 20 }, (_, at) => file(`letter ${at}`, `${at % 3}`));
    const folders = Array.from({ length: 20 }, (_, one) => {
      const inner = Array.from({ length: 15 }, (_none, two) =>
        dir(`inner ${two}`, two % 3 === 0 ? [dir('empty')] : letters),
      );
      return dir(`folder ${one}`, [...inner, file('list', `${one}`)]);
    });
    makeTree(lab.source, folders);
    const password = path.join(lab.home, 'password');
    fs.writeFileSync(password, 'secret\n', { mode: 0o600 });
    await lab.save(['--password-file', password]);
    await lab.mountStore(`,pwfile=${password}`);
    const walk = ['rsync', '-anHAXic', '--delete', `${lab.source}/`, `${lab.shown}/`];
    const { status, stdout } = lab.inside('timeout', '60', ...walk); // a lost answer would stop this thread
    t.is(status, 0);
    t.is(stdout, '');
    t.is(lab.inside('umount', lab.point).status, 0);
    t.true(await lab.ended());
  }),
);

test.serial(
  'a client that encrypts is mounted through tardisremote, by the URL of its interface',
  mounted(async (lab, t) => {
    makeTree(lab.source, everything());
    const password = lab.password('secret');
    await lab.save(['--password-file', password]);
    const at = (name: string): string => path.join(lab.home, name);
    const files = ['--certfile', at('cert.pem'), '--keyfile', at('key.pem'), '--make-certificate'];
    const words = ['-D', lab.store, '--json', '--port', '0', '--address', '127.0.0.1', '--ssl'];
    const server = new Running('tardisremote', [...words, ...files]);
    t.teardown(() => server.signalGroup('SIGKILL'));
    await server.until('its line', () => server.stdout.includes('\n'));
    const { ready } = JSON.parse(server.stdout) as { ready: string };
    exited(t, 12, await lab.mount(`server=${ready},client=me,pwfile=${lab.password('guess')}`));
    exited(t, 0, await lab.mount(`server=${ready},client=me,pwfile=${password}`));
    t.is(lab.differences(), '');
    await lab.unmount();
  }),
);

test.serial(
  'new sets appear, and what is open in a deleted one is stale',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'first'), dir('d', [file('b', 'first')])]);
    await lab.save(['--name', 'one']);
    await lab.mountStore();
    t.is(fs.readFileSync(lab.view('Current', lab.source, 'a'), 'utf8'), 'first');
    fs.writeFileSync(path.join(lab.source, 'a'), 'second');
    await lab.save(['--name', 'two']);
    await until(() => fs.readdirSync(lab.view()).includes('two'));
    await until(() => fs.readFileSync(lab.view('Current', lab.source, 'a'), 'utf8') === 'second');
    t.is(fs.readFileSync(lab.view('one', lab.source, 'a'), 'utf8'), 'first');
    const [year] = fs.readdirSync(lab.view('by-date'));
    t.regex(year!, /^\d{4}$/);
    const script = 'cd "$1" && echo in && read word && while cat a; do sleep 0.1; done';
    const place = lab.at('one', lab.source);
    const inside = spawn('nsenter', [
      ...among(lab.mounts.mountsOf),
      'sh',
      '-c',
      script,
      'sh',
      place,
    ]);
    let printed = '';
    inside.stderr.on('data', (more: Buffer) => (printed += more.toString()));
    await new Promise((resolve) => inside.stdout.once('data', resolve));
    await succeed('sonic', ['delete', ...lab.place, '--yes', 'one']);
    await until(() => !fs.readdirSync(lab.view()).includes('one'));
    inside.stdin.end('go\n');
    await new Promise((resolve) => inside.once('close', resolve));
    t.true(printed.includes('Stale'), printed);
  }),
);

test.serial(
  'a mount in the foreground ends with its signal and leaves nothing',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const options = `database=${lab.store},client=me`;
    const command = new Running('tardisfs', ['-f', '-o', options, lab.point], {
      mountsOf: lab.mounts.mountsOf,
    });
    await command.until('mount', () => fs.readdirSync(lab.view()).length > 0);
    t.is(fs.readFileSync(lab.view('Current', lab.source, 'a'), 'utf8'), 'content');
    // Somebody who is in the mount does not hold up its end.
    const script = 'cd "$0" && echo in && read word';
    const words = [...among(lab.mounts.mountsOf), 'sh', '-c', script, lab.shown];
    const user = spawn('nsenter', words);
    await new Promise((resolve) => {
      user.stdout.once('data', resolve);
    });
    t.is((await command.endedBy('SIGTERM')).status, 0);
    user.stdin.end();
    t.deepEqual(fs.readdirSync(lab.view()), []);
  }),
);

test.serial(
  'a mount whose process was killed is taken over by the next one',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    await lab.mountStore();
    const before = fs.statSync(lab.view('Current', lab.source, 'a')).ino;
    for (const pid of lab.servers()) process.kill(pid, 'SIGKILL');
    t.true(await lab.ended());
    t.throws(() => fs.readdirSync(lab.view()));
    await lab.mountStore();
    t.is(fs.statSync(lab.view('Current', lab.source, 'a')).ino, before);
    t.is(fs.readFileSync(lab.view('Current', lab.source, 'a'), 'utf8'), 'content');
  }),
);

test.serial(
  'other users see only what the permissions in the set allow',
  mounted(async (lab, t) => {
    makeTree(lab.source, [
      file('open', 'for all', { mode: 0o644 }),
      file('closed', 'for root', { mode: 0o600 }),
      dir('private', [file('in', 'x')], { mode: 0o700 }),
    ]);
    fs.chmodSync(lab.source, 0o755);
    await lab.save();
    await lab.mountStore(',allow_other');
    const asNobody = (...words: string[]) =>
      lab.inside('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...words);
    t.is(asNobody('cat', path.join(lab.shown, 'open')).stdout, 'for all');
    t.true(asNobody('cat', path.join(lab.shown, 'closed')).stderr.includes('Permission denied'));
    t.true(asNobody('ls', path.join(lab.shown, 'private')).stderr.includes('Permission denied'));
    t.is(lab.inside('cat', path.join(lab.shown, 'closed')).stdout, 'for root');
    const versions = lab.view('versions', lab.source, 'private', 'in');
    t.is(fs.readdirSync(versions).length, 1);
    t.true(asNobody('ls', versions).stderr.includes('Permission denied'));
  }),
);

test.serial(
  'what cannot be mounted is refused before the command ends',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a')]);
    await lab.save();
    const store = `database=${lab.store},client=me`;
    t.is((await lab.mount(`${store},bla`)).status, 1);
    t.is((await lab.mount(`database=${lab.home}/nothing`)).status, 10);
    t.is((await lab.mount(`database=${lab.store},client=other`)).status, 10);
    const nowhere = await run('tardisfs', ['-o', store, path.join(lab.home, 'nowhere')]);
    t.is(nowhere.status, 1);
    t.true(nowhere.stderr.includes('[MOUNT_FAILED]'));
    t.deepEqual(fs.readdirSync(lab.view()), []);
  }),
);

test.serial(
  'damaged contents fail with EIO, alone, and the log names the file',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('small', 'sound'), file('large', noise(9, 3 << 20))]);
    await lab.save();
    const third = noise(9, 3 << 20).subarray(2 << 20, (2 << 20) + 64);
    spoilContent(path.join(lab.store, 'me', 'packs'), third);
    const log = path.join(lab.home, 'log');
    await lab.mountStore(`,log=${log}`);
    t.is(fs.readFileSync(lab.view('Current', lab.source, 'small'), 'utf8'), 'sound');
    const large = lab.view('Current', lab.source, 'large');
    t.throws(() => fs.readFileSync(large), { code: 'EIO' });
    const sound = Buffer.alloc(1 << 20); // the damage is in the third part
    const fd = fs.openSync(large, 'r');
    t.is(fs.readSync(fd, sound, 0, sound.length, 1000), sound.length);
    fs.closeSync(fd);
    t.true(sound.equals(noise(9, 3 << 20).subarray(1000, 1000 + sound.length)));
    t.regex(fs.readFileSync(log, 'utf8'), /source\/large: .*DAMAGED/);
  }),
);

test.serial(
  'each version of a file is an entry of the directory of its path',
  mounted(async (lab, t) => {
    makeTree(lab.source, [dir('d', [file('a', 'first'), file('gone', 'x'), file('same', 'y')])]);
    await lab.save(['--name', 'one']);
    fs.writeFileSync(path.join(lab.source, 'd/a'), 'second version');
    fs.rmSync(path.join(lab.source, 'd/gone'));
    await lab.save(['--name', 'two']);
    await lab.save(['--name', 'three']);
    await lab.mountStore();
    const at = (...names: string[]): string => lab.view('versions', lab.source, 'd', ...names);
    t.deepEqual(fs.readdirSync(at()), ['a', 'same']);
    const versions = fs.readdirSync(at('a')).sort();
    t.deepEqual(versions.map((name) => name.replace(/^\d{4}-\d\d-\d\d_\d{6}_/, '')).sort(), [
      'one',
      'two',
    ]);
    const contents = versions.map((name) => fs.readFileSync(at('a', name), 'utf8'));
    t.deepEqual(contents.sort(), ['first', 'second version']);
    const sizes = versions.map((name) => fs.statSync(at('a', name)).size);
    t.deepEqual(new Set(sizes), new Set([5, 14]));
    t.is(fs.readdirSync(at('same')).length, 1);
    t.is(fs.readdirSync(at('gone')).length, 1); // which the newest set lacks
    t.throws(() => fs.readdirSync(at('never')), { code: 'ENOENT' });
    fs.writeFileSync(path.join(lab.source, 'd/a'), 'third');
    await lab.save(['--name', 'four']);
    await until(() => fs.readdirSync(at('a')).length === 3);
  }),
);
