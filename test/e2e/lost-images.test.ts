// Pace: slow
/**
 * Stores without any catalog and without the pack with the newest image, by command: everything that decrypts is
 * restored, and everything that cannot be restored as it was is named.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DirectoryBackend, listPacks, RecordKind, scanPack } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, type Place } from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { deleteInline, frameTools, collectInline } from '../helpers/garbage.js';

backupsRunHere();

const PARTLY = 3;
const BUSY_ENDS_MS = 120_000;

interface Home {
  readonly place: Place;
  readonly source: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command with the arguments that name the client. */
  run(tool: Parameters<typeof run>[0], args: readonly string[]): ReturnType<typeof run>;
}

/** Makes a client with three sets. The deletion of the first one has written an image, before the third one. */
async function makeHome(t: ExecutionContext, isEncrypting: boolean): Promise<Home> {
  const { store, source, at } = lab(t, [
    dir('above', [dir('deep', [file('changed', text(1, 300)), file('kept', text(2, 300))])]),
    dir('beside', [file('old', text(3, 300))]),
    file('gone', noise(4, 60_000)),
  ]);
  const place = { store: store, client: 'me' };
  const env = { XDG_STATE_HOME: at('state') };
  process.env['XDG_STATE_HOME'] = env.XDG_STATE_HOME;
  const secret = isEncrypting ? { password: PASSWORD } : {};
  const backup = (create = false): Promise<unknown> =>
    backupInline(inlineSystem(), place, [source], { create, ...secret });
  await backup(true);
  fs.rmSync(path.join(source, 'gone'));
  await backup();
  await deleteInline(place, [1]);
  const frames = await frameTools(place);
  await collectInline(place, { wasteRatio: 0.02, isThorough: true, frames });
  // Neither the root nor the path to "deep" changes, so their entries are in the image only.
  fs.writeFileSync(path.join(source, 'above', 'deep', 'changed'), text(5, 300));
  fs.writeFileSync(path.join(source, 'beside', 'new'), text(6, 300));
  await backup();
  const password = isEncrypting ? [`--password=${PASSWORD}`] : [];
  const words = ['-D', place.store, '-C', place.client, ...password];
  const runIt: Home['run'] = (tool, args) => {
    const verbs = tool === 'sonic' ? 1 : 0;
    return run(tool, [...args.slice(0, verbs), ...words, ...args.slice(verbs)], { env });
  };
  return { place, source, words, env, run: runIt };
}

function removeCatalogs({ place }: Home): void {
  const directory = path.join(place.store, place.client);
  for (const name of fs.readdirSync(directory)) {
    if (name.startsWith('tardis.db')) fs.rmSync(path.join(directory, name));
  }
}

/** Removes the packs with images, and returns the number of image records in them. */
async function removeImages({ place }: Home): Promise<number> {
  const directory = path.join(place.store, place.client);
  const backend = new DirectoryBackend(directory, nodeSystem().files);
  const found: number[] = [];
  try {
    for (const pack of await listPacks(backend)) {
      for await (const { header } of scanPack(backend, pack, 0)) {
        if (header.kind === RecordKind.image) found.push(pack);
      }
    }
  } finally {
    backend.close();
  }
  for (const pack of new Set(found)) {
    fs.rmSync(path.join(directory, 'packs', `${String(pack).padStart(8, '0')}.pack`));
  }
  return found.length;
}

/** Returns the text of the files below a directory, by base name. */
function filesIn(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    found.set(entry.name, fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8'));
  }
  return found;
}

for (const kind of ['plain', 'encrypting'] as const) {
  test.serial(
    `without catalogs and the newest image, what the packs still know is restored: ${kind}`,
    async (t) => {
      t.timeout(BUSY_ENDS_MS);
      const isEncrypting = kind === 'encrypting';
      const home = await makeHome(t, isEncrypting);
      t.true((await removeImages(home)) > 0);
      removeCatalogs(home);
      t.is((await home.run('sonic', ['rebuild'])).status, PARTLY);
      const out = path.join(home.place.store, '..', 'out');
      if (isEncrypting) {
        const strict = exited(t, 1, await home.run('regenerate', ['--all', '-o', out]));
        t.regex(strict.stderr, /--allow-unproven.*\[NOT_AUTHENTIC\]/);
      }
      const lenient = isEncrypting ? ['--allow-unproven'] : [];
      exited(t, PARTLY, await home.run('regenerate', [...lenient, '--all', '-o', out]));
      t.deepEqual(
        filesIn(out),
        new Map([
          ['new', text(6, 300).toString()],
          ['changed', text(5, 300).toString()],
        ]),
      );
      const named = await home.run('regenerate', [
        ...lenient,
        '-o',
        `${out} of the root`,
        home.source,
      ]);
      t.is(named.status, PARTLY, named.stderr);
      t.deepEqual(filesIn(`${out} of the root`), filesIn(out));
      const listed = await home.run('lstardis', [...lenient, '-b', '3', '--recurse', home.source]);
      t.regex(listed.stdout, /lost\+found[^]*directory-\d+[^]*changed/);
      const lost = path.join(home.source, 'lost+found');
      const below = await home.run('lstardis', [...lenient, '-b', '3', lost]);
      t.regex(below.stdout, /directory-\d+/, below.stderr);
      // The next backup saves all files again.
      const words = ['--local', ...home.words, home.source];
      await succeed('tardis', words, { env: home.env });
      exited(t, 0, await home.run('regenerate', ['-o', `${out} healed`, home.source]));
      t.deepEqual(filesIn(`${out} healed`), filesIn(home.source));
    },
  );

  test.serial(`a check names sets that an earlier loss has left incomplete: ${kind}`, async (t) => {
    t.timeout(BUSY_ENDS_MS);
    const home = await makeHome(t, kind === 'encrypting');
    exited(t, 0, await home.run('sonic', ['check']));
    await removeImages(home);
    removeCatalogs(home);
    t.is((await home.run('sonic', ['rebuild'])).status, PARTLY);
    const checked = exited(t, PARTLY, await home.run('sonic', ['check']));
    t.regex(checked.stdout, /set 3 may lack entries/);
    t.notRegex(checked.stdout, /No damage found/);
    const reported = await home.run('sonic', ['check', '--json']);
    const lines = reported.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    t.like(lines[0], { finding: 'doubtful', sets: [3] });
    t.like(lines.at(-1), { isClean: false, doubtfulSets: 1 });
    const words = ['--local', ...home.words, home.source];
    await succeed('tardis', words, { env: home.env });
    t.is((await home.run('sonic', ['check'])).status, PARTLY);
    await succeed('sonic', ['delete', '--yes', ...home.words, '3'], { env: home.env });
    t.is((await home.run('sonic', ['check'])).status, 0);
  });
}

test.serial(
  'a root of which nothing is left keeps no other root from being restored',
  async (t) => {
    t.timeout(BUSY_ENDS_MS);
    const home = await makeHome(t, true);
    const other = path.join(home.place.store, '..', 'other');
    makeTree(other, [file('late', text(7, 300))]);
    const secret = { password: PASSWORD };
    await backupInline(inlineSystem(), home.place, [home.source, other], secret);
    const packs = path.join(home.place.store, home.place.client, 'packs');
    const names = fs.readdirSync(packs).filter((name) => name.endsWith('.pack'));
    for (const name of names.sort().slice(0, -1)) fs.rmSync(path.join(packs, name));
    removeCatalogs(home);
    t.is((await home.run('sonic', ['rebuild'])).status, PARTLY);
    const out = path.join(home.place.store, '..', 'out');
    exited(t, PARTLY, await home.run('regenerate', ['--allow-unproven', '--all', '-o', out]));
    t.deepEqual([...filesIn(out).keys()], ['late']);
    t.true(fs.existsSync(path.join(out, home.source)));
  },
);

test.serial('keys are put back into a store that has lost entries too', async (t) => {
  t.timeout(BUSY_ENDS_MS);
  const home = await makeHome(t, true);
  const keys = path.join(home.place.store, '..', 'keys of me');
  t.is((await home.run('sonic', ['keys', '--extract', '--keys', keys])).status, 0);
  await removeImages(home);
  removeCatalogs(home);
  t.is((await home.run('sonic', ['rebuild'])).status, PARTLY);
  for (const folder of ['keys', 'packs/keys']) {
    fs.rmSync(path.join(home.place.store, home.place.client, folder), { recursive: true });
  }
  exited(t, 0, await home.run('sonic', ['keys', '--insert', '--keys', keys]));
  t.is((await home.run('lstardis', [])).status, 0);
});
