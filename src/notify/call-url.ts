/**
 * Sends a request to a URL when an event has occurred, for services that monitor jobs. Retries if that may help. The
 * path and query of a URL may be its secret, so they are never shown.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { configInvalid } from '../config/index.js';
import { systemCode } from '../errors/index.js';
import { loadHttp, loadHttps, unusedProxy } from '../system/index.js';

const TRIES = 3;
const FIRST_PAUSE_MS = 1000;

interface CallOptions {
  readonly method: 'GET' | 'POST';
  /** Body of a POST request. */
  readonly body: string;
  /** Maximum duration of each try. */
  readonly timeoutMs: number;
  /** Pause before the second try; doubled before the third. */
  readonly pauseMs?: number;
}

/**
 * Parses a URL. Throws CONFIG_INVALID if it is not one of HTTP or HTTPS. The error names the setting `where`, but does
 * not show the text, which may contain a secret.
 */
export function parseUrl(text: string, where: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    url = undefined; // reported below
  }
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw configInvalid(`${where} must be a URL that begins with http:// or https://`);
}

/** Returns the part of a URL that may be shown: it contains no secret. */
function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

/**
 * Sends the request. Returns the reason of a failure as text; undefined if the server answered with success. Never
 * throws.
 */
export async function callUrl(url: URL, options: CallOptions): Promise<string | undefined> {
  let why: string | undefined;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await pause((options.pauseMs ?? FIRST_PAUSE_MS) * 2 ** (attempt - 1));
    const answer = await send(url, options);
    if (typeof answer === 'number' && answer >= 200 && answer < 300) return undefined;
    why = typeof answer === 'number' ? whyOf(answer) : answer;
    if (typeof answer === 'number' && !isPassing(answer)) break;
  }
  return `the request to ${shownUrl(url)} failed: ${why}`;
}

function whyOf(status: number): string {
  const isRedirection = status >= 300 && status < 400;
  return `status ${status}${isRedirection ? ' (give the URL it redirects to)' : ''}`;
}

/** True if another try may get a different answer. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

/** Sends one request. Returns the status of the answer, or the reason why there is none. */
function send(url: URL, { method, body, timeoutMs }: CallOptions): Promise<number | string> {
  const payload = method === 'POST' ? Buffer.from(body) : undefined;
  const headers: OutgoingHttpHeaders = { 'user-agent': 'tardis' };
  if (payload !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = payload.length;
  }
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve) => {
    const web = url.protocol === 'https:' ? loadHttps() : loadHttp();
    web
      .request(url, { method, headers, signal, agent: false }, (response) => {
        response.on('error', () => undefined).destroy(); // only the status matters
        resolve(response.statusCode ?? 0);
      })
      .on('error', (error) =>
        resolve(
          (signal.aborted ? 'no answer in time' : (systemCode(error) ?? 'no answer')) +
            unusedProxy(url.protocol),
        ),
      )
      .end(payload);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
