/** Handler of questions about the sizes of directories, and about what makes a backup grow. */
import {
  type History,
  noSuchPath,
  restBelow,
  ROOTS_DIRECTORY,
  type SizesFound,
  type SizesRequest,
} from '../../../history/index.js';
import { pathBelow, splitRoot } from '../../../model/index.js';
import { pathJson } from '../entry-json.js';
import { pathIn } from '../raw-query.js';
import type { Handlers } from '../register.js';
import type { SizedDirectory } from '../schemas.js';
import { setOf } from '../set-of.js';

/** Maximum number of roots that are counted at a path above them. */
const MOST_ROOTS = 4096;

export const SIZE_HANDLERS: Pick<Handlers, 'sizes'> = {
  sizes: async ({ lease: { history }, setText, query: { path: text, since, by, limit } }) => {
    const path = pathIn(text);
    const { set } = await setOf(history, setText);
    const earlier = since === undefined ? undefined : (await setOf(history, since)).set;
    const request = { before: Math.min(earlier ?? 0, set), set, by, limit };
    const { isCounted, sums, below, more } = await sizesAt(history, path, request);
    const ids = below.map(({ directory }) => directory);
    const paths = await history.reports.directoryPaths(set, ids);
    const directories = below.flatMap(({ directory: _, ...sizes }, index): SizedDirectory[] => {
      const one = paths[index];
      return one === undefined ? [] : [{ ...pathJson(one), ...sizes }];
    });
    return { isCounted, since: earlier, sizes: sums, directories, more };
  },
};

/** Returns the sizes at a path. A path above roots has no sizes of its own, and the roots below it are in it. */
async function sizesAt(
  history: History,
  path: Buffer,
  request: Omit<SizesRequest, 'directory'>,
): Promise<SizesFound> {
  const { reports } = history;
  const inner = (await history.roots(request.set)).filter((root) => {
    const { directory, below } = splitRoot(root.path);
    return (restBelow(path, pathBelow(directory, below)) ?? []).length > 0;
  });
  if (inner.length === 0) {
    const entry = await history.find(path, request.set);
    if (entry?.childId === undefined) throw await noSuchPath(history, request.set, path);
    return reports.sizes({ ...request, directory: entry.childId });
  }
  const roots = new Set(inner.map(({ directory }) => directory));
  const all = { ...request, directory: ROOTS_DIRECTORY, limit: MOST_ROOTS };
  const { isCounted, below } = await reports.sizes(all);
  const shown = below.filter(({ directory }) => roots.has(directory));
  const first = shown.slice(0, request.limit);
  return { isCounted, sums: undefined, below: first, more: shown.length - first.length };
}
