// Pace: slow
/** The machine that made a set: it is stored, shown, counted apart by purges, and a second one is named at once. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { plainPackr } from '../../src/system/msgpack/index.js';
import {
  backupsRunHere,
  type CommandOptions,
  jsonLines,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { Mounts, LeftOut, unlessLeftOut } from '../helpers/mounts.js';
import { lab } from '../helpers/lab.js';
import { filesBelow } from '../helpers/plaintext.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();

const ID_FILE = '/etc/machine-id';
const OTHER_ID = '0123456789abcdef0123456789abcdef';
const PASSWORD = 'a password of the tests';

interface Sets {
  readonly sets: { readonly set: number; readonly machine: { id: string; host: string } }[];
}

/** Returns the options with which a command runs on a machine with another id. Throws LeftOut. */
async function otherMachine(t: ExecutionContext): Promise<CommandOptions> {
  if (!fs.existsSync(ID_FILE)) throw new LeftOut(`this machine has no ${ID_FILE}`);
  const mounts = await Mounts.open(t);
  const file = written(mounts.home, 'id', `${OTHER_ID}\n`);
  mounts.run('mount', '--bind', file, ID_FILE);
  return { mountsOf: mounts.mountsOf };
}

function prepared(t: ExecutionContext) {
  const { store, source, at } = lab(t, []);
  const secret = at('password');
  fs.mkdirSync(store);
  fs.writeFileSync(secret, PASSWORD);
  let made = 0;
  const change = (): void => fs.writeFileSync(path.join(source, 'file'), `${(made += 1)}`);
  return { store, source, secret, change };
}

/** Returns the bytes in which a store has the name of a machine in clear. */
function hostField(): string {
  const packed = Buffer.concat(['host', os.hostname()].map((text) => plainPackr().pack(text)));
  return packed.toString('latin1');
}

/** True if a file in the store has one of these texts in clear. */
function hasText(store: string, words: readonly string[]): boolean {
  return filesBelow(store)
    .map((file) => fs.readFileSync(file))
    .some((bytes) => words.some((word) => bytes.includes(word, 0, 'latin1')));
}

for (const isSealed of [false, true]) {
  const kind = isSealed ? 'of a client that encrypts' : 'of a client that does not encrypt';
  test(`a second machine ${kind} is named at once, and purges judge its sets apart`, (t) =>
    unlessLeftOut(t, async () => {
      const other = await otherMachine(t);
      const { store, source, secret, change } = prepared(t);
      const keys = isSealed ? ['-F', secret] : [];
      const place = ['-D', store, '-C', 'me', ...keys];
      const server = await Server.during(t, store);
      const make = async (options: CommandOptions, ...args: string[]): Promise<string> => {
        change();
        const line = [...server.clientArgs, '-C', 'me', ...keys, ...args, source];
        return (await run('tardis', line, options)).stderr;
      };
      t.notRegex(await make({}, '--create'), /another machine/);
      t.notRegex(await make({}), /another machine/);
      const host = new RegExp(`another machine, ${os.hostname()} \\([0-9a-f]{8}\\)`);
      t.regex(await make(other), host);
      t.notRegex(await make(other), /another machine/, 'the newest set is of this machine now');
      t.regex(await make({}), host);
      t.is(
        (await server.stop()).stderr.match(/another machine has made the set before/g)?.length,
        2,
      );

      const [listed] = jsonLines<Sets>(await succeed('sonic', ['list', ...place, '--json']));
      const ids = listed!.sets.map(({ machine }) => machine.id);
      t.deepEqual([ids[1], ids[3], ids[4]], [ids[0], ids[2], ids[0]]);
      t.not(ids[0], ids[2]);
      t.true(listed!.sets.every(({ machine }) => machine.host === os.hostname()));
      const shown = `${os.hostname()} (${ids[2]!.slice(0, 8)})`;
      t.true((await succeed('lstardis', place)).includes(shown));
      t.true((await succeed('sonic', ['info', ...place, '3'])).includes(shown));

      const own = fs.readFileSync(ID_FILE, 'utf8').trim();
      const secrets = [own, OTHER_ID].flatMap((id) => [
        id,
        Buffer.from(id, 'hex').toString('latin1'),
      ]);
      t.false(hasText(store, secrets));
      t.is(hasText(store, [hostField()]), !isSealed);
      await succeed('sonic', ['purge', ...place, '--keep-last', '1', '--yes']);
      const [left] = jsonLines<Sets>(await succeed('sonic', ['list', ...place, '--json']));
      t.deepEqual(
        left!.sets.map(({ set }) => set),
        [4, 5],
      );
    }));
}

test('the machine of a set survives a rebuild, a change of marks, and a copy', (t) =>
  unlessLeftOut(t, async () => {
    const other = await otherMachine(t);
    const { store, source, change } = prepared(t);
    const place = ['-D', store, '-C', 'me'];
    const machines = async (where: string): Promise<unknown[]> => {
      const text = await succeed('sonic', ['list', '-D', where, '-C', 'me', '--json']);
      return jsonLines<Sets>(text)[0]!.sets.map(({ machine }) => machine);
    };
    const made: string[] = [];
    for (const options of [{}, other]) {
      change();
      const create = made.length === 0 ? ['--create'] : [];
      const { status, stderr } = await run(
        'tardis',
        ['--local', ...create, ...place, source],
        options,
      );
      t.is(status, 0, stderr);
      made.push(stderr);
    }
    t.regex(made[1]!, /^tardis: another machine, [^{}\n]*\n[^{}]*$/, 'one line, of the client');
    const before = await machines(store);
    await succeed('sonic', ['tag', '--add', 'kept', ...place, '1']);
    await succeed('sonic', ['orphans', ...place]);
    await succeed('sonic', ['rebuild', ...place]);
    t.deepEqual(await machines(store), before);
    const copy = `${store}-copy`;
    await succeed('sonic', ['copy', ...place, '--create', '--to', copy]);
    t.deepEqual(await machines(copy), before);
  }));
