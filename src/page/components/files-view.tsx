/** Shows one directory of one set: its entries, and on request the entries that were deleted from it. */
import { useMemo } from 'preact/hooks';
import { api, type BackupSet, type Deleted, type Entry } from '../api.js';
import { type Counted, useCounted } from '../counted-list.js';
import { type Go, useAnswer } from '../hooks.js';
import { t } from '../language.js';
import { aboveRoots, parentOf, pathOf, startingPath, textOf } from '../logic/paths.js';
import type { Place, Sort } from '../logic/place.js';
import { comparison, deletedBefore, type Row, rowOf, withDeleted } from '../logic/rows.js';
import { shownName } from '../logic/formats.js';
import { EntryGrid, type EntryRow, type ListProps, type Rows } from './entry-grid.js';
import { Notice } from './notice.js';

interface FilesProps extends ListProps {
  readonly client: string;
  readonly set: BackupSet;
  readonly place: Place;
  readonly go: Go;
}

export function FilesView(props: FilesProps) {
  const { client, set, place, go } = props;
  const roots = useAnswer(`${client}/${set.set}/roots`, async (signal) => {
    const { roots: found } = await api.roots(client, set.set, signal);
    return found.map(({ path, pathBytes }) => pathOf(path, pathBytes));
  });
  if (roots.error !== undefined) return <Notice error={roots.error} again={roots.again} />;
  if (roots.value === undefined) return <p class="empty">{t('loading')}</p>;
  const above = aboveRoots(place.path, roots.value);
  if (place.path === '/' && above !== undefined) {
    const start = startingPath(roots.value);
    if (start !== '/' && shownOf !== client) {
      shownOf = client;
      queueMicrotask(() => go({ path: start }, 'replace'));
    }
  }
  shownOf = client;
  if (above !== undefined && above.length > 0) return <AboveRoots {...props} segments={above} />;
  return <DirectoryView {...props} key={`${client}/${set.set}${place.path}`} />;
}

/** The client of the last directory. Only the first visit of a client opens the directory of its roots automatically. */
let shownOf: string | undefined;

function AboveRoots(props: FilesProps & { readonly segments: readonly string[] }) {
  const { segments, place } = props;
  const base = place.path === '/' ? '' : place.path;
  const rows = segments.map(
    (segment): EntryRow => ({
      path: `${base}/${segment}`,
      entry: undefined,
      name: textOf(segment),
      inSet: undefined,
      isDeleted: false,
    }),
  );
  return <Listing {...props} rows={rows} list={undefined} deletedCount={0} />;
}

function DirectoryView(props: FilesProps) {
  const { client, set, place } = props;
  const { path, sort, order, showsDeleted } = place;
  const key = `${client}/${set.set}/${sort}/${order}${path}`;
  const list = useCounted<Row<Entry>>(key, async (range, signal) => {
    const request = { client, set: set.set, path, sort, order, ...range };
    const { entries, total = entries.length } = await api.directory(request, signal);
    return { items: entries.map((entry) => rowOf(path, entry)), total };
  });
  const deleted = useAnswer(
    showsDeleted ? `deleted/${client}/${set.set}${path}` : undefined,
    (signal) => api.deleted(client, set.set, path, signal),
  );
  const gone = deleted.value ?? NOBODY;
  const rows = useMemo(() => {
    const rowsGone = showsDeleted ? gone.map((one) => deletedRow(path, one)) : [];
    return withDeleted(list.items, rowsGone, comparison(sort, order), list.isCounted);
  }, [list.items, list.items.length, list.loaded, list.isCounted, gone, showsDeleted]);
  const error = list.error ?? deleted.error;
  return (
    <>
      <Notice error={error} again={list.again} />
      <Listing {...props} rows={rows} list={list} deletedCount={gone.length} />
    </>
  );
}

const NOBODY: readonly Deleted[] = [];

function deletedRow(path: string, { entry, lastSet }: Deleted): EntryRow {
  return { ...rowOf(path, entry), inSet: lastSet, isDeleted: true };
}

interface ListingProps extends FilesProps {
  readonly rows: Rows;
  readonly list: Counted<Row<Entry>> | undefined;
  readonly deletedCount: number;
}

function Listing({ list, deletedCount, ...props }: ListingProps) {
  const { rows, place, go } = props;
  const { isCounted = true } = list ?? {};
  const isWhole = list === undefined || (isCounted && list.loaded === list.items.length);
  const sortBy = (sort: Sort): void => {
    const order = sort === place.sort && place.order === 'asc' ? 'desc' : 'asc';
    go({ sort, order }, 'replace');
  };
  const above = parentOf(place.path);
  if (list?.error !== undefined && !isCounted) return null;
  if (rows.length === 0 && isCounted) return <p class="empty">{t('empty')}</p>;
  return (
    <>
      <EntryGrid
        {...{ ...props, isCounted, isWhole }}
        label={t('filesIn', { path: shownName(textOf(place.path)) })}
        sort={list === undefined ? undefined : place.sort}
        order={place.order}
        startAt={place.file}
        onSort={sortBy}
        onUp={() => {
          if (above !== undefined) go({ path: above, file: undefined });
        }}
        onView={(first, end) =>
          list?.show(first - deletedBefore(rows, first), end - deletedBefore(rows, end))
        }
        onAll={() => list?.all()}
      />
      <p class="faint small status" role="status">
        {statusOf(rows.length - deletedCount, list)}
        {deletedCount > 0 ? ` · ${t('changedDeleted', { n: deletedCount })}` : ''}
      </p>
    </>
  );
}

function statusOf(count: number, list: Counted<Row<Entry>> | undefined): string {
  if (list?.isFull === true) return t('tooMany', { n: count });
  return list?.isCounted === false ? t('loading') : t('entries', { n: count });
}
