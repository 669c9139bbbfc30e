/** The connections of a session: the first one, those that replace lost ones, and their end. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type WebSocket, WebSocketServer } from 'ws';
import http from 'node:http';
import net from 'node:net';
import { type Reach, Sender, SessionConnector, SessionLine } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import {
  DEFAULT_LINK,
  decodeMessage,
  encodeMessage,
  type Head,
  linkWith,
  type MessageName,
  MESSAGES,
  NO_PATIENCE,
  type Patience,
  PROTOCOL_VERSION,
} from '../../src/transport/index.js';
import { Login, NO_CREDENTIALS } from '../../src/transport/login/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { WELCOME } from '../helpers/fake-connection.js';
import type { Address } from '../../src/system/index.js';
import { elsewhereOf, serverPlace } from '../../src/tools/index.js';
import { inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';
import { listening } from '../helpers/listener.js';

const NAMES = new Map(
  Object.entries(MESSAGES).map(([name, row]) => [row.number, name as MessageName]),
);
/** Time within which a retry must succeed; a test waits for events, never for it. */
const PATIENT: Patience = { forMs: 60_000, firstWaitMs: 1 };

/** Serves one connection after its greeting. */
type Script = (server: FakeServer, socket: WebSocket, hello: Head<'hello'>) => void;

/** A server on a unix socket that plays one script for each connection, the last one for all later connections. */
class FakeServer {
  readonly greetings: Head<'hello'>[] = [];
  private readonly scripts: Script[];
  readonly file: string;

  constructor(t: ExecutionContext, scripts: readonly Script[]) {
    this.scripts = [...scripts];
    this.file = path.join(scratchInMemory(t), 'socket');
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => {
      socket.on('message', (bytes: Buffer) => this.hear(socket, bytes));
    });
    server.listen(this.file);
    t.teardown(() => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close();
    });
  }

  send<N extends MessageName>(socket: WebSocket, name: N, head: Head<N>): void {
    socket.send(encodeMessage(name, head).head);
  }

  welcome(socket: WebSocket, changes: Partial<Head<'welcome'>> = {}): void {
    this.send(socket, 'welcome', { ...WELCOME, protocol: PROTOCOL_VERSION, ...changes });
  }

  private hear(socket: WebSocket, bytes: Buffer): void {
    const name = NAMES.get(bytes[0]!);
    if (name !== 'hello') return;
    const hello = decodeMessage('hello', bytes).head;
    this.greetings.push(hello);
    const script = this.scripts.length > 1 ? this.scripts.shift() : this.scripts[0];
    script?.(this, socket, hello);
  }
}

const WELCOMES: Script = (server, socket) => server.welcome(socket);
const CUTS: Script = (_server, socket) => socket.terminate();
const SILENT: Script = () => undefined;
/** Returns a script that welcomes, sends messages, and cuts the connection. */
function thenCut(...heads: readonly number[]): Script {
  return (server, socket) => {
    server.welcome(socket);
    for (const upTo of heads) server.send(socket, 'durable', { upTo });
    socket.close();
  };
}
function fails(code: TardisError['code']): Script {
  return (server, socket) => server.send(socket, 'error', { code, message: 'no', context: {} });
}

/** A session of a client over connections to a fake server. */
class Lab {
  readonly server: FakeServer;
  readonly connector: SessionConnector;
  readonly heard: MessageName[] = [];
  readonly retries: string[] = [];
  private readonly gone: Promise<TardisError>;
  private onHeard: () => void = () => undefined;

  constructor(
    t: ExecutionContext,
    scripts: readonly Script[],
    patience: Patience = PATIENT,
    more: Partial<Reach> = {},
  ) {
    this.server = new FakeServer(t, scripts);
    const { file } = this.server;
    const line = new SessionLine(new Sender({ compressHeads: false }), (name) => {
      this.heard.push(name);
      this.onHeard();
    });
    const reach = {
      address: async () => ({ kind: 'unix', path: file }) as const,
      link: DEFAULT_LINK,
      tls: undefined,
      patience,
      ...more,
    };
    let failed: (error: TardisError) => void;
    this.gone = new Promise((resolve) => {
      failed = resolve;
    });
    this.connector = new SessionConnector(inlineSystem(), line, reach, {
      retrying: ({ reason }) => void this.retries.push(reason.code),
      failed: (error) => failed(error),
    });
    t.teardown(() => this.connector.fail(new TardisError('INTERRUPTED', 'the test is over')));
  }

  async begin(): Promise<unknown> {
    const target = { client: 'me', create: false, purpose: 'backup' } as const;
    return this.connector.begin(await Login.prepare(inlineSystem(), target, NO_CREDENTIALS), false);
  }

  /** Resolves when so many answers were heard. */
  async hear(count: number): Promise<void> {
    while (this.heard.length < count) {
      await new Promise<void>((resolve) => {
        this.onHeard = resolve;
      });
    }
  }

  /** Returns the code with which the session is given up. */
  async end(): Promise<string> {
    return (await this.gone).code;
  }
}

test('a session begins with the welcome, and a connection that is cut before it is replaced', async (t) => {
  const lab = new Lab(t, [CUTS, CUTS, WELCOMES]);
  await lab.begin();
  t.is(lab.server.greetings.length, 3);
  t.deepEqual(lab.retries, ['CONNECTION_LOST', 'CONNECTION_LOST']);
  t.is(lab.connector.replaced, 0, 'no session was interrupted');
});

test('without patience, the first cut is the end', async (t) => {
  const lab = new Lab(t, [CUTS, WELCOMES], { forMs: 0 });
  t.is(await rejectedCode(lab.begin()), 'CONNECTION_LOST');
  t.is(lab.server.greetings.length, 1);
});

test('an error that does not pass, a wrong message and a malformed one end the beginning at once', async (t) => {
  const scripts: readonly [string, Script, string][] = [
    ['an error', fails('LOGIN_FAILED'), 'LOGIN_FAILED'],
    [
      'an answer first',
      (server, socket) => server.send(socket, 'durable', { upTo: 0 }),
      'PROTOCOL_VIOLATION',
    ],
    [
      'no ticket',
      (server, socket) => server.welcome(socket, { ticket: Buffer.alloc(1) }),
      'PROTOCOL_VIOLATION',
    ],
    [
      'another version',
      (server, socket) => server.welcome(socket, { protocol: 99 }),
      'PROTOCOL_VERSION',
    ],
    ['no message', (_server, socket) => socket.send(Buffer.from([255, 0])), 'PROTOCOL_VIOLATION'],
  ];
  for (const [what, script, code] of scripts) {
    const lab = new Lab(t, [script]);
    t.is(await rejectedCode(lab.begin()), code, what);
    t.is(lab.server.greetings.length, 1, what);
  }
});

test('a session that is failed while it waits for the welcome begins no more', async (t) => {
  const lab = new Lab(t, [SILENT]);
  const beginning = lab.begin();
  await until(() => lab.server.greetings.length > 0);
  lab.connector.fail(new TardisError('INTERRUPTED', 'by the user'));
  t.is(await rejectedCode(beginning), 'INTERRUPTED');
  await lab.connector.closed();
  t.is(lab.server.greetings.length, 1);
});

test('a lost connection is replaced, and the next one gets the ticket and what was handled', async (t) => {
  const again: Script = (server, socket) => {
    server.welcome(socket);
    server.send(socket, 'durable', { upTo: 0 });
  };
  const lab = new Lab(t, [thenCut(0, 0), CUTS, again]);
  await lab.begin();
  await lab.hear(3);
  await new Promise((resolve) => setImmediate(resolve)); // the greeting resolves
  t.is(lab.connector.replaced, 1, 'the connection that was cut in between has replaced none');
  const places = lab.server.greetings.map(({ ticket, upTo }) => [ticket.length, upTo]);
  t.deepEqual(places, [
    [0, 0],
    [WELCOME.ticket.length, 2],
    [WELCOME.ticket.length, 2],
  ]);
});

test('a server that falls silent is tried once, although another one refers to it', async (t) => {
  let tried = 0;
  const silent = net.createServer((socket) => {
    tried += 1;
    socket.on('error', () => undefined);
  });
  const file = path.join(scratchInMemory(t), 'silent');
  await new Promise<void>((resolve) => {
    silent.listen(file, resolve);
  });
  t.teardown(() => silent.close());
  const refers: Script = (server, socket) =>
    server.send(socket, 'elsewhere', {
      host: '127.0.0.1',
      port: 9,
      proof: Buffer.alloc(0),
      protocol: PROTOCOL_VERSION,
    });
  const elsewhere = (): Address => ({ kind: 'unix', path: file });
  const link = linkWith(2000);
  const lab = new Lab(t, [refers, refers, refers, WELCOMES], PATIENT, { link, elsewhere });
  await lab.begin();
  t.is(tried, 1);
  t.is(lab.server.greetings.length, 4);
  t.deepEqual(lab.retries, ['TIMED_OUT', 'CLIENT_ELSEWHERE', 'CLIENT_ELSEWHERE']);
});

test('a server on a unix socket, which has no TLS, leads a client to no other one', async (t) => {
  let met = 0;
  const other = net.createServer((socket) => {
    met += 1;
    socket.destroy();
  });
  const port = await listening(t, other);
  const refers: Script = (server, socket) =>
    server.send(socket, 'elsewhere', {
      host: '127.0.0.1',
      port,
      proof: Buffer.alloc(0),
      protocol: PROTOCOL_VERSION,
    });
  const settings = {
    port: 0,
    remoteUrlPort: undefined,
    ssl: undefined,
    validateCerts: undefined,
    insecureTcp: false,
    insecureNetwork: false,
  };
  const { address } = serverPlace('/a socket', settings, false);
  const elsewhere = elsewhereOf(address, settings, false);
  const lab = new Lab(t, [refers], NO_PATIENCE, { elsewhere });
  t.is(await rejectedCode(lab.begin()), 'CLIENT_ELSEWHERE');
  t.is(met, 0);
});

test('a session that the server has dropped, or that does not fit, is given up', async (t) => {
  const tooMuch: Script = (server, socket) => server.welcome(socket, { upTo: 7 });
  for (const [script, code] of [
    [fails('SESSION_GONE'), 'SESSION_GONE'],
    [tooMuch, 'PROTOCOL_VIOLATION'],
  ] as const) {
    const lab = new Lab(t, [thenCut(), script]);
    await lab.begin();
    t.is(await lab.end(), code);
    t.is(lab.server.greetings.length, 2);
  }
});

test('after the end no connection is replaced: in order, when no more is expected, and after a failure', async (t) => {
  const left = new Lab(t, [WELCOMES]);
  await left.begin();
  await left.connector.leave();
  const last = new Lab(t, [thenCut()]);
  const lost = new Promise<string>((resolve) => {
    void last.begin().then(() => last.connector.expectNoMore(({ code }) => resolve(code)));
  });
  t.is(await lost, 'CONNECTION_LOST');
  const failed = new Lab(t, [WELCOMES]);
  await failed.begin();
  for (const code of ['INTERRUPTED', 'TIMED_OUT'] as const) {
    failed.connector.fail(new TardisError(code, 'twice'));
  }
  await failed.connector.closed();
  for (const lab of [left, last, failed]) {
    t.is(lab.server.greetings.length, 1);
    t.deepEqual(lab.retries, []);
  }
});
