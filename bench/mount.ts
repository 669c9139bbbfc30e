import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { sizeOfTree } from './change.js';
import { ContentMaker } from './content.js';
import { treeLine } from './make-tree.js';
import { measure } from './measure.js';
import { fillCatalog } from './large-catalog.js';
import { mountAnswer, type MountLine } from './mount-answer.js';
import { PARTS, type Reading, READINGS, Readings } from './mount-readings.js';
import { Mounted } from './mounted.js';
import type { MountOptions, Options } from './options.js';
import { Random } from './random.js';
import { rest } from './rest.js';
import { chooseSubjects, plainAndEncrypted } from './subjects/choose.js';
import type { Mounting, Subject } from './subjects/subject.js';
import { TARDIS_CLIENT } from './subjects/tardis.js';
import { planTree, writeFully, writeTree } from './tree.js';
import { verifyRestored } from './verify.js';
import type { Workplace } from './workplace.js';

const MIB = 1 << 20;
/** Number of backups after the first one. Each changes the file that becomes a chain of deltas. */
const CHANGES = 4;
const CHANGED_BLOCKS = 64;
const BLOCK_BYTES = 4096;
/** Size of the file stored in deltas, as a share of the large file. */
const EDITED_SHARE = 1 / 16;
const SOURCE = 'source';
const OURS = 'tardis';

type MountQuestion = Options & { readonly mount: MountOptions };
type Print = (line: string) => void;

/**
 * Measures how fast mounts are read, and for comparison the source. In each round, each subject is mounted again before
 * each reading that must find no cached data. The source is always read with cached data.
 */
export async function mount(
  workplace: Workplace,
  checkout: string,
  options: MountQuestion,
  print: Print,
): Promise<Answer> {
  makeParts(workplace, options, print);
  const chosen = await chooseSubjects(
    workplace,
    plainAndEncrypted(workplace, checkout, options),
    print,
  );
  const { subjects, versions } = chosen;
  for (const subject of subjects) workplace.freshPlace(subject.name);
  await backUp(workplace, subjects, options, print);
  const at = workplace.mountPoint;
  mkdirSync(at);
  const lines = [SOURCE, ...subjects.map(({ name }) => name)].map(emptyLine);
  for (let round = 0; round < options.runs; round++) {
    for (const [index, line] of lines.entries()) {
      const subject = subjects[index - 1];
      const measured = new MeasuredMount(workplace, { at, round, options }, line);
      if (subject === undefined) await measured.source();
      else await measured.mounted(subject);
      print(`round ${round + 1}/${options.runs}: ${line.subject}: ${summaryOf(line)}`);
    }
  }
  const plain = subjects.findIndex(({ name }) => name === OURS);
  if (plain >= 0) {
    const measured = new MeasuredMount(
      workplace,
      { at, round: options.runs, options },
      lines[plain + 1]!,
    );
    await measured.filled(subjects[plain]!, options, print);
  }
  const size = sizeOfTree(join(workplace.tree, PARTS.files));
  const { names, largeMib, entries } = options.mount;
  const about = `${treeLine(size)}; ${names} names; ${largeMib} MiB; filled catalog: ${entries} entries; medians of ${options.runs}`;
  const notes = subjects.map(({ name, about: how }) => `${name}: ${how}; ${versions[name] ?? ''}`);
  return mountAnswer(lines, { about, notes, smallBytes: size.bytes });
}

function emptyLine(subject: string): MountLine {
  const none = Object.fromEntries(READINGS.map((reading) => [reading, []]));
  const more = { archive: [], restore: [], filledMount: [], filledNames: [] };
  return { subject, ...more, ...(none as unknown as Record<Reading, number[]>) };
}

function summaryOf(line: MountLine): string {
  return READINGS.filter((reading) => line[reading].length > 0)
    .map((reading) => `${reading} ${line[reading].at(-1)!.toFixed(2)}`)
    .join(', ');
}

/** Creates the tree: small files, a directory with many names, a large file, and a file that will be changed. */
function makeParts(workplace: Workplace, options: MountQuestion, print: Print): void {
  const { names, largeMib } = options.mount;
  const plan = planTree({ seed: options.seed, files: options.files });
  workplace.requireRoomFor(plan.bytes + largeMib * MIB);
  print(`making ${options.files} files, ${names} names and ${largeMib} MiB`);
  const root = workplace.tree;
  writeTree(plan, join(root, PARTS.files));
  mkdirSync(join(root, PARTS.names));
  for (let name = 0; name < names; name++) {
    closeSync(openSync(join(root, PARTS.names, `name-${name}-of-many`), 'wx'));
  }
  writeLarge(join(root, PARTS.large), largeMib, options.seed);
  writeLarge(join(root, PARTS.edited), editedMib(options), options.seed + 1);
}

function editedMib({ mount: { largeMib } }: MountQuestion): number {
  return Math.max(2, Math.round(largeMib * EDITED_SHARE));
}

/** Writes content of which half can be compressed. */
function writeLarge(path: string, sizeMib: number, seed: number): void {
  const maker = new ContentMaker(seed);
  const fd = openSync(path, 'wx');
  for (let part = 0; part < sizeMib; part++) {
    const spec = {
      kind: 'binary',
      sizeBytes: MIB,
      contentSeed: seed + part,
      themeSeed: 1,
    } as const;
    writeFully(fd, maker.make(spec));
  }
  closeSync(fd);
}

async function backUp(
  workplace: Workplace,
  subjects: readonly Subject[],
  options: MountQuestion,
  print: Print,
): Promise<void> {
  const logFile = workplace.log;
  for (let backup = 0; backup <= CHANGES; backup++) {
    if (backup > 0) changeEdited(workplace, options, backup);
    await rest();
    for (const subject of subjects) {
      if (backup === 0) {
        for (const command of subject.prepare()) await measure(command, { logFile });
      }
      await measure(backup === 0 ? subject.first() : subject.again(), { logFile });
      print(`backup ${backup + 1}/${CHANGES + 1}: ${subject.name}`);
    }
  }
}

function changeEdited(workplace: Workplace, options: MountQuestion, stream: number): void {
  const random = new Random(options.seed, stream);
  const fd = openSync(join(workplace.tree, PARTS.edited), 'r+');
  const blocks = (editedMib(options) * MIB) / BLOCK_BYTES;
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let change = 0; change < CHANGED_BLOCKS; change++) {
    writeSync(fd, randomFillSync(block), 0, BLOCK_BYTES, random.below(blocks) * BLOCK_BYTES);
  }
  closeSync(fd);
}

type Step = (readings: Readings, shown: string) => Promise<void>;

/** The readings of one subject in one round. */
class MeasuredMount {
  readonly #workplace: Workplace;
  readonly #at: string;
  readonly #round: number;
  readonly #seed: number;
  readonly #readMs: number;
  readonly #line: MountLine;

  constructor(
    workplace: Workplace,
    { at, round, options }: { at: string; round: number; options: MountQuestion },
    line: MountLine,
  ) {
    this.#workplace = workplace;
    this.#at = at;
    this.#round = round;
    this.#seed = options.seed + round;
    this.#readMs = options.mount.readMs;
    this.#line = line;
  }

  async source(): Promise<void> {
    const readings = this.#readings(this.#workplace.tree);
    await this.#lists(readings);
    await this.#tar(readings);
    await this.#greps(readings);
    await this.#parts(readings);
    await this.#sequential(readings);
  }

  async mounted(subject: Subject): Promise<void> {
    const mounting = subject.mount?.(this.#at);
    if (mounting === undefined) return;
    const peaks: number[] = [];
    const steps: readonly Step[] = [
      (readings) => this.#lists(readings),
      (readings) => this.#tar(readings),
      (readings) => this.#greps(readings),
      (readings) => this.#parts(readings),
      (readings) => this.#sequential(readings),
    ];
    for (const step of steps) peaks.push(await this.#in(mounting, step));
    this.#line.memory.push(Math.max(...peaks) / 1e6);
    await this.#withoutMount(subject);
    if (this.#round > 0 || !subject.name.startsWith(OURS)) return;
    const { tree, log } = this.#workplace;
    await this.#in(mounting, async (_readings, shown) => verifyRestored(tree, shown, log));
  }

  /**
   * Fills the catalog with entries. Then mounts it several times, and lists the directory with many names each time.
   */
  async filled(
    subject: Subject,
    { runs, mount: { entries } }: MountQuestion,
    print: Print,
  ): Promise<void> {
    const mounting = subject.mount?.(this.#at);
    if (mounting === undefined) return;
    print(`${subject.name}: filling the catalog to ${entries} entries`);
    const { store } = this.#workplace.place(subject.name);
    fillCatalog(join(store, TARDIS_CLIENT, 'tardis.db'), entries);
    const { filledMount, filledNames } = this.#line;
    const step: Step = async (readings) => {
      filledNames.push((await readings.names()) / 1000);
    };
    for (let run = 0; run < runs; run++) await this.#in(mounting, step, filledMount);
  }

  /** Mounts for one step, and unmounts after it. Returns the largest memory of the mount. */
  async #in(mounting: Mounting, step: Step, tookS: number[] = this.#line.mount): Promise<number> {
    const log = join(this.#workplace.root, 'mount-output');
    const mounted = await Mounted.start(mounting, { at: this.#at, log });
    try {
      tookS.push(mounted.tookMs / 1000);
      await step(this.#readings(mounted.tree), mounted.tree);
      return mounted.residentBytes;
    } finally {
      await mounted.end();
    }
  }

  #readings(tree: string): Readings {
    return new Readings(tree, this.#workplace.log, {
      cores: cpus().length,
      readMs: this.#readMs,
    });
  }

  async #lists(readings: Readings): Promise<void> {
    this.#line.list.push((await readings.list()) / 1000);
    this.#line.again.push((await readings.list()) / 1000);
    this.#line.names.push((await readings.names()) / 1000);
  }

  async #tar(readings: Readings): Promise<void> {
    this.#line.tar.push((await readings.tar()) / 1000);
  }

  async #greps(readings: Readings): Promise<void> {
    const { wallMs, busy } = await readings.grep();
    this.#line.grep.push(wallMs / 1000);
    this.#line.busy.push(busy);
  }

  async #parts(readings: Readings): Promise<void> {
    this.#line.random.push(await readings.random('large', this.#seed));
    this.#line.deltas.push(await readings.random('edited', this.#seed));
  }

  async #sequential(readings: Readings): Promise<void> {
    this.#line.sequential.push((await readings.sequential()) / 1000);
  }

  /** Measures an archive and a restore, which read the same data without a mount. */
  async #withoutMount(subject: Subject): Promise<void> {
    const { tree, log } = this.#workplace;
    const read = (part: keyof typeof PARTS) => subject.reading?.(join(tree, PARTS[part]));
    const [files, large] = [read('files'), read('large')];
    if (files === undefined || large === undefined) return;
    const [program, ...args] = files.archive.argv;
    const script = '"$@" | cat > /dev/null';
    const argv = ['bash', '-o', 'pipefail', '-c', script, 'bash', program, ...args] as const;
    const archive = await measure({ ...files.archive, argv }, { logFile: log });
    this.#line.archive.push(archive.wallMs / 1000);
    const restore = await measure(large.restore, { logFile: log });
    this.#line.restore.push(restore.wallMs / 1000);
    const { out } = this.#workplace.place(subject.name);
    rmSync(out, { recursive: true });
    mkdirSync(out);
  }
}
