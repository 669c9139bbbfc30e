/**
 * Shows a list of paths that is loaded page by page, with a title, a button to go back, and a line with the number of
 * paths.
 */
import type { ComponentChildren } from 'preact';
import type { Paged } from '../hooks.js';
import { EntryGrid, type EntryRow, type ListProps } from './entry-grid.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

/** Number of rows before the end at which the next page is loaded. */
const NEAR_END_ROWS = 200;

interface PathsViewProps extends ListProps {
  /** Key of the list. When it changes, the list is shown from its first row. */
  readonly listKey: string;
  readonly list: Omit<Paged<unknown>, 'items'>;
  readonly rows: readonly EntryRow[];
  readonly title: string;
  /** Controls below the title. */
  readonly filters?: ComponentChildren;
  /** Text of the button that calls `onEnd`. */
  readonly back: string;
  readonly onEnd: () => void;
  /** Text that is shown if the whole list has no rows. */
  readonly empty: string;
  readonly status: string;
}

export function PathsView(props: PathsViewProps) {
  const { listKey, list, rows, title } = props;
  return (
    <section class="search-view" aria-label={title}>
      <div class="row bar">
        <h2>{title}</h2>
        <Button onClick={props.onEnd}>{props.back}</Button>
      </div>
      {props.filters}
      <Notice error={list.error} again={list.more} />
      {rows.length === 0 && list.error !== undefined ? null : rows.length === 0 && list.isWhole ? (
        <p class="empty">{props.empty}</p>
      ) : (
        <EntryGrid
          {...props}
          key={listKey}
          label={title}
          isCounted={list.isWhole}
          isWhole={list.isWhole}
          sort={undefined}
          order="asc"
          hasPaths
          onView={(_, end) => {
            if (!list.isWhole && end > rows.length - NEAR_END_ROWS) list.more();
          }}
          onAll={list.all}
        />
      )}
      <p class="faint small status" role="status">
        {props.status}
      </p>
    </section>
  );
}
