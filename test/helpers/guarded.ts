/**
 * A sandbox around a store and a target of restores, full of things that nobody may touch. In `in` are the
 * store, the source and the target; canaries lie beside them, above them, and where links lead.
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
  /** A directory that links lead to. */
  readonly outside: string;
  /** What has changed outside of what may change (paths beneath `in`), as texts; all is looked at again. */
  touched(): string[];
}

/** `changes`: which names in `in` may change; the store's clients but for `me` may not. */
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
    // What holds it has another time afterwards.
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
