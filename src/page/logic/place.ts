/** Converts the part of an address after `#` to the place that the page shows, and back. */

export const VIEWS = ['files', 'sizes', 'overview'] as const;
type ViewName = (typeof VIEWS)[number];
const SORTS = ['name', 'size', 'modified'] as const;
export type Sort = (typeof SORTS)[number];
export const KINDS = ['file', 'directory', 'symlink'] as const;
export type Order = 'asc' | 'desc';
/** Measures by which directories are sorted. */
export const MEASURES = ['bytes', 'newBytes', 'growth'] as const;
export type Measure = (typeof MEASURES)[number];

export interface Place {
  readonly view: ViewName;
  readonly client: string | undefined;
  /** Number of the set; undefined for the newest. */
  readonly set: number | undefined;
  /** Encoded path of the directory. */
  readonly path: string;
  /** Encoded path of the file whose details are shown. */
  readonly file: string | undefined;
  readonly search: string;
  /** Kind of entries that the search is for; undefined for all. */
  readonly kind: (typeof KINDS)[number] | undefined;
  readonly leastBytes: number | undefined;
  /** Number of days before now in which an entry was modified. */
  readonly sinceDays: number | undefined;
  /** True to search only below `path`. */
  readonly isBelow: boolean;
  readonly sort: Sort;
  readonly order: Order;
  readonly showsDeleted: boolean;
  /** True to list the changes of the set instead of a directory. */
  readonly showsChanges: boolean;
  /** Number of the set that the chosen one is compared with; undefined for the one before it. */
  readonly since: number | undefined;
  readonly measure: Measure;
}

export const START: Place = Object.freeze({
  view: 'files',
  client: undefined,
  set: undefined,
  path: '/',
  file: undefined,
  search: '',
  kind: undefined,
  leastBytes: undefined,
  sinceDays: undefined,
  isBelow: false,
  sort: 'name',
  order: 'asc',
  showsDeleted: false,
  showsChanges: false,
  since: undefined,
  measure: 'bytes',
});

const MAX_COUNT = 2 ** 31;
const PATH = /^\/(?:[^%?#&]|%[0-9A-Fa-f]{2})*$/;

/** Returns the place that the part of an address after # describes. Malformed words are ignored. */
export function placeOf(hash: string): Place {
  const [view = '', ...rest] = hash.replace(/^#?\/?/, '').split('?');
  const words = new Map<string, string>();
  for (const pair of rest.join('?').split('&')) {
    const equals = pair.indexOf('=');
    if (equals > 0) words.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  const path = pathWord(words.get('path'));
  return {
    view: VIEWS.find((one) => one === view) ?? START.view,
    client: textWord(words.get('client')),
    set: countWord(words.get('set')),
    path: path ?? START.path,
    file: pathWord(words.get('file')),
    search: textWord(words.get('search')) ?? START.search,
    kind: KINDS.find((one) => one === words.get('kind')),
    leastBytes: countWord(words.get('least')),
    sinceDays: countWord(words.get('days')),
    isBelow: words.get('below') === '1',
    sort: SORTS.find((one) => one === words.get('sort')) ?? START.sort,
    order: words.get('order') === 'desc' ? 'desc' : 'asc',
    showsDeleted: words.get('deleted') === '1',
    showsChanges: words.get('changes') === '1',
    since: countWord(words.get('since')),
    measure: MEASURES.find((one) => one === words.get('by')) ?? START.measure,
  };
}

function pathWord(word: string | undefined): string | undefined {
  return word !== undefined && PATH.test(word) ? word : undefined;
}

function countWord(word: string | undefined): number | undefined {
  if (word === undefined || !/^[1-9]\d*$/.test(word)) return undefined;
  const count = Number(word);
  return count < MAX_COUNT ? count : undefined;
}

function textWord(word: string | undefined): string | undefined {
  if (word === undefined) return undefined;
  try {
    return decodeURIComponent(word);
  } catch {
    return undefined; // a malformed value, as in an address that was cut off
  }
}

/** Returns the address of another client, in the same view. */
export function clientHref({ view }: Pick<Place, 'view'>, client: string): string {
  return hashOf({ ...START, view, client });
}

/** Returns the part of an address, `#…`, for a place. Values equal to those of the start are omitted. */
export function hashOf(place: Place): string {
  const words: string[] = [];
  const { client, set, path, file, search, sort, order, showsDeleted, showsChanges } = place;
  const { since, measure } = place;
  if (client !== undefined) words.push(`client=${encodeURIComponent(client)}`);
  if (set !== undefined) words.push(`set=${set}`);
  if (path !== START.path) words.push(`path=${path}`);
  if (file !== undefined) words.push(`file=${file}`);
  if (search !== '') words.push(`search=${encodeURIComponent(search)}`);
  if (search !== '') words.push(...filterWords(place));
  if (sort !== START.sort) words.push(`sort=${sort}`);
  if (order !== START.order) words.push(`order=${order}`);
  if (showsDeleted) words.push('deleted=1');
  if (showsChanges) words.push('changes=1');
  if (since !== undefined) words.push(`since=${since}`);
  if (measure !== START.measure) words.push(`by=${measure}`);
  return `#/${place.view}${words.length === 0 ? '' : `?${words.join('&')}`}`;
}

function filterWords({ kind, leastBytes, sinceDays, isBelow }: Place): string[] {
  const words: string[] = [];
  if (kind !== undefined) words.push(`kind=${kind}`);
  if (leastBytes !== undefined) words.push(`least=${leastBytes}`);
  if (sinceDays !== undefined) words.push(`days=${sinceDays}`);
  if (isBelow) words.push('below=1');
  return words;
}
