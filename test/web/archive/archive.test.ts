// Pace: slow
/** Archives over HTTP: what they have, and how they end. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { certificateIn } from '../../helpers/certificates.js';
import { dataFiles } from '../../helpers/damage.js';
import { backupInline, inlineSystem } from '../../helpers/inline.js';
import { scratchInMemory, written } from '../../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  node,
  noise,
  symlink,
  text,
  type TreeNode,
} from '../../helpers/tree.js';
import { openDoors, quotedPath, type WebDoors } from '../../helpers/web-doors.js';
import { WaitShare } from '../../../src/web/archive/index.js';
import { pause } from '../../helpers/until.js';

const MIB = 1 << 20;
const ARCHIVE = '/api/v1/clients/me/sets/latest/archive';

interface Lab extends WebDoors {
  readonly home: string;
  readonly source: string;
  readonly store: string;
}

async function open(
  t: ExecutionContext,
  tree: readonly TreeNode[],
  isSecure = false,
  isRemote = false,
): Promise<Lab> {
  const home = scratchInMemory(t);
  const [source, store] = [path.join(home, 'tree'), path.join(home, 'store')];
  makeTree(source, tree);
  const place = { store, client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true });
  return {
    home,
    source,
    store,
    ...(await openDoors(t, place, {
      tls: isSecure ? await certificateIn(home) : undefined,
      isRemote,
    })),
  };
}

const TREE = [
  dir('a', [file('one', text(1, 3000)), file('two', noise(1, 2 * MIB)), symlink('link', 'one')]),
  dir('b', [file('one', 'other')]),
  file('in parts', noise(2, 6 * MIB)),
];

async function unpacked(t: ExecutionContext, lab: Lab, query: string): Promise<string | undefined> {
  const answer = await lab.get(`${ARCHIVE}?${query}`);
  t.is(answer.status, 200);
  const archive = written(lab.home, 'archive', Buffer.from(await answer.arrayBuffer()));
  const out = path.join(lab.home, 'out');
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(out);
  const isTar = query.includes('format=tar');
  const done = isTar
    ? spawnSync('tar', ['-xpf', archive, '-C', out])
    : spawnSync('unzip', ['-q', archive, '-d', out]);
  if (done.error !== undefined) {
    t.log(`left out: ${done.error.message}`);
    return undefined;
  }
  t.is(done.status, 0, done.stderr.toString());
  return out;
}

const selection = test.macro(async (t, isRemote: boolean) => {
  const lab = await open(t, TREE, false, isRemote);
  const whole = await unpacked(t, lab, `format=tar&path=${quotedPath(lab.source)}`);
  t.deepEqual(differences(look(lab.source), look(path.join(whole!, 'tree'))), []);
  for (const compress of ['yes', 'no', 'auto']) {
    const parts = ['a', 'in parts'].map((name) => `path=${quotedPath(`${lab.source}/${name}`)}`);
    const out = await unpacked(t, lab, `${parts.join('&')}&compress=${compress}`);
    if (out === undefined) return;
    t.deepEqual(fs.readdirSync(out).sort(), ['a', 'in parts']);
    for (const name of ['a/one', 'a/two', 'in parts']) {
      const [wanted, found] = [path.join(lab.source, name), path.join(out, name)];
      t.true(fs.readFileSync(wanted).equals(fs.readFileSync(found)), name);
    }
    t.is(fs.readlinkSync(path.join(out, 'a/link')), 'one');
  }
  // Names that would be equal come with their whole paths, and so does what is above a root.
  const equal = ['a/one', 'b/one'].map((name) => `path=${quotedPath(`${lab.source}/${name}`)}`);
  const both = await unpacked(t, lab, equal.join('&'));
  t.is(fs.readFileSync(path.join(both!, lab.source, 'b/one'), 'utf8'), 'other');
  const above = await unpacked(t, lab, `path=${quotedPath(path.dirname(lab.source))}`);
  t.true(fs.existsSync(path.join(above!, lab.source, 'a/two')));
  const all = await unpacked(t, lab, '');
  t.true(fs.existsSync(path.join(all!, lab.source, 'a/two')));
});

test('a selection comes as tar and as zip', selection, false);
test('a selection comes as tar and as zip, in front of a server', selection, true);

test('an archive is refused before it begins, with the reason', async (t) => {
  const lab = await open(t, [file('x')]);
  const missing = await lab.get(`${ARCHIVE}?path=${quotedPath(`${lab.source}/never`)}`);
  t.is(missing.status, 404);
  t.like(await missing.json(), { code: 'NO_SUCH_PATH' });
  for (const [query, status] of [
    ['path=relative', 400],
    ['path=/..%2f..%2fetc', 400],
    ['format=rar', 400],
    ['more=1', 400],
  ] as const) {
    t.is((await lab.get(`${ARCHIVE}?${query}`)).status, status, query);
  }
  const headers = { authorization: 'Bearer me:list' };
  t.is((await lab.get(ARCHIVE, { headers })).status, 403);
  t.is((await fetch(`${lab.origin}${ARCHIVE}`)).status, 401);
  const name = 'tree\r\nX: y\'".zip';
  const odd = await lab.get(`${ARCHIVE}?path=${quotedPath(`${lab.source}/x`)}`, { method: 'HEAD' });
  t.is(
    odd.headers.get('content-disposition'),
    `attachment; filename="x.zip"; filename*=UTF-8''x.zip`,
  );
  t.is(odd.headers.get(name.slice(6, 7)), null);
});

/** Requests an archive, and returns the bytes and whether it came to its end. */
function fetched(
  lab: Lab,
  url: string,
): Promise<{ bytes: number; isGood: boolean; isWhole: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${lab.token}` };
    http
      .get(`${lab.origin}${url}`, { headers }, (answer) => {
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        answer.on('error', () => undefined); // `close` reports it
        const isGood = answer.statusCode === 200;
        answer.once('close', () => resolve({ bytes, isGood, isWhole: answer.complete }));
      })
      .once('error', reject);
  });
}

/** Damages the largest object of the store in its middle. */
function damageLargest(t: ExecutionContext, lab: Lab): void {
  const [largest] = dataFiles({ store: lab.store, client: 'me' })
    .map((name) => path.join(lab.store, 'me', name))
    .map((object) => ({ object, sizeBytes: fs.statSync(object).size }))
    .sort((one, other) => other.sizeBytes - one.sizeBytes);
  t.true(largest!.sizeBytes > 2 * MIB);
  const fd = fs.openSync(largest!.object, 'r+');
  fs.writeSync(fd, 'spoilt', largest!.sizeBytes >> 1);
  fs.closeSync(fd);
}

test('an archive with a damaged file never looks complete, and the log names the file', async (t) => {
  const good = Array.from({ length: 8 }, (_, index) => file(`good ${index}`, noise(index, MIB)));
  const lab = await open(t, [...good, dir('z', [file('bad', noise('bad', 3 * MIB))])]);
  for (const format of ['zip', 'tar']) {
    t.true((await fetched(lab, `${ARCHIVE}?format=${format}`)).isWhole);
  }
  damageLargest(t, lab);
  for (const format of ['zip', 'tar']) {
    lab.reported.length = 0;
    const { bytes, isGood, isWhole } = await fetched(lab, `${ARCHIVE}?format=${format}`);
    t.true(isGood && bytes > MIB);
    t.false(isWhole, format);
    t.regex(lab.reported.map(({ message }) => message).join('\n'), /broken off: .*z\/bad: /);
  }
});

const NOTE = 'MISSING-FROM-THIS-ARCHIVE.txt';

test('a text at its end names what an archive lacks, and a whole one has none', async (t) => {
  const good = file('good', noise('good', MIB));
  const lab = await open(t, [
    good,
    dir('z', [file('bad', noise('bad', 3 * MIB)), node('pipe', 'fifo')]),
  ]);
  const query = (format: string): string =>
    `format=${format}&damage=list&path=${quotedPath(lab.source)}`;
  const tar = await unpacked(t, lab, query('tar'));
  t.deepEqual(fs.readdirSync(tar!), ['tree'], 'a tar archive holds pipes');
  const zip = await unpacked(t, lab, query('zip'));
  if (zip === undefined) return;
  t.regex(
    fs.readFileSync(path.join(zip, NOTE), 'utf8'),
    /^An entry is .*\n\ntree\/z\/pipe: .* \[SPECIAL_FILE\]\n$/,
  );
  damageLargest(t, lab);
  for (const format of ['tar', 'zip']) {
    const out = await unpacked(t, lab, query(format));
    t.regex(
      fs.readFileSync(path.join(out!, NOTE), 'utf8'),
      /^tree\/z\/bad: .* \[\w+_DAMAGED\]$/m,
      format,
    );
    t.false(fs.existsSync(path.join(out!, 'tree/z/bad')));
    const [wanted, found] = [path.join(lab.source, 'good'), path.join(out!, 'tree/good')];
    t.true(fs.readFileSync(wanted).equals(fs.readFileSync(found)));
  }
});

test('a file with the name of that text does not hide it', async (t) => {
  const own = [
    file(NOTE.toLowerCase(), 'all is there'),
    file(NOTE, 'all is there'),
    node('pipe', 'fifo'),
  ];
  const lab = await open(t, own);
  const paths = [NOTE.toLowerCase(), NOTE, 'pipe'].map(
    (name) => `path=${quotedPath(`${lab.source}/${name}`)}`,
  );
  const out = await unpacked(t, lab, paths.join('&'));
  if (out === undefined) return;
  t.is(fs.readFileSync(path.join(out, NOTE), 'utf8'), 'all is there');
  const others = fs
    .readdirSync(out)
    .filter((name) => /^MISSING-FROM-THIS-ARCHIVE-[0-9a-f]{16}\.txt$/.test(name));
  t.is(others.length, 1);
  t.regex(fs.readFileSync(path.join(out, others[0]!), 'utf8'), /pipe: /);
});

/** Requests an archive over HTTP/2, and returns its bytes and the code with which its stream ended. */
async function fetched2(lab: Lab, url: string): Promise<{ bytes: number; code: number }> {
  const session = http2.connect(lab.origin, { rejectUnauthorized: false });
  const answer = session.request({ ':path': url, authorization: `Bearer ${lab.token}` });
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  answer.on('error', () => undefined); // its code is returned
  await new Promise<void>((resolve) => answer.once('close', resolve));
  session.destroy();
  return { bytes, code: answer.rstCode };
}

test('over HTTP/2, an archive with a damaged file ends with an error', async (t) => {
  const good = Array.from({ length: 8 }, (_, index) => file(`good ${index}`, noise(index, MIB)));
  const lab = await open(t, [...good, dir('z', [file('bad', noise('bad', 3 * MIB))])], true);
  const whole = await fetched2(lab, ARCHIVE);
  t.is(whole.code, http2.constants.NGHTTP2_NO_ERROR);
  damageLargest(t, lab);
  for (const format of ['zip', 'tar']) {
    const { bytes, code } = await fetched2(lab, `${ARCHIVE}?format=${format}`);
    t.true(bytes > MIB && bytes < whole.bytes);
    t.is(code, http2.constants.NGHTTP2_INTERNAL_ERROR, format);
  }
});

/** Returns all bytes of an answer, which it takes with a rest after each part. */
async function takenSlowly(answer: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of answer) {
    parts.push(part as Buffer);
    if (parts.length % 16 === 0) await pause(3);
  }
  return Buffer.concat(parts);
}

test('slow readers get the bytes that fast ones get, plain, compressed and over TLS', async (t) => {
  const files = Array.from({ length: 5 }, (_, index) => file(`${index}`, noise(index, 3 * MIB)));
  const tree = [...files, file('small', 'x'), file('text', text(1, 2 * MIB))];
  const url = `${ARCHIVE}?format=tar`;
  const lab = await open(t, tree);
  const fast = Buffer.from(await (await lab.get(url)).arrayBuffer());
  t.true(fast.length > 17 * MIB);
  for (const encoding of ['identity', 'gzip']) {
    const headers = { authorization: `Bearer ${lab.token}`, 'accept-encoding': encoding };
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(`${lab.origin}${url}`, { headers, agent: false }, resolve).once('error', reject);
    });
    const taken = await takenSlowly(answer);
    const isPacked = answer.headers['content-encoding'] === 'gzip';
    t.true((isPacked ? gunzipSync(taken) : taken).equals(fast), encoding);
  }
  const secure = await open(t, tree, true);
  const session = http2.connect(secure.origin, { rejectUnauthorized: false });
  const requested = (): Readable =>
    session.request({ ':path': url, authorization: `Bearer ${secure.token}` });
  const whole = Buffer.concat(await requested().toArray());
  t.true(whole.length > 17 * MIB);
  t.true((await takenSlowly(requested())).equals(whole));
  session.destroy();
});

test('a reader that waits stops the reading, and one that goes away ends it', async (t) => {
  const files = Array.from({ length: 12 }, (_, index) => file(`${index}`, noise(index, 2 * MIB)));
  const lab = await open(t, files);
  const begin = (account = ''): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${account}${lab.token}` };
      http.get(`${lab.origin}${ARCHIVE}`, { headers, agent: false }, resolve).once('error', reject);
    });
  const other = { headers: { authorization: `Bearer other/${lab.token}` } };
  const waiting = [await begin(), await begin()];
  const refused = await lab.get(ARCHIVE);
  t.is(refused.status, 429);
  t.is(refused.headers.get('retry-after'), '30');
  waiting.push(await begin('other/'));
  t.is(waiting.at(-1)!.statusCode, 200, 'one login holds the places of all');
  waiting.push(await begin('other/'));
  t.is((await lab.get(ARCHIVE, other)).status, 429);
  for (const answer of waiting) answer.on('error', () => undefined).destroy();
  for (let tries = 0; tries < 1000; tries += 1) {
    const { status, body } = await lab.get(ARCHIVE);
    await body?.cancel();
    if (status === 200) break;
    t.is(status, 429);
    await pause(10);
  }
  t.is((await lab.get(ARCHIVE)).status, 200, 'those that went away were not ended');
});

test('over HTTP/1.0, where a broken archive would look complete, it is refused', async (t) => {
  const lab = await open(t, [file('x')]);
  const { port } = new URL(lab.origin);
  const socket = net.connect(Number(port), '127.0.0.1');
  socket.end(`GET ${ARCHIVE} HTTP/1.0\r\nAuthorization: Bearer ${lab.token}\r\n\r\n`);
  const answer = (await socket.toArray()).join('');
  t.regex(answer, /^HTTP\/1\.\d 400 /);
  t.regex(answer, /REQUEST_INVALID/);
});

test('a path that is spelled in two ways comes once, and a path that is not there is refused', async (t) => {
  const lab = await open(t, TREE);
  const [one, other] = [quotedPath(`${lab.source}/a`), quotedPath(`${lab.source}//a/`)];
  const answer = await lab.get(`${ARCHIVE}?format=tar&path=${one}&path=${other}`);
  const listed = spawnSync('tar', ['-t'], { input: Buffer.from(await answer.arrayBuffer()) });
  const names = listed.stdout.toString().trim().split('\n').sort();
  t.deepEqual(names, ['a/', 'a/link', 'a/one', 'a/two']);
  const missing = `${ARCHIVE}?path=${one}&path=${quotedPath(`${lab.source}/never`)}`;
  for (const method of ['GET', 'HEAD']) t.is((await lab.get(missing, { method })).status, 404);
});

test('an archive knows whether it waits for its reader', (t) => {
  let nowMs = 0;
  const waits = new WaitShare(() => nowMs);
  const pass = (workMs: number, waitMs: number): void => {
    nowMs += workMs;
    waits.begin();
    nowMs += waitMs;
    waits.end();
  };
  t.false(waits.isMostlyWaiting);
  for (let round = 0; round < 100; round += 1) pass(30, 10);
  t.false(waits.isMostlyWaiting);
  for (let round = 0; round < 100; round += 1) pass(10, 30);
  t.true(waits.isMostlyWaiting);
});
