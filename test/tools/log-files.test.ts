/** Log files of a backup and of a mount. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ClientLog, logTo } from '../../src/tools/index.js';
import { thrownCode } from '../helpers/codes.js';
import { scratchInMemory } from '../helpers/scratch.js';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

/** Returns the path of a new file, and its lines without their times. */
function logFile(t: ExecutionContext): { file: Buffer; lines: () => string[] } {
  const file = path.join(scratchInMemory(t), 'log');
  const lines = (): string[] =>
    fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        t.regex(line, TIME);
        return line.replace(TIME, '');
      });
  return { file: Buffer.from(file), lines };
}

test('each log file gets each line, after what it has', (t) => {
  const [one, two] = [logFile(t), logFile(t)];
  for (const text of ['first', 'second']) {
    const log = new ClientLog([one.file, two.file]);
    log.write(text);
    log.close();
  }
  for (const { lines } of [one, two]) t.deepEqual(lines(), ['first', 'second']);
  t.is(fs.statSync(one.file).mode & 0o027, 0, 'others cannot read it, and the group cannot write');
});

test('a text of several lines looks like one entry in the log of a mount', (t) => {
  const file = path.join(scratchInMemory(t), 'log');
  const log = logTo({ logFile: Buffer.from(file), foreground: false });
  log('lost: bye\n2026-01-01T00:00:00.000Z tardisfs: all is well\r');
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  t.deepEqual(
    lines.map((line) => TIME.test(line)),
    [true, false, false],
  );
  t.is(lines[1], '  2026-01-01T00:00:00.000Z tardisfs: all is well\\x0d');
});

test('the log of a mount does not repeat an entry at once, whatever comes between', (t) => {
  const { file, lines } = logFile(t);
  const log = logTo({ logFile: file, foreground: false });
  for (const text of ['damaged', 'damaged', 'away', 'damaged', 'away']) log(text);
  t.deepEqual(
    lines().map((line) => line.replace(/^.*tardisfs: /, '')),
    ['damaged', 'away'],
  );
  for (let entry = 0; entry < 300; entry += 1) log(`entry ${entry}`);
  log('damaged');
  t.is(lines().length, 303, 'a forgotten entry is written again');
});

test('a log that cannot be opened is refused, and none stays open', (t) => {
  const { file } = logFile(t);
  const missing = Buffer.from('/no/such/directory/log');
  t.is(
    thrownCode(() => new ClientLog([file, missing])),
    'CONFIG_INVALID',
  );
  const open = fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === file.toString();
    } catch {
      return false; // of another thread, or of the listing itself
    }
  });
  t.deepEqual(open, []);
  t.is(
    thrownCode(() => logTo({ logFile: missing, foreground: false })),
    'CONFIG_INVALID',
  );
});

test('a log on a full disk is closed, and the others go on', (t) => {
  const { file, lines } = logFile(t);
  const log = new ClientLog([Buffer.from('/dev/full'), file]);
  log.write('first');
  log.write('second');
  log.close();
  t.deepEqual(lines(), ['first', 'second']);
});

test('a mount logs to its file, and a full disk does not end it', (t) => {
  const { file, lines } = logFile(t);
  logTo({ logFile: file, foreground: false })('a name with \u001b[2J');
  const [line, ...more] = lines();
  t.deepEqual(more, []);
  t.true(line!.startsWith('tardisfs: a name with'));
  t.false(line!.includes('\u001b'));
  t.notThrows(() => logTo({ logFile: Buffer.from('/dev/full'), foreground: false })('lost'));
});
