/**
 * Finds access keys in the places that S3 tools use: environment, profile files, a command of the profile, the service
 * of a container or of a virtual machine. Keys that expire are renewed in time. No message contains a secret.
 */
import { execFile } from 'node:child_process';
import { requireOwnFile, splitWords } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type Clock,
  isLoopback,
  loadHttp,
  loadHttps,
  readSmallFile,
  textBytes,
} from '../../system/index.js';
import { type AwsProfile, readProfile } from './aws-files.js';
import { readGranted } from './granted-credentials.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  /** Time at which the credentials expire; undefined if they do not. */
  readonly expiresAtMs: number | undefined;
  /** Description of the source of the credentials. */
  readonly source: string;
}

/** Time before expiry at which credentials are renewed. */
const RENEW_BEFORE_MS = 300_000;
/** Minimum time between two renewals of credentials that a store refuses or that expire soon. */
const LEAST_AGE_MS = 10_000;

/** Finds credentials at first use, and renews them. */
export class CredentialChain {
  private current: Credentials | undefined;
  private foundAtMs = -Infinity;
  private pending: Promise<Credentials> | undefined;

  constructor(
    private readonly environment: Environment,
    private readonly clock: Clock,
  ) {}

  /** Returns credentials that are valid now. Throws CREDENTIALS_MISSING if there are none. */
  async get(): Promise<Credentials> {
    const { current } = this;
    if (current !== undefined && !this.endsSoon(current)) return current;
    this.pending ??= this.find().finally(() => {
      this.pending = undefined;
    });
    return this.pending;
  }

  /**
   * Drops credentials that a store refused, unless they are new: keys are also exchanged where they never expire, such as
   * in a profile file. Returns true if the next `get` may return other credentials.
   */
  refused(credentials: Credentials): boolean {
    if (this.current !== credentials) return true; // another request has renewed them meanwhile
    const isOld = this.clock.monotonicMs() - this.foundAtMs > LEAST_AGE_MS;
    if (!isOld) return false;
    this.current = undefined;
    return true;
  }

  private endsSoon({ expiresAtMs }: Credentials): boolean {
    if (expiresAtMs === undefined) return false;
    const isOld = this.clock.monotonicMs() - this.foundAtMs > LEAST_AGE_MS;
    return isOld && expiresAtMs - this.clock.nowMs() < RENEW_BEFORE_MS;
  }

  private async find(): Promise<Credentials> {
    const found = fromEnvironment(this.environment) ?? (await this.findElsewhere());
    this.current = found;
    this.foundAtMs = this.clock.monotonicMs();
    return found;
  }

  private async findElsewhere(): Promise<Credentials> {
    const profile = readProfile(this.environment);
    const found = fromProfile(profile) ?? (await fromProcess(profile));
    if (found !== undefined) return found;
    if (profile.unsupported !== undefined) {
      throw new TardisError(
        'CREDENTIALS_MISSING',
        `the profile "${profile.name}" logs in by ${profile.unsupported}, which is not supported; a credential_process can do it`,
      );
    }
    const granted = await fromMetadata(this.environment);
    if (typeof granted !== 'string') return granted;
    throw new TardisError(
      'CREDENTIALS_MISSING',
      `no access key: not in the environment, not in the profile "${profile.name}" of ${profile.home}, and ${granted}`,
    );
  }
}

function fromEnvironment(environment: Environment): Credentials | undefined {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = environment['AWS_SESSION_TOKEN'] || undefined;
  const source = 'the environment (AWS_ACCESS_KEY_ID)';
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: undefined, source };
}

function fromProfile({ name, ...fields }: AwsProfile): Credentials | undefined {
  const { accessKeyId, secretAccessKey, sessionToken } = fields;
  if (!accessKeyId || !secretAccessKey) return undefined;
  const source = `the profile "${name}"`;
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: undefined, source };
}

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 << 10;

/**
 * Returns the credentials that the command of a profile prints (credential_process); undefined if it has none. Throws CREDENTIALS_MISSING if the command fails or
 * prints no credentials, and CONFIG_UNSAFE if this process is root and another user can change the command.
 */
async function fromProcess(profile: AwsProfile): Promise<Credentials | undefined> {
  const { name, process, processFile } = profile;
  if (process === undefined || process === '') return undefined;
  const where = `credential_process of the profile "${name}"`;
  requireOwnFile(textBytes(processFile), where);
  const found = readGranted(await outputOf(process, where), 'SessionToken', `the ${where}`);
  if (found !== undefined) return found;
  throw new TardisError('CREDENTIALS_MISSING', `${where} printed no credentials`);
}

/**
 * Runs a command without a shell and returns its output. Throws CREDENTIALS_MISSING if it fails. The output is never
 * printed, since it has secrets.
 */
async function outputOf(line: string, where: string): Promise<string> {
  const [command = '', ...words] = splitWords(line, where);
  return new Promise((resolve, reject) => {
    const limits = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, windowsHide: true };
    const child = execFile(command, words, limits, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new TardisError('CREDENTIALS_MISSING', `${where} failed: ${whyOf(error)}`));
    });
    child.stdin?.end();
  });
}

/** Returns the reason why a command failed. The text contains neither the command's words nor its output. */
function whyOf({
  code,
  killed,
  signal,
}: Error & { code?: unknown; killed?: boolean; signal?: unknown }): string {
  if (killed === true) return `it ran longer than ${TIMEOUT_MS / 1000} s, or printed too much`;
  return typeof signal === 'string' ? `killed by ${signal}` : `status ${String(code)}`;
}

const MAX_ANSWER_BYTES = 64 << 10;

const CONTAINER_HOST = 'http://169.254.170.2';
const MACHINE_HOST = 'http://169.254.169.254';
const ROLES = '/latest/meta-data/iam/security-credentials/';
/** Time limit of a request; most machines have neither service. */
const SERVICE_TIMEOUT_MS = 1000;
const TRIES = 2;
const TOKEN_SECONDS = '21600';
const MAX_TOKEN_BYTES = 64 << 10;
/** Hosts that may get the token of a container over plain HTTP: those of Amazon ECS and EKS. */
const CONTAINER_HOSTS: ReadonlySet<string> = new Set([
  '169.254.170.2',
  '169.254.170.23',
  '[fd00:ec2::23]',
]);

/**
 * Returns the credentials of the service of a container or of a virtual machine. If there are none, returns the reason as
 * text.
 */
async function fromMetadata(environment: Environment): Promise<Credentials | string> {
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
  const signal = AbortSignal.timeout(SERVICE_TIMEOUT_MS);
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
