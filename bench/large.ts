import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { megabytes, seconds, shownRatio } from './cells.js';
import { sizeOfTree } from './change.js';
import { type LargeShape, largeShapes } from './large-shapes.js';
import type { Measured } from './measure.js';
import { UsageError } from './options.js';
import { chooseSubjects, plainAndEncrypted } from './subjects/choose.js';
import type { Subject } from './subjects/subject.js';
import { type Verdict, verdictOf } from './targets.js';

const MIB_OF_SCALE_1 = 1024;
const PEER = 'restic';
/** Work beside a store of a few changed bytes: the peer's own records, so that a small multiple of little is no verdict. */
const LEAST_ADDED_BYTES = 500_000;

/** Figures of a subject for one shape. */
interface Line {
  readonly shape: string;
  readonly subject: string;
  readonly firstBytes: number;
  readonly addedBytes: number;
  readonly first: Measured;
  readonly again: Measured;
}

/**
 * Measures what a second backup of large files adds to a store: of dumps, archives, images, logs, mailboxes and databases that
 * changed, also under new names. Each second backup is restored and compared.
 */
export async function large(bench: Bench): Promise<Answer> {
  const { mib, seed, only } = bench.options;
  const { subjects, versions } = await chooseSubjects(bench, plainAndEncrypted(bench));
  const shapes = largeShapes(seed, mib / MIB_OF_SCALE_1, only);
  if (shapes.length === 0) throw new UsageError(`no large file is called ${only}`);
  const lines: Line[] = [];
  for (const shape of shapes) lines.push(...(await linesOf(bench, shape, subjects)));
  const notes = subjects.map(({ name, about }) => `${name}: ${about}; ${versions[name]}`);
  return answer(shapes, lines, `images of ${mib} MiB, and others in proportion`, notes);
}

async function linesOf(
  bench: Bench,
  shape: LargeShape,
  subjects: readonly Subject[],
): Promise<Line[]> {
  const { workplace } = bench;
  const { tree } = workplace;
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  shape.make(tree);
  workplace.requireRoomFor(sizeOfTree(tree).footprintBytes);
  await rest();
  const taking = subjects.filter(({ needsOneFile }) => shape.isOneFile || needsOneFile !== true);
  const firsts: { first: Measured; firstBytes: number }[] = [];
  for (const subject of taking) {
    workplace.freshPlace(subject.name);
    await bench.runAll(subject.prepare());
    const first = await bench.run(subject.first(), true);
    firsts.push({ first, firstBytes: subject.storeBytes() });
  }
  shape.change(tree);
  await rest();
  const lines: Line[] = [];
  for (const [index, subject] of taking.entries()) {
    const { first, firstBytes } = firsts[index]!;
    const again = await bench.run(subject.again(), true);
    const addedBytes = subject.storeBytes() - firstBytes;
    lines.push({ shape: shape.name, subject: subject.name, firstBytes, addedBytes, first, again });
    bench.print(
      `${shape.name}: ${subject.name} adds ${megabytes(addedBytes, 2)} MB, ${seconds(again.cpuMs)} CPU s`,
    );
    await bench.run(subject.restore());
    await bench.verifyRestored(subject.restoredTree());
    rmSync(join(workplace.root, subject.name), { recursive: true });
  }
  return lines;
}

function answer(
  shapes: readonly LargeShape[],
  lines: readonly Line[],
  about: string,
  notes: readonly string[],
): Answer {
  const added = (shape: string, subject: string): number | undefined =>
    lines.find((line) => line.shape === shape && line.subject === subject)?.addedBytes;
  const timesPeer = (shape: string, bytes: number | undefined): number | undefined => {
    const theirs = added(shape, PEER);
    if (bytes === undefined || theirs === undefined) return undefined;
    return bytes / Math.max(theirs, LEAST_ADDED_BYTES);
  };
  const verdicts = shapes.flatMap((shape): Verdict[] => {
    if (added(shape.name, PEER) === undefined) return [];
    return ['tardis', 'tardis-encrypted'].map((ours) => {
      const ratio = timesPeer(shape.name, added(shape.name, ours));
      return verdictOf(
        `${shape.name}, ${ours}: bytes added, times ${PEER}`,
        shape.addedLimit,
        ratio,
      );
    });
  });
  return {
    question: 'large',
    about,
    headings: [
      'what',
      'of',
      'first MB',
      'added MB',
      `added × ${PEER}`,
      'first CPU s',
      'CPU s',
      's',
      'memory MB',
    ],
    rows: lines.map(({ shape, subject, firstBytes, addedBytes, first, again }) => [
      shape,
      subject,
      megabytes(firstBytes),
      megabytes(addedBytes, 2),
      shownRatio(timesPeer(shape, addedBytes)),
      seconds(first.cpuMs),
      seconds(again.cpuMs),
      seconds(again.wallMs),
      megabytes(again.pssBytes, 0),
    ]),
    verdicts,
    notes: [
      ...notes,
      'the second backup of each shape was restored and compared',
      `an added size is compared with at least ${LEAST_ADDED_BYTES / 1e6} MB of ${PEER}`,
    ],
    figures: lines,
    plots: [],
  };
}
