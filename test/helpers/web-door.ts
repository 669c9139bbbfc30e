/** A running tardis-web, and requests to it with any headers. */
import http from 'node:http';
import https from 'node:https';
import type { ExecutionContext } from 'ava';
import { type CommandOptions, Running } from './commands.js';

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export class WebDoor {
  readonly url: URL;
  /** The address that lasts. */
  readonly address: string;
  readonly programKey: string;
  readonly running: Running;
  readonly printed: {
    readonly url: string;
    readonly address: string;
    readonly programKey: string;
    readonly fingerprint?: string;
  };

  private constructor(running: Running) {
    this.running = running;
    const printed = JSON.parse(running.stdout) as WebDoor['printed'];
    this.printed = printed;
    this.url = new URL(printed.url);
    this.address = printed.address;
    this.programKey = printed.programKey;
  }

  /** Starts it for the client `me` of a store; ends it with `close`. */
  static async start(
    store: string,
    args: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<WebDoor> {
    const words = ['-D', store, '-C', 'me', '--json', '--no-browser', ...args];
    const running = new Running('tardis-web', words, options);
    await running.until('address', () => running.stdout.includes('\n'));
    return new WebDoor(running);
  }

  /** Starts one that ends with the test. */
  static async during(
    t: Pick<ExecutionContext, 'teardown'>,
    ...started: Parameters<typeof WebDoor.start>
  ): Promise<WebDoor> {
    const door = await WebDoor.start(...started);
    t.teardown(() => door.close());
    return door;
  }

  get host(): string {
    return this.url.host;
  }

  /** Sends a request to the loopback address, whatever name of a host it is for. */
  request(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    { method = 'GET', body }: { readonly method?: string; readonly body?: string } = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: this.url.port,
        rejectUnauthorized: false, // with --listen, the certificate is its own
        path,
        method,
        headers: { host: this.host, ...headers },
      };
      const web = this.url.protocol === 'https:' ? https : http;
      const request = web.request(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Exchanges the token; returns the cookie to send. */
  async enter(): Promise<string> {
    const { headers } = await this.request(this.url.pathname + this.url.search);
    return (headers['set-cookie']?.[0] ?? '').split(';')[0]!;
  }

  async close(): Promise<void> {
    await this.running.endedBy('SIGTERM');
  }
}
