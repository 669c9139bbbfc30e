/** Sends one request that has a small answer, in a bounded time. */
import { loadHttp, loadHttps } from '../../system/index.js';

const MAX_ANSWER_BYTES = 64 << 10;

interface SmallRequest {
  readonly method: 'GET' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Returns the answer; undefined if the connection fails, or the answer is late or too large. Never throws. */
export function smallRequest(
  url: URL,
  { method, headers, timeoutMs }: SmallRequest,
): Promise<{ readonly status: number; readonly text: string } | undefined> {
  const web = url.protocol === 'https:' ? loadHttps() : loadHttp();
  const signal = AbortSignal.timeout(timeoutMs);
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
