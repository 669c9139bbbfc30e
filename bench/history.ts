import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EditedTree } from './edits.js';
import type { Bench } from './bench.js';
import { type Command, ownEnvironment } from './measure.js';
import { UsageError } from './options.js';
import { confinedTo } from './subjects/subject.js';

/** The releases of a source tree, one after another. */
export interface History {
  /** Describes the source of the releases for the reader of the answer. */
  readonly about: string;
  readonly names: readonly string[];
  /** Updates the tree to a release. Releases are requested in order, and only differences are written. */
  release(index: number): Promise<void>;
}

/** Opens the history of the given repository, or of generated edits if none is given. */
export function openHistory(bench: Bench): History {
  const { seed, files, releases } = bench.options;
  if (releases.history !== undefined) return gitHistory(bench, resolve(releases.history));
  const tree = new EditedTree(bench.workplace.tree, { seed, files });
  return {
    about: 'generated edits',
    names: Array.from({ length: releases.count }, (_, index) => `release ${index + 1}`),
    release: async (index) => {
      if (index === 0) tree.write();
      else tree.edit(index);
    },
  };
}

function gitHistory(bench: Bench, repository: string): History {
  const { workplace } = bench;
  const { releases } = bench.options;
  const env = {
    ...confinedTo(workplace.root),
    GIT_CONFIG_NOSYSTEM: '1',
    // git gets a separate index, so that the repository is only read.
    GIT_INDEX_FILE: join(workplace.root, 'index'),
  };
  // The repository may belong to another user, whose hooks must not run.
  const before = ['-c', 'safe.directory=*', '-c', 'core.hooksPath=/dev/null', '-C', repository];
  const { tags } = releases;
  const names = tags.length > 0 ? tags : chooseTags(tagsOf(before, env), releases);
  return {
    about: `${names.at(0)} to ${names.at(-1)} of ${repository}`,
    names,
    release: async (index) => {
      mkdirSync(workplace.tree, { recursive: true });
      const tree = [`--work-tree=${workplace.tree}`, 'read-tree', '--reset', '-u'];
      const command: Command = { argv: ['git', ...before, ...tree, names[index] ?? ''], env };
      await bench.run(command);
    },
  };
}

function tagsOf(before: readonly string[], env: Readonly<Record<string, string>>): string[] {
  try {
    const printed = execFileSync('git', [...before, 'tag', '--list', '--sort=version:refname'], {
      encoding: 'utf8',
      env: { ...ownEnvironment(), ...env },
      maxBuffer: 64 << 20,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return printed.split('\n').filter((tag) => tag !== '');
  } catch (error) {
    const why = error instanceof Error ? error.message.trim() : String(error);
    throw new UsageError(`the tags of --history cannot be listed: ${why}`);
  }
}

/**
 * Returns the newest releases with plain version numbers (not 2.0-rc1). It prefers the first releases of minor
 * versions (2.1.0 or 2.1, not 2.1.3) if there are enough of them. `tags` must be sorted by version.
 */
export function chooseTags(
  tags: readonly string[],
  { count }: { readonly count: number },
): readonly string[] {
  const numbered = tags.filter((tag) => /^(\D*[-_v])?\d+([._-]\d+)+$/.test(tag));
  // A repository may contain tags of another project beside its own.
  const prefixes = numbered.map((tag) => tag.slice(0, tag.search(/\d/)));
  const usual = mostFrequent(prefixes);
  const releases = numbered.filter((_, index) => prefixes[index] === usual);
  const minors = releases.filter((tag) => {
    const [, , ...behind] = (/\d+([._-]\d+)+$/.exec(tag)?.[0] ?? '').split(/[._-]/);
    return behind.every((number) => Number(number) === 0);
  });
  const chosen = (minors.length >= count ? minors : releases).slice(-count);
  if (chosen.length < count) {
    throw new UsageError(`--history has ${chosen.length} releases of the ${count}: name --tags`);
  }
  return chosen;
}

function mostFrequent(words: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const word of words) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
