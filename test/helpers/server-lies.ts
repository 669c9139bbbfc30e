/**
 * Tests of lies. A hostile server omits, repeats, reorders, delays, forges, swaps or rolls back each of its messages,
 * while an encrypting client backs up, restores, lists, finds and compares. In every case the results are right if the exit
 * status is that of an honest answer, no restored file has other contents, and nothing is sent in the clear. The next
 * honest run is complete. Versions that a search finds are right, but nothing proves that none is missing.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { decodeMessage, encodeMessage, type MessageName } from '../../src/transport/index.js';
import { seededRandom } from '../support/seeded-random.js';
import {
  backupsRunHere,
  type CommandOptions,
  type Outcome,
  run,
  Server,
  succeed,
} from './commands.js';
import { type Lie, lyingServer } from './lying-server.js';
import { seed } from './seed.js';
import { type Lab, lab } from './lab.js';
import { partOf, smallShare } from './share.js';
import { differences, dir, file, look, makeTree, noise } from './tree.js';
import { pause } from './until.js';

/** Messages of honest sessions, by name, as they were sent. */
type Recorded = ReadonlyMap<MessageName, readonly Buffer[]>;

/** One lie: the manipulation, and the message of a session, by its number among those of its name. */
interface LieCase {
  readonly verb: Verb;
  readonly name: MessageName;
  readonly nth: number;
}

const VERBS = ['omit', 'repeat', 'reorder', 'delay', 'forge', 'swap clients', 'take back'] as const;
type Verb = (typeof VERBS)[number];

/** Number of messages that overtake a delayed one. */
const DELAYED_BY = 4;
const ENVELOPE_BYTES = 8;

/** Returns a lie that forwards every message unchanged and records it. */
function recorder(): { readonly lie: Lie; readonly recorded: Recorded } {
  const recorded = new Map<MessageName, Buffer[]>();
  const lie: Lie = (name, bytes) => {
    recorded.set(name, [...(recorded.get(name) ?? []), Buffer.from(bytes)]);
    return [bytes];
  };
  return { lie, recorded };
}

/** The other sessions whose messages a lie can use. */
interface Others {
  readonly client: Recorded;
  readonly older: Recorded;
}

/** Returns the lie of a case; `hasLied` returns true once it was applied. */
function lieOf(
  { verb, name, nth }: LieCase,
  others: Others,
  random: () => number,
): { readonly lie: Lie; readonly hasLied: () => boolean } {
  let seen = 0;
  let held: Buffer | undefined;
  let heldFor = 0;
  let hasLied = false;
  const hold = (bytes: Buffer, messages: number): readonly Buffer[] => {
    [held, heldFor] = [Buffer.from(bytes), messages];
    return [];
  };
  const strike = (bytes: Buffer): readonly Buffer[] => {
    hasLied = true;
    if (verb === 'omit') return [];
    if (verb === 'repeat') return [bytes, Buffer.from(bytes)];
    if (verb === 'reorder') return hold(bytes, 1);
    if (verb === 'delay') return hold(bytes, DELAYED_BY);
    if (verb === 'forge') return [forged(bytes, random)];
    const from = (verb === 'swap clients' ? others.client : others.older).get(name) ?? [];
    const other = from[Math.min(nth, from.length - 1)];
    hasLied = other !== undefined;
    return [other === undefined ? bytes : inPlaceOf(name, other, bytes)];
  };
  const lie: Lie = (reported, bytes) => {
    if (held !== undefined && (heldFor -= 1) === 0) {
      const late = held;
      held = undefined;
      return [bytes, late];
    }
    if (reported !== name) return [bytes];
    seen += 1;
    return seen === nth + 1 ? strike(bytes) : [bytes];
  };
  return { lie, hasLied: () => hasLied };
}

/** Returns a copy with one flipped bit after the envelope. */
function forged(bytes: Buffer, random: () => number): Buffer {
  const other = Buffer.from(bytes);
  if (other.length === ENVELOPE_BYTES) return other;
  const at = ENVELOPE_BYTES + Math.floor(random() * (other.length - ENVELOPE_BYTES));
  other[at]! ^= 1 << Math.floor(random() * 8);
  return other;
}

/** Returns the other message with the identifying fields of the honest one, as an answer to the same question. */
function inPlaceOf<N extends MessageName>(name: N, other: Buffer, bytes: Buffer): Buffer {
  const [reported, honest] = [decodeMessage(name, other), decodeMessage(name, bytes)];
  const head = { ...reported.head };
  for (const field of ['question', 'set', 'upTo', 'slot', 'slots'] as const) {
    if (field in honest.head) Object.assign(head, { [field]: honest.head[field as never] });
  }
  const { head: encoded } = encodeMessage(name, head);
  return Buffer.concat([encoded, reported.attachment]);
}

backupsRunHere();

/**
 * Readers time out if a server withholds an answer. A backup waits as long as its server lives, so it is a process,
 * which the test ends.
 */
const IMPATIENT: Patience = { args: ['--timeout', '2'], backup: { timeoutMs: 6_000 } };
/** Honest sessions end by themselves. */
const PATIENT: Patience = { args: [], backup: {} };
/** A reader that still runs then waits for ever. */
const READER_MS = 20_000;
/** A client may be busy for this long. */
const BUSY_MS = 120_000;
/** Prefix of the names of files that a restore has not finished. */
const UNFINISHED = '.tardis-restore-';
/** Matches the code of a failure, as text or as JSON, or a report that something is left out. */
const REPORTED = /\[[A-Z_]+\]|"code":"[A-Z_]+"|are left out/;
/** Exit status of a command whose client has another session, and the pause before the next attempt. */
const BUSY = 11;
const POLL_MS = 500;
const SECRET = 'SECRET-OF-A-FILE';
const SECRET_NAME = 'secret-name';

const KINDS = ['backup', 'restore', 'list', 'find', 'compare'] as const;
/** An activity of a client whose server lies. */
export type Kind = (typeof KINDS)[number];

interface Patience {
  readonly args: readonly string[];
  readonly backup: CommandOptions;
}

interface World extends Lab {
  readonly server: Server;
  readonly login: readonly string[];
  readonly heard: Buffer[];
  others: Others;
  runs: number;
}

function commandOf(
  world: World,
  kind: Kind,
  there: readonly string[],
  out: string,
  patience: Patience,
): Promise<Outcome> {
  const login = ['-C', 'me', ...world.login, ...there, ...patience.args];
  switch (kind) {
    case 'backup':
      return run('tardis', [...login, world.source], patience.backup);
    case 'restore':
      return run('regenerate', [...login, '-o', out, world.source]);
    case 'list':
      return run('lstardis', [...login, '-l', '--recurse', world.source]);
    case 'find':
      return run('lstardis', [...login, '--json', '--find', '*o*']);
    case 'compare':
      return run('tardiff', [...login, '-b', '1', '-b', '2', world.source]);
  }
}

/** Makes a store with two clients, and records the messages of its server in an older state. */
async function world(t: ExecutionContext): Promise<World> {
  const home = lab(t);
  const { store, source, at, written } = home;
  const login = ['--password-file', written('password', 'word of pass\n')];
  makeTree(at('theirs'), [file('one', 'theirs'), dir('a', [file('two', 'theirs too')])]);
  makeTree(path.join(source, 'b'), [file('large', noise(1, 70_000)), file('small', noise(2, 300))]);
  await succeed('tardis', ['-D', store, '-C', 'me', ...login, '--local', '--create', source]);
  await succeed('tardis', [
    '-D',
    store,
    '-C',
    'other',
    ...login,
    '--local',
    '--create',
    at('theirs'),
  ]);
  const server = await Server.during(t, store);
  const made: World = {
    ...home,
    server,
    login,
    heard: [],
    runs: 0,
    others: { client: new Map(), older: new Map() },
  };
  const older = recorder();
  const client = recorder();
  const [backThen, theirs] = [
    await lyingServer(t, server, older.lie),
    await lyingServer(t, server, client.lie),
  ];
  for (const kind of KINDS) {
    fs.appendFileSync(path.join(source, 'two'), 'more');
    const { status, stderr } = await commandOf(made, kind, backThen, at('older'), PATIENT);
    t.is(status, statusOf(kind), `${kind}: ${stderr}`);
  }
  const other = ['-C', 'other', ...login, ...theirs];
  fs.writeFileSync(at('theirs', 'one'), 'theirs, other bytes');
  await succeed('tardis', [...other, at('theirs')]);
  await succeed('regenerate', [...other, '-o', at('elsewhere'), at('theirs')]);
  await succeed('lstardis', [...other, '-l', '--recurse', at('theirs')]);
  await succeed('lstardis', [...other, '--json', '--find', '*o*']);
  await run('tardiff', [...other, '-b', '1', '-b', '2', at('theirs')]);
  made.others = { client: client.recorded, older: older.recorded };
  return made;
}

/** Returns the messages of an honest session, and how often each occurs. */
async function namesOf(
  t: ExecutionContext,
  made: World,
  kind: Kind,
): Promise<Map<MessageName, number>> {
  const { lie, recorded } = recorder();
  change(made);
  const { status, stdout, stderr } = await commandOf(
    made,
    kind,
    await lyingServer(t, made.server, lie),
    made.at(`honest ${kind}`),
    PATIENT,
  );
  t.is(status, statusOf(kind), stdout + stderr);
  return new Map([...recorded].map(([name, messages]) => [name, messages.length]));
}

/** Changes the source, so that each backup has something new. */
function change({ source, runs }: World): void {
  fs.writeFileSync(path.join(source, 'a', `${SECRET_NAME} ${runs % 4}`), `${SECRET} ${runs}`);
}

/** Returns a share of the lies, with each verb. */
function casesOf(names: ReadonlyMap<MessageName, number>, random: () => number): LieCase[] {
  const all = [...names].flatMap(([name, count]) =>
    VERBS.flatMap((verb) => {
      const places = count === 1 ? [0] : [0, 1 + Math.floor(random() * (count - 1))];
      return places.map((nth) => ({ verb, name, nth }));
    }),
  );
  const only = process.env['TEST_LIE']; // repeats a case that failed
  if (only !== undefined) return all.filter(({ verb, name }) => only === `${verb} ${name}`);
  return partOf(all, smallShare, { next: random }, ({ verb }) => [verb]);
}

/** Returns everything wrong with the result of a command under a lie. */
async function wrongWith(
  t: ExecutionContext,
  made: World,
  kind: Kind,
  one: LieCase,
  random: () => number,
): Promise<string[]> {
  made.runs += 1;
  change(made);
  const reported = lieOf(one, made.others, random);
  const heard: Buffer[] = [];
  const there = await lyingServer(t, made.server, reported.lie, (bytes) => heard.push(bytes));
  const out = made.at(`out ${made.runs}`);
  const honest = await answered(made, kind);
  const ended = await ending(commandOf(made, kind, there, out, IMPATIENT));
  const wrong: string[] = [];
  const sent = Buffer.concat(heard);
  if (sent.includes(SECRET) || sent.includes(SECRET_NAME)) wrong.push('a secret left in clear');
  if (ended instanceof Error) {
    if (kind !== 'backup') throw new Error(`${one.verb} ${one.name} ${one.nth}: waits for ever`);
  } else {
    if (/this is a bug|INTERNAL/i.test(ended.stderr)) wrong.push(`a bug: ${ended.stderr}`);
    const isAnswer = ended.status === statusOf(kind);
    if (!isAnswer && !REPORTED.test(ended.stdout + ended.stderr))
      wrong.push(`status ${ended.status} without a code: ${ended.stderr}`);
    if (isAnswer && isFalse(kind, ended.stdout, honest)) wrong.push('a false answer is believed');
  }
  const isRight = !(ended instanceof Error) && ended.status === 0;
  if (kind === 'restore') wrong.push(...falseFiles(made, out, isRight));
  if (kind === 'backup') wrong.push(...(await notSaved(made, isRight)));
  return reported.hasLied() ? wrong : [];
}

/** Returns how a command ended, or the error that it did not end in time: a backup is killed then. */
async function ending(command: Promise<Outcome>): Promise<Outcome | Error> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Error>((resolve) => {
    timer = setTimeout(() => resolve(new Error('it still runs')), READER_MS);
  });
  try {
    return await Promise.race([command, late]);
  } catch (error) {
    return error as Error;
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the exit status after an honest answer; tardiff finds differences. */
function statusOf(kind: Kind): number {
  return kind === 'compare' ? 1 : 0;
}

/** Returns what a reader prints with an honest server. */
async function answered(made: World, kind: Kind): Promise<string> {
  if (kind === 'backup' || kind === 'restore') return '';
  return (await commandOf(made, kind, made.server.clientArgs, '', PATIENT)).stdout;
}

function isFalse(kind: Kind, shown: string, honest: string): boolean {
  if (kind === 'list' || kind === 'compare') return shown !== honest;
  const lines = new Set(honest.split('\n'));
  return kind === 'find' && shown.split('\n').some((line) => !lines.has(line));
}

/** Returns files that were restored with other contents; after status 0, all differences from the newest set. */
function falseFiles({ at }: World, out: string, isComplete: boolean): string[] {
  if (isComplete)
    return differences(look(at('honest restore', 'tree')), look(path.join(out, 'tree'))).map(
      (one) => `restored: ${one}`,
    );
  if (!fs.existsSync(out)) return [];
  const wanted = at('honest restore');
  return fs
    .readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((name) => !path.basename(name).startsWith(UNFINISHED))
    .filter((name) => fs.lstatSync(path.join(out, name)).isFile())
    .filter((name) => {
      const honest = path.join(wanted, name);
      return (
        !fs.existsSync(honest) ||
        !fs.readFileSync(honest).equals(fs.readFileSync(path.join(out, name)))
      );
    })
    .map((name) => `forged: ${name}`);
}

/** Runs a command again while the client is busy: the session of a killed client may still be ending. */
async function onceFree(command: () => Promise<Outcome>): Promise<Outcome> {
  const start = performance.now();
  for (;;) {
    const ended = await command();
    if (ended.status !== BUSY || performance.now() - start > BUSY_MS) return ended;
    await pause(POLL_MS);
  }
}

/** Returns what an honest restore lacks, at once after status 0, otherwise after the next honest backup. */
async function notSaved(made: World, isComplete: boolean): Promise<string[]> {
  const { source, login, server, at, runs } = made;
  const there = ['-C', 'me', ...login, ...server.clientArgs];
  if (!isComplete) {
    const next = await onceFree(() => run('tardis', [...there, source]));
    if (next.status !== 0) return [`the next honest backup fails: ${next.stderr}`];
  }
  const out = at(`saved ${runs}`);
  const restored = await run('regenerate', [...there, '-o', out, source]);
  if (restored.status !== 0) return [`an honest restore fails: ${restored.stderr}`];
  const wrong = differences(look(source), look(path.join(out, path.basename(source))));
  fs.rmSync(out, { recursive: true });
  return wrong.map((one) => `saved: ${one}`);
}

/** Tests an activity under lies about each message. Its honest commands, and readers, run in this thread. */
export async function underLies(t: ExecutionContext, kind: Kind): Promise<void> {
  t.timeout(900_000);
  const made = await world(t);
  const { next: random } = seededRandom(seed);
  const names = await namesOf(t, made, kind);
  const cases = casesOf(names, random);
  const wrong: string[] = [];
  for (const one of cases) {
    const found = await wrongWith(t, made, kind, one, random);
    wrong.push(...found.map((what) => `${one.verb} ${one.name} ${one.nth}: ${what}`));
  }
  t.log(`${cases.length} lies about ${[...names.keys()].join(', ')}`);
  t.deepEqual(wrong, []);
}
