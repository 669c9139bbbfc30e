import { resolve } from 'node:path';
import { sizeOfTree, type TreeSize } from './change.js';
import { measure } from './measure.js';
import type { Options } from './options.js';
import { planTree, writeTree } from './tree.js';
import type { Workplace } from './workplace.js';

/** Bytes of overhead for each file: half a page, and about 1 KiB for each entry itself. */
const FILE_OVERHEAD_BYTES = 3072;

/** Creates the tree of the work place: a copy of the tree of `--tree`, or a generated one. */
export async function makeTree(
  workplace: Workplace,
  options: Options,
  print: (line: string) => void,
): Promise<TreeSize> {
  if (options.tree !== undefined) {
    const original = resolve(options.tree);
    workplace.requireRoomFor(sizeOfTree(original).footprintBytes);
    print(`copying ${original}`);
    await measure(
      { argv: ['cp', '-a', `${original}/.`, workplace.tree] },
      { logFile: workplace.log },
    );
  } else {
    const plan = planTree({ seed: options.seed, files: options.files });
    workplace.requireRoomFor(plan.bytes + plan.files.length * FILE_OVERHEAD_BYTES);
    print(`making ${plan.files.length} files`);
    writeTree(plan, workplace.tree);
  }
  return sizeOfTree(workplace.tree);
}

/** Returns the size of a tree in one line. */
export function treeLine(size: TreeSize): string {
  const megabytes = (size.bytes / 1e6).toFixed(0);
  return `${size.files} files, ${size.directories} directories, ${size.others} others, ${megabytes} MB`;
}
