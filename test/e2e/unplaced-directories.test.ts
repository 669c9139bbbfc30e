// Pace: slow
/** Directories that a client names but never lists take no space in its store. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntryType } from '../../src/model/index.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backup, backupsRunHere, Server, succeed } from '../helpers/commands.js';
import { Peer, PLAIN_SET } from '../helpers/hand-made-peer.js';
import { rowOf } from '../helpers/rows.js';
import { lab } from '../helpers/lab.js';
import { file } from '../helpers/tree.js';

backupsRunHere();

const BATCHES = 15;
const BATCH = 4000;
const NOTHING = Buffer.alloc(0);

/** Opens a set with one root, in slot 0, and names many directories below it. */
function nameMany(peer: Peer): void {
  peer.send('openSet', PLAIN_SET);
  heads(peer, [0], [-1]);
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const slots = Array.from({ length: BATCH }, (_, at) => 1 + batch * BATCH + at);
    heads(peer, slots, Array<number>(BATCH).fill(0));
  }
}

function heads(peer: Peer, slots: number[], parents: number[]): void {
  const rows = slots.map((slot) => {
    const name = `a directory that nobody lists ${slot}`;
    return rowOf(name, { type: EntryType.directory, inode: BigInt(slot) });
  });
  const hashes = Buffer.alloc(32 * slots.length, 1);
  peer.send('heads', { isQuestion: true, slots, parents, rows: Buffer.concat(rows), hashes });
}

async function prepared(t: ExecutionContext): Promise<{ store: string; server: Server }> {
  const { store, source, place } = lab(t, [file('one', 'one')]);
  await backup([...place, '--local', '--create', source]);
  const server = await Server.during(t, store);
  return { store, server };
}

function catalogBytes(store: string): number {
  const client = path.join(store, 'me');
  return fs
    .readdirSync(client)
    .filter((name) => name.startsWith('tardis.db'))
    .reduce((sum, name) => sum + fs.statSync(path.join(client, name)).size, 0);
}

test('directories that are named and never listed do not fill the catalog', async (t) => {
  const { store, server } = await prepared(t);
  const before = catalogBytes(store);
  const peer = await Peer.login(server.port, 'me', {});
  nameMany(peer);
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
  await server.stop();
  const grown = catalogBytes(store) - before;
  t.true(grown < 1 << 18, `${grown} bytes more`);
});

test('what lies in a directory that no listing has is closed with the set', async (t) => {
  const { store, server } = await prepared(t);
  const peer = await Peer.login(server.port, 'me', {});
  nameMany(peer);
  const rows = rowOf('empty', { inode: 77n });
  peer.send('parcel', { slots: [1], lengths: [rows.length], rows, records: [] });
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
  await server.stop();
  changeCatalog(store, (catalog) => {
    const open = catalog
      .prepare(
        `SELECT count(*) FROM entries WHERE name = CAST('empty' AS BLOB) AND last_set IS NULL`,
      )
      .pluck();
    t.is(open.get(), 0);
  });
  await succeed('sonic', ['check', '-D', store, '-C', 'me']);
});
