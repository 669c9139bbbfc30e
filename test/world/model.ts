/** The model of a store, as plain maps: the sets, and for each its roots with all that is below them. */
import { crc32 } from 'node:zlib';

/** Entries by their paths: `dir`, or kind, content and time of a file or link. */
export type Shown = ReadonlyMap<string, string>;

/** A root of a set, by its path. A single file is a root of its own. */
export interface ModelRoot {
  readonly path: string;
  readonly isFile: boolean;
  readonly entries: Shown;
}

export interface ModelSet {
  readonly set: number;
  readonly name: string;
  readonly roots: readonly ModelRoot[];
}

/** Longest content that is shown as it is. */
const SHORT_BYTES = 64;

/** Returns the words for the content of a file. */
export function contentWords(bytes: Buffer): string {
  if (bytes.length <= SHORT_BYTES) return bytes.toString();
  return `${bytes.length} bytes, ${crc32(bytes).toString(16)},`;
}

/** Returns entries without a path and what is below it. */
export function without(entries: Shown, at: string): Shown {
  const isGone = (one: string): boolean => one === at || one.startsWith(`${at}/`);
  return new Map([...entries].filter(([one]) => !isGone(one)));
}

export class Model {
  /** The complete sets by number, in their order. */
  readonly sets = new Map<number, ModelSet>();
  /** Every path that any set ever showed. */
  readonly known = new Set<string>();

  /** Returns the entry that a set shows at a path: undefined if it is gone, `unknown` if no root of the set is at or above it. */
  shownIn({ roots }: ModelSet, at: string): string | undefined {
    const above = roots.filter((root) => at === root.path || at.startsWith(`${root.path}/`));
    const deepest = above.sort((one, other) => other.path.length - one.path.length)[0];
    return deepest === undefined ? 'unknown' : deepest.entries.get(at);
  }

  /** All that a set shows at its roots and below them. */
  shown(set: ModelSet): Map<string, string> {
    const all = set.roots.flatMap(({ entries }) => [...entries.keys()]);
    return new Map(
      [...new Set(all)].flatMap((at) => {
        const what = this.shownIn(set, at);
        return what === undefined ? [] : [[at, what] as const];
      }),
    );
  }

  /** Adds a set that the store has, and remembers its paths. */
  add(set: ModelSet): void {
    this.sets.set(set.set, set);
    const later = [...this.sets].filter(([number]) => number > set.set);
    for (const [number, one] of later) {
      this.sets.delete(number);
      this.sets.set(number, one);
    }
    for (const at of this.shown(set).keys()) this.known.add(at);
  }

  /** Removes a path from all sets up to one, as forgetting does. */
  forget(at: string, upToSet: number): void {
    for (const [number, set] of this.sets) {
      if (number > upToSet) continue;
      const roots = set.roots.map((root) => ({ ...root, entries: without(root.entries, at) }));
      this.sets.set(number, { ...set, roots });
    }
  }
}
