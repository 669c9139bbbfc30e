/**
 * A sandbox around a store and the target of restores, full of files that nothing may modify. The store, the
 * source and the target are in `in`; canaries are beside them, above them, and at the targets of links.
 */
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { scratchInMemory } from './scratch.js';
import { differences, dir, file, look, makeTree, symlink } from './tree.js';

export interface Sandbox {
  readonly top: string;
  readonly store: string;
  readonly source: string;
  readonly target: string;
  /** The directory that links lead to. */
  readonly outside: string;
  /** Returns descriptions of changes outside the allowed paths (beneath `in`); it looks at everything again. */
  touched(): string[];
}

/** `changes`: names in `in` that may change. In the store only the client `me` may change. */
export function sandbox(t: ExecutionContext, changes: readonly string[]): Sandbox {
  const top = path.join(scratchInMemory(t), 'sandbox');
  const canary = file('canary', 'a canary');
  makeTree(top, [
    canary,
    dir('outside', [canary, dir('below', [canary]), file('me', 'no client')]),
    dir('in', [
      canary,
      file('tardis.db', 'a canary too'),
      dir('etc', [file('passwd', 'root')]),
      dir('store', [dir('other', [file('format.json', 'no format'), canary])]),
      dir('target', []),
      dir('me', [file('format.json', 'not this one')]),
      symlink('link', '../outside'),
    ]),
  ]);
  const at = (name: string): string => path.join(top, 'in', name);
  const seen = (): Map<string, string> => {
    // A parent of an allowed path has another modification time afterwards.
    const mayChange = (found: string): boolean =>
      changes.some(
        (name) => `in/${name}/`.startsWith(`${found}/`) || found.startsWith(`in/${name}/`),
      );
    return new Map([...look(top)].filter(([found]) => !mayChange(found)));
  };
  const before = seen();
  const inside = { store: at('store'), source: at('source'), target: at('target') };
  return {
    ...inside,
    top,
    outside: path.join(top, 'outside'),
    touched: () => differences(before, seen()),
  };
}
