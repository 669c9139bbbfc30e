/** Stores that releases of Tardis (Python) wrote, in test/data/python-tardis, and the trees of their sets. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { readAttributes } from '../../src/model/index.js';
import { attributesOf, isRoot } from './tree.js';

export const DATA = fileURLToPath(new URL('../../../test/data/python-tardis', import.meta.url));
/** Directory of the client in each store. */
export const CLIENT = 'anna-pc';
export const PASSWORD = 'secret-of-anna';

export type Tree = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const SETS = JSON.parse(fs.readFileSync(path.join(DATA, 'sets.json'), 'utf8')) as readonly Tree[];
export const STORES = fs
  .readdirSync(DATA)
  .filter((name) => name.endsWith('.tar.gz'))
  .map((name) => name.slice(0, -'.tar.gz'.length));

/** Returns what a tree has, as sets.json has it. */
export function treeOf(top: string): Tree {
  const names = fs.readdirSync(top, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(names.map((name) => [name, entryOf(path.join(top, name))]));
}

function entryOf(full: string): Record<string, unknown> {
  const status = fs.lstatSync(full);
  const owner = isRoot ? { owner: `${status.uid}:${status.gid}` } : {};
  if (status.isSymbolicLink()) return { ...owner, link: fs.readlinkSync(full) };
  const common = {
    ...owner,
    mode: (status.mode & 0o7777).toString(8),
    mtime: status.mtimeMs / 1000,
    ...xattrsOf(full),
  };
  if (status.isDirectory()) return { ...common, dir: true };
  const sha256 = createHash('sha256').update(fs.readFileSync(full)).digest('hex');
  const links = status.nlink > 1 ? { links: status.nlink } : {};
  return { ...common, sha256, size: status.size, ...links };
}

function xattrsOf(full: string): { xattrs?: Record<string, string> } {
  const all = readAttributes(attributesOf(Buffer.from(full)));
  const xattrs = all.map(({ name, value }) => [name.toString(), value.toString('base64')]);
  return xattrs.length === 0
    ? {}
    : { xattrs: Object.fromEntries(xattrs) as Record<string, string> };
}

/** Returns the tree of a set, without owners if they cannot be set here. */
export function wanted(index: number): Tree {
  if (isRoot) return SETS[index]!;
  const bare = Object.entries(SETS[index]!).map(([name, { owner: _, ...rest }]) => [name, rest]);
  return Object.fromEntries(bare) as Tree;
}

/** True, and the test passes, if a program is missing that decompresses a store. */
export function lacksProgram(t: ExecutionContext, name: string): boolean {
  const program = name.endsWith('lz4') ? 'lz4' : name.endsWith('lzma') ? 'xz' : 'bzip2';
  if (!/(bzip|lzma|lz4)$/.test(name) || spawnSync(program, ['--version']).status === 0)
    return false;
  t.log(`${program} is not installed`);
  t.pass();
  return true;
}
