import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { sizeOfTree, treeLine } from './change.js';
import { ContentMaker } from './content.js';
import { fillCatalog } from './large-catalog.js';
import { mountAnswer, type MountLine } from './mount-answer.js';
import { PARTS, type Reading, READINGS, Readings } from './mount-readings.js';
import { Mounted } from './mounted.js';
import { Random } from './random.js';
import { chooseSubjects, plainAndEncrypted } from './subjects/choose.js';
import type { Mounting, Subject } from './subjects/subject.js';
import { TARDIS_CLIENT } from './subjects/tardis.js';
import { planTree, writeFully, writeTree } from './tree.js';

const MIB = 1 << 20;
/** Number of backups after the first one. Each changes the file that becomes a chain of deltas. */
const CHANGES = 4;
const CHANGED_BLOCKS = 64;
const BLOCK_BYTES = 4096;
/** Size of the file stored in deltas, as a share of the large file. */
const EDITED_SHARE = 1 / 16;
const SOURCE = 'source';
const OURS = 'tardis';

/**
 * Measures how fast mounts are read, and for comparison the source. In each round, each subject is mounted again before
 * each reading that must find no cached data. The source is always read with cached data.
 */
export async function mount(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  makeParts(bench);
  const { subjects, versions } = await chooseSubjects(bench, plainAndEncrypted(bench));
  for (const subject of subjects) workplace.freshPlace(subject.name);
  await backUp(bench, subjects);
  mkdirSync(workplace.mountPoint);
  const lines = [SOURCE, ...subjects.map(({ name }) => name)].map(emptyLine);
  for (let round = 0; round < options.runs; round++) {
    for (const [index, line] of lines.entries()) {
      const subject = subjects[index - 1];
      const measured = new MeasuredMount(bench, round, line);
      if (subject === undefined) await measured.source();
      else await measured.mounted(subject);
      print(`${bench.roundName(round)}: ${line.subject}: ${summaryOf(line)}`);
    }
  }
  const plain = subjects.findIndex(({ name }) => name === OURS);
  if (plain >= 0) {
    const measured = new MeasuredMount(bench, options.runs, lines[plain + 1]!);
    await measured.filled(subjects[plain]!);
  }
  const size = sizeOfTree(join(workplace.tree, PARTS.files));
  const { names, entries } = options.mount;
  const about = `${treeLine(size)}; ${names} names; ${options.mib} MiB; filled catalog: ${entries} entries; medians of ${options.runs}`;
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
function makeParts({ workplace, options, print }: Bench): void {
  const { mib } = options;
  const { names } = options.mount;
  const plan = planTree({ seed: options.seed, files: options.files });
  workplace.requireRoomFor(plan.bytes + mib * MIB);
  print(`making ${options.files} files, ${names} names and ${mib} MiB`);
  const root = workplace.tree;
  writeTree(plan, join(root, PARTS.files));
  mkdirSync(join(root, PARTS.names));
  for (let name = 0; name < names; name++) {
    closeSync(openSync(join(root, PARTS.names, `name-${name}-of-many`), 'wx'));
  }
  writeLarge(join(root, PARTS.large), mib, options.seed);
  writeLarge(join(root, PARTS.edited), editedMib(mib), options.seed + 1);
}

function editedMib(largeMib: number): number {
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

async function backUp(bench: Bench, subjects: readonly Subject[]): Promise<void> {
  for (let backup = 0; backup <= CHANGES; backup++) {
    if (backup > 0) changeEdited(bench, backup);
    await rest();
    for (const subject of subjects) {
      if (backup === 0) await bench.runAll(subject.prepare());
      await bench.run(backup === 0 ? subject.first() : subject.again());
      bench.print(`backup ${backup + 1}/${CHANGES + 1}: ${subject.name}`);
    }
  }
}

function changeEdited({ workplace, options }: Bench, stream: number): void {
  const random = new Random(options.seed, stream);
  const fd = openSync(join(workplace.tree, PARTS.edited), 'r+');
  const blocks = (editedMib(options.mib) * MIB) / BLOCK_BYTES;
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let change = 0; change < CHANGED_BLOCKS; change++) {
    writeSync(fd, randomFillSync(block), 0, BLOCK_BYTES, random.below(blocks) * BLOCK_BYTES);
  }
  closeSync(fd);
}

type Step = (readings: Readings, shown: string) => Promise<void>;

/** The readings of one subject in one round. */
class MeasuredMount {
  /** The readings, each of which needs a mount of its own. */
  readonly #steps: readonly Step[] = [
    (readings) => this.#lists(readings),
    (readings) => this.#tar(readings),
    (readings) => this.#greps(readings),
    (readings) => this.#parts(readings),
    (readings) => this.#sequential(readings),
  ];

  constructor(
    private readonly bench: Bench,
    private readonly round: number,
    private readonly line: MountLine,
  ) {}

  async source(): Promise<void> {
    const { tree } = this.bench.workplace;
    for (const step of this.#steps) await step(this.#readings(tree), tree);
  }

  async mounted(subject: Subject): Promise<void> {
    const mounting = subject.mount?.(this.bench.workplace.mountPoint);
    if (mounting === undefined) return;
    const peaks: number[] = [];
    for (const step of this.#steps) peaks.push(await this.#in(mounting, step));
    this.line.memory.push(Math.max(...peaks) / 1e6);
    await this.#withoutMount(subject);
    if (this.round > 0 || !subject.name.startsWith(OURS)) return;
    await this.#in(mounting, (_readings, shown) => this.bench.verifyRestored(shown));
  }

  /**
   * Fills the catalog with entries. Then mounts it several times, and lists the directory with many names each time.
   */
  async filled(subject: Subject): Promise<void> {
    const { workplace, options, print } = this.bench;
    const { entries } = options.mount;
    const mounting = subject.mount?.(this.bench.workplace.mountPoint);
    if (mounting === undefined) return;
    print(`${subject.name}: filling the catalog to ${entries} entries`);
    const { store } = workplace.place(subject.name);
    fillCatalog(join(store, TARDIS_CLIENT, 'tardis.db'), entries);
    const { filledMount, filledNames } = this.line;
    const step: Step = async (readings) => {
      filledNames.push((await readings.names()) / 1000);
    };
    for (let run = 0; run < options.runs; run++) await this.#in(mounting, step, filledMount);
  }

  /** Mounts for one step, and unmounts after it. Returns the largest memory of the mount. */
  async #in(mounting: Mounting, step: Step, tookS: number[] = this.line.mount): Promise<number> {
    const { root, mountPoint: at } = this.bench.workplace;
    const mounted = await Mounted.start(mounting, { at, log: join(root, 'mount-output') });
    try {
      tookS.push(mounted.tookMs / 1000);
      await step(this.#readings(mounted.tree), mounted.tree);
      return mounted.residentBytes;
    } finally {
      await mounted.end();
    }
  }

  #readings(tree: string): Readings {
    return new Readings(tree, this.bench);
  }

  async #lists(readings: Readings): Promise<void> {
    this.line.list.push((await readings.list()) / 1000);
    this.line.again.push((await readings.list()) / 1000);
    this.line.names.push((await readings.names()) / 1000);
  }

  async #tar(readings: Readings): Promise<void> {
    this.line.tar.push((await readings.tar()) / 1000);
  }

  async #greps(readings: Readings): Promise<void> {
    const { wallMs, busy } = await readings.grep();
    this.line.grep.push(wallMs / 1000);
    this.line.busy.push(busy);
  }

  async #parts(readings: Readings): Promise<void> {
    const seed = this.bench.options.seed + this.round;
    this.line.random.push(await readings.random('large', seed));
    this.line.deltas.push(await readings.random('edited', seed));
  }

  async #sequential(readings: Readings): Promise<void> {
    this.line.sequential.push((await readings.sequential()) / 1000);
  }

  /** Measures an archive and a restore, which read the same data without a mount. */
  async #withoutMount(subject: Subject): Promise<void> {
    const { tree } = this.bench.workplace;
    const read = (part: keyof typeof PARTS) => subject.reading?.(join(tree, PARTS[part]));
    const [files, large] = [read('files'), read('large')];
    if (files === undefined || large === undefined) return;
    const [program, ...args] = files.archive.argv;
    const script = '"$@" | cat > /dev/null';
    const argv = ['bash', '-o', 'pipefail', '-c', script, 'bash', program, ...args] as const;
    const archive = await this.bench.run({ ...files.archive, argv });
    this.line.archive.push(archive.wallMs / 1000);
    const restore = await this.bench.run(large.restore);
    this.line.restore.push(restore.wallMs / 1000);
    this.bench.workplace.emptyOut(subject.name);
  }
}
