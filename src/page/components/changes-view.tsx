/** Shows the changes of a backup since the backup before it with the same directories. */
import { useRef } from 'preact/hooks';
import { api, type BackupSet, type Entry } from '../api.js';
import { usePages } from '../hooks.js';
import { t } from '../language.js';
import { changedRow, type Row } from '../logic/rows.js';
import { type PathsProps, PathsView } from './paths-view.js';

interface ChangesProps extends PathsProps {
  readonly client: string;
  readonly set: BackupSet;
}

export function ChangesView({ client, set, ...paths }: ChangesProps) {
  const announced = useRef({ isFirst: false, unread: 0, set: 0 });
  if (announced.current.set !== set.set)
    announced.current = { isFirst: false, unread: 0, set: set.set };
  const list = usePages<Row<Entry>>(`changes/${client}/${set.set}`, async (after, signal) => {
    const { from, changes, unread, next } = await api.changes(client, set.set, after, signal);
    announced.current.isFirst = from === undefined;
    announced.current.unread += unread.length;
    return { items: changes.map((one) => changedRow(one, from)), next };
  });
  const { isFirst, unread } = announced.current;
  const count = t(list.isWhole ? 'changesFound' : 'changesMore', { n: list.items.length });
  const lacking = unread === 0 ? '' : ` · ${t('changesUnread', { n: unread })}`;
  return (
    <PathsView
      {...paths}
      listKey={`changes-${set.set}`}
      list={list}
      rows={list.items}
      title={t('changesOf', { time: paths.timeOf(set.set) })}
      back={t('changesEnd')}
      empty={t(isFirst ? 'changesFirst' : 'changesNone')}
      status={`${list.isLoading ? t('loading') : count}${lacking}`}
    />
  );
}
