/** Hand-written clients, which send any message and record the server's answers. */
import net from 'node:net';
import { WebSocket } from 'ws';
import { EntryType } from '../../src/model/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
  peekMessage,
} from '../../src/transport/index.js';
import { helloBytes } from './greetings.js';
import { rowOf } from './rows.js';
import { pause } from './until.js';

const DEADLINE_MS = 60_000;
const LOOK_EVERY_MS = 5;

/** A directory as the root of a set. */
export const ROOT_ROW: Buffer = rowOf('root', { type: EntryType.directory });

/** A set with one root and no special options. */
export const PLAIN_SET: Head<'openSet'> = Object.freeze({
  name: '',
  clientTimeMs: 0,
  paths: [Buffer.from('/somewhere')],
  rows: ROOT_ROW,
  devices: ['1'],
  empties: Buffer.alloc(1),
  trust: false,
  full: false,
  priority: 0,
  expendable: false,
  tags: [],
});

export class Peer {
  /** Codes of the errors that the server sent. */
  readonly codes: string[] = [];
  readonly names: MessageName[] = [];
  /** All messages of the server, in their order. */
  readonly heard: Buffer[] = [];
  readonly verdicts: number[][] = [];
  closeCode = 0;
  welcome: Head<'welcome'> | undefined;
  /** Rejects if the server does not close the connection. */
  readonly closed: Promise<void>;
  private readonly socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => undefined); // the close event follows
    socket.on('message', (data: Buffer) => {
      const name = peekMessage(data, 'to-client');
      this.names.push(name);
      this.heard.push(data);
      if (name === 'welcome') this.welcome = decodeMessage(name, data).head;
      if (name === 'error') this.codes.push(decodeMessage(name, data).head.code);
      if (name === 'verdicts') this.verdicts.push([...decodeMessage(name, data).head.verdicts]);
    });
    this.closed = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the server did not hang up')), DEADLINE_MS);
      socket.once('close', (code) => {
        this.closeCode = code;
        clearTimeout(timer);
        resolve();
      });
    });
    this.closed.catch(() => undefined); // only callers that await it need it
  }

  /** Connects to a port, or to the path of a unix socket. */
  static async connect(to: number | string): Promise<Peer> {
    const socket =
      typeof to === 'number'
        ? new WebSocket(`ws://127.0.0.1:${to}/`)
        : new WebSocket('ws://localhost/', { createConnection: () => net.connect(to) });
    const peer = new Peer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('error', reject);
    });
    return peer;
  }

  /** Connects and sends a greeting, without waiting for its answer. */
  static async greet(
    to: number | string,
    client: string,
    hello: Partial<Head<'hello'>>,
  ): Promise<Peer> {
    const peer = await Peer.connect(to);
    peer.raw(helloBytes(client, hello));
    return peer;
  }

  /** Begins a session of a client that needs no password. */
  static async login(port: number, client: string, hello: Partial<Head<'hello'>>): Promise<Peer> {
    const peer = await Peer.greet(port, client, hello);
    await peer.hears('welcome');
    peer.send('acknowledge', { ticket: peer.welcome!.ticket, upTo: 0 });
    return peer;
  }

  raw(data: Buffer | string): void {
    this.socket.send(data);
  }

  send<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): void {
    const message = encodeMessage(name, head);
    this.raw(attachment === undefined ? message.head : Buffer.concat([message.head, attachment]));
  }

  /** Resolves once the server has sent a message of this name. */
  hears(name: MessageName): Promise<void> {
    return this.until(`"${name}"`, () => this.names.includes(name));
  }

  /** Resolves once something holds after a message of the server. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const start = performance.now();
    while (!holds()) {
      if (performance.now() - start > DEADLINE_MS || this.socket.readyState === WebSocket.CLOSED) {
        throw new Error(`no ${what}, but ${this.names.join()} ${this.codes.join()}`);
      }
      await pause(LOOK_EVERY_MS);
    }
  }

  close(): void {
    this.socket.close();
  }

  cut(): void {
    this.socket.terminate();
  }
}
