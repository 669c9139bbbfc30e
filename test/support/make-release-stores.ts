/**
 * Writes the stores of this release: `npm run release-stores`. Later releases must read and continue them, so the stores of
 * a version that was released are never written again.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BucketLab, STORE } from '../helpers/bucket-lab.js';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import {
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
import {
  DAMAGED_FILE,
  isEncrypting,
  type Kind,
  KINDS,
  packStores,
  RELEASE_CLIENT,
  RELEASE_SECRET,
  type StoreSets,
  withoutOwners,
} from './release-stores.js';
import { S3Server } from './s3-server.js';

const PACKAGE = fileURLToPath(new URL('../../../package.json', import.meta.url));
const HURT = noise('hurt', 5000);
const ROUNDS = 3;

/** Returns a content that is large enough for deltas, and compresses well. */
function image(): Buffer {
  return Buffer.concat(Array<Buffer>(40).fill(noise('image', 50_000)));
}

/** Changes a tree as a user would between two backups; the first round makes it. */
function change(source: string, kind: Kind, round: number): void {
  if (round === 1) {
    makeTree(source, [
      dir('docs', [
        file('letter', text('letter', 4000), { mode: 0o640 }),
        file('empty'),
        file('hurt', HURT),
        symlink('up', '../docs'),
        dir('née', [file('a "name"\n', text('odd', 700))]),
      ]),
      hardlink('linked', 'docs', 'letter'),
      sparse('thin', 300_000, [[200_000, noise('thin', 3000)]]),
      dir('later', [file('gone', text('gone', 2000))], { mode: 0o700 }),
    ]);
  } else {
    fs.appendFileSync(path.join(source, 'docs', 'letter'), `round ${round}\n`);
    fs.writeFileSync(path.join(source, `new ${round}`), text(`new ${round}`, 3000));
    fs.rmSync(path.join(source, 'later', 'gone'), { force: true });
  }
  if (kind !== 'deltas') return;
  const name = path.join(source, 'image');
  const bytes = round === 1 ? image() : fs.readFileSync(name);
  noise(`edit ${round}`, 300).copy(bytes, round * 30_000);
  fs.writeFileSync(name, bytes);
}

/** Backs a tree up after each change. */
async function backUp(
  kind: Kind,
  source: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<StoreSets> {
  const sets = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    change(source, kind, round);
    const name = `set-${round}`;
    const first = round > 1 ? [] : ['--create', ...(isEncrypting(kind) ? ['--crypt'] : [])];
    await succeed('tardis', [...args, ...first, '--local', '--name', name, source], { env });
    sets.push({ name, entries: withoutOwners(look(source)) });
  }
  return { source, sets };
}

/** Backs a tree up into a bucket, whose objects become files of `store`. */
async function backUpToBucket(
  home: string,
  source: string,
  store: string,
  args: readonly string[],
) {
  const server = await S3Server.start();
  const lab = new BucketLab(home, server.url);
  const sets = await backUp('bucket', source, ['-D', STORE, ...args], lab.on('one'));
  server.objects.writeTo(store, 'all/');
  server.close();
  return sets;
}

/** Damages the content of one file, and takes away what could mend it. */
function damage(store: string): void {
  const client = path.join(store, RELEASE_CLIENT);
  fs.rmSync(path.join(client, 'parity'), { recursive: true, force: true });
  const packs = fs.globSync('**/*', { cwd: client }).map((name) => path.join(client, name));
  for (const pack of packs.filter((one) => fs.statSync(one).isFile())) {
    const bytes = fs.readFileSync(pack);
    const at = bytes.indexOf(HURT.subarray(100, 200));
    if (at < 0) continue;
    bytes[at]! ^= 0xff;
    fs.writeFileSync(pack, bytes);
    return;
  }
  throw new Error(`no pack has the content of ${DAMAGED_FILE}`);
}

async function makeStore(home: string, kind: Kind, folder: string): Promise<StoreSets> {
  const [source, store] = [path.join(home, kind, 'tree'), path.join(folder, kind)];
  for (const made of [path.dirname(source), store]) fs.mkdirSync(made, { recursive: true });
  const secret = path.join(home, 'secret');
  fs.writeFileSync(secret, `${RELEASE_SECRET}\n`, { mode: 0o600 });
  const args = ['-C', RELEASE_CLIENT, ...(isEncrypting(kind) ? ['--password-file', secret] : [])];
  if (kind === 'bucket') return backUpToBucket(home, source, store, args);
  // The damage searches the packs for a content, which must be stored as it is.
  const how = kind === 'damaged' ? ['--compress-data', 'none'] : [];
  const sets = await backUp(kind, source, ['-D', store, ...args, ...how]);
  if (kind === 'damaged') damage(store);
  return sets;
}

backupsRunHere();
const { version } = JSON.parse(fs.readFileSync(PACKAGE, 'utf8')) as { version: string };
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-release-'));
const folder = path.join(home, 'stores');
const sets: Partial<Record<Kind, StoreSets>> = {};
for (const kind of KINDS) sets[kind] = await makeStore(home, kind, folder);
packStores(version, folder, sets as Record<Kind, StoreSets>);
fs.rmSync(home, { recursive: true });
