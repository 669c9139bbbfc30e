/** The ground of most tests of commands: a tree, the place of a store, and other files beside them. */
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { type CommandOptions, succeed } from './commands.js';
import { scratchInMemory, written } from './scratch.js';
import { differences, dir, file, look, makeTree, type TreeNode } from './tree.js';

export interface Lab {
  readonly home: string;
  readonly store: string;
  readonly source: string;
  /** The arguments `-D … -C me`. */
  readonly place: readonly string[];
  at(...names: string[]): string;
  /** Writes a file into the lab and returns its path. */
  written(name: string, text: string | Buffer): string;
}

const SMALL: readonly TreeNode[] = [dir('a', [file('one', 'one')]), file('two', 'two')];

/** Creates a lab with a tree in `source`, and no store yet. */
export function lab(t: ExecutionContext, tree: readonly TreeNode[] = SMALL): Lab {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  makeTree(at('tree'), tree);
  return {
    home,
    store: at('store'),
    source: at('tree'),
    place: ['-D', at('store'), '-C', 'me'],
    at,
    written: (name, text) => written(home, name, text),
  };
}

/** Restores a tree into a directory. Returns what differs from how the tree is now. */
export async function restoredBy(
  words: readonly string[],
  tree: string,
  output: string,
  options?: CommandOptions,
): Promise<string[]> {
  await succeed('regenerate', [...words, '-o', output, tree], options);
  return differences(look(tree), look(path.join(output, path.basename(tree))));
}

/** Returns the codecs of the records with at least `rawBytes`, from the catalog. */
export function codecsStored(store: string, rawBytes: number): number[] {
  const database = nodeSystem().openDatabase(path.join(store, 'me', 'tardis.db'), {
    readonly: true,
  });
  try {
    const sql = 'SELECT codec FROM records WHERE raw_bytes >= ? ORDER BY record_id';
    return database.prepare(sql).pluck().all(rawBytes) as number[];
  } finally {
    database.close();
  }
}

/** Parses the output of `--explain-config --json` into settings by name. */
export function explained(stdout: string): Map<string, Explained> {
  const { settings } = JSON.parse(stdout) as { settings: Explained[] };
  return new Map(settings.map((row) => [row.name, row]));
}

export interface Explained {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
  readonly where: string;
}
