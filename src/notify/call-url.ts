/**
 * Sends a request to a URL when an event has occurred, for services that monitor jobs. Retries if that may help. The
 * path and query of a URL may be its secret, so they are never shown.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { configInvalid } from '../config/index.js';
import { errnoText, systemReason } from '../errors/index.js';
import { loadHttp, loadHttps, Retries, type System, unusedProxy } from '../system/index.js';

const FIRST_PAUSE_MS = 1000;
const RETRIES = { longestMs: Infinity, forMs: Infinity, maxTries: 3 };

interface CallOptions {
  readonly system: Pick<System, 'clock' | 'random'>;
  readonly method: 'GET' | 'POST';
  /** Body of a POST request. */
  readonly body: string;
  /** Maximum duration of each try. */
  readonly timeoutMs: number;
  /** Longest pause before the second try; doubled before the third. */
  readonly pauseMs?: number;
}

/**
 * Parses a URL. Throws CONFIG_INVALID if it is not one of HTTP or HTTPS. The error names the setting `where`, but does
 * not show the text, which may contain a secret.
 */
export function parseUrl(text: string, where: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
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
  const { system, pauseMs: firstMs = FIRST_PAUSE_MS } = options;
  for (const retries = new Retries(system, { ...RETRIES, firstMs }); ; ) {
    const answer = await send(url, options);
    if (typeof answer === 'number' && answer >= 200 && answer < 300) return undefined;
    const mayPass = typeof answer !== 'number' || isPassing(answer);
    const waitMs = mayPass ? retries.next() : undefined;
    if (waitMs === undefined) {
      const why = typeof answer === 'number' ? whyOf(answer) : errnoText(answer);
      return `the request to ${shownUrl(url)} failed: ${why}`;
    }
    await sleep(waitMs);
  }
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
          (signal.aborted ? 'no answer in time' : systemReason(error, 'no answer')) +
            unusedProxy(url.protocol),
        ),
      )
      .end(payload);
  });
}
