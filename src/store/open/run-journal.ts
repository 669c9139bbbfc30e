/**
 * The journal of a client: records of its runs (src/model/run.ts), in small objects below `runs/` of the client, in a
 * directory as in a bucket. A run adds an object and replaces none, so no run waits for another one. Now and then the
 * newest objects are joined in a page. Where this is not permitted, the objects stay, and readers pass over what they
 * have twice. docs/inside/formats.md has the names and bytes.
 */
import os from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { asTardisError, isDoneUnlessBug } from '../../errors/index.js';
import {
  decidingRuns,
  distinctRuns,
  encodeRun,
  parseRun,
  RECENT_RUNS,
  RUN_ID_BYTES,
  type RunRecord,
} from '../../model/index.js';
import {
  failedStoreWrite,
  makeUnlessThere,
  readStart,
  replaceFile,
  type System,
  unlinkIfThere,
} from '../../system/index.js';
import { sharedStore } from '../bucket/shared-stores.js';
import { type ClientDirectory, guardClient } from '../client/client-directory.js';
import { clientNote } from '../layout/bucket-names.js';
import { RUNS_DIRECTORY } from '../layout/layout.js';
import type { ObjectStore } from '../objects/index.js';

/** The calls of an object store that a journal needs. */
type RunObjects = Pick<ObjectStore, 'list' | 'readWhole' | 'putNew' | 'remove'>;

/** Number of objects of single runs that are joined. */
const JOINED_OBJECTS = 32;
/** Number of records from which a page is full. */
const PAGE_RUNS = 128;
/** Maximum number of objects; the oldest are removed. With full pages, it is that of 28,000 runs. */
const MAX_OBJECTS = 256;
/** Maximum number of objects that are read: a place where none can be removed has more. */
const MAX_READ = 2048;
/** Maximum number of names that count, the newest. */
const MAX_LISTED = 100_000;
/** Number of times that a reader lists the objects, of which another process may remove some. */
const MOST_LOOKS = 5;
/** Maximum sizes of an object and of its text. A full page of the longest records is smaller. */
const MAX_OBJECT_BYTES: number = 4 << 20;
const MAX_TEXT_BYTES: number = 4 << 20;
/** Number of random bytes in the name of an object. */
const NAME_BYTES = 4;
/** Maximum length of the name of a machine. */
const MAX_HOST_CHARS = 255;
/** Errors that concern one object alone. */
const OF_ONE_OBJECT: readonly string[] = [
  'OBJECT_DAMAGED',
  'BUCKET_ANSWER_INVALID',
  'STORE_UNSAFE',
];

/** Maximum of the numbers in names. */
const MAX_NUMBER = 9_999_999_999;
/** Distance of numbers that no run makes: an object beyond it is not of a run, and would use up the numbers. */
const MAX_STEP = 1_000_000;
/** Form of a name: a number, the number of records, random digits, and `page` for joined records. */
const NAME = /^(\d{10})-(\d{4})-[0-9a-f]{8}\.(run|page)$/;

interface RunObject {
  readonly name: string;
  readonly number: number;
  readonly runs: number;
  readonly isPage: boolean;
}

class RunJournal {
  constructor(
    private readonly system: System,
    private readonly objects: RunObjects,
    private readonly prefix: string,
    readonly place: string,
  ) {}

  /** Returns at least `most` of the newest records, or all there are, in their order. Damaged lines are left out. */
  async read(most: number, look = 1): Promise<RunRecord[]> {
    let found: RunRecord[] = [];
    const paged = new Set<string>(); // pages repeat what objects have that could not be removed
    for (const { name, isPage } of (await this.listed()).reverse().slice(0, MAX_READ)) {
      const runs = await this.runsIn(name);
      // It was joined meanwhile, so a page has its records.
      if (runs === undefined && look < MOST_LOOKS) return this.read(most, look + 1);
      if (runs === undefined) continue;
      found = distinctRuns([...runs.filter(({ id }) => isPage || !paged.has(id)), ...found]);
      if (isPage) runs.forEach(({ id }) => paged.add(id));
      if (found.length >= most) break;
    }
    return found;
  }

  /** Adds records, durable when the promise resolves. */
  async add(runs: readonly RunRecord[]): Promise<void> {
    const listed = await this.listed();
    const last = listed.at(-1)?.number ?? 0;
    listed.push(await this.put(last + 1, runs, 'run'));
    const tail = listed.slice(
      listed.findLastIndex(({ isPage, runs: count }) => isPage && count >= PAGE_RUNS) + 1,
    );
    const from = tail.findLastIndex(isPage);
    const joined = tail.slice(Math.max(from, 0));
    if (tail.length - from - 1 >= JOINED_OBJECTS)
      await this.join(joined, listed.slice(0, -joined.length).findLast(isPage), last + 2);
    if (listed.length > MAX_OBJECTS) await this.drop(listed.slice(0, listed.length - MAX_OBJECTS));
  }

  /** Adds all records of a journal, as `change` returns them; if the place is the same, in place of those there. */
  async takeOver(
    from: RunJournal,
    change: (run: RunRecord) => RunRecord | undefined,
  ): Promise<void> {
    const old = await from.listed();
    const last = (await this.listed()).at(-1)?.number ?? 0;
    await this.putPages(
      last + 1,
      (await from.runsOf(old)).flatMap((run) => change(run) ?? []),
    );
    if (from.place === this.place) await from.drop(old);
  }

  /** Joins the records of objects in pages, and removes the objects. `before` is the page before them. */
  private async join(
    objects: readonly RunObject[],
    before: RunObject | undefined,
    number: number,
  ): Promise<void> {
    const earlier = before === undefined ? [] : await this.runsOf([before]);
    await this.putPages(number, await this.runsOf(objects), earlier);
    await this.drop(objects);
  }

  /** Writes pages. Each also has the records before it that decide, so the newest one has them all. */
  private async putPages(
    number: number,
    runs: readonly RunRecord[],
    earlier: readonly RunRecord[] = [],
  ): Promise<void> {
    let page = earlier;
    for (let at = 0; at < runs.length; at += PAGE_RUNS) {
      page = distinctRuns([...decidingRuns(page), ...runs.slice(at, at + PAGE_RUNS)]);
      await this.put(number + at / PAGE_RUNS, page, 'page');
    }
  }

  private async put(
    wanted: number,
    runs: readonly RunRecord[],
    kind: 'run' | 'page',
  ): Promise<RunObject> {
    const number = Math.min(wanted, MAX_NUMBER);
    const digits = this.system.random.bytes(NAME_BYTES).toString('hex');
    const count = runs.length.toString().padStart(4, '0');
    const name = `${this.prefix}${number.toString().padStart(10, '0')}-${count}-${digits}.${kind}`;
    const text = runs.map((run) => `${encodeRun(run)}\n`).join('');
    await this.objects.putNew(name, gzipSync(text), { retainMs: 0 });
    return { name, number, runs: runs.length, isPage: kind === 'page' };
  }

  /** Removes objects, unless that is not permitted: then they stay. */
  private async drop(objects: readonly RunObject[]): Promise<void> {
    if (objects.length === 0) return;
    await isDoneUnlessBug(() => this.objects.remove(objects.map(({ name }) => name)));
  }

  private async runsOf(objects: readonly RunObject[]): Promise<RunRecord[]> {
    const runs: RunRecord[] = [];
    for (const { name } of objects) runs.push(...((await this.runsIn(name)) ?? []));
    return distinctRuns(runs);
  }

  /** Returns the records of an object: none if it is damaged, so that it hides no other one; undefined if it is gone. */
  private async runsIn(name: string): Promise<RunRecord[] | undefined> {
    try {
      const bytes = await this.objects.readWhole(name, MAX_OBJECT_BYTES);
      return bytes && linesOf(bytes).flatMap((line) => parseRun(line) ?? []);
    } catch (error) {
      if (OF_ONE_OBJECT.includes(asTardisError(error).code)) return [];
      throw error;
    }
  }

  private async listed(): Promise<RunObject[]> {
    const found: RunObject[] = [];
    for await (const name of this.objects.list(this.prefix)) {
      const [, number, runs, kind] = NAME.exec(name.slice(this.prefix.length)) ?? [];
      const { number: before = Infinity } = found.at(-1) ?? {};
      if (number === undefined || Number(number) - before > MAX_STEP) continue;
      found.push({ name, number: Number(number), runs: Number(runs), isPage: kind === 'page' });
      if (found.length > MAX_LISTED) found.shift();
    }
    return found;
  }
}

function isPage(object: RunObject): boolean {
  return object.isPage;
}

/** Returns the lines of an object; none if it is damaged. */
function linesOf(bytes: Buffer): string[] {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_TEXT_BYTES }).toString('utf8').split('\n');
  } catch {
    return []; // another object may be whole
  }
}

/** The journal of a client in a directory. Names have random digits, so no two writers use one. */
function filesOf({ files }: System, folder: string): RunObjects {
  const fileOf = (name: string): string => path.join(folder, name);
  return {
    async *list(): AsyncIterable<string> {
      if (files.status(folder)?.isDirectory === true) yield* files.list(folder).sort();
    },
    readWhole: async (name) => readStart(files, fileOf(name), MAX_OBJECT_BYTES),
    putNew: async (name, body) => {
      makeUnlessThere(files, folder, () => files.makeDirectory(folder));
      // The name of the folder is durable before its first object is there.
      if (files.list(folder).length === 0) await files.syncDirectory(path.dirname(folder));
      await replaceFile(files, fileOf(name), body as Uint8Array);
      return 'created';
    },
    remove: async (names) => {
      for (const name of names) unlinkIfThere(files, fileOf(name));
    },
  };
}

async function openJournal(system: System, directory: ClientDirectory): Promise<RunJournal> {
  const { client, bucket } = directory;
  if (bucket !== undefined) {
    const { store } = await sharedStore(system, bucket);
    const prefix = clientNote(client, `${RUNS_DIRECTORY}/`);
    return new RunJournal(system, store, prefix, prefix);
  }
  guardClient(directory); // files of root get the owner of the store
  const folder = path.join(directory.path, RUNS_DIRECTORY);
  return new RunJournal(system, filesOf(system, folder), '', folder);
}

/** Returns the record of a run on this machine that begins now, and is cut off until it ends. */
export function newRun(
  { clock, random }: System,
  about: Pick<RunRecord, 'kind' | 'way' | 'by'>,
): RunRecord {
  const nowMs = clock.nowMs();
  const id = random.bytes(RUN_ID_BYTES).toString('hex');
  const machine = os.hostname().slice(0, MAX_HOST_CHARS);
  return { id, end: 'cut', ...about, machine, beganMs: nowMs, endedMs: nowMs, numbers: {} };
}

/**
 * Returns the newest records of a client's runs, oldest first: at least `most`, if there are so many. Throws errors of
 * reading the store.
 */
export async function readRuns(
  system: System,
  directory: ClientDirectory,
  most: number = RECENT_RUNS,
): Promise<RunRecord[]> {
  return (await openJournal(system, directory)).read(most);
}

/**
 * Adds records of runs of a client, durable when the promise resolves. Makes no client: it may have been removed, or the
 * disk of the store may be away. Throws STORE_NOT_WRITABLE or the like.
 */
export async function addRuns(
  system: System,
  directory: ClientDirectory,
  runs: readonly RunRecord[],
): Promise<void> {
  if (runs.length === 0) return;
  const nowMs = system.clock.nowMs(); // a clock that is wrong elsewhere puts no record behind later ones
  const dated = runs.map(({ beganMs, endedMs, ...run }) => ({
    ...run,
    beganMs: Math.min(beganMs, nowMs),
    endedMs: Math.min(endedMs, nowMs),
  }));
  try {
    await (await openJournal(system, directory)).add(dated);
  } catch (error) {
    throw failedStoreWrite(system.files, path.join(directory.path, RUNS_DIRECTORY), error);
  }
}

/**
 * Brings the records of a client to a new generation of it, which may share the place. Proofs of the old data are left
 * out, as are words and ids that its keys have sealed, or that the new ones would seal.
 */
export async function carryRuns(
  system: System,
  from: ClientDirectory,
  to: ClientDirectory,
): Promise<void> {
  const journal = await openJournal(system, to);
  await journal.takeOver(await openJournal(system, from), (run) =>
    run.kind === 'check' || run.kind === 'restore'
      ? undefined
      : { ...run, words: undefined, ...(run.kind !== 'copy' && { configured: undefined }) },
  );
}
