// Pace: long
/** Rewrites of clients with new keys by the commands `sonic encrypt` and `sonic rekey`. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  listedSets,
  type Outcome,
  rest,
  run,
  Running,
  Server,
  succeed,
} from '../helpers/commands.js';
import { everyKind, here } from '../helpers/kinds.js';
import { WORDS, wordsIn } from '../helpers/plaintext.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { readersAgree } from '../helpers/second-reader.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  addTo,
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
} from '../helpers/tree.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();

const MIB = 1 << 20;
const SECRET = 'gravel-Otter9-lamp';
const OTHER = 'kelp-Sundry7-mulch';

type Lab = Awaited<ReturnType<typeof small>>;

const attributed = here.attributes ? { attributes: { 'user.note': WORDS.attribute } } : {};

/** Creates a client with one set: a few files that contain known words, and one that takes time to rewrite. */
async function small(t: ExecutionContext, largeBytes = 2 * MIB) {
  const { at, store, source, place } = lab(t, [
    dir(WORDS.directory, [
      file(WORDS.name, WORDS.content, attributed),
      symlink('link', WORDS.target),
    ]),
    file('large', noise(1, largeBytes)),
  ]);
  const first = ['--local', '--create', '--name', WORDS.set, '--compress-data', 'none'];
  await backup([...place, ...first, source]);
  return { store, source, place, at };
}

function codeIn({ stdout, stderr }: Outcome): string | undefined {
  return (/\[([A-Z_]+)\]/.exec(stderr) ?? /"code":"([A-Z_]+)"/.exec(stdout))?.[1];
}

async function restored(
  { place, source, at }: Lab,
  args: readonly string[],
  name: string,
  set = '1',
): Promise<Snapshot> {
  await succeed('regenerate', [...place, ...args, '-b', set, '-o', at(name), source]);
  return look(path.join(at(name), 'tree'));
}

/** Returns the JSON output about the sets and all their directories, without the digests, which depend on the keys. */
async function shown({ place, source }: Lab, args: readonly string[]): Promise<string[]> {
  const reported: string[] = [await succeed('sonic', ['list', ...place, ...args, '--json'])];
  const directories = [
    '',
    ...fs
      .readdirSync(source, { recursive: true, withFileTypes: true })
      .flatMap((entry) =>
        entry.isDirectory() ? [path.relative(source, path.join(entry.parentPath, entry.name))] : [],
      ),
  ];
  const { sets } = JSON.parse(reported[0]!) as { sets: { number: number }[] };
  for (const [index] of sets.entries()) {
    const paths = directories.map((name) => path.join(source, name));
    const { stdout } = await run('lstardis', [
      ...place,
      ...args,
      '-b',
      String(index + 1),
      '--json',
      ...paths,
    ]);
    reported.push(stdout.replaceAll(/"(digest|checksum)":"[0-9a-f]+"/g, '"digest"'));
  }
  return reported;
}

test('an unencrypted client is encrypted, and then lists and restores as before', async (t) => {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  const lab: Lab = {
    store: at('store'),
    source: at('tree'),
    place: ['-D', at('store'), '-C', 'me'],
    at,
  };
  const { place, source, store } = lab;
  makeTree(source, [
    ...everyKind(),
    dir(WORDS.directory, [
      file(WORDS.name, WORDS.content, attributed),
      symlink('link', WORDS.target),
    ]),
    file('changes', noise(2, 3 * MIB)),
  ]);
  await rest();
  const local = ['--local', '--compress-data', 'none'];
  await backup([...place, ...local, '--create', '--name', WORDS.set, source]);
  const first = look(source);
  fs.renameSync(path.join(source, WORDS.directory), path.join(source, 'moved'));
  fs.appendFileSync(path.join(source, 'changes'), 'a little');
  fs.appendFileSync(path.join(source, 'holes', 'in parts'), 'a little');
  await rest();
  await backup([...place, ...local, source]);
  const second = look(source);
  const before = await shown(lab, []);
  const all = Object.keys(WORDS).filter((what) => what !== 'attribute' || here.attributes);
  t.deepEqual(wordsIn(store), all.sort(), 'what is searched for is found where it is');

  const args = [`--password=${SECRET}`];
  const requested = ['encrypt', ...place, ...args, '--all', '--yes', '--json'];
  const [report] = jsonLines(await succeed('sonic', requested));
  t.like(report, { client: 'me', state: 'done', sets: 2, lostVersions: 0 });
  t.deepEqual(wordsIn(store), [], 'no plaintext is left');
  t.deepEqual(await shown(lab, args), before);
  t.deepEqual(differences(first, await restored(lab, args, 'first')), []);
  t.deepEqual(differences(second, await restored(lab, args, 'second', '2')), []);
  t.is(codeIn(await run('sonic', requested)), 'CLIENT_ENCRYPTS');
  t.is(codeIn(await run('lstardis', [...place, source])), 'PASSWORD_NEEDED');

  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  t.deepEqual(await shown(lab, args), before, 'rebuilt from its packs');
  const third = await backup([...place, ...args, ...local, source]);
  t.is(third.progress.contentsSent, 0);
  t.deepEqual(wordsIn(store), []);
  await readersAgree(t, source, [...place, ...args]);
});

test('new keys and a new password: the old ones open nothing, and are distinguished', async (t) => {
  const lab = await small(t);
  const { place, source, store, at } = lab;
  await succeed('sonic', ['encrypt', ...place, `--password=${SECRET}`, '--yes']);
  fs.appendFileSync(path.join(source, 'large'), 'a little');
  await rest();
  await backup([...place, `--password=${SECRET}`, '--local', source]);
  const wanted = look(source);
  fs.cpSync(store, at('stolen'), { recursive: true });
  t.is(
    codeIn(await run('sonic', ['rekey', ...place, `--password=${OTHER}`, '--yes'])),
    'LOGIN_FAILED',
  );
  const requested = ['rekey', ...place, `--password=${SECRET}`, `--newpassword=${OTHER}`, '--yes'];
  t.regex(await succeed('sonic', requested), /has new keys: 2 sets/);
  t.is(codeIn(await run('lstardis', [...place, `--password=${SECRET}`])), 'LOGIN_FAILED');
  t.deepEqual(differences(wanted, await restored(lab, [`--password=${OTHER}`], 'out', '2')), []);

  const server = await Server.during(t, store);
  fs.appendFileSync(path.join(source, 'large'), 'and more');
  await rest();
  const changed = await backup([...server.clientArgs, '-C', 'me', `--password=${OTHER}`, source]);
  t.is(changed.progress.deltasSent, 1, 'signatures are there, to make deltas');
  await server.stop();
  // A saved copy of the old generation is refused on a machine that has seen the new one.
  fs.rmSync(store, { recursive: true });
  fs.renameSync(at('stolen'), store);
  for (const tool of ['lstardis', 'tardis'] as const) {
    const more = tool === 'tardis' ? ['--local', source] : [];
    t.is(
      codeIn(await run(tool, [...place, `--password=${SECRET}`, ...more])),
      'STORE_ROLLED_BACK',
      tool,
    );
  }
});

test('a client with a password that does not encrypt keeps it when it is encrypted', async (t) => {
  const lab = await small(t);
  const { place, store, source } = lab;
  await succeed('sonic', ['setpass', ...place, `--password=${SECRET}`]);
  t.is(codeIn(await run('sonic', ['rekey', ...place, `--password=${SECRET}`, '--yes'])), 'USAGE');
  t.is(
    codeIn(await run('sonic', ['encrypt', ...place, `--password=${OTHER}`, '--yes'])),
    'LOGIN_FAILED',
  );
  await succeed('sonic', ['encrypt', ...place, `--password=${SECRET}`, '--yes']);
  t.deepEqual(wordsIn(store), []);
  t.deepEqual(differences(look(source), await restored(lab, [`--password=${SECRET}`], 'out')), []);
});

test('sets of a month, week and day go on after new keys, and what the user has called a set is sealed', async (t) => {
  const { store, source, place } = await small(t, 1000);
  const key = [`--password=${SECRET}`];
  const names = async (): Promise<string[]> => {
    const sets = await listedSets(store, 'me', key);
    return sets.map(({ name, priority }) => `${name.replace(/^\d{4}-.*/, 'time')} ${priority}`);
  };
  const secret = `${WORDS.set} 0`;
  const next = (): Promise<unknown> => backup([...place, '--local', ...key, source]);
  await backup([...place, '--local', source]);
  await succeed('sonic', ['encrypt', ...place, '--yes', ...key]);
  await next();
  t.deepEqual(await names(), [secret, 'time 40', 'time 20']);
  await succeed('sonic', ['rekey', ...place, '--yes', ...key]);
  await next();
  t.deepEqual(await names(), [secret, 'time 40', 'time 20', 'time 10']);
  t.deepEqual(wordsIn(store), []);
});

test('the old generation is removed only after confirmation', async (t) => {
  const { place, store } = await small(t);
  const requested = ['encrypt', ...place, `--password=${SECRET}`];
  t.is(codeIn(await run('sonic', requested)), 'CONFIRMATION_NEEDED');
  const no = await runOnTerminal('sonic', requested, ['n\r']);
  t.is(no.status, 1, no.shown);
  t.regex(no.shown, /Continue\? \[y\/N\]: /);
  t.true(wordsIn(store).length > 0);
  t.deepEqual(fs.readdirSync(store), ['me'], 'nothing was begun');
  const yes = await runOnTerminal('sonic', requested, ['y\r']);
  t.is(yes.status, 0, yes.shown);
  t.deepEqual(wordsIn(store), []);
});

/**
 * Runs `sonic encrypt` and takes the client's lock while the command works, so that all but the switch to the new
 * generation is done. Tests that use this must run alone: other tests in this thread could take longer than the
 * command.
 */
async function heldUp(lab: Lab): Promise<Outcome> {
  const lock = path.join(lab.store, 'me', 'lock');
  const command = new Running('sonic', ['encrypt', ...lab.place, `--password=${SECRET}`, '--yes']);
  const begun = path.join(lab.store, '.me.next', 'rekey.db');
  await command.until('second generation', () => fs.existsSync(begun));
  command.signalGroup('SIGSTOP');
  const holder = spawn('flock', [lock, 'sleep', '60'], { detached: true });
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  const isHeld = (): boolean => spawnSync('flock', ['-n', lock, 'true']).status === 1;
  await command.until('the lock is held', isHeld);
  command.signalGroup('SIGCONT');
  const outcome = await command.ended;
  process.kill(-holder.pid!, 'SIGTERM');
  await ended;
  return outcome;
}

test.serial(
  'a new generation is verified before the switch, unless an option omits that',
  async (t) => {
    const lab = await small(t, 64 * MIB);
    const { place, store, source } = lab;
    t.is(codeIn(await heldUp(lab)), 'CLIENT_BUSY');
    await backup([...place, '--local', source]); // the old generation can still be read and backed up to
    const packs = path.join(store, '.me.next', 'packs');
    const objects = fs
      .readdirSync(path.join(store, '.me.next'))
      .find((name) => /^[0-9a-f]{2}$/.test(name));
    t.truthy(objects ?? fs.readdirSync(packs));
    const large = fs
      .readdirSync(path.join(store, '.me.next'), { recursive: true, withFileTypes: true })
      .filter(
        (entry) =>
          entry.isFile() && !entry.name.startsWith('rekey') && !entry.name.startsWith('tardis'),
      )
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort((one, other) => fs.statSync(other).size - fs.statSync(one).size)[0]!;
    const fd = fs.openSync(large, 'r+');
    fs.writeSync(fd, Buffer.from('damage'), 0, 6, 20 * MIB);
    fs.closeSync(fd);
    const again = ['encrypt', ...place, `--password=${SECRET}`, '--yes', '--json'];
    const found = exited(t, 1, await run('sonic', again));
    t.regex(codeIn(found) ?? '', /RECORD_DAMAGED|CONTENT_DAMAGED/);
    t.true(wordsIn(store).length > 0, 'the old generation is untouched');
    const [report] = jsonLines(await succeed('sonic', [...again, '--no-verify']));
    t.like(report, { state: 'done', sets: 2, verifiedContents: 0 });
  },
);

test('damaged contents stop a re-key until an option gives them up', async (t) => {
  const lab = await small(t);
  const { place, store, source } = lab;
  spoilContent(path.join(store, 'me', 'packs'), noise(1, 2 * MIB).subarray(0, 64));
  const requested = ['encrypt', ...place, `--password=${SECRET}`, '--yes', '--json'];
  const refused = await run('sonic', requested);
  t.is(codeIn(refused), 'CONTENT_DAMAGED');
  t.regex(refused.stdout, /1 version of a file/);
  t.is(codeIn(await run('sonic', requested)), 'CONTENT_DAMAGED', 'and again');
  t.true(wordsIn(store).length > 0);
  const accepted = exited(t, 3, await run('sonic', [...requested, '--accept-damage']));
  t.like(jsonLines(accepted.stdout)[0], { state: 'done', lostVersions: 1 });
  const mended = await backup([...place, `--password=${SECRET}`, '--local', source]);
  t.is(mended.progress.contentsSent, 1, 'the next backup sends it again');
  t.deepEqual(
    differences(look(source), await restored(lab, [`--password=${SECRET}`], 'out', '2')),
    [],
  );
});

test.serial('an unfinished run is discarded, and the client is as it was', async (t) => {
  const lab = await small(t, 64 * MIB);
  const { place, store } = lab;
  const before = await shown(lab, []);
  const abort = ['encrypt', ...place, '--abort'];
  t.is(codeIn(await run('sonic', abort)), 'USAGE');
  t.is(codeIn(await heldUp(lab)), 'CLIENT_BUSY');
  const wrong = await run('sonic', ['encrypt', ...place, `--password=${OTHER}`, '--yes']);
  t.is(codeIn(wrong), 'LOGIN_FAILED', 'a run goes on with the password it began with');
  await succeed('sonic', abort);
  t.deepEqual(fs.readdirSync(store), ['me']);
  t.deepEqual(await shown(lab, []), before);
  await succeed('sonic', ['encrypt', ...place, `--password=${OTHER}`, '--yes']);
});

test('killed at any point, the next run does the rest', async (t) => {
  const lab = await small(t, 24 * MIB);
  const { place, source, store } = lab;
  addTo(source, dir('more', [file('file', noise(5, 12 * MIB))]));
  await backup([...place, '--local', source]);
  const wanted = look(source);
  const requested = ['encrypt', ...place, `--password=${SECRET}`, '--yes'];
  const next = path.join(store, '.me.next');
  const marks: readonly [string, () => boolean][] = [
    ['directory', () => fs.existsSync(next)],
    ['keys', () => fs.existsSync(path.join(next, 'generation.json'))],
    ['map', () => fs.existsSync(path.join(next, 'rekey.db'))],
    ['packs', () => fs.existsSync(path.join(next, 'packs'))],
    ['contents', () => fs.existsSync(path.join(next, 'incoming'))],
    ['switch', () => fs.existsSync(path.join(store, 'me', 'generation.json'))],
  ];
  for (const [mark, holds] of marks) {
    const command = new Running('sonic', requested);
    try {
      await command.until(mark, () => holds() || command.hasEnded);
    } catch {
      t.log(`${mark}: too late`);
    }
    command.signalGroup('SIGKILL');
    await command.ended;
    if ((await run('lstardis', [...place, source])).status === 0) {
      t.deepEqual(differences(wanted, await restored(lab, [], `out ${mark}`, '2')), [], mark);
    } else {
      t.deepEqual(
        differences(wanted, await restored(lab, [`--password=${SECRET}`], `out ${mark}`, '2')),
        [],
        mark,
      );
    }
  }
  const last = await run('sonic', requested);
  t.true(last.status === 0 || codeIn(last) === 'CLIENT_ENCRYPTS', last.stderr);
  t.deepEqual(fs.readdirSync(store), ['me']);
  t.deepEqual(wordsIn(store), []);
  t.deepEqual(
    differences(wanted, await restored(lab, [`--password=${SECRET}`], 'at last', '2')),
    [],
  );
});
