/**
 * Shows a list of paths that is loaded page by page, with a title, a button to go back, and a line with the number of
 * paths.
 */
import type { ComponentChildren } from 'preact';
import type { Paged } from '../hooks.js';
import type { Selection } from '../logic/selection.js';
import { EntryGrid, type EntryRow, type Rows } from './entry-grid.js';
import { Notice } from './notice.js';

/** Number of rows before the end at which the next page is loaded. */
const NEAR_END_ROWS = 200;

/** Properties that a list of paths gets from the view around it. */
export interface PathsProps {
  readonly selection: Selection;
  readonly timeOf: (set: number) => string;
  readonly canSelect: (row: EntryRow) => boolean;
  readonly onOpen: (row: EntryRow) => void;
  /** Path of the file whose details are shown. */
  readonly openFile: string | undefined;
  readonly onToggle: (rows: Rows) => void;
  readonly onClear: () => void;
  readonly onEnd: () => void;
}

interface PathsViewProps extends PathsProps {
  /** Key of the list. When it changes, the list is shown from its first row. */
  readonly listKey: string;
  readonly list: Omit<Paged<unknown>, 'items'>;
  readonly rows: readonly EntryRow[];
  readonly title: string;
  /** Controls below the title. */
  readonly filters?: ComponentChildren;
  /** Text of the button that calls `onEnd`. */
  readonly back: string;
  /** Text that is shown if the whole list has no rows. */
  readonly empty: string;
  readonly status: string;
}

export function PathsView(props: PathsViewProps) {
  const { listKey, list, rows, title } = props;
  return (
    <section class="search-view" aria-label={title}>
      <div class="bar">
        <h2>{title}</h2>
        <button type="button" onClick={props.onEnd}>
          {props.back}
        </button>
      </div>
      {props.filters}
      {list.error === undefined ? null : <Notice error={list.error} again={list.more} />}
      {rows.length === 0 && list.error !== undefined ? null : rows.length === 0 && list.isWhole ? (
        <p class="empty">{props.empty}</p>
      ) : (
        <EntryGrid
          key={listKey}
          label={title}
          rows={rows}
          isCounted={list.isWhole}
          isWhole={list.isWhole}
          selection={props.selection}
          sort={undefined}
          order="asc"
          hasPaths
          timeOf={props.timeOf}
          canSelect={props.canSelect}
          onSort={() => undefined}
          onOpen={props.onOpen}
          openFile={props.openFile}
          onToggle={props.onToggle}
          onClear={props.onClear}
          onView={(_, end) => {
            if (!list.isWhole && end > rows.length - NEAR_END_ROWS) list.more();
          }}
          onAll={list.all}
        />
      )}
      <p class="status" role="status">
        {props.status}
      </p>
    </section>
  );
}
