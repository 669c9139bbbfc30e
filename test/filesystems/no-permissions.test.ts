// Pace: slow
/** Secrets on a file system that gives every file the same mode: the commands report that other users can read them. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { run, Running, commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { LeftOut, Mounts } from '../helpers/mounts.js';
import { written } from '../helpers/scratch.js';

commandsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const FIRST = '--password=gravel-Otter9-lamp';
const NEXT = '--newpassword=kelp-Sundry7-mulch';
const NOBODY = 65_534;

/** Mounts vfat if this machine can, otherwise NTFS, which ignores modes without a mapping of users. */
async function withoutPermissions(mounts: Mounts): Promise<string> {
  try {
    return mounts.mountImage('vfat', 48 * MIB, ['mkfs.vfat'], 'vfat', 'umask=0000');
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
  }
  const image = written(mounts.home, 'ntfs.image', '');
  fs.truncateSync(image, 32 * MIB);
  mounts.run('mkfs.ntfs', '-q', '-F', '-f', image);
  return mounts.serve('ntfs', 'lowntfs-3g', ['-o', 'no_detach,allow_other', image]);
}

test('keys, sheets and memory that a file system shows to everybody are reported once, with their paths', (t) =>
  Mounts.during(t, async (mounts) => {
    const target = await withoutPermissions(mounts);
    t.log(path.basename(target));
    const source = mounts.directory('source');
    fs.writeFileSync(path.join(source, 'file'), 'content');
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    const there = {
      mountsOf: mounts.mountsOf,
      env: { XDG_STATE_HOME: path.join(target, 'state') },
    };
    const warned = async (...line: Parameters<typeof run>): Promise<string[]> => {
      const { status, stderr } = await run(...line);
      t.is(status, 0, stderr);
      return stderr.split('\n').filter((text) => text.includes('warning: other users can read'));
    };
    const keys = path.join(target, 'my.keys');
    const own = [...place, '--keys', keys];
    const made = await warned('tardis', [...own, '--local', '--create', FIRST, source], there);
    const ofKeys = made.filter((text) => text.includes(` the key file ${keys}: `));
    t.is(ofKeys.length, 1, made.join('\n'));
    t.regex(
      ofKeys[0]!,
      /does not keep permissions \(mode 0[0-7]{3}, not 0600\); with it they can test/,
    );
    t.false(fs.existsSync(mounts.view(path.join(target, 'state'))), 'root keeps its own memory');
    const nobodys = mounts.directory('store of nobody');
    fs.chownSync(nobodys, NOBODY, NOBODY);
    fs.chmodSync(mounts.home, 0o711);
    const line = ['-D', nobodys, '-C', 'me', '--local', source];
    const byNobody = { ...there, uid: NOBODY };
    const ofNobody = await warned('tardis', ['--create', ...line], byNobody);
    const ofMemory = ofNobody.filter((text) => text.includes(` of a client in ${target}/state/`));
    t.true(ofMemory.length > 0, ofNobody.join('\n'));
    t.is(new Set(ofNobody).size, ofNobody.length);
    t.deepEqual(await warned('tardis', line, byNobody), [], 'again');
    t.deepEqual(await warned('tardis', [...own, '--local', FIRST, source], there), [], 'again');
    t.is((await warned('sonic', ['chpass', ...own, FIRST, NEXT], there)).length, 1);
    const sheet = path.join(target, 'sheet.pdf');
    const second = NEXT.replace('new', '');
    const printed = await warned('sonic', ['keys', ...own, second, '--pdf', sheet], there);
    t.is(printed.filter((text) => text.includes(` the sheet ${sheet}: `)).length, 1);
    const cert = path.join(target, 'c.pem');
    const key = path.join(target, 'k.pem');
    const server = ['--ssl', '--certfile', cert, '--keyfile', key, '--make-certificate'];
    const store = ['-D', nobodys, '--port', '0'];
    const running = new Running('tardisd', [...store, ...server], byNobody);
    await running.until('the server is ready', () => running.stdout.includes('Ready: '));
    const { stderr } = await running.endedBy('SIGTERM');
    t.regex(stderr, new RegExp(`can read .*the private key ${key}: .*; with it they can pose as`));
  }));

test('what lies on a file system with permissions is not reported', (t) =>
  Mounts.during(t, async (mounts) => {
    const source = mounts.directory('source');
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    const keys = ['--keys', path.join(mounts.home, 'my.keys'), FIRST];
    const { status, stderr } = await run(
      'tardis',
      [...place, ...keys, '--local', '--create', source],
      { env: { XDG_STATE_HOME: path.join(mounts.home, 'state') } },
    );
    t.is(status, 0, stderr);
    t.notRegex(stderr, /other users can/);
  }));
