/** Paths of a mount that leaves its working directory. */
import path from 'node:path';
import test from 'ava';
import type { Settings } from '../../src/config/index.js';
import { withAbsolutePaths } from '../../src/tools/index.js';

type MountSettings = Settings<'tardisfs'>;

const given = (settings: Partial<MountSettings>): MountSettings =>
  withAbsolutePaths({ database: Buffer.from('/srv'), ...settings } as MountSettings);

test('paths become absolute, and what is no path stays', (t) => {
  const settings = given({
    database: Buffer.from('db/\xff', 'latin1'),
    passwordFile: Buffer.from('pw'),
    passwordProg: ['./show', './word'],
    keysFile: Buffer.from('../keys'),
    logFile: Buffer.from('/var/log/x'),
  });
  const here = (name: string): Buffer => Buffer.from(path.resolve(name));
  t.deepEqual(settings.database, Buffer.concat([here('db'), Buffer.from('/\xff', 'latin1')]));
  t.deepEqual(settings.passwordFile, here('pw'));
  t.deepEqual(settings.passwordProg, [path.resolve('show'), './word']);
  t.deepEqual(settings.keysFile, here('../keys'));
  t.deepEqual(settings.logFile, Buffer.from('/var/log/x'));
  t.is(settings.bucketCa, undefined);
  const others = given({
    database: Buffer.from('s3://bucket/all'),
    passwordFile: Buffer.from('https://host/pw'),
    passwordProg: ['pass', 'tardis'],
  });
  t.is(others.database.toString(), 's3://bucket/all');
  t.is(others.passwordFile!.toString(), 'https://host/pw');
  t.deepEqual(others.passwordProg, ['pass', 'tardis']);
  const colon = given({ passwordFile: Buffer.from('me:words') });
  t.deepEqual(colon.passwordFile, here('me:words'), 'no scheme of a password');
});
