/** Blocks of directories, before or after they are walked, packed for fast transfer between threads. */
import { packChains, type RuleLink, unpackChains } from '../excludes/index.js';
import { BytesBuilder, IDENTITY_BYTES, identityIn, type SlotNumber } from '../model/index.js';
import type { DirectoryPlace } from '../system/index.js';
import { transferOf, runOf } from './block-builder.js';
import type { DirectoryBlock } from './jobs.js';

export interface DirectoryTask extends DirectoryPlace {
  readonly slot: SlotNumber;
  readonly parent: SlotNumber;
  readonly row: Buffer;
  /** Depth below the root; absent for 0. */
  readonly depth?: number;
  /** The rule files above the directory, nearest first. */
  readonly rules?: RuleLink | undefined;
}

/** Bytes of a path that weigh as much as an entry. Paths of directories have no limit of length. */
const PATH_BYTES_OF_ITEM = 1024;

/** Returns the number of items that a directory counts for, beside its entries: one, and more if its path is long. */
export function itemsOfPath(lengthBytes: number): number {
  return 1 + Math.floor(lengthBytes / PATH_BYTES_OF_ITEM);
}

/** Packs directories. They are in walk order, or a stack whose top is last. */
export function packBlock(tasks: readonly DirectoryTask[]): DirectoryBlock {
  const rows = new BytesBuilder(tasks.length * 112);
  const paths = new BytesBuilder(tasks.length * 64);
  const block = {
    slots: new Uint32Array(tasks.length),
    parents: new Int32Array(tasks.length),
    depths: new Uint32Array(tasks.length),
    rowEnds: new Uint32Array(tasks.length),
    pathEnds: new Uint32Array(tasks.length),
    identities: new Uint8Array(tasks.length * IDENTITY_BYTES),
  };
  tasks.forEach((task, index) => {
    rows.append(task.row);
    paths.append(task.path);
    block.identities.set(task.identity, index * IDENTITY_BYTES);
    block.slots[index] = task.slot;
    block.parents[index] = task.parent;
    block.depths[index] = task.depth ?? 0;
    block.rowEnds[index] = rows.length;
    block.pathEnds[index] = paths.length;
  });
  const rules = packChains(tasks.map((task) => task.rules));
  return { ...block, rows: rows.take(), paths: paths.take(), rules };
}

export function unpackBlock(block: DirectoryBlock): DirectoryTask[] {
  const rulesOf = unpackChains(block.rules);
  return Array.from(block.slots, (_slot, index) => taskAt(block, rulesOf, index));
}

function taskAt(
  block: DirectoryBlock,
  rulesOf: ReturnType<typeof unpackChains>,
  index: number,
): DirectoryTask {
  return {
    slot: block.slots[index]!,
    parent: block.parents[index]!,
    path: runOf(block.paths, block.pathEnds, index),
    row: runOf(block.rows, block.rowEnds, index),
    identity: identityIn(block.identities, index),
    depth: block.depths[index]!,
    rules: rulesOf(index),
  };
}

/** Splits a block into blocks of at most `mostTasks` directories, in the same order. */
export function splitBlock(block: DirectoryBlock, mostTasks: number): DirectoryBlock[] {
  const tasks = unpackBlock(block);
  const blocks: DirectoryBlock[] = [];
  for (let from = 0; from < tasks.length; from += mostTasks) {
    blocks.push(packBlock(tasks.slice(from, from + mostTasks)));
  }
  return blocks;
}

export function blockMemory(block: DirectoryBlock): ArrayBuffer[] {
  const { slots, parents, depths, rows, rowEnds, paths, pathEnds, identities } = block;
  return transferOf(slots, parents, depths, rows, rowEnds, paths, pathEnds, identities);
}

/** Returns a block with one directory of another block. */
export function oneOfBlock(block: DirectoryBlock, index: number): DirectoryBlock {
  return packBlock([taskAt(block, unpackChains(block.rules), index)]);
}
