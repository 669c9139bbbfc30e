/**
 * Tells an address that something has happened, as services that watch jobs want it: a request, tried again where
 * that may help. The path and query of an address may be its secret, so they are shown nowhere.
 */
import http from 'node:http';
import https from 'node:https';
import { configInvalid } from '../config/index.js';
import { systemCode } from '../errors/index.js';

const TRIES = 3;
const FIRST_PAUSE_MS = 1000;

export interface CallOptions {
  readonly method: 'GET' | 'POST';
  /** With POST. */
  readonly body: string;
  /** Of each try. */
  readonly timeoutMs: number;
  /** Before the second try; twice as long before the third. */
  readonly pauseMs?: number;
}

/** Throws CONFIG_INVALID, without showing the text: it may hold a secret. */
export function parseUrl(text: string, where: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    url = undefined; // told below
  }
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw configInvalid(`${where} must be an address that begins with http:// or https://`);
}

/** All of an address that may be shown. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

/** Returns in words why nobody was told; undefined: somebody was. Never throws. */
export async function callUrl(url: URL, options: CallOptions): Promise<string | undefined> {
  let why: string | undefined;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await pause((options.pauseMs ?? FIRST_PAUSE_MS) * 2 ** (attempt - 1));
    const answer = await ask(url, options);
    if (typeof answer === 'number' && answer >= 200 && answer < 300) return undefined;
    why = typeof answer === 'number' ? whyOf(answer) : answer;
    if (typeof answer === 'number' && !isPassing(answer)) break;
  }
  return `${shownUrl(url)} was not told: ${why}`;
}

function whyOf(status: number): string {
  const isRedirection = status >= 300 && status < 400;
  return `it answered ${status}${isRedirection ? ' (give the address it leads to)' : ''}`;
}

/** Whether another try may have another answer. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

/** The status of the answer, or why there is none. */
function ask(url: URL, { method, body, timeoutMs }: CallOptions): Promise<number | string> {
  const payload = method === 'POST' ? Buffer.from(body) : undefined;
  const headers: http.OutgoingHttpHeaders = { 'user-agent': 'tardis' };
  if (payload !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = payload.length;
  }
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve) => {
    const request = url.protocol === 'https:' ? https.request : http.request;
    request(url, { method, headers, signal, agent: false }, (response) => {
      response.on('error', () => undefined).destroy(); // the status says it all
      resolve(response.statusCode ?? 0);
    })
      .on('error', (error) =>
        resolve(signal.aborted ? 'no answer in time' : (systemCode(error) ?? 'no answer')),
      )
      .end(payload);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
