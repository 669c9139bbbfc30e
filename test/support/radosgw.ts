/** Starts a real S3 gateway (Ceph's radosgw, a package of Debian) with its data in memory, if this machine has it. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import aws4 from 'aws4';
import { freePort } from './free-port.js';
import { BUCKET, KEYS } from './s3-server.js';
import { pause } from '../helpers/until.js';

const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd'];
const START_MS = 180_000;
/** Time from SIGTERM to SIGKILL. */
const PATIENCE_MS = 5000;
const POLL_MS = 200;

/** A bucket with Object Lock. */
export const LOCKED_BUCKET = 'locked';

export interface Gateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** A gateway process, which a test may kill or pause. */
export interface GatewayProcess {
  readonly name: string;
  readonly url: string;
  /** Sends a signal. */
  signal(name: NodeJS.Signals): void;
  /** Starts the gateway, and waits until it answers. */
  start(): Promise<void>;
}

/** Returns the reason why this machine cannot run a gateway; undefined if it can. */
export function whyNoGateway(): string | undefined {
  const missing = PROGRAMS.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  if (missing.length > 0)
    return `${missing.join(', ')} not installed (apt-get install radosgw ceph-mon ceph-osd)`;
  return process.getuid?.() === 0 ? undefined : 'not root';
}

/**
 * Starts a gateway with the empty buckets `BUCKET` and `LOCKED_BUCKET`, which belong to the keys `KEYS`. It takes about
 * 15 s.
 */
export async function startGateway(): Promise<Gateway & { readonly folder: string }> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-test-rgw-'));
  const stop = (): Promise<void> => stopAll(folder);
  try {
    const port = Math.min(await freePort(), 65_000); // the three ports after it are probably free, too
    await runScript(folder, port);
    const url = `http://127.0.0.1:${port}`;
    await createBucket(url, BUCKET);
    await createBucket(url, LOCKED_BUCKET, { 'x-amz-bucket-object-lock-enabled': 'true' });
    return { url, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts two gateways to one bucket. */
export async function startTwoGateways(): Promise<{
  readonly gateways: readonly GatewayProcess[];
  stop(): Promise<void>;
}> {
  const first = await startGateway();
  const port = Number(new URL(first.url).port);
  const gateways = [
    gatewayIn(first.folder, 'client.rgw', first.url),
    gatewayIn(first.folder, 'client.rgw2', `http://127.0.0.1:${port + 3}`),
  ];
  const { stop } = first;
  try {
    await gateways[1]!.start();
    return { gateways, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function gatewayIn(folder: string, name: string, url: string): GatewayProcess {
  const pid = (): number =>
    Number(fs.readFileSync(path.join(folder, `${name}.pid`), 'utf8').trim());
  return {
    name,
    url,
    signal: (signal) => void signalTo(pid(), signal),
    start: async () => {
      const env = { ...process.env, CEPH_CONF: path.join(folder, 'ceph.conf') };
      const child = spawn('radosgw', ['-n', name], { env, stdio: 'ignore', timeout: START_MS });
      await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
      await createBucket(url, BUCKET); // the bucket exists, so the answer only shows that the gateway listens
    },
  };
}

async function runScript(folder: string, port: number): Promise<void> {
  const env = {
    ...process.env,
    D: folder,
    PORT: String(port),
    ACCESS_KEY: KEYS.accessKeyId,
    SECRET_KEY: KEYS.secretAccessKey,
  };
  const log = fs.openSync(path.join(folder, 'start.log'), 'w');
  const child = spawn('sh', ['test/support/radosgw.sh'], {
    env,
    stdio: ['ignore', log, log],
    timeout: START_MS,
  });
  const status = await new Promise((resolve, reject) =>
    child.on('exit', resolve).on('error', reject),
  );
  fs.closeSync(log);
  if (status === 0) return;
  const printed = fs.readFileSync(path.join(folder, 'start.log'), 'utf8').slice(-2000);
  throw new Error(`the gateway did not start:\n${printed}`);
}

type Headers = Readonly<Record<string, string>>;

/** Creates a bucket as soon as the gateway answers. */
async function createBucket(url: string, bucket: string, headers: Headers = {}): Promise<void> {
  for (const endMs = Date.now() + START_MS; ; ) {
    const status = await putBucket(new URL(url), bucket, headers).catch(() => 0); // it does not listen yet
    if (status === 200) return;
    if (Date.now() > endMs) throw new Error(`the gateway answers ${status}`);
    await pause(POLL_MS);
  }
}

function putBucket({ hostname, port, host }: URL, bucket: string, extra: Headers): Promise<number> {
  const headers = { ...extra, host };
  const wanted = { service: 's3', region: 'us-east-1', method: 'PUT', path: `/${bucket}`, headers };
  const signed = aws4.sign(wanted, KEYS);
  return new Promise((resolve, reject) => {
    const request = { hostname, port, method: 'PUT', path: signed.path, headers: signed.headers };
    http
      .request(request, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
      .on('error', reject)
      .end();
  });
}

async function stopAll(folder: string): Promise<void> {
  const pids = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => Number(fs.readFileSync(path.join(folder, name), 'utf8').trim()))
    .filter((pid) => pid > 1);
  for (const pid of pids) signalTo(pid, 'SIGTERM');
  for (const endMs = Date.now() + PATIENCE_MS; Date.now() < endMs && pids.some(isAlive); ) {
    await pause(POLL_MS);
  }
  for (const pid of pids.filter(isAlive)) signalTo(pid, 'SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  return signalTo(pid, 0);
}

/** Returns false if the process is gone. */
function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
