/**
 * Requests credentials from the service of a container or of a virtual machine. Each request waits only a moment,
 * since most machines have neither service.
 */
import { isLoopback, loadHttp, loadHttps, readSmallFile, textBytes } from '../../system/index.js';
import type { Credentials, Environment } from './credentials.js';
import { readGranted } from './granted-credentials.js';

const MAX_ANSWER_BYTES = 64 << 10;

const CONTAINER_HOST = 'http://169.254.170.2';
const MACHINE_HOST = 'http://169.254.169.254';
const ROLES = '/latest/meta-data/iam/security-credentials/';
const TIMEOUT_MS = 1000;
const TRIES = 2;
const TOKEN_SECONDS = '21600';
const MAX_TOKEN_BYTES = 64 << 10;
/** Hosts that may get the token of a container over plain HTTP: those of Amazon ECS and EKS. */
const CONTAINER_HOSTS: ReadonlySet<string> = new Set([
  '169.254.170.2',
  '169.254.170.23',
  '[fd00:ec2::23]',
]);

/** Returns the credentials. If there are none, returns the reason as text. */
export async function fromMetadata(environment: Environment): Promise<Credentials | string> {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const full = environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (relative) return fromContainer(`${CONTAINER_HOST}${relative}`, environment);
  if (full) return fromContainer(full, environment);
  if (environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
    return 'AWS_EC2_METADATA_DISABLED is set';
  }
  return fromMachine(environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || MACHINE_HOST);
}

async function fromContainer(
  text: string,
  environment: Environment,
): Promise<Credentials | string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !mayCall(url)) return 'the URL of the container is refused';
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token = file
    ? readSmallFile(textBytes(file), MAX_TOKEN_BYTES).toString('utf8').trim()
    : environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  const headers: Record<string, string> = token ? { authorization: token } : {};
  const answer = await requested(url, 'GET', headers);
  const found =
    answer === undefined ? undefined : readGranted(answer, 'Token', 'the service of the container');
  return found ?? 'the service of the container gives none';
}

function mayCall(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  return (
    url.protocol === 'http:' && (CONTAINER_HOSTS.has(url.hostname) || isLoopback(url.hostname))
  );
}

/**
 * Requests credentials from a virtual machine's service. It uses the second version of that service, which needs a
 * token first. Returns the reason as text if there are no credentials.
 */
async function fromMachine(host: string): Promise<Credentials | string> {
  const nothing = 'this machine has no service that gives one';
  if (!URL.canParse(host)) return nothing;
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS };
  const token = await requested(new URL('/latest/api/token', host), 'PUT', ttl);
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) return nothing;
  const headers = { 'x-aws-ec2-metadata-token': token };
  const roles = await requested(new URL(ROLES, host), 'GET', headers);
  const role = roles?.split('\n')[0]?.trim() ?? '';
  if (role === '') return 'this machine has no role';
  const granted = await requested(new URL(ROLES + encodeURIComponent(role), host), 'GET', headers);
  const source = `the role of this machine`;
  const found = granted === undefined ? undefined : readGranted(granted, 'Token', source);
  return found ?? 'the service of this machine gives none';
}

/** Returns the text of an answer with status 200; undefined if no such answer comes in time. */
async function requested(
  url: URL,
  method: 'GET' | 'PUT',
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const answer = await smallRequest(url, method, headers);
    if (answer === undefined) continue;
    if (answer.status < 500) return answer.status === 200 ? answer.text : undefined;
  }
  return undefined;
}

/** Returns the answer; undefined if the connection fails, or the answer is late or too large. Never throws. */
function smallRequest(
  url: URL,
  method: 'GET' | 'PUT',
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly text: string } | undefined> {
  const web = url.protocol === 'https:' ? loadHttps() : loadHttp();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return new Promise((resolve) => {
    web
      .request(url, { method, headers, signal, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) response.destroy();
          else chunks.push(chunk);
        });
        response.on('error', () => resolve(undefined));
        response.on('close', () => {
          const text = Buffer.concat(chunks).toString('utf8').trim();
          resolve(response.complete ? { status: response.statusCode ?? 0, text } : undefined);
        });
      })
      .on('error', () => resolve(undefined)) // no service, or no answer in time: the caller reports it
      .end();
  });
}
