/** Changes of a backup, against the one before it with the same directories. */
import { useRef } from 'preact/hooks';
import { api, type BackupSet, type Entry } from '../api.js';
import { usePages } from '../hooks.js';
import { t } from '../language.js';
import { changedRow, type Row } from '../parts/rows.js';
import type { Selection } from '../parts/selection.js';
import { EntryGrid, type EntryRow } from './entry-grid.js';
import { Notice } from './notice.js';

interface ChangesProps {
  readonly client: string;
  readonly set: BackupSet;
  readonly selection: Selection;
  readonly timeOf: (set: number) => string;
  readonly canSelect: (row: EntryRow) => boolean;
  readonly onOpen: (row: EntryRow) => void;
  readonly onToggle: (rows: readonly EntryRow[]) => void;
  readonly onEnd: () => void;
}

export function ChangesView(props: ChangesProps) {
  const { client, set, selection, timeOf } = props;
  const told = useRef({ isFirst: false, unread: 0, set: 0 });
  if (told.current.set !== set.set) told.current = { isFirst: false, unread: 0, set: set.set };
  const list = usePages<Row<Entry>>(`changes/${client}/${set.set}`, async (after, signal) => {
    const { from, changes, unread, next } = await api.changes(client, set.set, after, signal);
    told.current.isFirst = from === undefined;
    told.current.unread += unread.length;
    return { items: changes.map((one) => changedRow(one, from)), next };
  });
  const { isFirst, unread } = told.current;
  const title = t('changesOf', { time: timeOf(set.set) });
  const count = t(list.isWhole ? 'changesFound' : 'changesMore', { n: list.items.length });
  return (
    <section class="search-view" aria-label={title}>
      <div class="bar">
        <h2>{title}</h2>
        <button type="button" onClick={props.onEnd}>
          {t('changesEnd')}
        </button>
      </div>
      {list.error === undefined ? null : <Notice error={list.error} again={list.more} />}
      {list.items.length === 0 && list.isWhole ? (
        <p class="empty">{t(isFirst ? 'changesFirst' : 'changesNone')}</p>
      ) : (
        <EntryGrid
          key={`changes-${set.set}`}
          label={title}
          rows={list.items}
          isWhole={list.isWhole}
          selection={selection}
          sort={undefined}
          order="asc"
          hasPaths
          timeOf={timeOf}
          canSelect={props.canSelect}
          onSort={() => undefined}
          onOpen={props.onOpen}
          onToggle={props.onToggle}
          onNearEnd={list.more}
          onEnd={list.all}
        />
      )}
      <p class="status" role="status">
        {list.isLoading ? t('loading') : count}
        {unread === 0 ? '' : ` · ${t('changesUnread', { n: unread })}`}
      </p>
    </section>
  );
}
