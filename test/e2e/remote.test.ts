// Pace: long
/** Reading from a server gives the same answers and files as reading a store on this machine. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  hardlink,
  look,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
} from '../helpers/tree.js';

backupsRunHere();

const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
let server: Server;
let far: string[];
const password = path.join(home, 'password');
const near = ['-D', store, '-C', 'me', '-F', password];

test.before(async () => {
  fs.writeFileSync(password, 'a password of the tests\n');
  const many = Array.from({ length: 300 }, (_, index) => file(`f ${index}`, text(index, 700)));
  makeTree(source, [
    dir('many', many),
    dir('a', [dir('b', [dir('c', [file('deep', 'deep')])]), file('old', 'first')]),
    file('large', noise(1, 3 << 20)),
    file('parts', noise(2, 70 << 20)),
    sparse('holes', 4 << 20, [[1 << 20, text(5, 5000)]]),
    symlink('link', 'nowhere'),
    file('empty', ''),
    hardlink('again', 'a', 'old'),
    file(Buffer.from([0x66, 0xff, 0x0a]), 'odd name'),
  ]);
  await backup([...near, '--local', '--create', '--no-crypt', source]);
  fs.writeFileSync(path.join(source, 'a', 'old'), 'second');
  fs.rmSync(path.join(source, 'many', 'f 7'));
  await backup([...near, '--local', source]);
  server = await Server.start(store);
  far = [...server.clientArgs, '-C', 'me', '-F', password];
});
test.after.always(async () => {
  await server.kill();
  removeScratch(home);
});

function at(...names: string[]): string {
  return path.join(source, ...names);
}

for (const [what, args] of [
  ['sets', ['-l']],
  ['sets as JSON', ['--json']],
  ['a directory', ['-l', at('many')]],
  ['a directory as of the first set', ['-l', '-b', '1', at('many')]],
  ['versions of a file', [at('a', 'old')]],
  ['a whole tree as JSON', ['--json', source, at('a'), at('a', 'b')]],
  ['what is not there', [at('missing')]],
  ['a set that is not there', ['-b', '9', source]],
] as const) {
  test.serial(`lstardis shows the same from a server as from a store: ${what}`, async (t) => {
    const [here, there] = await Promise.all([
      run('lstardis', [...near, ...args]),
      run('lstardis', [...far, ...args]),
    ]);
    t.is(there.stdout, here.stdout);
    t.is(there.stderr, here.stderr);
    t.is(there.status, here.status);
  });
}

test.serial('a tree comes back from a server, as of any set', async (t) => {
  for (const set of ['1', '2']) {
    const [here, there] = ['here', 'there'].map((name) => path.join(home, `${name} ${set}`));
    await succeed('regenerate', [...near, '-b', set, '-o', here!, source]);
    await succeed('regenerate', [...far, '-b', set, '-o', there!, source]);
    const [nearTree, farTree] = [here!, there!].map((out) => look(path.join(out, 'tree')));
    t.deepEqual(differences(nearTree!, farTree!), []);
  }
  t.deepEqual(differences(look(source), look(path.join(home, 'there 2', 'tree'))), []);
  // A second restore over the first one writes nothing.
  const args = [...far, '--json', '-o', path.join(home, 'there 2'), source];
  const { files, unchanged } = JSON.parse(await succeed('regenerate', args)) as Record<
    string,
    number
  >;
  t.is(files, 0);
  t.true(unchanged! > 300);
});

test.serial('with one thread, and with files left out', async (t) => {
  const out = path.join(home, 'few');
  await succeed('regenerate', [...far, '--workers', '0', '-o', out, '--exclude', 'f *', source]);
  t.deepEqual(fs.readdirSync(path.join(out, 'tree', 'many')), []);
  t.true(fs.readFileSync(path.join(out, 'tree', 'parts')).equals(fs.readFileSync(at('parts'))));
});

test.serial('streams come from a server too', async (t) => {
  const tars = ['here.tar', 'there.tar'].map((name) => path.join(home, name));
  await succeed('regenerate', [...near, '--tar', tars[0]!, source]);
  await succeed('regenerate', [...far, '--tar', tars[1]!, source]);
  t.true(fs.readFileSync(tars[0]!).equals(fs.readFileSync(tars[1]!)));
  t.is(await succeed('regenerate', [...far, '--stdout', at('a', 'b', 'c', 'deep')]), 'deep');
});

test.serial('a reader does not hold up a backup, nor a backup a reader', async (t) => {
  const reading = Promise.all(
    [1, 2, 3].map((each) =>
      succeed('regenerate', [
        ...far,
        '-b',
        '2',
        '-o',
        path.join(home, `beside ${each}`),
        at('many'),
      ]),
    ),
  );
  fs.writeFileSync(at('new'), 'new');
  const { progress } = await backup([...far, source]);
  t.is(progress.contentsSent, 1);
  await reading;
  fs.rmSync(at('new'));
});

test.serial('a request for something missing gets an error', async (t) => {
  const nobody = await run('lstardis', [...server.clientArgs, '-C', 'nobody', '-F', password]);
  t.is(nobody.status, 12); // the message does not reveal that the client does not exist
  t.regex(nobody.stderr, /\[LOGIN_FAILED\]/);
  await backup(['-D', store, '-C', 'open', '--local', '--create', at('a')]);
  const open = await run('lstardis', [...server.clientArgs, '-C', 'open']);
  t.is(open.status, 1);
  t.regex(open.stderr, /reading and copying need a password.*\[NOT_PERMITTED\]/);
  const place = ['--server', '127.0.0.1', '--port', '1', '-C', 'me', '-F', password];
  const plain = await run('lstardis', [...place, '--no-ssl']);
  t.regex(plain.stderr, /\[INSECURE_TCP_REFUSED\]/);
  const gone = await run('lstardis', [...far, '--port', '1', '--reconnect', '0']);
  t.regex(gone.stderr, /\[SERVER_UNREACHABLE\]/);
});

test.serial('the nearer setting decides whether a store or a server is read', async (t) => {
  const config = path.join(home, 'reader.cfg');
  fs.writeFileSync(config, `[Tardis]\nServer = 127.0.0.1\nPort = ${server.port}\nClient = me\n`);
  const byFile = ['--config', config, '-F', password, '--insecure-tcp', '--json'];
  const there = await succeed('lstardis', byFile);
  const here = await succeed('lstardis', [...near, '--json']);
  t.is(there, here);
  const both = await run('lstardis', [...byFile, '-D', path.join(home, 'none')]);
  t.regex(both.stdout, /NO_SUCH_STORE/);
  const env = { TARDIS_DB: path.join(home, 'none') };
  await succeed('lstardis', byFile, { env });
});

test.serial(
  'of a large file that is there in another version only what differs is fetched',
  async (t) => {
    const out = path.join(home, 'updated');
    await succeed('regenerate', [...far, '-o', out, at('large'), at('parts')]);
    const wanted = ['large', 'parts'].map((name) => fs.readFileSync(at(name)));
    const restore = async (): Promise<Record<string, number>> => {
      const args = [...far, '--json', '--overwrite', '-o', out, at('large'), at('parts')];
      return JSON.parse(await succeed('regenerate', args)) as Record<string, number>;
    };
    const spoil = (name: string, change: (bytes: Buffer) => Buffer): void => {
      const file = path.join(out, name);
      fs.writeFileSync(file, change(fs.readFileSync(file)));
    };
    const changes: readonly [string, (bytes: Buffer) => Buffer, mostBytes: number][] = [
      ['some bytes', (bytes) => (bytes.write('another', 1_000_000), bytes), 100_000],
      ['an insertion', (bytes) => Buffer.concat([noise(9, 777), bytes]), 200_000],
      ['a deletion', (bytes) => bytes.subarray(500_000), 1_500_000],
      [
        'parts that changed places',
        (bytes) => Buffer.concat([bytes.subarray(1 << 21), bytes.subarray(0, 1 << 21)]),
        300_000,
      ],
    ];
    for (const [what, change, mostBytes] of changes) {
      for (const name of ['large', 'parts']) spoil(name, change);
      const { files, fetchedBytes } = await restore();
      t.is(files, 2, what);
      t.true(fetchedBytes! > 0 && fetchedBytes! < mostBytes, `${what}: ${fetchedBytes} bytes`);
      t.true(fs.readFileSync(path.join(out, 'large')).equals(wanted[0]!), what);
      t.true(fs.readFileSync(path.join(out, 'parts')).equals(wanted[1]!), what);
    }
    spoil('parts', () => noise(11, 70 << 20));
    const { fetchedBytes } = await restore();
    t.true(fetchedBytes! > 70 << 20 && fetchedBytes! < 72 << 20, `all new: ${fetchedBytes} bytes`);
    t.true(fs.readFileSync(path.join(out, 'parts')).equals(wanted[1]!));
  },
);
