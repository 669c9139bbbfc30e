/** Bases that a client seeks by digests: it gets those of its own client that it may rely on, and no others. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntryType } from '../../src/model/index.js';
import type { Daemon, StorageHost } from '../../src/server/index.js';
import { decodeMessage, peekMessage } from '../../src/transport/index.js';
import { Peer, PLAIN_SET } from '../helpers/hand-made-peer.js';
import { backupTo, inlineSystem, startInline, tapped } from '../helpers/inline.js';
import { rowOf, sha256 } from '../helpers/rows.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const MIB = 1 << 20;
const NOTHING = Buffer.alloc(0);
const system = inlineSystem();

/** A server in this thread, of which each session may be one of an account. */
class Lab {
  account = '';
  /** Answers to requests for signatures. */
  readonly answers: { readonly bytes: number; readonly failed: boolean }[] = [];
  private daemon: Daemon | undefined;
  private readonly home: string;

  private constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
  }

  static async start(t: ExecutionContext): Promise<Lab> {
    const lab = new Lab(t);
    const watched = tapped(() => ({
      answer: (answer) => {
        if (peekMessage(answer, 'to-client') === 'signature') {
          const { bytes, failed } = decodeMessage('signature', answer).head;
          lab.answers.push({ bytes: bytes.length, failed });
        }
        return answer;
      },
    }));
    const wrapHost = (host: StorageHost): StorageHost => ({
      ...watched(host),
      open: (directory, purpose, options, events) =>
        watched(host).open(directory, purpose, { ...options, account: lab.account }, events),
    });
    lab.daemon = await startInline(system, path.join(lab.home, 'store'), { wrapHost });
    t.teardown(() => lab.daemon?.stop());
    return lab;
  }

  /** Backs up a directory with one file. Returns the number of contents that were sent as deltas. */
  async save(client: string, content: Buffer, more: { password?: string } = {}): Promise<number> {
    const source = folderIn(this.home, 'tree');
    fs.writeFileSync(path.join(source, 'large'), content);
    const create = !this.has(client);
    const { address } = this.daemon!;
    const done = await backupTo(system, async () => address, client, [source], { create, ...more });
    return done.progress.deltasSent;
  }

  private has(client: string): boolean {
    return fs.existsSync(path.join(this.home, 'store', client));
  }

  /** Seeks contents by a program that a hostile client might run. Returns how many bases the server offers. */
  async seek(client: string, contents: readonly Buffer[]): Promise<number> {
    const peer = await this.sought(client, contents);
    await ended(peer);
    return peer.names.filter((name) => name === 'basis').length;
  }

  /** Returns a session that has sought these contents. */
  async sought(client: string, contents: readonly Buffer[]): Promise<Peer> {
    const { address } = this.daemon!;
    const port = address.kind === 'tcp' ? address.port : 0;
    const peer = await Peer.login(port, client, { create: !this.has(client) });
    peer.send('openSet', PLAIN_SET);
    const rows = rowOf('name', { type: EntryType.directory });
    const hashes = Buffer.alloc(32);
    peer.send('heads', { isQuestion: true, slots: [0], parents: [-1], rows, hashes });
    const digests = Buffer.concat(contents.map(sha256));
    peer.send('seekBasis', { question: 1, slot: 0, name: Buffer.from('guess'), digests });
    await peer.hears('sought');
    return peer;
  }
}

/** Ends a session with its set. */
async function ended(peer: Peer): Promise<void> {
  peer.send('closeSet', {
    stats: {},
    seal: NOTHING,
    opened: NOTHING,
    purge: false,
    waits: false,
    runs: [],
  });
  await peer.hears('setClosed');
  peer.cut();
  await peer.closed;
}

test('a content of another client is no basis for one that knows its digest', async (t) => {
  const lab = await Lab.start(t);
  const secret = noise('secret', 2 * MIB);
  await lab.save('owner', secret);
  t.is(await lab.seek('guesser', [noise('a guess', 9), secret]), 0);
  t.is(await lab.seek('owner', [noise('a guess', 9), secret]), 1);
});

test('a content of an account is no basis for the client until the client has stored it', async (t) => {
  const lab = await Lab.start(t);
  await lab.save('me', noise('the client', 2 * MIB));
  const foreign = noise('the account', 2 * MIB);
  lab.account = 'robot';
  await lab.save('me', foreign);
  t.is(await lab.seek('me', [foreign]), 1, 'an account relies on itself');
  lab.account = '';
  t.is(await lab.seek('me', [foreign]), 0);
  await lab.save('me', foreign);
  t.is(await lab.seek('me', [foreign]), 1);
});

test('an encrypted basis is sent to the client itself, and to no account, which may not read', async (t) => {
  const lab = await Lab.start(t);
  for (const account of ['', 'robot']) {
    const content = noise('encrypted', 2 * MIB);
    const client = `of-${account || 'itself'}`;
    const save = async (): Promise<number> =>
      lab.save(client, content, { password: 'a password of the tests' });
    lab.account = '';
    await save();
    noise('change', 9000).copy(content, 100_000);
    lab.account = account;
    lab.answers.length = 0;
    const isClient = account === '';
    t.is(await save(), isClient ? 1 : 0);
    const sentBytes = lab.answers.reduce((sum, { bytes }) => sum + bytes, 0);
    t.is(sentBytes > 2 * MIB, isClient);
    t.is(lab.answers.at(-1)?.failed, !isClient);
    if (!isClient) t.is(sentBytes, 0);
  }
});

test('a range of a basis has a sum for each of its blocks, and an impossible one ends the session', async (t) => {
  const lab = await Lab.start(t);
  const content = noise('content', 3 * MIB);
  await lab.save('me', content);
  const wish = { basis: 1, range: 1, from: MIB, bytes: MIB + 300, blockBytes: 512 };
  const peer = await lab.sought('me', [content]);
  peer.send('rangeWish', wish);
  await peer.hears('signature');
  await ended(peer);
  const bytes = lab.answers.reduce((sum, answer) => sum + answer.bytes, 0);
  t.is(bytes, 12 + 20 * Math.ceil(wish.bytes / wish.blockBytes));
  for (const changes of [
    { range: 0 },
    { bytes: 0 },
    { from: 2 * MIB },
    { blockBytes: 256 },
    { blockBytes: 768 },
    { blockBytes: 8192 },
  ]) {
    const wrong = await lab.sought('me', [content]);
    wrong.send('rangeWish', { ...wish, ...changes });
    await wrong.closed;
    t.deepEqual(wrong.codes, ['PROTOCOL_VIOLATION'], JSON.stringify(changes));
  }
});
