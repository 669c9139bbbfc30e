/** Results of a search over all backups, which grow while the person types. */
import { api, type Found } from '../api.js';
import { usePages, useSettled } from '../hooks.js';
import { t } from '../language.js';
import { foundRows } from '../parts/rows.js';
import { shownName } from '../parts/shown.js';
import type { Selection } from '../parts/selection.js';
import { EntryGrid, type EntryRow } from './entry-grid.js';
import { Notice } from './notice.js';

interface SearchProps {
  readonly client: string;
  readonly pattern: string;
  readonly selection: Selection;
  readonly timeOf: (set: number) => string;
  readonly canSelect: (row: EntryRow) => boolean;
  readonly onOpen: (row: EntryRow) => void;
  readonly onToggle: (rows: readonly EntryRow[]) => void;
  readonly onEnd: () => void;
}

/** Time without a key after which the search begins. */
const SETTLE_MS = 120;

export function SearchView(props: SearchProps) {
  const { client, pattern: typed, selection, timeOf, onOpen, onToggle, onEnd } = props;
  const pattern = useSettled(typed, SETTLE_MS);
  const list = usePages<Found>(`${client}/${pattern}`, async (after, signal) => {
    const { found, next } = await api.search(client, pattern, after, signal);
    return { items: found, next };
  });
  const rows = foundRows(list.items);
  const count = list.isWhole ? 'found' : 'foundMore';
  return (
    <section class="search-view" aria-label={t('searchResults', { pattern: shownName(pattern) })}>
      <div class="bar">
        <h2>{t('searchResults', { pattern: shownName(pattern) })}</h2>
        <button type="button" onClick={onEnd}>
          {t('endSearch')}
        </button>
      </div>
      {list.error === undefined ? null : <Notice error={list.error} again={list.more} />}
      {rows.length === 0 && list.isWhole ? (
        <p class="empty">{t('searchNone', { pattern: shownName(pattern) })}</p>
      ) : (
        <EntryGrid
          key={`search-${pattern}`}
          label={t('searchResults', { pattern: shownName(pattern) })}
          rows={rows}
          isWhole={list.isWhole}
          selection={selection}
          sort={undefined}
          order="asc"
          hasPaths
          timeOf={timeOf}
          canSelect={props.canSelect}
          onSort={() => undefined}
          onOpen={onOpen}
          onToggle={onToggle}
          onNearEnd={list.more}
          onEnd={list.all}
        />
      )}
      <p class="status" role="status">
        {list.isLoading ? t('searching') : t(count, { n: rows.length })}
      </p>
    </section>
  );
}
