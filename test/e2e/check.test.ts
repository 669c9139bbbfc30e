// Pace: slow
/** `sonic check` and `sonic rebuild` as commands: their output and exit status. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

interface Line {
  readonly version: number;
  readonly finding: string;
  readonly name?: string;
  readonly sets?: readonly number[];
  readonly isClean?: boolean;
  readonly lostVersions?: number;
  readonly marked?: number;
  readonly bytesRead?: number;
}

function spoilPack(store: string): void {
  const pack = path.join(store, 'me', 'packs', '00000001.pack');
  const bytes = fs.readFileSync(pack);
  bytes[bytes.indexOf('KEEP') + 1]! ^= 1;
  fs.writeFileSync(pack, bytes);
}

test('a check reports what is damaged, in words and as JSON, and ends with status 3', async (t) => {
  const { place, source, store } = lab(t);
  const body = Buffer.concat([Buffer.from('KEEP'), noise(1, 9000)]); // not compressed, so "KEEP" is found in the pack
  fs.writeFileSync(path.join(source, 'noise.gz'), body);
  await backup([...place, '--local', '--create', source]);
  const clean = exited(t, 0, await run('sonic', ['check', '--read-data', ...place]));
  t.regex(clean.stdout, /^Checked \d+ records? of "me"; [\d.]+ k?B read.*\nNo damage found\.\n$/);
  t.is(clean.stderr, '', 'quiet in a pipe');
  spoilPack(store);
  const heads = await succeed('sonic', ['check', ...place]);
  t.regex(heads, /contents were not read/);
  const found = await run('sonic', ['check', '--read-data', '--no-mark', '--json', ...place]);
  t.is(found.status, 3, found.stderr);
  const lines = jsonLines<Line>(found.stdout);
  t.true(lines.every(({ version }) => version === 1));
  const named = lines.filter(({ finding }) => finding === 'version').map(({ name }) => name);
  t.true(named.includes(path.join(source, 'noise.gz')), found.stdout);
  t.like(lines.at(-1), { finding: 'end', isClean: false, marked: 0, lostVersions: named.length });
  const reported = exited(t, 3, await run('sonic', ['check', '--read-data=all', ...place]));
  t.regex(reported.stdout, /lost: .*noise\.gz, version 1, in set 1: damaged/);
  t.regex(reported.stdout, /Marked as damaged: the next backup/);
  await backup([...place, '--local', source]);
  await succeed('sonic', ['check', '--read-data', '--json', ...place]);
});

test('a check reports a wrong option', async (t) => {
  const { place, source } = lab(t);
  await backup([...place, '--local', '--create', source]);
  for (const wrong of ['0/3', '4/3', '0%', '101%', 'some', '0']) {
    const { status, stderr } = await run('sonic', ['check', `--read-data=${wrong}`, ...place]);
    t.is(status, 1, wrong);
    t.regex(stderr, /CONFIG_INVALID/, wrong);
  }
  const far = exited(t, 1, await run('sonic', ['rekey', '--server', 'localhost', ...place]));
  t.regex(far.stderr, /unknown option '--server'.*USAGE/);
  exited(t, 10, await run('sonic', ['check', '-D', place[1]!, '-C', 'nobody']));
});

test('a client that encrypts is checked without its password, and named with it', async (t) => {
  const { place, source, store, written } = lab(t);
  const secret = ['-F', written('secret', 'of the tests\n')];
  await backup([...place, ...secret, '--local', '--create', source]);
  const pack = path.join(store, 'me', 'packs', '00000001.pack');
  const bytes = fs.readFileSync(pack);
  changeCatalog(store, (catalog) => {
    const last = 'SELECT max(position + record_bytes) FROM records WHERE pack = 1';
    bytes[(catalog.prepare(last).pluck().get() as number) - 20]! ^= 1; // inside the last record
  });
  fs.writeFileSync(pack, bytes);
  const sealed = exited(t, 3, await run('sonic', ['check', '--read-data', '--no-mark', ...place]));
  t.regex(sealed.stdout, /only compared with its checksums: no password was given/);
  t.false(sealed.stdout.includes(path.basename(source)));
  const opened = exited(t, 3, await run('sonic', ['check', '--read-data', ...place, ...secret]));
  t.true(opened.stdout.includes(`lost: ${source}`), opened.stdout);
  exited(t, 12, await run('sonic', ['check', ...place, '-F', written('wrong', 'another\n')]));
});

test('a rebuild names what is lost', async (t) => {
  const { place, source, store } = lab(t);
  const body = Buffer.concat([Buffer.from('KEEP'), noise(1, 9000)]);
  fs.writeFileSync(path.join(source, 'noise.gz'), body);
  await backup([...place, '--local', '--create', source]);
  spoilPack(store);
  fs.rmSync(path.join(store, 'me', 'format.json'));
  const { stdout } = exited(t, 3, await run('sonic', ['rebuild', ...place]));
  t.regex(stdout, /lost: .*noise\.gz, version 1, in set 1/);
  t.regex(exited(t, 3, await run('sonic', ['check', ...place])).stdout, /lost: .*noise\.gz/);
});
