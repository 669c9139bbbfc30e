// Pace: slow
/** Runs the commands of README and of the sheet of commands line by line, as a newcomer types them. */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { run, Running, type Tool } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree } from '../helpers/tree.js';

const README = fileURLToPath(new URL('../../../README.md', import.meta.url));
const SHEET = fileURLToPath(new URL('../../../docs/using/commands.md', import.meta.url));
const PASSWORD = 'gravel-Otter9-lamp';
const LEAST_LINES = 20;
/** Matches commands that need a set of some age, which a new store does not have. */
const NOT_YET = /needs a set that old/;

/** Returns the lines below "Use", each as words and comment. */
function lines(): { words: string[]; comment: string }[] {
  const use = fs.readFileSync(SHEET, 'utf8').split('\n## Use\n')[1]!;
  return use
    .split('```')[1]!
    .trim()
    .split('\n')
    .map((line) => {
      const [, command = '', comment = ''] = /^(.*?)\s+# (.*)$/.exec(line)!;
      const words = [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, text]) => text ?? word);
      return { words, comment };
    });
}

/** Starts a server at a free place, and returns its port. */
async function listening(t: ExecutionContext, args: readonly string[]): Promise<string> {
  const server = new Running('tardisd', [...args, '--port', '0', '--address', '127.0.0.1']);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its lines', () => /--port \d+/.test(server.stdout));
  return /--port (\d+)/.exec(server.stdout)![1]!;
}

test('the commands of the sheet work one after the other', async (t) => {
  const { at, written } = lab(t);
  const home = at('home');
  makeTree(home, [
    dir('docs', [file('one', 'one')]),
    dir('letters', [file('a.txt', 'dear')]),
    file('a.txt', 'a'),
  ]);
  fs.mkdirSync(at('tmp'));
  fs.mkdirSync(at('media/disk'), { recursive: true });
  makeTree(at('media/disk/old'), [dir('2026-01-02', [file('a.txt', 'older')])]);
  const passwordFile = written('password', PASSWORD);
  fs.chmodSync(passwordFile, 0o600);
  const config = `[home]\nDatabase = ${at('backup')}\nClient = me\nLocal = yes\nDirectories = ${home}\n`;
  written('tardis.cfg', config);
  const put = (word: string): string =>
    word
      .replace('~/.tardis-password', passwordFile)
      .replace('~/.tardis.cfg', at('tardis.cfg'))
      .replace(/^~/, home)
      .replace(/^\/(backup|tmp\b|media\b)/, (_, name: string) => at(name))
      .replace(/^([ck]\.pem)$/, (name) => at(name));
  let isRequested = false;
  const ports = new Map<string, string>();
  const all = lines();
  t.true(all.length > LEAST_LINES);
  for (const { words, comment } of all) {
    const [tool, ...args] = words.map(put) as [Tool, ...string[]];
    if (tool === 'tardisd') {
      ports.set('HOST', await listening(t, args));
      const other = args.map((word) => (word === at('backup') ? at('other') : word));
      ports.set(
        'OTHER',
        await listening(t, [...other, '--create', '--accept-copies', '--allow-new-hosts']),
      );
      continue;
    }
    if (tool === 'tardis-web') {
      const helper = new Running(tool, args, { env: { HOME: at('state') } });
      await helper.until('its address', () => helper.stdout.includes('/enter?token='));
      t.is((await helper.endedBy('SIGINT')).status, 0, words.join(' '));
      continue;
    }
    isRequested ||= args.includes('setpass');
    // The test has no terminal on which to type a password or `yes`.
    const needsNone = tool === 'sonic' && args[0] === 'copy';
    const typed = isRequested && !needsNone && !/^(-F|--password-file)$/m.test(args.join('\n'));
    const given = args.flatMap((word) => {
      if (word === '-P') return ['--password-file', passwordFile];
      const port = ports.get(word);
      if (port === undefined) return [word];
      return word === 'HOST' ? ['127.0.0.1', '--port', port] : [`127.0.0.1:${port}`];
    });
    if (typed) given.push('--password-file', passwordFile);
    if (args.includes('encrypt')) given.push('--yes');
    // A new client at a server requires a certificate that this machine trusts.
    const isCreated = args.includes('--to-server') && args.includes('--create');
    const trusted: Record<string, string> = isCreated ? { NODE_EXTRA_CA_CERTS: at('c.pem') } : {};
    const env = { HOME: at('state'), ...trusted };
    const { status, stderr } = await run(tool, given, { env });
    if (NOT_YET.test(comment)) t.regex(stderr, /NO_SUCH_SET/);
    else t.is(status, 0, `${words.join(' ')}: ${stderr}`);
  }
  t.is(fs.readFileSync(at('tmp', 'back', 'letters', 'a.txt'), 'utf8'), 'dear');
});

/** Returns a line without what differs from run to run: numbers, digests, units, and the disk of the store. */
function shape(line: string): string {
  return line
    .replace(/(is new: \S+), .*/, '$1')
    .replaceAll(/\b[0-9a-f]{16}\b/g, 'D')
    .replaceAll(/\d[\d.,:_-]*/g, 'N')
    .replaceAll(/N (?:[kMG]?B|s)\b/g, 'N of it')
    .replaceAll(/ +/g, ' ')
    .trim();
}

test('the first commands of README print what it shows', async (t) => {
  const { at } = lab(t);
  const home = at('home');
  makeTree(home, [
    dir('letters', [file('otto.txt', 'o'.repeat(4000)), file('anna.txt', 'a'.repeat(1600))]),
  ]);
  const block = fs.readFileSync(README, 'utf8').split('\n## Five commands\n')[1]!.split('```')[1]!;
  const steps = block.trim().split(/^\$ /m).slice(1);
  t.is(steps.length, 6);
  for (const step of steps.slice(0, -1)) {
    const [line = '', ...output] = step.trimEnd().split('\n');
    const words = [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, text]) => text ?? word);
    const args = words.slice(1).map((word) => word.replace('/media/disk', at()).replace('~', home));
    if (words[0] === 'rm') {
      fs.rmSync(args[0]!);
      continue;
    }
    const { stdout, stderr, status } = await run('tardis', args, { env: { HOME: home } });
    t.is(status, 0, `${line}: ${stderr}`);
    const printed = (stderr + stdout)
      .replaceAll(at(), '/media/disk')
      .replaceAll('/media/disk/home', '/home/you');
    t.deepEqual(printed.trimEnd().split('\n').map(shape), output.map(shape), line);
  }
});
