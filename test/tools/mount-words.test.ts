/** The options of a mount are the long options of the command. */
import test from 'ava';
import { mountWords } from '../../src/tools/index.js';

test('options of a mount become long options', (t) => {
  const words = ['-o', 'database=/srv/tardis,client=me,allow_other', '/mnt', '-f'];
  t.deepEqual(mountWords(words), [
    '--database=/srv/tardis',
    '--client=me',
    '--allow-other',
    '/mnt',
    '-f',
  ]);
  t.deepEqual(mountWords(['-oserver=host,port=1', '/mnt']), ['--server=host', '--port=1', '/mnt']);
  t.deepEqual(mountWords(['--options=reconnect=5', '/mnt']), ['--reconnect=5', '/mnt']);
});

test('a bucket in the place of the source is the store', (t) => {
  t.deepEqual(mountWords(['s3://bucket/all', '/mnt', '-o', 'rw,client=me']), [
    '--database=s3://bucket/all',
    '/mnt',
    '--client=me',
  ]);
  t.deepEqual(mountWords(['/mnt', 's3://bucket/all']), ['/mnt', 's3://bucket/all']);
});

test('a comma in a value is written after a backslash', (t) => {
  t.deepEqual(mountWords(['-o', String.raw`database=/a\,b,client=x\\y`]), [
    '--database=/a,b',
    String.raw`--client=x\y`,
  ]);
});

test("names of the predecessor and of mount are understood, and mount's own mean nothing", (t) => {
  t.deepEqual(mountWords(['-o', 'pwfile=/p,pwprog=ask me,path=/srv,host=h,log=/l,keys=/k']), [
    '--password-file=/p',
    '--password-prog=ask me',
    '--database=/srv',
    '--client=h',
    '--logfile=/l',
    '--keys=/k',
  ]);
  t.deepEqual(
    mountWords(['0', '/mnt', '-o', 'rw,user,noauto,nosuid,_netdev,x-systemd.automount']),
    ['0', '/mnt'],
  );
  t.deepEqual(mountWords(['-o', 'no_ssl,insecure_tcp,no_validate_certs']), [
    '--no-ssl',
    '--insecure-tcp',
    '--no-validate-certs',
  ]);
});

test('path names the directory of a client, or the store if the client is named too', (t) => {
  const words = ['--database=/srv/tardis', '--client=laptop'];
  t.deepEqual(mountWords(['-o', 'path=/srv/tardis/laptop']), words);
  t.deepEqual(mountWords(['-o', 'path=/srv/tardis/laptop/']), words);
  t.deepEqual(mountWords(['-o', 'path=/srv/tardis,client=laptop']), words);
  t.throws(() => mountWords(['-o', 'path=laptop']), { code: 'USAGE' });
});

test('a password without a value is prompted for', (t) => {
  t.deepEqual(mountWords(['-o', 'password,client=a']), ['--password', '--client=a']);
  t.deepEqual(mountWords(['-o', 'password=']), ['--password']);
  t.deepEqual(mountWords(['-o', 'password=x=y']), ['--password=x=y']);
});

test('unknown options, and values that are missing or too many, are refused', (t) => {
  for (const list of ['bla', 'bla=1', 'allow_other=1', 'client', 'options=a', 'no_client']) {
    t.throws(() => mountWords(['-o', list]), { code: 'USAGE' }, list);
  }
  t.throws(() => mountWords(['-o']), { code: 'USAGE' });
});
