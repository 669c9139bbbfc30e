import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Environment } from '../../../src/store/objects/index.js';
import { bucketAt } from '../../helpers/buckets.js';
import { rejectedCode } from '../../helpers/codes.js';
import { scratch } from '../../helpers/scratch.js';
import { KEYS, type S3Options, S3Server } from '../../support/s3-server.js';
import { listening } from '../../helpers/listener.js';

const NO_KEYS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
const TOKEN = { ...KEYS, sessionToken: 'token/of+a/session==' };
const GRANTED = { AccessKeyId: KEYS.accessKeyId, SecretAccessKey: KEYS.secretAccessKey };

async function server(t: ExecutionContext, options: S3Options = {}): Promise<S3Server> {
  const started = await S3Server.during(t, options);
  return started;
}

/** Returns the code with which a write fails that takes its credentials from an environment; undefined if it works. */
async function outcome(url: string, environment: Environment): Promise<string | undefined> {
  const write = async (): Promise<void> => {
    const options = { environment: { ...NO_KEYS, ...environment }, patienceMs: 0 };
    const { store } = await bucketAt(url, options);
    await store.putOwn('nodes/a', Buffer.from('x')).finally(() => store.close());
  };
  return rejectedCode(write());
}

/** Writes a file of the home directory, and returns the environment that has it. */
function home(t: ExecutionContext, files: Readonly<Record<string, string>>): Environment {
  const folder = scratch(t);
  fs.mkdirSync(path.join(folder, '.aws'));
  for (const [name, text] of Object.entries(files)) {
    fs.writeFileSync(path.join(folder, '.aws', name), text);
  }
  return { HOME: folder, AWS_SHARED_CREDENTIALS_FILE: '', AWS_CONFIG_FILE: '' };
}

/** Starts a service that answers by a table of `METHOD PATH`. */
async function service(
  t: ExecutionContext,
  answers: Readonly<Record<string, string>>,
): Promise<{ url: string; requested: string[] }> {
  const requested: string[] = [];
  const server = http.createServer((request, response) => {
    requested.push(`${request.method} ${request.url}`);
    const answer = answers[`${request.method} ${request.url}`];
    if (answer === undefined) response.writeHead(404).end();
    else response.end(answer);
  });
  const port = await listening(t, server);
  return { url: `http://127.0.0.1:${port}`, requested };
}

test('an access key comes from the environment, with its session token', async (t) => {
  const plain = await server(t);
  const environment = {
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  };
  t.is(await outcome(plain.url, environment), undefined);
  t.is(
    await outcome(plain.url, { ...environment, AWS_SECRET_ACCESS_KEY: 'other' }),
    'CREDENTIALS_REFUSED',
  );
  t.is(
    await outcome(plain.url, { ...environment, AWS_ACCESS_KEY_ID: 'other' }),
    'CREDENTIALS_REFUSED',
  );
  const session = await server(t, { keys: TOKEN });
  t.is(await outcome(session.url, environment), 'CREDENTIALS_REFUSED');
  t.is(
    await outcome(session.url, { ...environment, AWS_SESSION_TOKEN: TOKEN.sessionToken }),
    undefined,
  );
});

test('an access key comes from a profile of either file', async (t) => {
  const { url } = await server(t);
  const keys = `aws_access_key_id = ${KEYS.accessKeyId}\naws_secret_access_key = ${KEYS.secretAccessKey}\n`;
  t.is(await outcome(url, home(t, { credentials: `[default]\n${keys}` })), undefined);
  const nested = `[default]\nregion = eu-central-1\ns3 =\n  max_concurrent_requests = 20\n[profile work]\n${keys}`;
  const work = home(t, { config: nested });
  t.is(await outcome(url, { ...work, AWS_PROFILE: 'work' }), undefined);
  t.is(await outcome(url, work), 'CREDENTIALS_MISSING');
  t.is(await outcome(url, { ...work, AWS_PROFILE: 'none' }), 'CONFIG_INVALID');
});

test('a damaged file of profiles is named without its text', async (t) => {
  const environment = home(t, { credentials: '[default]\nSECRETWITHOUTSIGN\n' });
  const error = await t.throwsAsync(bucketAt('http://127.0.0.1:1', { environment }));
  t.regex(error.message, /credentials:2: this line cannot be read/);
  t.notRegex(error.message, /SECRET/);
});

test('a credential_process is run without a shell, and its failure is reported without its output', async (t) => {
  const { url } = await server(t, { keys: TOKEN });
  const folder = scratch(t);
  const script = path.join(folder, 'give keys');
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const json = JSON.stringify({
    Version: 1,
    ...GRANTED,
    SessionToken: TOKEN.sessionToken,
    Expiration: expires,
  });
  fs.writeFileSync(script, `#!/bin/sh\n[ "$1" = 'a b;exit' ] || exit 3\nprintf '%s' '${json}'\n`, {
    mode: 0o755,
  });
  const profile = (words: string) =>
    home(t, { config: `[default]\ncredential_process = "${script}" ${words}\n` });
  t.is(await outcome(url, profile('"a b;exit"')), undefined);
  t.is(await outcome(url, profile('other')), 'CREDENTIALS_MISSING');
});

test('a virtual machine and a container give access keys', async (t) => {
  const { url } = await server(t, { keys: TOKEN });
  const granted = JSON.stringify({
    ...GRANTED,
    Token: TOKEN.sessionToken,
    Expiration: '2100-01-01T00:00:00Z',
  });
  const machine = await service(t, {
    'PUT /latest/api/token': 'machine-token',
    'GET /latest/meta-data/iam/security-credentials/': 'role-1\n',
    'GET /latest/meta-data/iam/security-credentials/role-1': granted,
    'GET /container': granted,
  });
  const on = { AWS_EC2_METADATA_DISABLED: '' };
  t.is(await outcome(url, { ...on, AWS_EC2_METADATA_SERVICE_ENDPOINT: machine.url }), undefined);
  t.is(machine.requested[0], 'PUT /latest/api/token');
  const uri = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${machine.url}/container` };
  t.is(await outcome(url, { ...on, ...uri }), undefined);
  const elsewhere = { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://192.0.2.1/container' };
  t.is(await outcome(url, { ...on, ...elsewhere }), 'CREDENTIALS_MISSING');
  t.is(await outcome(url, {}), 'CREDENTIALS_MISSING');
});

test('keys that end are renewed, and those that a store refuses are requested again', async (t) => {
  const { url } = await server(t, { keys: TOKEN });
  const answers: Record<string, string> = { 'PUT /latest/api/token': 'machine-token' };
  answers['GET /latest/meta-data/iam/security-credentials/'] = 'role-1';
  const role = 'GET /latest/meta-data/iam/security-credentials/role-1';
  const endsAt = (ms: number): string =>
    JSON.stringify({
      ...GRANTED,
      Token: TOKEN.sessionToken,
      Expiration: new Date(ms).toISOString(),
    });
  answers[role] = endsAt(Date.now() + 1_000_000);
  const machine = await service(t, answers);
  let elapsedMs = 0;
  const clock = {
    nowMs: () => Date.now() + elapsedMs,
    monotonicMs: () => performance.now() + elapsedMs,
  };
  const environment = {
    ...NO_KEYS,
    AWS_EC2_METADATA_DISABLED: '',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: machine.url,
  };
  const { store } = await bucketAt(url, { environment, clock });
  t.teardown(() => store.close());
  const granted = (): number => machine.requested.filter((one) => one === role).length;
  await store.putOwn('nodes/a', Buffer.from('1'));
  const first = granted(); // a service that answers late gets the request again
  await store.putOwn('nodes/a', Buffer.from('2'));
  t.is(granted(), first);
  elapsedMs = 750_000; // less than five minutes before their end
  await store.putOwn('nodes/a', Buffer.from('3'));
  t.true(granted() > first);
});
