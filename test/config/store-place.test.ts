import test from 'ava';
import { isSshText, parsePlace, parseSshPlace } from '../../src/config/index.js';
import { TardisError } from '../../src/errors/index.js';
import { thrownCode } from '../helpers/codes.js';

const parse = (text: string) => parsePlace(text, '-D');

test('a place is a directory, unless it begins with s3://', (t) => {
  for (const text of ['/srv/tardis', 'backup', './~', './host:copy', '/a/b:c', 'a/~/b', '..']) {
    t.deepEqual(parse(text), { kind: 'directory', path: Buffer.from(text) });
  }
  t.deepEqual(parse('s3://all-backups'), { kind: 'bucket', bucket: 'all-backups', prefix: '' });
  t.deepEqual(parse('s3://b.example/a/b-1/'), {
    kind: 'bucket',
    bucket: 'b.example',
    prefix: 'a/b-1',
  });
  t.deepEqual(parse('S3://Backups/a'), { kind: 'bucket', bucket: 'Backups', prefix: 'a' });
});

test('a bucket that cannot exist, and a prefix that leaves the store, are refused', (t) => {
  for (const text of [
    's3://',
    's3:///prefix',
    's3://b',
    's3://bucket/../x',
    's3://bucket//x',
    's3://bucket/a b',
    's3://bucket/ü',
    's3://bucket/a?x=1',
    's3://user@bucket/x',
    `s3://bucket/${'x'.repeat(513)}`,
  ]) {
    t.is(
      thrownCode(() => parse(text)),
      'CONFIG_INVALID',
      text,
    );
  }
});

/** Addresses of other kinds, with a part of the advice for each. */
const ELSEWHERE: readonly (readonly [string, string])[] = [
  ['', 's3://BUCKET/PREFIX'],
  ['~', './~'],
  ['~/st', '/st, or'],
  ['~other/st', 'the whole path'],
  ['user@host:/backup', '--server HOST'],
  ['host:/backup', '--server HOST'],
  ['user@host:backup', '--server HOST'],
  ['ssh://user@host/backup', '--server ssh://'],
  ['SSH://host/backup', '--to-server SSH://host/backup'],
  ['sftp:user@host:/backup', '--server HOST'],
  ['rest:http://host:8000/', '--server HOST'],
  ['rsync://host/module', '--server HOST'],
  ['s3:bucket/z', 's3://bucket/z'],
  ['s3:/bucket/z', 's3://bucket/z'],
  ['s3//bucket/z', 's3://bucket/z'],
  ['s3:https://host/bucket', '--endpoint URL'],
  ['https://host/bucket', '--endpoint URL'],
  ['file:///abs', 'write /abs'],
  ['file://localhost/abs', 'write /abs'],
  ['file:/abs', 'write /abs'],
  ['gs://bucket/x', 's3://BUCKET/PREFIX'],
  ['b2:bucket:x', './b2:bucket:x'],
  ['remote:path', './remote:path'],
  ['rclone:remote:path', './rclone:remote:path'],
  ['C:\\backup', 'Windows'],
  ['C:/backup', 'Windows'],
  ['D:', 'Windows'],
  ['\\\\nas\\share', 'mount the share'],
  ['//nas/share', 'mount the share'],
  ['//nas/share', 'write /nas/share'],
  ['//nas', 'write /nas'],
];

test('an address of another kind is refused with the right spelling', (t) => {
  for (const [text, advice] of ELSEWHERE) {
    const error = t.throws(() => parse(text), { instanceOf: TardisError }, text);
    t.is(error.code, 'CONFIG_INVALID', text);
    t.true(error.message.includes(advice), error.message);
  }
});

test('a password in an address is not shown', (t) => {
  for (const text of ['https://me:secret@host/x', 'rest:https://me:secret@host/x']) {
    const error = t.throws(() => parse(text));
    t.notRegex(error.message, /secret/);
  }
});

test('ssh:// names a server by user, host, port and path, as ssh takes them', (t) => {
  const ssh = (text: string) => parseSshPlace(text, '--server');
  const [user, port, none] = ['me', 2222, undefined];
  t.deepEqual(ssh('ssh://nas'), { user: none, host: 'nas', port: none, path: none });
  t.deepEqual(ssh('SSH://NAS.example/'), {
    user: none,
    host: 'nas.example',
    port: none,
    path: none,
  });
  t.deepEqual(ssh('ssh://me@nas:2222/srv/a b/$(id);ü'), {
    user,
    host: 'nas',
    port,
    path: '/srv/a b/$(id);ü',
  });
  t.deepEqual(ssh('ssh://me@[fe80::1%eth0]:2222/~/backup'), {
    user,
    host: 'fe80::1%eth0',
    port,
    path: './backup',
  });
  t.deepEqual(['ssh://nas', 'Ssh://nas', 'ssh:nas', '/ssh://', 'https://nas'].map(isSshText), [
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('an address of ssh that could be an option, a command or a secret is refused', (t) => {
  const wrong = [
    'ssh://',
    'ssh:///srv',
    'ssh://-oProxyCommand=id/srv',
    'ssh://-l@nas/srv',
    'ssh://me@-nas/srv',
    'ssh://a b/srv',
    'ssh://nas;id/srv',
    'ssh://$(id)/srv',
    'ssh://na`id`s/srv',
    'ssh://%h/srv',
    'ssh://nas,other/srv',
    'ssh://me@you@nas/srv',
    'ssh://nas:0/srv',
    'ssh://nas:65536/srv',
    'ssh://nas:-1/srv',
    'ssh://nas?ProxyCommand=id/srv',
    "ssh://nas/a'b",
    'ssh://nas/a\\b',
    'ssh://nas/a!b',
    'ssh://nas/a\nb',
    'ssh://nas/a\u0000b',
    'ssh://nas/a\udc80b',
    `ssh://nas/${'x'.repeat(4096)}`,
  ];
  for (const text of wrong) {
    t.is(
      thrownCode(() => parseSshPlace(text, '--server')),
      'CONFIG_INVALID',
      text,
    );
  }
  const secret = t.throws(() => parseSshPlace('ssh://me:secret@nas/srv', '--server'));
  t.regex(secret.message, /no password/);
  t.notRegex(secret.message, /secret/);
});
