/** A page of a directory in any order. */
import type { BackupSet, History, HistoryEntry } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { EntryType, NO_BYTES } from '../../model/index.js';
import { type DirectoryOrders, isListed, PAGE_ENTRIES, type SortKey } from './directory-order.js';
import { invalidRequest } from './problem.js';

interface DirectoryQuery {
  readonly limit: number;
  readonly after: string | undefined;
  readonly sort: SortKey;
  readonly isDescending: boolean;
}

interface DirectoryPage {
  readonly entries: readonly HistoryEntry[];
  /** The cursor of the next page; undefined if this is the last one. */
  readonly next: string | undefined;
  /** Number of entries of the directory; undefined if they were not counted. */
  readonly total?: number;
}

/** A directory of a set. */
interface Shown {
  readonly directory: HistoryEntry;
  readonly set: Pick<BackupSet, 'set' | 'state'>;
}

/** A number of entries to leave out, or the name that the page follows. */
type Cursor = number | Buffer;

/**
 * Returns a page of a directory. In the order of the history's own list, pages that follow each other need memory for
 * one page only; all others are pages of an order of `orders`. Throws NO_SUCH_PATH if the path is not a directory,
 * NO_ACCESS, REQUEST_INVALID for a bad cursor.
 */
export async function directoryPage(
  history: History,
  { directory, set: { set, state } }: Shown,
  { limit, after, sort, isDescending }: DirectoryQuery,
  orders: DirectoryOrders,
): Promise<DirectoryPage> {
  if (directory.damage !== undefined) throw directory.damage;
  if (directory.type !== EntryType.directory || directory.childId === undefined) {
    throw new TardisError('NO_SUCH_PATH', 'the path is no directory');
  }
  if (!history.access.mayRead(directory)) {
    throw new TardisError('NO_ACCESS', 'no permission to list the directory');
  }
  const place = { directory: directory.childId, set };
  const order = { sort, isDescending };
  const cursor = after === undefined ? undefined : cursorIn(after);
  if (typeof cursor !== 'number' && isListed(history, order)) {
    return byName(history, place, { limit, from: cursor ?? NO_BYTES });
  }
  if (typeof cursor === 'object') throw invalidRequest('`after` is a cursor of another order');
  const from = cursor ?? 0;
  const sorted = { ...place, ...order, isFixed: state === 'complete' };
  const { entries, total } = await orders.page(history, sorted, { from, limit });
  const end = from + limit;
  return { entries, next: end < total ? String(end) : undefined, total };
}

async function byName(
  history: History,
  place: Pick<Parameters<History['list']>[0], 'directory' | 'set'>,
  { limit, from }: { readonly limit: number; readonly from: Buffer },
): Promise<DirectoryPage> {
  const found: HistoryEntry[] = [];
  for (let after = from; found.length <= limit; ) {
    const requested = Math.min(PAGE_ENTRIES, limit + 1 - found.length);
    const page = await history.list({ ...place, after, limit: requested, withDigests: false });
    found.push(...page);
    if (page.length < requested) break;
    after = page.at(-1)!.name;
  }
  if (found.length <= limit) return { entries: found, next: undefined };
  const entries = found.slice(0, limit);
  return { entries, next: `.${entries.at(-1)!.name.toString('base64url')}` };
}

const CURSOR = /^(?:(\d{1,10})|\.([\w-]{1,5500}))$/;

function cursorIn(text: string): Cursor {
  const [, number, name] = CURSOR.exec(text) ?? [];
  if (number !== undefined) return Number(number);
  if (name === undefined) throw invalidRequest('`after` is no cursor');
  return Buffer.from(name, 'base64url');
}
