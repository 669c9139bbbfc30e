/** The tree of a machine in the world: it changes at random, and is looked at as a model has it. */
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError } from '../../src/errors/index.js';
import { noise } from '../helpers/tree.js';
import { contentWords, type ModelRoot } from './model.js';

/** Paths of the tree that an act may be about; each may be a root. */
export const PLACES = ['D', 'D/a', 'D/a/b', 'D/c', 'E', 'E/a', 'E/a/b'] as const;
export const NAMES = ['f', 'g', 'h', 'a', 'b', 'c'] as const;
/** Content of a large file: it has parts of its own, and deltas. */
const LARGE_BYTES = 150_000;
const SLIGHT_BYTES = 100;

/** Changes of a tree, by their words: `name` is below a place, `other` is a place. */
export const CHANGES = [
  'write',
  'write large',
  'edit',
  'remove',
  'remove place',
  'make',
  'move',
  'touch',
  'empty',
  'file in place',
  'link in place',
] as const;

/** One change of a tree. */
export interface Change {
  readonly how: (typeof CHANGES)[number];
  readonly place: string;
  readonly name: string;
  readonly other: string;
  /** Makes contents and times differ. */
  readonly number: number;
}

export class Tree {
  constructor(readonly top: string) {
    for (const place of PLACES) fs.mkdirSync(this.at(place), { recursive: true });
    for (const place of PLACES) fs.writeFileSync(this.at(`${place}/f`), `first ${place}`);
  }

  at(name: string): string {
    return path.join(this.top, name);
  }

  /** Changes the tree in one way. Returns false if that cannot be done, which changes what it happens to change. */
  change({ how, place, name, other, number }: Change): boolean {
    const [at, file] = [this.at(place), this.at(`${place}/${name}`)];
    const gone = { recursive: true, force: true };
    const works: Readonly<Record<Change['how'], () => void>> = {
      write: () => fs.writeFileSync(file, `content ${number}`),
      'write large': () => fs.writeFileSync(file, noise(number, LARGE_BYTES)),
      edit: () => edit(file, number),
      remove: () => fs.rmSync(file, gone),
      'remove place': () => fs.rmSync(at, gone),
      make: () => fs.mkdirSync(at, { recursive: true }),
      move: () => fs.renameSync(at, this.at(other)),
      touch: () => fs.utimesSync(file, 1000, 1000 + number),
      empty: () => {
        for (const below of fs.readdirSync(at)) fs.rmSync(path.join(at, below), gone);
      },
      'file in place': () => {
        fs.rmSync(at, gone);
        fs.writeFileSync(at, `content ${number}`);
      },
      'link in place': () => {
        fs.rmSync(at, gone);
        fs.symlinkSync(this.at(other), at);
      },
    };
    try {
      works[how]();
      return true;
    } catch (error) {
      asTardisError(error); // the tree is as it happens to be
      return false;
    }
  }

  /** Returns the directories and files that names lead to, links resolved, each with what is below it. */
  rootsOf(names: readonly string[]): Map<string, ModelRoot> {
    const roots = new Map<string, ModelRoot>();
    for (const name of names) {
      const at = this.at(name);
      if (!fs.existsSync(at)) continue;
      const real = fs.realpathSync(at);
      const entries = new Map<string, string>();
      scan(real, entries);
      roots.set(real, { path: real, isFile: entries.get(real) !== 'dir', entries });
    }
    return roots;
  }
}

/** Changes some bytes of a file, and adds some. */
function edit(file: string, number: number): void {
  const fd = fs.openSync(file, 'r+');
  try {
    const { size } = fs.fstatSync(fd);
    const bytes = noise(`edit ${number}`, SLIGHT_BYTES);
    fs.writeSync(fd, bytes, 0, SLIGHT_BYTES, size > LARGE_BYTES ? 0 : Math.floor(size / 2));
  } finally {
    fs.closeSync(fd);
  }
}

/** Adds what is at a path and below it. Links are not followed. */
export function scan(at: string, found: Map<string, string>): void {
  const stat = fs.lstatSync(at, { bigint: true });
  if (stat.isSymbolicLink()) found.set(at, `link ${fs.readlinkSync(at)}`);
  else if (stat.isFile()) {
    found.set(at, `file ${contentWords(fs.readFileSync(at))} ${stat.mtimeNs}`);
  } else {
    found.set(at, 'dir');
    for (const name of fs.readdirSync(at)) scan(`${at}/${name}`, found);
  }
}
