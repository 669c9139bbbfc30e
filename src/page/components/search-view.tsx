/** Shows the results of a search over all backups, which is updated while the user types. */
import { api, type Found } from '../api.js';
import { usePages, useSettled } from '../hooks.js';
import { t } from '../language.js';
import { foundRows } from '../logic/rows.js';
import { shownName } from '../logic/shown.js';
import { type PathsProps, PathsView } from './paths-view.js';

interface SearchProps extends PathsProps {
  readonly client: string;
  readonly pattern: string;
}

/** Time after the last key before the search begins. */
const SETTLE_MS = 120;

export function SearchView({ client, pattern: typed, ...paths }: SearchProps) {
  const pattern = useSettled(typed, SETTLE_MS);
  const list = usePages<Found>(`${client}/${pattern}`, async (after, signal) => {
    const { found, next } = await api.search(client, pattern, after, signal);
    return { items: found, next };
  });
  const rows = foundRows(list.items);
  const count = list.isWhole ? 'found' : 'foundMore';
  const shown = { pattern: shownName(pattern) };
  return (
    <PathsView
      {...paths}
      listKey={`search-${pattern}`}
      list={list}
      rows={rows}
      title={t('searchResults', shown)}
      back={t('endSearch')}
      empty={t('searchNone', shown)}
      status={list.isLoading ? t('searching') : t(count, { n: rows.length })}
    />
  );
}
