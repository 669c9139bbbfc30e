/**
 * The rule files above a directory, as a chain of links from the nearest one upwards. Directories share
 * links; a tree without rule files has none. Links are plain data: each worker compiles those it needs, which
 * takes less time than sending compiled ones.
 */

/** The rule files of one directory. */
export interface RuleLink {
  readonly above: RuleLink | undefined;
  /** Path of the directory. */
  readonly path: Uint8Array;
  readonly files: readonly RuleFile[];
  /** Number of bytes of the rule files in this link and in all links above. */
  readonly totalBytes: number;
}

export interface RuleFile {
  /** Name of the file; its bytes as latin1. */
  readonly name: string;
  /** Contents of the file; undefined if it could not be read. A rule that keeps everything then replaces it. */
  readonly bytes: Uint8Array | undefined;
}

/** The chains of some directories in packed form: every link is stored once, and links are not nested. */
export interface PackedChains {
  /** For each directory, the number of its nearest link; 0 for none. */
  readonly nearest: Uint32Array;
  /** Link n is at index n - 1, after the link above it. */
  readonly links: readonly PackedLink[];
}

interface PackedLink extends Omit<RuleLink, 'above'> {
  /** Number of the link above; 0 for none. */
  readonly above: number;
}

/** Packs chains; undefined if there are no links. */
export function packChains(chains: readonly (RuleLink | undefined)[]): PackedChains | undefined {
  if (chains.every((link) => link === undefined)) return undefined;
  const numbers = new Map<RuleLink, number>();
  const links: PackedLink[] = [];
  const numberOf = (nearest: RuleLink | undefined): number => {
    const missing: RuleLink[] = [];
    let link = nearest;
    for (; link !== undefined && !numbers.has(link); link = link.above) missing.push(link);
    for (const each of missing.toReversed()) {
      const { above, ...rest } = each;
      const packed = { ...rest, above: above === undefined ? 0 : numbers.get(above)! };
      numbers.set(each, links.push(packed));
    }
    return nearest === undefined ? 0 : numbers.get(nearest)!;
  };
  return { nearest: Uint32Array.from(chains, numberOf), links };
}

/** Unpacks chains: returns a function that gives the nearest link of each directory. */
export function unpackChains(
  packed: PackedChains | undefined,
): (index: number) => RuleLink | undefined {
  if (packed === undefined) return () => undefined;
  const links: RuleLink[] = [];
  for (const { above, ...rest } of packed.links) {
    links.push({ ...rest, above: above === 0 ? undefined : links[above - 1] });
  }
  return (index) => links[packed.nearest[index]! - 1];
}
